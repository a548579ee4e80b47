"""What is known of each dependency, and when it is asked next. Pure: the times are given.

`now` is of a clock that nobody can set, and decides when something is asked; `at` is the time of day, and is only
shown. Nothing is asked twice at once: what is due is handed out, and is not due again before its answer is here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from exporter.dependencies.breaker import Breaker, Patience, State, chance_of, failed, succeeded, tried
from exporter.dependencies.graph import Graph

# The first questions after a start are spread over this, so that not all leave at once.
FIRST_SECONDS_MAX = 1.0
# What something sick needs is asked at once, to find the cause; but nothing is asked more often than this.
ASKED_AGAIN_SECONDS_MIN = 1.0


class Status(StrEnum):
    """`failing` has failed, but not often enough to be called down."""

    UNKNOWN = "unknown"
    UP = "up"
    SLOW = "slow"
    FAILING = "failing"
    DOWN = "down"

    @property
    def is_sick(self) -> bool:
        return self in SICK


SICK = (Status.SLOW, Status.FAILING, Status.DOWN)
# What can be entered.
ENTERED = (Status.UP, *SICK)


class Dependency(msgspec.Struct, frozen=True):
    name: str
    module: str
    target: str
    critical: bool = False
    needs: tuple[str, ...] = ()
    every_seconds: float = 15.0
    timeout_seconds: float = 5.0
    # 0 is never.
    slow_seconds: float = 0.0
    patience: Patience = Patience()


class Answer(msgspec.Struct, frozen=True):
    """`reason` is a bounded word, empty for a success."""

    seconds: float
    reason: str = ""


class Known(msgspec.Struct, eq=False):
    """What is known of one. Belongs to `Dependencies`; others read it."""

    dependency: Dependency
    # When it is asked next, by the clock that nobody can set; when it was asked last.
    due_at: float
    asked_at: float = -math.inf
    is_asked: bool = False
    status: Status = Status.UNKNOWN
    breaker: Breaker = Breaker()
    answer: Answer | None = None
    # Times of day.
    since: float = 0.0
    answered_at: float = 0.0
    succeeded_at: float = 0.0
    # How often it failed, by reason; and which status it came into.
    successes: int = 0
    failures: dict[str, int] = {}
    entered: dict[Status, int] = {}


class Change(msgspec.Struct, frozen=True):
    """`cause` is the way to whose fault it is, the dependency itself first; empty for what is not sick."""

    name: str
    before: Status
    after: Status
    reason: str
    cause: tuple[str, ...]


class Dependencies:
    """Belongs to one event loop. `seed` makes the waits of this process differ from those of others."""

    def __init__(self, *, seed: bytes) -> None:
        self._seed = seed
        self._known: dict[str, Known] = {}
        self._graph = Graph({})
        self._causes: dict[str, tuple[str, ...]] | None = None

    @property
    def known(self) -> Mapping[str, Known]:
        return self._known

    def use(self, dependencies: Iterable[Dependency], *, now: float, at: float) -> None:
        """These from now on. What is known of one that stays as it was stays known, whoever needs it."""
        before, self._known = self._known, {}
        for each in dependencies:
            known = before.get(each.name)
            if known is not None and msgspec.structs.replace(known.dependency, needs=each.needs) == each:
                known.dependency = each
            else:
                first = min(FIRST_SECONDS_MAX, each.every_seconds) * chance_of(self._seed, each.name, 0)
                known = Known(each, due_at=now + first, since=at)
            self._known[each.name] = known
        self._graph = Graph({name: known.dependency.needs for name, known in self._known.items()})
        self._causes = None

    def next_at(self) -> float:
        """When something is due; never, while nothing is."""
        return min((known.due_at for known in self._known.values() if not known.is_asked), default=math.inf)

    def due(self, *, now: float) -> list[Known]:
        """To be asked now. Each of them has to be answered for."""
        found = [known for known in self._known.values() if not known.is_asked and known.due_at <= now]
        for known in found:
            known.is_asked = True
            known.asked_at = now
            known.breaker = tried(known.breaker)
        return found

    def answered(self, known: Known, answer: Answer, *, now: float, at: float) -> Change | None:
        """What has changed by it. The answer of one that is not in force any more changes nothing."""
        name = known.dependency.name
        if self._known.get(name) is not known:
            return None
        known.is_asked = False
        known.answer, known.answered_at = answer, at
        self._count(known, answer, at=at)
        known.due_at = self._next(known, now=now)
        before, after = known.status, _status(known, answer)
        if before is after:
            return None
        known.status, known.since = after, at
        known.entered[after] = known.entered.get(after, 0) + 1
        self._causes = None
        self._hurry(known, before, now=now)
        return Change(name, before, after, answer.reason, self.causes().get(name, ()))

    def causes(self) -> Mapping[str, tuple[str, ...]]:
        """For each that is sick the way to whose fault it is, itself first; a root cause is alone on its way."""
        if self._causes is None:
            sick = {name: known for name, known in self._known.items() if known.status.is_sick}
            self._causes = self._graph.causes(sick)
        return self._causes

    def _count(self, known: Known, answer: Answer, *, at: float) -> None:
        patience = known.dependency.patience
        if not answer.reason:
            known.successes += 1
            known.succeeded_at = at
            known.breaker = succeeded(known.breaker, patience)
            return
        known.failures[answer.reason] = known.failures.get(answer.reason, 0) + 1
        chance = chance_of(self._seed, known.dependency.name, sum(known.failures.values()))
        known.breaker = failed(known.breaker, patience, chance=chance)

    def _next(self, known: Known, *, now: float) -> float:
        """However long the answer took, the questions keep their step; what was missed is not made up for."""
        if known.breaker.state is State.OPEN:
            return now + known.breaker.wait_seconds
        every = known.dependency.every_seconds
        if known.successes + sum(known.failures.values()) == 1:
            # All were asked for the first time in the same second; from now on each has a place of its own.
            soon = max(ASKED_AGAIN_SECONDS_MIN, every * chance_of(self._seed, known.dependency.name, 1))
            return max(now, known.asked_at + min(every, soon))
        return known.asked_at + every * max(1, math.ceil((now - known.asked_at) / every))

    def _hurry(self, known: Known, before: Status, *, now: float) -> None:
        """When one becomes sick, what it needs is asked at once, so that the cause is found with the symptom. When one
        is well again, what is sick and needs it is asked at once, whatever it would still have waited for.
        """
        name = known.dependency.name
        if known.status.is_sick and not before.is_sick:
            hurried = [each for each in self._below(name) if not each.status.is_sick]
        elif before.is_sick and not known.status.is_sick:
            hurried = [each for each in self._above(name) if each.status.is_sick]
        else:
            return
        for each in hurried:
            each.due_at = min(each.due_at, max(now, each.asked_at + ASKED_AGAIN_SECONDS_MIN))

    def _below(self, name: str) -> list[Known]:
        return [self._known[each] for each in self._graph.below(name)]

    def _above(self, name: str) -> list[Known]:
        return [self._known[each] for each in self._graph.above(name)]


def _status(known: Known, answer: Answer) -> Status:
    if known.breaker.state is not State.CLOSED:
        return Status.DOWN
    if answer.reason:
        return Status.FAILING
    slow = known.dependency.slow_seconds
    return Status.SLOW if 0 < slow < answer.seconds else Status.UP
