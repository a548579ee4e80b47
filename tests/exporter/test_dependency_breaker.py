"""The circuit breaker: what is sick is not hammered, and what is well again is believed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.dependencies.breaker import (
    JITTER,
    TRANSITIONS,
    Breaker,
    Patience,
    State,
    Trigger,
    chance_of,
    failed,
    succeeded,
    tried,
)

PATIENCE = Patience(failures=3, successes=2, wait_seconds=10.0, wait_seconds_max=60.0)


def after(*answers: bool, patience: Patience = PATIENCE, chance: float = 0.0) -> Breaker:
    breaker = Breaker()
    for well in answers:
        asked = tried(breaker)
        breaker = succeeded(asked, patience) if well else failed(asked, patience, chance=chance)
    return breaker


def test_it_opens_after_enough_failures_in_a_row_and_not_before() -> None:
    assert after(False, False).state is State.CLOSED
    assert after(False, False, True, False, False).state is State.CLOSED
    assert after(False, False, False).state is State.OPEN


def test_it_closes_after_enough_trials_that_succeed() -> None:
    sick = (False, False, False)
    assert tried(after(*sick)).state is State.HALF_OPEN
    assert after(*sick, True).state is State.HALF_OPEN
    assert after(*sick, True, True) == Breaker()


def test_one_trial_that_fails_opens_it_for_longer() -> None:
    waits = [after(*[False] * number).wait_seconds for number in range(3, 9)]
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert after(False, False, False, True, False).wait_seconds == 20.0


def test_who_was_well_again_is_waited_for_as_in_the_beginning() -> None:
    assert after(*[False] * 8, True, True, False, False, False).wait_seconds == 10.0


def test_chance_takes_something_off_each_wait_and_never_adds_to_it() -> None:
    assert after(*[False] * 8, chance=1.0).wait_seconds == pytest.approx(60.0 * (1 - JITTER))


def test_a_thousand_trials_that_fail_are_no_matter() -> None:
    assert after(*[False] * 2_000).wait_seconds == 60.0


def test_what_is_not_in_the_table_cannot_happen() -> None:
    assert set(TRANSITIONS) < set(itertools.product(State, Trigger))
    with pytest.raises(KeyError):
        succeeded(Breaker(State.OPEN), Patience(successes=1))
    with pytest.raises(KeyError):
        failed(Breaker(State.OPEN), PATIENCE, chance=0.0)


@given(st.binary(max_size=8), st.text(max_size=8), st.integers(0, 1_000))
def test_chance_is_the_same_for_the_same_and_within_its_bounds(seed: bytes, name: str, number: int) -> None:
    found = chance_of(seed, name, number)
    assert found == chance_of(seed, name, number)
    assert 0 <= found < 1


def test_chance_spreads() -> None:
    found = [chance_of(b"seed", f"dependency{number}", 0) for number in range(1_000)]
    for tenth in range(10):
        assert 60 < sum(tenth <= 10 * each < tenth + 1 for each in found) < 140


class Machine(RuleBasedStateMachine):
    """Against what a person would note down: every answer that came."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.answers: list[bool] = []
        self.model = State.CLOSED
        self.opened = 0

    @precondition(lambda self: self.model is State.OPEN)
    @rule()
    def is_tried(self) -> None:
        self.breaker = tried(self.breaker)
        self.model, self.answers = State.HALF_OPEN, []

    @precondition(lambda self: self.model is not State.OPEN)
    @rule()
    def succeeds(self) -> None:
        self.breaker = succeeded(tried(self.breaker), PATIENCE)
        self.answers.append(True)
        if self.model is State.HALF_OPEN and self.answers[-PATIENCE.successes :] == [True] * PATIENCE.successes:
            self.model, self.answers, self.opened = State.CLOSED, [], 0

    @precondition(lambda self: self.model is not State.OPEN)
    @rule(chance=st.floats(0, 1))
    def fails(self, chance: float) -> None:
        self.breaker = failed(tried(self.breaker), PATIENCE, chance=chance)
        self.answers.append(False)
        failures = self.answers[-PATIENCE.failures :] == [False] * PATIENCE.failures
        if self.model is State.HALF_OPEN or failures:
            self.model, self.answers, self.opened = State.OPEN, [], self.opened + 1

    @invariant()
    def is_what_the_notes_say(self) -> None:
        assert self.breaker.state is self.model
        assert self.breaker.opened == self.opened
        if self.model is State.OPEN:
            longest = min(PATIENCE.wait_seconds * 2 ** (self.opened - 1), PATIENCE.wait_seconds_max)
            assert longest * (1 - JITTER) <= self.breaker.wait_seconds <= longest


TestMachine = Machine.TestCase
