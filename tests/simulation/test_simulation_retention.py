"""A receiver that keeps its journal for an hour and incidents for two, and crashes at any statement of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from receiver.entry import Entry, Fact, JournalTrimmed
from receiver.incident import Status
from receiver.message import DIGEST_LANE
from receiver.retention import Keep
from receiver.runner import Runner
from receiver.store import Anchor
from receiver.store.database import Database
from receiver.store.removal import Removal
from tests.simulation.checkers import check_all
from tests.simulation.evidence import Broken, Evidence
from tests.simulation.workers import all_seeds
from tests.simulation.world import Parts, World

KEEP = Keep(journal=timedelta(hours=1), incidents=timedelta(hours=2))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class InSmallBites(Removal):
    rows_at_once = 3


def lived(seed: int, folder: Path, *, removal: type[Removal] = InSmallBites, runner: type[Runner] = Runner) -> Evidence:
    trimmed: dict[int, Entry] = {}

    class Remembering(removal):  # type: ignore[misc,valid-type]
        def trim(self, anchor: Anchor) -> int:
            going = self._journal.entries(after=0, limit=anchor.position)
            trimmed.update({each.position: each for each in going if each.position <= anchor.position})
            return int(super().trim(anchor))

    class Store(Database):
        removes_with = Remembering

    history = World(seed, folder, Parts(database=Store, runner=runner, keep=KEEP)).run()
    history.trimmed = trimmed
    return check_all(history)


def left(seed: int, folder: Path) -> Counter[str]:
    """One life: its journal has an unbroken chain, and nothing that counts is gone."""
    evidence = lived(seed, folder)
    history, database = evidence.history, evidence.database
    entries = database.entries(0, 10**9)
    told = [each.fact for each in evidence.entries if isinstance(each.fact, JournalTrimmed)]
    anchor = database.removal.anchor()
    # Everything old is gone, and everything young is there, whatever crashed in between.
    assert all(history.now - each.at < KEEP.journal + timedelta(hours=1, minutes=5) for each in entries)
    assert not [each for each in history.trimmed.values() if history.now - each.at < KEEP.journal]
    assert anchor is not None
    assert entries[0].position == anchor.position + 1
    assert (anchor.position, anchor.hash) in {(each.position, each.hash) for each in told}
    # So are incidents, with all that belongs to them.
    kept = {each.id for each in database.reading.incidents("all", "", 10**6)}
    gone = {f"T-{n}" for n in range(1, 10**3)} - kept
    assert all(
        not database.reading.steps(each, 1) and not database.reading.alerts(1, each) for each in sorted(gone)[:50]
    )
    assert {each.incident for each in database.reading.deliveries(10**6, "", "", "")} <= {*kept, DIGEST_LANE}
    for each in database.reading.incidents(Status.RESOLVED, "", 10**6):
        if each.id in evidence.loaded.state.incidents:
            continue  # resolved by hand, and its alerts fire on
        assert each.resolved_at is not None
        assert history.now - each.resolved_at < KEEP.incidents + timedelta(hours=2, minutes=5)
    opened = {each.incident for each in evidence.decided.values()}
    return Counter(crashes=history.crashes, gone=len(opened - kept), trimmed=len(history.trimmed), kept=len(kept))


def test_what_is_left_of_the_journal_has_an_unbroken_chain_and_nothing_that_counts_is_gone(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    seen = all_seeds(left, max(request.config.getoption("--seeds") // 8, 10), tmp_path)
    assert min(seen["crashes"], seen["gone"], seen["trimmed"], seen["kept"]) > 5


class SaysNothingOfIt(Runner):
    """Entries go and the journal does not tell."""

    async def submit(self, fact: Fact, **how: object) -> int:  # type: ignore[override]
        return 0 if isinstance(fact, JournalTrimmed) else await super().submit(fact, **how)  # type: ignore[arg-type]


class TakesOutOneMore(InSmallBites):
    """Also the entry after the anchor."""

    def trim(self, anchor: Anchor) -> int:
        gone = super().trim(anchor)
        self._run("DELETE FROM journal WHERE position = ?", (anchor.position + 1,))
        return gone


@pytest.mark.parametrize(
    ("removal", "runner"),
    [(InSmallBites, SaysNothingOfIt), (TakesOutOneMore, Runner)],
)
def test_a_receiver_that_takes_out_wrongly_is_noticed(
    removal: type[Removal], runner: type[Runner], tmp_path: Path
) -> None:
    for seed in range(30):
        try:
            lived(seed, tmp_path / str(seed), removal=removal, runner=runner)
        except (Broken, AssertionError):
            return
    pytest.fail("30 seeds did not notice it")
