"""Lines into series. Pure: packets and a time come in, and metrics take what was in them.

Many lines of a batch are the same, and nearly all heads and tails came before. So the same lines of a batch are counted
first, which costs little; each different one is taken apart once a batch; and what a head and a tail mean (metric,
labels, redaction) is found out once, and remembered. Gauges alone need their lines in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from exporter.event import Redact
from exporter.family import claims
from exporter.intake.statsd.gathered import DROPPED, Gathered, Target
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
from exporter.intake.statsd.wanted import Choose, Wanted, unmapped
from exporter.mapping.rule import Action, Label, Metric
from exporter.series.taken import Key, Taken
from exporter.series.trouble import Reason as Refusal
from exporter.series.trouble import Trouble

# Heads and tails whose meaning is remembered; when there are more, the half that was not needed lately is forgotten.
REMEMBERED_MAX = 20_000
# Names of metrics; lines with further ones are faults.
METRICS_MAX = 2_000
# Whole lines whose meaning is remembered, and how long they may be: most counters send the same line again and again.
KNOWN_MAX = 10_000
KNOWN_BYTES_MAX = 200
# Lines of which the series do not know yet.
PENDING_LINES_MAX = 100_000
# Of one metric, whatever its lines say; further ones are left out.
LABELS_MAX = 32
# Names of labels whose redaction is kept ready.
FIELDS_MAX = 1_000
# As what the redaction knows these lines, and the names in them.
KIND = "statsd"
NAME = "name"

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
NUMBERS = frozenset(("c", "g", "ms", "h", "d"))


class Clash(Wrong):
    """A line whose name belongs to a metric of another type: `owner`."""

    def __init__(self, offered: Metric, key: Key, owner: Metric) -> None:
        super().__init__(Reason.CONFLICT)
        self.offered = offered
        self.key = key
        self.owner = owner


Give = Callable[[Metric, Taken], None]

# Where to, how much, and whether that is added to a gauge. Lines of gauges are counted last, in their order.
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
        trouble: Trouble | None = None,
    ) -> None:
        """`secret` is what the values of sets are hashed with. `trouble` is told which metrics contradict others."""
        self._trouble = trouble or Trouble()
        self._give = give
        self._sets = Sets(secret)
        # Lines since something was handed on.
        self._pending = 0
        self._told = told
        self._styles = styles
        self._redact = redact
        self._redactions: dict[str, Redact] = {}
        self._gathered: dict[str, Gathered] = {}
        self._claims: dict[str, str] = {}
        self._recent: dict[tuple[bytes, bytes], Target] = {}
        self._before: dict[tuple[bytes, bytes], Target] = {}
        self._known: dict[bytes, Change] = {}
        self._choose = choose
        self._nothing = Target(Gathered(Metric(name="", type="counter", help=""), 0.0), (), DROPPED, 0.0, 1.0)

    def use(self, choose: Choose, *, redact: Callable[[str, str], Redact]) -> None:
        """From now on lines become something else, perhaps."""
        self._choose = choose
        self._redact = redact
        self._redactions.clear()
        self._forget()

    def packets(self, packets: Sequence[bytes], *, now: float) -> None:
        """What is in them is on the page after `hand_on`."""
        told, known = self._told, self._known
        lines = b"\n".join(packets).split(b"\n")
        different = Counter(lines) if len(lines) > 1 else {lines[0]: 1}
        told.packets += len(packets)
        there = len(lines) - different.pop(b"", 0)
        gauges: dict[bytes, list[Change]] = {}
        for line, times in different.items():
            found = known.get(line) or self._known_now(line, times, gauges, now)
            if found is None:
                continue
            target, amount, _ = found
            # This is `_count`, without a call for each line.
            if target.type == "c":
                sums, key = target.gathered.sums, target.key
                sums[key] = sums.get(key, 0.0) + amount * times
            elif target.type == "g":
                gauges[line] = [found]
            elif target.rate == 1.0:
                gathered = target.gathered
                gathered.keys.append(target.key)
                gathered.amounts.append(amount)
                gathered.weights.append(times)
            else:
                self._count(found, times, line, gauges)
        if gauges:
            self._in_order(lines, gauges)
        self._pending += there
        if self._pending >= PENDING_LINES_MAX:
            self.hand_on(now)

    def _known_now(self, line: bytes, times: int, gauges: dict[bytes, list[Change]], now: float) -> Change | None:
        """A line that did not come lately; None where it is counted already, or not at all."""
        try:
            head, value, tail = parts(line)
            target = self._target(head, tail, now)
            if target.type not in NUMBERS:
                self._no_number(target, value, times, now)
                return None
            found = self._change(target, value)
        except Wrong as wrong:
            self._apart(line, times, wrong, gauges, now)
            return None
        if len(line) <= KNOWN_BYTES_MAX:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[line] = found
        return found

    @staticmethod
    def _change(target: Target, value: bytes) -> Change:
        """Raises `Wrong`."""
        amount = number_of(value) * target.factor
        if target.type == "c" and amount < 0:
            raise Wrong(Reason.NEGATIVE)
        return target, amount, value[:1] in (b"+", b"-")

    def tick(self, now: float) -> None:
        """What is true now though nobody has sent anything: to be called again and again."""
        self.hand_on(now)
        for (name, key), size in self._sets.sweep(now).items():
            gathered = self._gathered.get(name)
            if gathered is not None:
                self._give(gathered.metric, Taken([key], [float(size)], Action.SET, None, now))

    def _no_number(self, target: Target, value: bytes, times: int, now: float) -> None:
        if target.type == DROPPED:
            self._told.dropped += times
            return
        gathered, name = target.gathered, target.gathered.metric.name
        if not self._sets.add(name, target.key, value, now):
            self._told.faults[Reason.SET_FULL] += times
        gathered.values[target.key] = self._sets.size(name, target.key) * target.factor

    @staticmethod
    def _count(change: Change, times: int, line: bytes, gauges: dict[bytes, list[Change]]) -> None:
        target, amount, _ = change
        gathered, key = target.gathered, target.key
        if target.type == "c":
            gathered.sums[key] = gathered.sums.get(key, 0.0) + amount * times
        elif target.type == "g":
            gauges.setdefault(line, []).append(change)
        else:
            exact = target.carry + times / target.rate
            # What is 9.999999999 is a sum of thirds.
            weight = int(exact + 1e-9)
            target.carry = exact - weight
            gathered.keys.append(key)
            gathered.amounts.append(amount)
            gathered.weights.append(weight)

    def _apart(self, line: bytes, times: int, error: Wrong, gauges: dict[bytes, list[Change]], now: float) -> None:
        """A line that is not one value: it has several, or is no metric, or is wrong. Counted as a whole or not."""
        told = self._told
        if line.startswith(NOT_METRICS):
            told.ignored += times
            return
        try:
            head, value, tail = parts(line)
            if b":" not in value and (b":" not in tail or b"|#" in tail):
                raise error
            found = []
            for each, of_each in several(value, tail):
                target = self._target(head, of_each, now)
                if target.type == "s":
                    raise Wrong(Reason.TYPE)
                found.append(self._change(target, each))
        except Wrong as wrong:
            told.faults[wrong.reason] += times
            if isinstance(wrong, Clash):
                reason = Refusal.TYPE if wrong.offered.name == wrong.owner.name else Refusal.NAME
                self._trouble.conflict(wrong.offered, reason, wrong.owner, events=times, last=wrong.key)
            return
        kept = [change for change in found if change[0].type != DROPPED]
        told.dropped += 0 if kept else times
        for change in kept:
            self._count(change, times, line, gauges)

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

    def hand_on(self, now: float) -> None:
        """What was gathered goes to the series: the less often, the less it costs."""
        # Who sees that a line was counted finds it on the page.
        self._told.lines += self._pending
        self._pending = 0
        for gathered in self._gathered.values():
            if gathered.is_empty:
                continue
            gathered.touched = now
            for taken in gathered.taken(now):
                self._give(gathered.metric, taken)
            gathered.clear()

    def _forget(self) -> None:
        self._recent.clear()
        self._before.clear()
        self._known.clear()

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
            raise _clash(name, wanted, labels, metric)
        further = [Label(label, label, missing="") for label in labels if label not in metric.label_names]
        room = LABELS_MAX - len(metric.labels)
        self._told.tags_dropped += max(0, len(further) - room)
        if further and room:
            self.hand_on(now)
            # Keys that are remembered are too short from now on.
            self._forget()
            gathered.metric = replace(metric, labels=(*metric.labels, *further[:room]))
            self._sets.widen(name, ("",) * len(further[:room]))
        return gathered

    def _new(self, name: str, wanted: Wanted, labels: Mapping[str, str], now: float) -> Gathered:
        if len(self._gathered) >= METRICS_MAX:
            self._make_room(now)
        taken = claims(name, wanted.type)
        for claim in taken:
            if claim in self._claims:
                raise _clash(name, wanted, labels, self._gathered[self._claims[claim]].metric)
        metric = _metric(name, wanted, labels)
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


def _metric(name: str, wanted: Wanted, labels: Mapping[str, str]) -> Metric:
    return Metric(
        name=name,
        type=wanted.type,
        help=wanted.help,
        labels=tuple(Label(label, label, missing="") for label in list(labels)[:LABELS_MAX]),
        buckets=wanted.buckets,
        quantiles=wanted.quantiles,
        ttl_seconds=wanted.ttl_seconds,
    )


def _clash(name: str, wanted: Wanted, labels: Mapping[str, str], owner: Metric) -> Clash:
    return Clash(_metric(name, wanted, labels), tuple(list(labels.values())[:LABELS_MAX]), owner)
