"""What is held against an address: a number that findings raise and time lowers, and which findings that were. Pure.

There are so many at most. When there are more, some of those that were found nothing against for longest are looked at,
and the least of them is forgotten: so whoever attacks now pushes out nobody who attacks now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from exporter.finding import Finding
from exporter.identity import Address
from exporter.reputation.moments import Moment
from exporter.reputation.policy import THRESHOLDS_MAX, Policy

SCORES_MAX = 200_000
# Of one address, the detectors whose findings are remembered.
REASONS_MAX = 8
WHY_CHARACTERS_MAX = 200
# Among so many that were quiet for longest, the least is forgotten.
LOOKED_AT_MAX = 16
# What is less is nothing.
POINTS_MIN = 1.0


class Reason(msgspec.Struct):
    """What one detector has found: how often, what it counted for in all, and its last words."""

    detector: str
    times: int
    points: float
    first: Moment
    last: Moment
    why: str


class Score(msgspec.Struct):
    """`score` is that of the moment `at`. `times` blocks were in a row, the last of which ended `blocked_until`."""

    at: float
    score: float = 0.0
    times: int = 0
    blocked_until: float = 0.0
    # It is not blocked automatically before then.
    spared_until: float = 0.0
    reasons: dict[str, Reason] = {}

    def left(self, policy: Policy, now: float) -> float:
        return policy.faded(self.score, seconds=now - self.at)

    def said(self) -> str:
        """In one line, the weightiest first."""
        by_weight = sorted(self.reasons.values(), key=lambda reason: -reason.points)
        return "; ".join(
            f"{each.detector}{f' {each.times} times' if each.times > 1 else ''} (+{each.points:g}): {each.why}"
            for each in by_weight
        )


class Scores:
    def __init__(self) -> None:
        self._scores: OrderedDict[Address, Score] = OrderedDict()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, address: Address) -> Score | None:
        return self._scores.get(address)

    def items(self) -> Iterable[tuple[Address, Score]]:
        return self._scores.items()

    def all(self) -> Iterable[Score]:
        return self._scores.values()

    def lately(self) -> Iterator[Address]:
        """Those against whom something was found last come first."""
        return reversed(self._scores)

    def put(self, address: Address, score: Score, *, policy: Policy, now: float) -> None:
        """As it was kept."""
        self._scores[address] = score
        self._scores.move_to_end(address)
        if len(self._scores) > SCORES_MAX:
            self._forget_one(policy, now)

    def raise_(self, address: Address, finding: Finding, *, policy: Policy, now: float) -> Score:
        score = self._scores.get(address)
        if score is None:
            score = Score(now, reasons={})
        points = policy.points_of(finding)
        score.score = min(score.left(policy, now) + points, policy.threshold * THRESHOLDS_MAX)
        score.at = max(now, score.at)
        _remember(score, finding, points=points, now=now)
        self.put(address, score, policy=policy, now=now)
        return score

    def sweep(self, count: int, *, policy: Policy, now: float) -> None:
        """Looks at so many that were quiet for longest; of what has faded nothing stays."""
        for address in list(islice(self._scores, count)):
            if _is_nothing(self._scores[address], policy, now):
                del self._scores[address]

    def _forget_one(self, policy: Policy, now: float) -> None:
        quiet = list(islice(self._scores, LOOKED_AT_MAX))
        least = min(quiet, key=lambda each: self._weight(self._scores[each], policy, now))
        if not _is_nothing(self._scores[least], policy, now):
            self.forgotten += 1
        del self._scores[least]

    def _weight(self, score: Score, policy: Policy, now: float) -> tuple[bool, float]:
        return score.blocked_until > now or score.spared_until > now, score.left(policy, now)


def _is_nothing(score: Score, policy: Policy, now: float) -> bool:
    return (
        score.left(policy, now) < POINTS_MIN
        and score.spared_until <= now
        and (not score.times or score.blocked_until + policy.forget_seconds <= now)
    )


def _remember(score: Score, finding: Finding, *, points: float, now: float) -> None:
    why = finding.why[:WHY_CHARACTERS_MAX]
    known = score.reasons.get(finding.detector)
    if known is not None:
        known.times, known.points, known.last, known.why = known.times + 1, known.points + points, now, why
        return
    if len(score.reasons) >= REASONS_MAX:
        oldest = min(score.reasons.values(), key=lambda reason: reason.last)
        del score.reasons[oldest.detector]
    score.reasons[finding.detector] = Reason(finding.detector, 1, points, now, now, why)
