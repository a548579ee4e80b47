"""The series of one page: of everything together, or of one source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.family import Family, Shape, claims
from exporter.mapping.rule import RESERVED_NAMES, RESERVED_PREFIXES, Metric
from exporter.points import InvalidFamily
from exporter.series.held import Held
from exporter.series.room import Room
from exporter.series.taken import Taken
from exporter.series.trouble import Reason, Trouble

# Of a page. Prometheus calls each line a series.
LINES_MAX = 100_000
# What is old is looked for this often while events come, and at each scrape.
SWEEP_SECONDS = 10.0
# Of a page; what further ones would take is refused. What is known from the start is not limited.
METRICS_MAX = 2_000


class Store:
    """Belongs to one thread."""

    def __init__(
        self,
        metrics: Sequence[Metric] = (),
        *,
        room: Room | None = None,
        trouble: Trouble | None = None,
        now: float | None = None,
    ) -> None:
        """`metrics` are there from the start, which is `now` where that is known."""
        self.zero_first_seconds = 0.0
        self._trouble = trouble or Trouble()
        self._room = room or Room(LINES_MAX)
        self._swept_at = now or 0.0
        self._latest = now or 0.0
        self._held: dict[str, Held] = {}
        # Which metric has each name that one of them takes on the page.
        self._claims: dict[str, str] = {}
        self._known: Mapping[str, Metric] = {}
        self.use(metrics, now=now)

    @property
    def held(self) -> Sequence[Held]:
        return list(self._held.values())

    @property
    def room(self) -> Room:
        return self._room

    @property
    def trouble(self) -> Trouble:
        return self._trouble

    def use(self, metrics: Sequence[Metric], *, now: float | None = None) -> None:
        """These are there from now on. Those that were, and are no more, are gone; what came otherwise stays."""
        self.follow(metrics)
        self._trouble.foresee(metrics)
        for metric in metrics:
            held = self._held.get(metric.name)
            if held is None or held.metric.shape != metric.shape:
                # What came otherwise gives way.
                for name in dict.fromkeys(self._claims.get(claim, "") for claim in claims_of(metric)):
                    self._drop(name)
                held = self._hold(metric, now=now)
            held.stays = True
        first = {name: self._held[name] for name in self._known if name in self._held}
        self._held = first | self._held

    def follow(self, metrics: Sequence[Metric]) -> None:
        """The same for a page where each of them begins when an event comes that it counts."""
        named = {metric.name: metric for metric in metrics}
        for name in self._known:
            held, metric = self._held.get(name), named.get(name)
            if held is not None and metric is not None and held.metric.shape == metric.shape:
                held.use(metric)
            else:
                self._drop(name)
        self._known = named

    def take(self, metric: Metric, taken: Taken) -> None:
        if not self._swept_at <= taken.now < self._swept_at + SWEEP_SECONDS:
            self.sweep(taken.now)
        self._latest = taken.now
        held = self._held.get(metric.name)
        if held is None:
            reason, owner = self._refusal(metric)
            if reason is None:
                self._hold(metric, now=taken.now).take(taken)
            else:
                self._trouble.conflict(metric, reason, owner, events=len(taken.keys), last=taken.keys[-1])
        elif held.metric is metric or self._follows(held, metric):
            held.take(taken)
        else:
            reason = Reason.LABELS if held.metric.type == metric.type else Reason.TYPE
            self._trouble.conflict(metric, reason, held.metric, events=len(taken.keys), last=taken.keys[-1])

    def families(self, *, now: float | None = None) -> list[Family]:
        """Without a time, as it was after the last event."""
        return list(self.published(now=now))

    def published(self, *, now: float | None = None) -> Iterator[Family]:
        """The same one by one; events may come in between."""
        if now is not None:
            self.sweep(now)
        at = self._latest if now is None else now
        return (held.family(at, zero_first_seconds=self.zero_first_seconds) for held in list(self._held.values()))

    def sweep(self, now: float) -> bool:
        """What is old vanishes. Whether anything is left."""
        self._swept_at = now
        for name in [name for name, held in self._held.items() if not held.sweep(now)]:
            self._drop(name)
        return bool(self._held)

    def _follows(self, held: Held, metric: Metric) -> bool:
        """Nobody else gives a known metric other labels: its own events would have none of them, and be refused."""
        known = self._known.get(metric.name)
        return (known is None or known.label_names == metric.label_names) and held.follows(metric)

    def _refusal(self, metric: Metric) -> tuple[Reason | None, Metric | None]:
        """Why a metric of a new name cannot be taken, and which one is in its way."""
        if metric.name in RESERVED_NAMES or metric.name.startswith(RESERVED_PREFIXES):
            return Reason.RESERVED, None
        for claim in claims_of(metric):
            if claim in self._claims:
                return Reason.NAME, self._held[self._claims[claim]].metric
        if len(self._held) >= METRICS_MAX:
            return Reason.METRICS, None
        try:
            Shape(metric.name, metric.published_type, metric.help, metric.label_names)
        except InvalidFamily:
            return Reason.ILLEGAL, None
        return None, None

    def _hold(self, metric: Metric, *, now: float | None) -> Held:
        held = Held(metric, room=self._room, overflowed=self._trouble.overflow, now=now)
        self._held[metric.name] = held
        self._claims.update(dict.fromkeys(claims_of(metric), metric.name))
        return held

    def _drop(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            held.leave()
            for claim in claims_of(held.metric):
                del self._claims[claim]


def claims_of(metric: Metric) -> tuple[str, ...]:
    return claims(metric.name, metric.published_type)
