"""Whether it goes on: each incident that is not over waits for something known, and nothing waits past its time.

It reads what the state keeps an index of, so it costs what is amiss and not what there is. It decides nothing: what it
finds is for metrics and people.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from receiver.escalation import Idle
from receiver.state import State

# Time is told when something is due; this leaves room for a batch that is decided, and for a disk that is slow.
OVERDUE = timedelta(seconds=30)
SHOWN_MAX = 5


class Some(msgspec.Struct, frozen=True):
    """How many, and the first few of them."""

    count: int
    first: tuple[str, ...]

    @classmethod
    def of(cls, names: Collection[str]) -> Some:
        return cls(len(names), tuple(islice(names, SHOWN_MAX)))


class Audit(msgspec.Struct, frozen=True):
    without_next_step: Some  # a stage is left to take, and nothing says when: a mistake of Tocsin's
    overdue: Some  # incidents, and also `source NAME` and `channel NAME`, the longest overdue first
    oldest_overdue_seconds: float
    exhausted: Some  # every stage of every round was taken, and nobody has answered

    @property
    def goes_on(self) -> bool:
        return not (self.without_next_step.count or self.overdue.count)


def audit(state: State, at: datetime) -> Audit:
    overdue = state.due(at - OVERDUE)
    first = state.next_due() if overdue else None
    return Audit(
        without_next_step=Some.of(state.idle(Idle.UNKNOWN)),
        overdue=Some.of(overdue),
        oldest_overdue_seconds=0.0 if first is None else (at - first).total_seconds(),
        exhausted=Some.of(state.idle(Idle.EXHAUSTED)),
    )
