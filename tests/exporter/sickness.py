"""A world of dependencies with a clock of its own: who is sick when is said beforehand, and a day takes a moment."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from exporter.dependencies.status import Answer, Change, Dependencies, Dependency, Known, Status

# A time of day that has nothing to do with the clock of the world.
DAY = 1_795_000_000.0
WELL = Answer(0.01)
REFUSED = Answer(0.01, "refused")


class World:
    """`answers` says what the dependency answers when it is asked at this time."""

    def __init__(self, *wanted: Dependency, answers: Callable[[str, float], Answer] = lambda name, now: WELL) -> None:
        self.now = 0.0
        self.time_of_day_off = DAY
        self.answers = answers
        self.asked: list[tuple[float, str]] = []
        self.changes: list[tuple[float, Change]] = []
        self.dependencies = Dependencies(seed=b"seed")
        self._under_way: list[tuple[float, int, Known, Answer]] = []
        self._number = count()
        self.use(wanted)

    @property
    def at(self) -> float:
        return self.time_of_day_off + self.now

    def use(self, wanted: Iterable[Dependency]) -> None:
        self.dependencies.use(wanted, now=self.now, at=self.at)

    def run(self, seconds: float) -> None:
        """As the timer does it, until so much time has passed."""
        end = self.now + seconds
        while True:
            answered_at = self._under_way[0][0] if self._under_way else float("inf")
            then = min(self.dependencies.next_at(), answered_at)
            if then > end:
                break
            self.now = max(self.now, then)
            while self._under_way and self._under_way[0][0] <= self.now:
                _, _, known, answer = heapq.heappop(self._under_way)
                change = self.dependencies.answered(known, answer, now=self.now, at=self.at)
                if change is not None:
                    self.changes.append((self.now, change))
            for known in self.dependencies.due(now=self.now):
                name = known.dependency.name
                self.asked.append((self.now, name))
                answer = self.answers(name, self.now)
                heapq.heappush(self._under_way, (self.now + answer.seconds, next(self._number), known, answer))
        self.now = end

    def status(self, name: str) -> Status:
        return self.dependencies.known[name].status

    def times(self, name: str) -> list[float]:
        return [at for at, each in self.asked if each == name]


def sick(*names: str, since: float = 0.0, until: float = float("inf")) -> Callable[[str, float], Answer]:
    return lambda name, now: REFUSED if name in names and since <= now < until else WELL
