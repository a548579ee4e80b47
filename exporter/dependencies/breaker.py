"""The circuit breaker of a dependency: what is sick is asked less and less often, not hammered. Pure.

Closed, it is asked as usual. After enough failures in a row it opens: nothing is asked for a while. Then it is
half-open: single trials show whether the dependency is well. One that fails opens it for longer; enough that succeed
close it.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec
from msgspec.structs import replace

# How much of a wait is left to chance, so that what opened together is not tried together.
JITTER = 0.2
# Beyond so many doublings every wait is the longest one.
DOUBLINGS_MAX = 40


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Trigger(StrEnum):
    FAILURES_REACHED = "failures reached"
    TRIED = "tried"
    TRIAL_FAILED = "trial failed"
    SUCCESSES_REACHED = "successes reached"


TRANSITIONS = {
    (State.CLOSED, Trigger.FAILURES_REACHED): State.OPEN,
    (State.OPEN, Trigger.TRIED): State.HALF_OPEN,
    (State.HALF_OPEN, Trigger.TRIAL_FAILED): State.OPEN,
    (State.HALF_OPEN, Trigger.SUCCESSES_REACHED): State.CLOSED,
}


class Patience(msgspec.Struct, frozen=True):
    """`failures` in a row open it, `successes` of trials in a row close it. The wait before a trial begins with
    `wait_seconds`, and doubles with each trial that fails."""

    failures: int = 3
    successes: int = 2
    wait_seconds: float = 15.0
    wait_seconds_max: float = 120.0


class Breaker(msgspec.Struct, frozen=True):
    state: State = State.CLOSED
    # In a row: of failures while it is closed, of successes while it is half-open.
    failures: int = 0
    successes: int = 0
    # How often it has opened since it was closed.
    opened: int = 0
    # How long it stays open.
    wait_seconds: float = 0.0


def tried(breaker: Breaker) -> Breaker:
    """The dependency is asked now. Only what is open, and has waited, becomes half-open by that."""
    if breaker.state is not State.OPEN:
        return breaker
    return replace(breaker, state=_next(breaker, Trigger.TRIED), successes=0)


def succeeded(breaker: Breaker, patience: Patience) -> Breaker:
    if breaker.state is State.CLOSED:
        return Breaker()
    successes = breaker.successes + 1
    if successes < patience.successes:
        return replace(breaker, successes=successes)
    return Breaker(_next(breaker, Trigger.SUCCESSES_REACHED))


def failed(breaker: Breaker, patience: Patience, *, chance: float) -> Breaker:
    """`chance` is from 0 to 1."""
    failures = breaker.failures + 1
    if breaker.state is State.CLOSED and failures < patience.failures:
        return replace(breaker, failures=failures)
    closed = breaker.state is State.CLOSED
    state = _next(breaker, Trigger.FAILURES_REACHED if closed else Trigger.TRIAL_FAILED)
    doubled = patience.wait_seconds * 2 ** min(breaker.opened, DOUBLINGS_MAX)
    wait_seconds = min(doubled, patience.wait_seconds_max) * (1 - JITTER * chance)
    return Breaker(state, failures=failures, opened=breaker.opened + 1, wait_seconds=wait_seconds)


def chance_of(seed: bytes, name: str, number: int) -> float:
    """From 0 to 1, the same for the same arguments: by the seed of this process, a name, and how often it was asked."""
    text = b"%s\0%s\0%d" % (seed, name.encode(), number)
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") / 2**48


def _next(breaker: Breaker, trigger: Trigger) -> State:
    """What is not in the table is a mistake of ours."""
    return TRANSITIONS[breaker.state, trigger]
