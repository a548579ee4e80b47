"""A receiver that finds its journal broken, in one life after the other, and crashes at any statement of that."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.chaincheck import ChainCheck
from receiver.entry import ChainBroken
from receiver.own import BROKEN
from receiver.state import State
from receiver.store import Walked
from tests.simulation.checkers import check_all
from tests.simulation.evidence import Broken, Evidence, expect
from tests.simulation.workers import all_seeds
from tests.simulation.world import Parts, World

FOUND = tuple(Walked(position, b"", f"entry {position + 1} is missing", done=True) for position in (7, 7, 3))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def lived(seed: int, folder: Path, check: type[ChainCheck] = ChainCheck) -> Evidence:
    evidence = check_all(World(seed, folder, Parts(damage=FOUND, check=check)).run())
    every_finding_is_told_once(evidence)
    return evidence


def every_finding_is_told_once(evidence: Evidence) -> None:
    """By one entry of the journal, and one step of an incident of Tocsin's own."""
    facts = [entry.fact for entry in evidence.entries if isinstance(entry.fact, ChainBroken)]
    steps = [step for moment in evidence.moments for step in moment.steps if step == "journal broken"]
    places = [fact.position for fact in facts]
    expect(places in ([7], [7, 3], [3]) and len(steps) == len(places), f"found {places}, told {len(steps)} times")


def told(seed: int, folder: Path) -> Counter[str]:
    """One life, in which each finding is told once."""
    evidence = lived(seed, folder)
    own = [each for each in evidence.database.reading.incidents("all", "", 10**6) if each.group == BROKEN]
    assert 1 <= len(own) <= 2
    known = evidence.loaded.state.chain
    assert known == evidence.replayed.chain
    assert known is not None
    return Counter(crashes=evidence.history.crashes, again=known.position == 3)


def test_every_finding_is_told_once_whatever_crashes_in_between(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    seen = all_seeds(told, max(request.config.getoption("--seeds") // 10, 10), tmp_path)
    assert min(seen["crashes"], seen["again"]) > 3


class TellsEachTime(ChainCheck):
    """What was found before is told again at each walk."""

    async def _tell(self, found: ChainBroken) -> None:
        self._known = lambda: State(journal="")
        await super()._tell(found)


def test_a_receiver_that_tells_again_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="found"):
        lived(0, tmp_path, TellsEachTime)
