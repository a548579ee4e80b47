"""A receiver whose engine raises about some webhooks, or decides what cannot be stored: they are set aside and told of,
and all else holds as ever."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from receiver.entry import AlertsReceived, Entry
from receiver.ledger import Decision
from receiver.message import Kind, Message
from receiver.own import GROUP
from receiver.runner import Runner
from receiver.state import State
from tests.simulation.checkers import check_all
from tests.simulation.evidence import Broken
from tests.simulation.workers import all_seeds
from tests.simulation.world import Parts, World


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def poisoned(entry: Entry) -> bool:
    """Some bodies, the same in every life: a repeat of one is poisoned as well."""
    return isinstance(entry.fact, AlertsReceived) and hashlib.sha256(entry.fact.body).digest()[0] % 5 == 0


class CannotDecide(Runner):
    def _decide(self, entry: Entry) -> Decision:
        if poisoned(entry):
            raise ValueError("poison")
        return super()._decide(entry)


class CannotApply(Runner):
    """Raises when half of the changes are applied."""

    def _decide(self, entry: Entry) -> Decision:
        self._poisoned = poisoned(entry)
        return super()._decide(entry)

    def _apply(self, decision: Decision) -> None:
        if self._poisoned:
            self._poisoned = False
            self.state.apply(decision.changes[: len(decision.changes) // 2 + 1])
            raise ValueError("poison")
        super()._apply(decision)


class CannotCommit(Runner):
    """Decides the same message twice: the store must refuse it."""

    def _decide(self, entry: Entry) -> Decision:
        decision = super()._decide(entry)
        if not poisoned(entry):
            return decision
        twin = Message("twin", "chat", "T-1", Kind.OPENED, entry.at, b"{}")
        return replace(decision, messages=(*decision.messages, twin, twin))


class GoesOnHalfMoved(CannotApply):
    async def _loaded_again(self) -> State:
        return self.state


class SkipsWithoutAWord(CannotDecide):
    def _decide(self, entry: Entry) -> Decision:
        try:
            return super()._decide(entry)
        except ValueError:
            return Decision(changes=(), messages=(), counts={})


def set_aside(runner: type[Runner], why: str, seed: int, folder: Path) -> Counter[str]:
    """One life: what cannot be decided is set aside, and raised."""
    evidence = check_all(World(seed, folder, Parts(runner=runner, set_aside_for=why)).run())
    assert sorted(evidence.aside) == [entry.position for entry in evidence.entries if poisoned(entry)]
    own = [each for each in evidence.database.reading.incidents("all", "", 10**6) if each.group == GROUP]
    assert bool(own) == bool(evidence.aside)
    told = sum(bool(each.told) for each in own)
    return Counter(aside=len(evidence.aside), crashes=evidence.history.crashes, told=told)


@pytest.mark.parametrize(
    ("runner", "why"),
    [(CannotDecide, "poison"), (CannotApply, "poison"), (CannotCommit, "UNIQUE constraint failed: outbox.id")],
)
def test_what_cannot_be_decided_is_set_aside_and_all_else_holds(
    runner: type[Runner], why: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seeds = max(request.config.getoption("--seeds") // 8, 10)
    seen = all_seeds(partial(set_aside, runner, why), seeds, tmp_path)
    assert min(seen["aside"], seen["crashes"], seen["told"]) > 5


@pytest.mark.parametrize("runner", [GoesOnHalfMoved, SkipsWithoutAWord])
def test_a_receiver_that_deals_wrongly_with_it_is_noticed(runner: type[Runner], tmp_path: Path) -> None:
    for seed in range(60):
        try:
            check_all(World(seed, tmp_path / str(seed), Parts(runner=runner)).run())
        except (Broken, AssertionError, KeyError):
            return
    pytest.fail(f"60 seeds did not notice {runner.__name__}")
