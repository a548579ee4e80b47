"""Lines into series. Pure: packets and a time come in, and metrics take what was in them.

Many lines of a batch are the same, and nearly all heads and tails came before. So the same lines of a batch are counted
first, which costs little; each different one is taken apart once a batch; and what a head and a tail mean (metric,
labels, redaction) is found out once, and remembered. Gauges alone need their lines in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from exporter.event import Redact
from exporter.family import claims
from exporter.intake.statsd.lines import (
    NOT_METRICS,
    Reason,
    Styles,
    Tail,
    Wrong,
    head_of,
    number_of,
    parts,
    several,
    tail_of,
)
from exporter.intake.statsd.names import label_name, metric_name
from exporter.intake.statsd.sets import Sets
from exporter.intake.statsd.telling import Told
from exporter.mapping.rule import TTL_SECONDS, Action, Label, Metric, Type
from exporter.series.taken import Key, Taken

# Heads and tails whose meaning is remembered; when there are more, the half that was not needed lately is forgotten.
REMEMBERED_MAX = 20_000
# Names of metrics; lines with further ones are faults.
METRICS_MAX = 2_000
# Of one metric, whatever its lines say; further ones are left out.
LABELS_MAX = 32
# Names of labels whose redaction is kept ready.
FIELDS_MAX = 1_000
# As what the redaction knows these lines, and the names in them.
KIND = "statsd"
NAME = "name"
HELP = "Lines of StatsD with this name."

# What statsd_exporter calls the types; timers, histograms and distributions are one.
# A set becomes a gauge, the number of its values.
CLASSES: Mapping[str, str] = {
    "c": "counter",
    "g": "gauge",
    "ms": "observer",
    "h": "observer",
    "d": "observer",
    "s": "gauge",
}
MILLISECONDS = 0.001
# In the place of a type: what nobody wants.
DROPPED = ""
NUMBERS = frozenset(("c", "g", "ms", "h", "d"))


class Wanted(msgspec.Struct, frozen=True):
    """What lines of a name become."""

    name: str
    type: Type
    labels: tuple[tuple[str, str], ...] = ()
    help: str = HELP
    buckets: tuple[float, ...] = ()
    ttl_seconds: float | None = TTL_SECONDS
    scale: float = 1.0
    # Whether a tag outweighs a label of the same name.
    honor_labels: bool = False


# What lines with this name and of this class become; None where they are dropped.
Choose = Callable[[str, str], Wanted | None]
Give = Callable[[Metric, Taken], None]

_UNMAPPED: Mapping[str, Type] = {"counter": "counter", "gauge": "gauge", "observer": "histogram"}


def unmapped(name: str, kind: str) -> Wanted:
    return Wanted(name, _UNMAPPED[kind])


class Gathered:
    """A metric, and what the batch that is being counted brings to it."""

    __slots__ = ("added", "amounts", "keys", "metric", "sums", "touched", "values", "weights")

    def __init__(self, metric: Metric, now: float) -> None:
        self.metric = metric
        self.touched = now
        self.clear()

    def clear(self) -> None:
        # Of a counter.
        self.sums: dict[Key, float] = {}
        # Of a gauge: what it was set to, and what was added without that.
        self.values: dict[Key, float] = {}
        self.added: dict[Key, float] = {}
        # Of a histogram.
        self.keys: list[Key] = []
        self.amounts: list[float] = []
        self.weights: list[int] = []

    def taken(self, now: float) -> Iterable[Taken]:
        for amounts, action in ((self.sums, Action.SET), (self.values, Action.SET), (self.added, Action.ADD)):
            if amounts:
                yield Taken(list(amounts), list(amounts.values()), action, None, now)
        if self.keys:
            yield Taken(self.keys, self.amounts, Action.SET, None, now, self.weights)


class Target:
    """What a head and a tail mean."""

    __slots__ = ("carry", "factor", "gathered", "key", "rate", "type")

    def __init__(self, gathered: Gathered, key: Key, type: str, factor: float, rate: float) -> None:  # noqa: A002
        self.gathered = gathered
        self.key = key
        self.type = type
        self.factor = factor
        self.rate = rate
        # What is left over of lines that stand for a number of lines that is not whole.
        self.carry = 0.0


# The lines of a gauge are counted last, in their order: where to, how much, and whether that is added.
Change = tuple[Target, float, bool]


class Counting:
    """Belongs to one thread. `give` takes what each metric gets of a batch."""

    def __init__(
        self,
        give: Give,
        *,
        told: Told,
        redact: Callable[[str, str], Redact],
        styles: Styles = Styles(),  # noqa: B008 - a value that nobody changes
        choose: Choose = unmapped,
        secret: bytes = b"",
    ) -> None:
        """`secret` is what the values of sets are hashed with."""
        self._give = give
        self._sets = Sets(secret)
        self._told = told
        self._styles = styles
        self._redact = redact
        self._redactions: dict[str, Redact] = {}
        self._gathered: dict[str, Gathered] = {}
        self._claims: dict[str, str] = {}
        self._touched: dict[str, Gathered] = {}
        self._recent: dict[tuple[bytes, bytes], Target] = {}
        self._before: dict[tuple[bytes, bytes], Target] = {}
        self._choose = choose
        self._nothing = Target(Gathered(Metric(name="", type="counter", help=""), 0.0), (), DROPPED, 0.0, 1.0)

    def use(self, choose: Choose, *, redact: Callable[[str, str], Redact]) -> None:
        """From now on lines become something else, perhaps."""
        self._choose = choose
        self._redact = redact
        self._redactions.clear()
        self._forget()

    def packets(self, packets: Sequence[bytes], *, now: float) -> None:
        told = self._told
        told.packets += len(packets)
        lines = b"\n".join(packets).split(b"\n")
        different = Counter(lines)
        different.pop(b"", None)
        gauges: dict[bytes, list[Change]] = {}
        recent = self._recent
        for line, times in different.items():
            told.lines += times
            try:
                head, value, tail = parts(line)
                target = recent.get((head, tail)) or self._target(head, tail, now)
                if target.type not in NUMBERS:
                    self._no_number(target, value, times, now)
                    continue
                amount = number_of(value)
            except Wrong as wrong:
                self._apart(line, times, wrong.reason, gauges, now)
                continue
            self._count(target, value, amount, times, line, gauges)
        if gauges:
            self._in_order(lines, gauges)
        self._hand_on(now)

    def tick(self, now: float) -> None:
        """What is true now though nobody has sent anything: to be called again and again."""
        for (name, key), size in self._sets.sweep(now).items():
            gathered = self._gathered.get(name)
            if gathered is not None:
                self._give(gathered.metric, Taken([key], [float(size)], Action.SET, None, now))

    def _no_number(self, target: Target, value: bytes, times: int, now: float) -> None:
        if target.type == DROPPED:
            self._told.dropped += times
            return
        gathered, name = target.gathered, target.gathered.metric.name
        self._touched[name] = gathered
        if not self._sets.add(name, target.key, value, now):
            self._told.faults[Reason.SET_FULL] += times
        gathered.values[target.key] = self._sets.size(name, target.key) * target.factor

    def _count(
        self, target: Target, value: bytes, amount: float, times: int, line: bytes, gauges: dict[bytes, list[Change]]
    ) -> None:
        gathered = target.gathered
        self._touched[gathered.metric.name] = gathered
        key = target.key
        if target.type == "c":
            if amount < 0:
                self._told.faults[Reason.NEGATIVE] += times
                return
            sums = gathered.sums
            sums[key] = sums.get(key, 0.0) + amount * target.factor * times
        elif target.type == "g":
            change = (target, amount * target.factor, value[:1] in (b"+", b"-"))
            gauges.setdefault(line, []).append(change)
        else:
            if target.rate != 1.0:
                exact = target.carry + times / target.rate
                # What is 9.999999999 is a sum of thirds.
                times = int(exact + 1e-9)
                target.carry = exact - times
            gathered.keys.append(key)
            gathered.amounts.append(amount * target.factor)
            gathered.weights.append(times)

    def _apart(self, line: bytes, times: int, reason: Reason, gauges: dict[bytes, list[Change]], now: float) -> None:
        """A line that is not one value: it has several, or is no metric, or is wrong. Counted as a whole or not."""
        told = self._told
        if line.startswith(NOT_METRICS):
            told.ignored += times
            return
        try:
            head, value, tail = parts(line)
            if b":" not in value and (b":" not in tail or b"|#" in tail):
                raise Wrong(reason)
            found = []
            for each, of_each in several(value, tail):
                target = self._target(head, of_each, now)
                if target.type == "s":
                    raise Wrong(Reason.TYPE)
                amount = number_of(each)
                if target.type == "c" and amount < 0:
                    raise Wrong(Reason.NEGATIVE)
                found.append((target, each, amount))
        except Wrong as wrong:
            told.faults[wrong.reason] += times
            return
        kept = [each for each in found if each[0].type != DROPPED]
        told.dropped += 0 if kept else times
        for target, each, amount in kept:
            self._count(target, each, amount, times, line, gauges)

    @staticmethod
    def _in_order(lines: Sequence[bytes], gauges: Mapping[bytes, list[Change]]) -> None:
        for line in filter(gauges.__contains__, lines):
            for target, amount, relative in gauges[line]:
                gathered = target.gathered
                # A later line of the batch may have brought a label.
                key = target.key + ("",) * (len(gathered.metric.labels) - len(target.key))
                if not relative:
                    gathered.values[key] = amount
                    gathered.added.pop(key, None)
                elif key in gathered.values:
                    gathered.values[key] += amount
                else:
                    gathered.added[key] = gathered.added.get(key, 0.0) + amount

    def _hand_on(self, now: float) -> None:
        for gathered in self._touched.values():
            gathered.touched = now
            for taken in gathered.taken(now):
                self._give(gathered.metric, taken)
            gathered.clear()
        self._touched.clear()

    def _forget(self) -> None:
        self._recent.clear()
        self._before.clear()

    def _target(self, head: bytes, tail: bytes, now: float) -> Target:
        """What a head and a tail mean. Raises `Wrong`."""
        known = (head, tail)
        target = self._recent.get(known) or self._before.get(known) or self._found(head, tail, now)
        if len(self._recent) >= REMEMBERED_MAX // 2:
            self._before = dict(self._recent)
            self._recent.clear()
        self._recent[known] = target
        return target

    def _found(self, head: bytes, tail: bytes, now: float) -> Target:
        said = tail_of(tail, self._styles)
        name, tags, dropped = head_of(head, self._styles)
        if tags and said.tags:
            raise Wrong(Reason.MIXED_TAGS)
        kind = CLASSES[said.type]
        self._told.tags_dropped += dropped + said.dropped
        wanted = self._choose(name, kind)
        if wanted is None:
            return self._nothing
        labels = self._labels(tags or said.tags, wanted)
        gathered = self._of(wanted, labels, now)
        key = tuple([labels.get(label, "") for label in gathered.metric.label_names])
        return Target(gathered, key, said.type, _factor(said, wanted), said.rate)

    def _labels(self, tags: Mapping[str, str], wanted: Wanted) -> dict[str, str]:
        """Redacted, by their names on the page."""
        found = {label_name(self._redaction(NAME)(name)): value for name, value in tags.items()}
        if wanted.honor_labels:
            found = dict(wanted.labels) | found
        else:
            found |= dict(wanted.labels)
        return {name: self._redaction(name)(value) for name, value in sorted(found.items())}

    def _redaction(self, field: str) -> Redact:
        redact = self._redactions.get(field)
        if redact is None:
            if len(self._redactions) >= FIELDS_MAX:
                self._redactions.clear()
            redact = self._redactions[field] = self._redact(KIND, field)
        return redact

    def _of(self, wanted: Wanted, labels: Mapping[str, str], now: float) -> Gathered:
        """The metric of that name, which then has at least these labels, as far as there is room for them."""
        name = metric_name(self._redaction(NAME)(wanted.name), wanted.type)
        gathered = self._gathered.get(name)
        if gathered is None:
            return self._new(name, wanted, labels, now)
        metric = gathered.metric
        if metric.type != wanted.type:
            raise Wrong(Reason.CONFLICT)
        further = [Label(label, label, missing="") for label in labels if label not in metric.label_names]
        room = LABELS_MAX - len(metric.labels)
        self._told.tags_dropped += max(0, len(further) - room)
        if further and room:
            self._hand_on(now)
            # Keys that are remembered are too short from now on.
            self._forget()
            gathered.metric = replace(metric, labels=(*metric.labels, *further[:room]))
            self._sets.widen(name, ("",) * len(further[:room]))
        return gathered

    def _new(self, name: str, wanted: Wanted, labels: Mapping[str, str], now: float) -> Gathered:
        if len(self._gathered) >= METRICS_MAX:
            self._make_room(now)
        taken = claims(name, wanted.type)
        if any(claim in self._claims for claim in taken):
            raise Wrong(Reason.CONFLICT)
        metric = Metric(
            name=name,
            type=wanted.type,
            help=wanted.help,
            labels=tuple(Label(label, label, missing="") for label in list(labels)[:LABELS_MAX]),
            buckets=wanted.buckets,
            ttl_seconds=wanted.ttl_seconds,
        )
        self._claims.update(dict.fromkeys(taken, name))
        gathered = self._gathered[name] = Gathered(metric, now)
        return gathered

    def _make_room(self, now: float) -> None:
        """Metrics whose series are gone give back their names. Raises `Wrong` where none are."""
        gone = [
            name
            for name, each in self._gathered.items()
            if each.metric.ttl_seconds is not None and each.touched + each.metric.ttl_seconds < now
        ]
        if not gone:
            raise Wrong(Reason.METRICS_MAX)
        for name in gone:
            del self._gathered[name]
        self._claims = {claim: name for claim, name in self._claims.items() if name in self._gathered}
        self._forget()


def _factor(said: Tail, wanted: Wanted) -> float:
    """By what the number of a line is multiplied. A sampled counter counts for those that were not sent."""
    if said.type == "c":
        return wanted.scale / said.rate
    return wanted.scale * MILLISECONDS if said.type == "ms" else wanted.scale
