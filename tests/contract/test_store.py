"""The contract that every store keeps: see receiver/store/__init__.py. Each store is one line in STORES."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from receiver.entry import Entry, EntrySetAside, JournalTrimmed, TimePassed, Unreadable
from receiver.incident import AlertRecord, Incident, Status
from receiver.message import Message
from receiver.state import (
    AlertChanged,
    IncidentChanged,
    IncidentForgotten,
    MessageSettled,
    PolicyInForce,
    SetAsideTold,
    StepTaken,
)
from receiver.store import Anchor, Delivery, Draft, SetAside, Store, StoreFailed, StoreRefused, StoreUnusable
from receiver.store.sqlite import open_sqlite
from tests.contract.values import alert, at, fact, incident, message, step
from tests.stories.story import POLICY, policy_from

T = TypeVar("T")
STORES: dict[str, Callable[[Path], Store]] = {"sqlite": lambda folder: open_sqlite(folder / "receiver.db")}


class Harness:
    """Opens, uses and closes a store from plain functions."""

    def __init__(self, make: Callable[[Path], Store], folder: Path) -> None:
        self._make = make
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self.store = make(folder)

    def do(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self._loop.run_until_complete(wait())

    def append(self, draft: Draft) -> Entry:
        async def wait() -> Entry:
            return await self.store.append(draft)

        return self.do(wait())

    def reopen(self) -> None:
        self.do(self.store.close())
        self.store = self._make(self._folder)

    def close(self) -> None:
        self.do(self.store.close())
        self._loop.close()


@pytest.fixture(params=STORES)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(STORES[request.param], tmp_path)
    yield harness
    harness.close()


def test_what_is_appended_is_read_back_in_order_after_a_restart(harness: Harness) -> None:
    written = [harness.append(Draft(at(number), fact(number))) for number in range(9)]
    assert [entry.position for entry in written] == list(range(1, 10))
    harness.reopen()
    assert harness.do(harness.store.entries(0, 100)) == written
    assert harness.do(harness.store.entries(4, 2)) == written[4:6]


def test_many_appends_at_once_get_positions_in_the_order_of_the_calls(harness: Harness) -> None:
    async def all_at_once() -> list[Entry]:
        return list(await asyncio.gather(*(harness.store.append(Draft(at(n), fact(n))) for n in range(200))))

    entries = harness.do(all_at_once())
    assert [entry.position for entry in entries] == list(range(1, 201))
    assert [entry.at for entry in entries] == [at(n) for n in range(200)]
    assert harness.do(harness.store.entries(0, 1000)) == entries


def test_the_signing_key_is_made_once_and_is_in_no_journal(harness: Harness) -> None:
    async def asked_at_once() -> set[bytes]:
        return {*await asyncio.gather(*(harness.store.signing_key() for _ in range(5)))}

    (key,) = harness.do(asked_at_once())
    assert len(key) == 32
    harness.append(Draft(at(0), TimePassed()))
    harness.reopen()
    assert harness.do(harness.store.signing_key()) == key
    assert key.hex() not in str(harness.do(harness.store.entries(0, 10)))
    assert harness.do(harness.store.verify()) is None


def test_two_stores_have_two_signing_keys(harness: Harness, tmp_path: Path) -> None:
    other = open_sqlite(tmp_path / "other" / "receiver.db")
    assert harness.do(harness.store.signing_key()) != harness.do(other.signing_key())
    harness.do(other.close())


def test_a_commit_moves_everything_together(harness: Harness) -> None:
    changes = (
        AlertChanged(alert(1, incident=1, changed=1)),
        IncidentChanged(incident(1)),
        StepTaken(step(1, 1)),
        PolicyInForce(policy_from(POLICY)),
    )
    harness.append(Draft(at(0), TimePassed()))
    harness.do(harness.store.commit(changes, (message(1),), 1))
    harness.reopen()
    loaded = harness.do(harness.store.load())
    assert loaded.position == 1
    assert loaded.state.incidents == {"T-1": incident(1)}
    assert list(loaded.state.alerts_of(incident(1))) == [alert(1, incident=1, changed=1)]
    assert loaded.state.policy == policy_from(POLICY)
    assert loaded.state.next_due() == incident(1).due_at
    assert harness.do(harness.store.owed()) == [message(1)]
    assert harness.do(harness.store.steps("T-1", 10)) == [step(1, 1)]


def test_a_commit_that_cannot_be_written_leaves_nothing(harness: Harness) -> None:
    harness.do(harness.store.commit((StepTaken(step(1, 1)),), (message(1),), 1))
    with pytest.raises(StoreFailed):  # the same step again: part of it would be new
        harness.do(harness.store.commit((IncidentChanged(incident(2)), StepTaken(step(1, 1))), (message(2),), 2))
    loaded = harness.do(harness.store.load())
    assert (loaded.position, loaded.state.incidents) == (1, {})
    assert harness.do(harness.store.owed()) == [message(1)]


def test_a_commit_that_cannot_be_written_does_not_spoil_its_neighbours(harness: Harness) -> None:
    harness.do(harness.store.commit((StepTaken(step(1, 1)),), (), 1))

    async def all_at_once() -> list[Any]:
        bad = harness.store.commit((StepTaken(step(1, 1)),), (), 2)
        good = [harness.store.append(Draft(at(n), fact(n))) for n in range(3)]
        return list(await asyncio.gather(*good[:1], bad, *good[1:], return_exceptions=True))

    first, failed, *rest = harness.do(all_at_once())
    assert isinstance(failed, StoreRefused)
    assert [entry.position for entry in (first, *rest)] == [1, 2, 3]


@pytest.mark.parametrize("odd", [message(1), replace(message(9), channel="\udc80")])
def test_what_can_never_be_written_is_refused_whatever_the_reason(harness: Harness, odd: Message) -> None:
    harness.do(harness.store.commit((), (message(1),), 1))
    with pytest.raises(StoreRefused):
        harness.do(harness.store.commit((), (odd,), 2))
    with pytest.raises(StoreRefused):
        harness.append(Draft(at(1), Unreadable("kind", "\udc80", b"", "")))
    assert harness.do(harness.store.load()).position == 1
    assert harness.append(Draft(at(1), fact(1))).position == 1


def test_a_settled_message_is_owed_no_longer(harness: Harness) -> None:
    harness.do(harness.store.commit((), (message(1), message(2), message(3)), 1))
    harness.do(harness.store.commit((MessageSettled("m2"),), (), 2))
    assert harness.do(harness.store.owed()) == [message(1), message(3)]


def test_what_was_sent_stays_visible_beside_what_is_owed_newest_first(harness: Harness) -> None:
    other = replace(message(3, incident=2), channel="pager")
    harness.do(harness.store.commit((), (message(1), message(2), other, message(4)), 1))
    took = MessageSettled("m2", "delivered", 3, 0.25, "ok \u2603", at(9))
    harness.do(harness.store.commit((MessageSettled("m4"), MessageSettled("nobody knows it"), took), (), 2))
    harness.do(harness.store.commit((MessageSettled("m3", "refused", 1, None, "no", at(10)),), (), 3))
    harness.reopen()
    harness.do(harness.store.commit((MessageSettled("m1"),), (message(5),), 4))

    def found(**which: Any) -> list[str]:
        return [each.message for each in harness.do(harness.store.deliveries(**{"limit": 10, **which}))]

    assert found() == ["m5", "m4", "m3", "m2", "m1"]
    assert found(limit=2) == ["m5", "m4"]
    assert found(channel="pager") == found(incident="T-2") == found(outcome="refused") == ["m3"]
    assert found(outcome="owed") == ["m5"]
    assert found(channel="pager", outcome="delivered") == []
    kept = {each.message: each for each in harness.do(harness.store.deliveries(limit=10))}
    assert all(harness.do(harness.store.delivery(name)) == each for name, each in kept.items())
    assert harness.do(harness.store.delivery("m9")) is None
    assert kept["m2"] == Delivery(
        "m2", "chat", "T-1", "opened", at(2), at(9), "delivered", attempts=3, seconds=0.25, answer="ok \u2603"
    )
    assert kept["m5"] == Delivery("m5", "chat", "T-1", "opened", at(5), None, "owed", None, None, "")
    assert [each.id for each in harness.do(harness.store.owed())] == ["m5"]


def test_large_bodies_are_read_back_as_they_came_and_take_less_room(tmp_path: Path) -> None:
    harness = Harness(STORES["sqlite"], tmp_path)
    bodies = [b"\x00" * 70_000, os.urandom(5_000), *(b'{"alertname": "Down", "n": %d}' % n * 60 for n in range(600))]
    for body in bodies:
        harness.append(Draft(at(1), Unreadable("kind", "am", body, "")))
        if len(body) == 5_000:
            harness.reopen()
    facts = [entry.fact for entry in harness.do(harness.store.entries(0, 10_000))]
    assert [fact.body for fact in facts if isinstance(fact, Unreadable)] == bodies
    assert harness.do(harness.store.verify()) is None
    with closing(sqlite3.connect(tmp_path / "receiver.db")) as connection:
        (kept,) = connection.execute("SELECT sum(length(body)) FROM journal").fetchone()
        connection.execute("UPDATE dictionaries SET data = CAST(upper(data) AS BLOB)")
        connection.commit()
    assert kept < sum(map(len, bodies)) / 5
    harness.reopen()
    problem = harness.do(harness.store.verify())
    assert problem is not None
    assert "is not what was written" in problem
    assert len(harness.do(harness.store.entries(0, 10_000))) == len(bodies)
    harness.close()


def test_a_forgotten_incident_leaves_the_state_and_stays_readable(harness: Harness) -> None:
    done = incident(1, status=Status.RESOLVED)
    harness.do(harness.store.commit((AlertChanged(alert(1, incident=1, changed=1)), IncidentChanged(done)), (), 1))
    harness.do(harness.store.commit((IncidentForgotten("T-1"),), (), 2))
    loaded = harness.do(harness.store.load())
    assert (loaded.state.incidents, loaded.state.alerts) == ({}, {})
    assert harness.do(harness.store.incident("T-1")) == done
    assert harness.do(harness.store.alerts(limit=10, incident="T-1")) == [alert(1, incident=1, changed=1)]
    assert harness.do(harness.store.alerts(limit=10)) == []


def test_incidents_are_found_by_status_and_text_newest_first(harness: Harness) -> None:
    values = [incident(1), incident(2, status=Status.RESOLVED), incident(3, title="Disk is FULL"), incident(10)]
    harness.do(harness.store.commit([IncidentChanged(each) for each in values], (), 1))

    def found(status: str, text: str = "", limit: int = 10) -> list[str]:
        return [each.id for each in harness.do(harness.store.incidents(status=status, text=text, limit=limit))]

    assert found("all") == ["T-10", "T-3", "T-2", "T-1"]
    assert found("active") == ["T-10", "T-3", "T-1"]
    assert found("resolved") == ["T-2"]
    assert found("all", limit=1) == ["T-10"]
    assert found("all", text="disk is full") == ["T-3"]
    assert found("all", text="service=SHOP1") == ["T-10", "T-1"]
    assert found("all", text="%") == []


def test_an_alert_that_moved_on_belongs_to_its_newer_incident(harness: Harness) -> None:
    changes = [IncidentChanged(incident(1)), IncidentChanged(incident(5))]
    changes += [AlertChanged(alert(1, incident=5, changed=7)), AlertChanged(alert(1, incident=1, changed=9))]  # type: ignore[list-item]
    harness.do(harness.store.commit(changes, (), 9))
    state = harness.do(harness.store.load()).state
    assert [each.changed for each in state.alerts_of(incident(1))] == [9]
    assert list(state.alerts_of(incident(5))) == []


def test_an_alert_that_moved_on_is_listed_once_and_its_older_incident_keeps_it(harness: Harness) -> None:
    left = replace(alert(1, incident=1, changed=1), moved_on=True)
    changes = [IncidentChanged(incident(1)), IncidentChanged(incident(2))]
    changes += [AlertChanged(left), AlertChanged(alert(1, incident=2, changed=2))]  # type: ignore[list-item]
    harness.do(harness.store.commit(changes, (), 2))
    assert [each.incident for each in harness.do(harness.store.alerts(limit=10))] == ["T-2"]
    assert harness.do(harness.store.alerts(limit=10, incident="T-1")) == [left]


def test_a_changed_entry_is_noticed(tmp_path: Path) -> None:
    harness = Harness(STORES["sqlite"], tmp_path)
    for number in range(5):
        harness.append(Draft(at(number), fact(number)))
    assert harness.do(harness.store.verify()) is None
    harness.close()
    for change, expected in (
        ("UPDATE journal SET source = 'eve' WHERE position = 3", "entry 3"),
        ("UPDATE journal SET at = at + 1 WHERE position = 3", "entry 3"),
        ("DELETE FROM journal WHERE position = 3", "entry 3 is missing"),
    ):
        copy = tmp_path / expected.replace(" ", "-") / str(len(change))
        copy.mkdir(parents=True)
        (copy / "receiver.db").write_bytes((tmp_path / "receiver.db").read_bytes())
        with sqlite3.connect(copy / "receiver.db") as connection:
            connection.execute(change)
        connection.close()
        other = Harness(STORES["sqlite"], copy)
        problem = other.do(other.store.verify())
        other.close()
        assert problem is not None
        assert problem.startswith(expected)


def test_the_end_of_the_chain_can_be_checked_alone(harness: Harness) -> None:
    for number in range(6):
        harness.append(Draft(at(number), fact(number)))
    assert harness.do(harness.store.verify(last=2)) is None
    assert harness.do(harness.store.verify(last=100)) is None


def test_what_was_set_aside_is_kept_up_to_a_limit(harness: Harness) -> None:
    for number in range(105):
        harness.do(harness.store.set_aside(SetAside(at(number), "am", "not_json", f"problem {number}", b"\xff\x00")))
    kept = harness.do(harness.store.last_set_aside(1000))
    assert [each.problem for each in kept] == [f"problem {number}" for number in range(104, 4, -1)]
    assert kept[0].body == b"\xff\x00"
    assert harness.do(harness.store.size()).set_aside == 105


def test_an_entry_that_was_set_aside_moves_with_the_position_and_is_kept(harness: Harness) -> None:
    aside = [EntrySetAside(n, at(n), "alerts_received", "am", f"error {n}") for n in (1, 2, 3)]
    harness.do(harness.store.commit((aside[0], StepTaken(step(1, 1)), aside[1]), (message(1),), 2))
    harness.do(harness.store.commit((aside[2], SetAsideTold((1, 3))), (), 3))
    other = EntrySetAside(4, at(4), "time_passed", "", "error 4")
    with pytest.raises(StoreFailed):  # the same step again: nothing of it is written
        harness.do(harness.store.commit((other, StepTaken(step(1, 1))), (), 4))
    harness.reopen()
    assert harness.do(harness.store.entries_set_aside(2)) == [aside[2], aside[1]]
    assert harness.do(harness.store.untold()) == [aside[1]]
    assert harness.do(harness.store.size()).entries_set_aside == 3
    assert harness.do(harness.store.load()).position == 3


def test_an_entry_that_cannot_be_read_keeps_its_place(harness: Harness) -> None:
    odd = Unreadable("of_tomorrow", "am", b"\xff{", "")
    for each in (fact(1), odd, fact(3)):
        harness.append(Draft(at(1), each))
    first, second, third = (entry.fact for entry in harness.do(harness.store.entries(0, 10)))
    assert (first, third) == (fact(1), fact(3))
    assert isinstance(second, Unreadable)
    assert (second.kind, second.source, second.body) == (odd.kind, odd.source, odd.body)
    assert second.problem.startswith("cannot be read")
    assert harness.do(harness.store.verify()) is None


def trimmed(harness: Harness, *, before: int) -> Anchor:
    """What the retention does, with one entry that tells of it."""
    anchor = harness.do(harness.store.trimmable(at(before)))
    assert anchor is not None
    harness.append(Draft(at(before), JournalTrimmed(anchor.position, anchor.hash, anchor.entries)))
    while harness.do(harness.store.trim(anchor)):
        pass
    return anchor


def test_only_decided_entries_that_are_old_can_go_and_only_from_the_beginning(harness: Harness) -> None:
    for number in (1, 2, 9, 3, 4):
        harness.append(Draft(at(number), fact(number)))
    assert harness.do(harness.store.trimmable(at(100))) is None
    harness.do(harness.store.commit((), (), 4))
    assert harness.do(harness.store.trimmable(at(1))) is None
    young = harness.do(harness.store.trimmable(at(5)))
    assert young is not None
    assert (young.position, young.entries, young.at) == (2, 2, at(2))  # the third one is younger
    every = harness.do(harness.store.trimmable(at(100)))
    assert every is not None
    assert every.position == 4
    for wrong in (replace(every, position=5), replace(every, hash="00"), replace(every, position=99)):
        with pytest.raises(StoreRefused):
            harness.do(harness.store.trim(wrong))
    assert len(harness.do(harness.store.entries(0, 10))) == 5
    assert harness.do(harness.store.anchor()) is None


def test_what_was_taken_out_is_gone_and_the_chain_begins_at_its_anchor(harness: Harness) -> None:
    aside = EntrySetAside(2, at(2), "alerts_received", "am", "error")
    for number in range(1, 1300):
        harness.append(Draft(at(number), TimePassed()))
    harness.do(harness.store.commit((aside,), (), 1250))
    first = trimmed(harness, before=1101)
    assert (first.position, first.entries) == (1100, 1100)
    assert [entry.position for entry in harness.do(harness.store.entries(0, 2000))] == list(range(1101, 1301))
    assert harness.do(harness.store.verify()) is None
    assert harness.do(harness.store.verify(last=1000)) is None
    harness.reopen()
    second = trimmed(harness, before=1201)
    assert (second.position, second.entries) == (1200, 100)
    assert harness.do(harness.store.anchor()) == second
    assert harness.do(harness.store.verify()) is None
    assert harness.do(harness.store.trim(second)) == 0
    with pytest.raises(StoreRefused):
        harness.do(harness.store.trim(first))
    assert harness.do(harness.store.entries_set_aside(10)) == [aside]
    size = harness.do(harness.store.size())
    assert (size.entries, size.trimmed) == (1301, 1200)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "UPDATE meta SET value = replace(value, ':2,', ':3,') WHERE key = 'anchor'",
            "entry 4 is not what was written",
        ),
        ("DELETE FROM journal WHERE position < 6", "entry 3 is missing (the next one is 6)"),
        (
            "UPDATE meta SET value = replace(value, '\"entries\":2', '\"entries\":1') WHERE key = 'anchor'",
            "the entries up to 2 are missing, and no entry says that they were taken out",
        ),
        ("DELETE FROM meta WHERE key = 'anchor'", "entry 1 is missing (the next one is 3)"),
        ("UPDATE meta SET value = 'x' WHERE key = 'anchor'", "what is kept about the beginning of the journal"),
    ],
)
def test_a_beginning_that_is_not_what_was_taken_out_is_noticed(change: str, problem: str, tmp_path: Path) -> None:
    harness = Harness(STORES["sqlite"], tmp_path)
    for number in range(1, 8):
        harness.append(Draft(at(number), fact(number)))
    harness.do(harness.store.commit((), (), 7))
    trimmed(harness, before=3)
    assert harness.do(harness.store.verify()) is None
    harness.close()
    with closing(sqlite3.connect(tmp_path / "receiver.db")) as connection:
        connection.execute("UPDATE meta SET value = CAST(value AS TEXT) WHERE key = 'anchor'")
        connection.execute(change)
        connection.execute("UPDATE meta SET value = CAST(value AS BLOB) WHERE key = 'anchor'")
        connection.commit()
    other = Harness(STORES["sqlite"], tmp_path)
    found = other.do(other.store.verify())
    other.close()
    assert found is not None
    assert found.startswith(problem)


def test_the_chain_can_be_walked_in_parts_while_entries_come_and_go(harness: Harness) -> None:
    for number in range(1, 2500):
        harness.append(Draft(at(number), TimePassed()))
    harness.do(harness.store.commit((), (), 2400))
    walked = harness.do(harness.store.walk_on(None))
    assert 0 < walked.position < 2400
    trimmed(harness, before=2001)  # also entries that are not walked yet
    parts = 1
    while not walked.done:
        walked = harness.do(harness.store.walk_on(walked))
        parts += 1
    assert (walked.position, walked.problem) == (2500, None)
    assert parts > 2


def test_an_incident_that_is_over_long_enough_goes_with_all_that_belongs_to_it(harness: Harness) -> None:
    values = [
        replace(incident(n, status=Status.RESOLVED), resolved_at=at(over)) for n, over in ((1, 50), (2, 70), (3, 40))
    ]
    alerts = [alert(n, incident=1 + n % 3, changed=n) for n in range(1, 7)]
    steps = [step(n % 3 + 1, n) for n in range(1, 7)]
    changes = [*map(IncidentChanged, (*values, incident(4))), *map(AlertChanged, alerts), *map(StepTaken, steps)]
    sent = [message(n, incident=n) for n in (1, 2, 3)]
    harness.do(harness.store.commit(changes, sent, 1))
    assert harness.do(harness.store.forgettable(at(60), 10)) == []  # they are in the state
    left = [IncidentForgotten(each.id) for each in values]
    harness.do(harness.store.commit((*left, *(MessageSettled(each.id) for each in sent)), (), 2))
    assert harness.do(harness.store.forgettable(at(60), 10)) == ["T-1", "T-3"]
    assert harness.do(harness.store.forgettable(at(60), 1)) == ["T-1"]
    while harness.do(harness.store.forget("T-1")):
        pass
    assert harness.do(harness.store.incident("T-1")) is None
    assert harness.do(harness.store.alerts(limit=10, incident="T-1")) == []
    assert harness.do(harness.store.steps("T-1", 10)) == []
    assert [each.message for each in harness.do(harness.store.deliveries(limit=10))] == ["m3", "m2"]
    assert harness.do(harness.store.forgettable(at(60), 10)) == ["T-3"]
    for other in ("T-2", "T-3"):
        assert len(harness.do(harness.store.alerts(limit=10, incident=other))) == 2
        assert len(harness.do(harness.store.steps(other, 10))) == 2


def test_a_second_receiver_is_told_that_it_is_the_second(tmp_path: Path) -> None:
    harness = Harness(STORES["sqlite"], tmp_path)
    with pytest.raises(StoreUnusable, match="in use by another receiver"):
        open_sqlite(tmp_path / "receiver.db")
    harness.close()


class Model(RuleBasedStateMachine):
    """Any sequence of calls and restarts: the store holds what a few dictionaries hold."""

    make: Callable[[Path], Store]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.harness = Harness(type(self).make, Path(self.folder.name))
        self.entries: list[Entry] = []
        self.incidents: dict[str, Incident] = {}
        self.forgotten: set[str] = set()
        self.alerts: dict[tuple[str, str], AlertRecord] = {}
        self.owed: dict[str, Message] = {}
        self.outcomes: dict[str, str] = {}
        self.steps: dict[str, int] = {}
        self.position = 0
        self.trimmed = 0
        self.messages = 0

    @rule(numbers=st.lists(st.integers(0, 50), min_size=1, max_size=5))
    def append(self, numbers: list[int]) -> None:
        async def all_of_them() -> list[Entry]:
            return list(await asyncio.gather(*(self.harness.store.append(Draft(at(n), fact(n))) for n in numbers)))

        self.entries += self.harness.do(all_of_them())

    @precondition(lambda self: self.position < len(self.entries))
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self.position = data.draw(st.integers(self.position + 1, len(self.entries)))
        changes: list[Any] = []
        for number in data.draw(st.lists(st.integers(1, 4), max_size=3)):
            name = f"T-{number}"
            if name in self.forgotten:
                continue
            changed = alert(data.draw(st.integers(1, 3)), incident=number, changed=self.position)
            if any(each.alert.fingerprint == changed.fingerprint for each in changes[::3]):
                continue  # one decision never moves an alert twice
            value = incident(number, updated=self.position)
            self.incidents[name] = value
            self.alerts[changed.source, changed.fingerprint] = changed
            self.steps[name] = self.steps.get(name, 0) + 1
            changes += [AlertChanged(changed), IncidentChanged(value), StepTaken(step(number, self.steps[name]))]
        messages = []
        for _ in range(data.draw(st.integers(0, 2))):
            self.messages += 1
            messages.append(message(self.messages))
            self.owed[f"m{self.messages}"] = messages[-1]
            self.outcomes[f"m{self.messages}"] = "owed"
        self.harness.do(self.harness.store.commit(changes, messages, self.position))

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        identifier = data.draw(st.sampled_from(sorted(self.owed)))
        del self.owed[identifier]
        outcome = self.outcomes[identifier] = data.draw(st.sampled_from(["delivered", "refused"]))
        self.harness.do(self.harness.store.commit((MessageSettled(identifier, outcome),), (), self.position))

    @precondition(lambda self: self.trimmed < self.position)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        store, do = self.harness.store, self.harness.do
        before = data.draw(st.integers(0, 60))
        old = self.trimmed
        while old < self.position and self.entries[old].at < at(before):
            old += 1
        anchor = do(store.trimmable(at(before)))
        assert (anchor.position if anchor else self.trimmed) == old
        if anchor is None:
            return
        told = JournalTrimmed(anchor.position, anchor.hash, anchor.entries)
        self.entries.append(self.harness.append(Draft(at(before), told)))
        while do(store.trim(anchor)):
            pass
        self.trimmed = old

    @rule()
    def reopen(self) -> None:
        self.harness.reopen()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "harness"):
            return
        do, store = self.harness.do, self.harness.store
        loaded = do(store.load())
        assert loaded.position == self.position
        assert loaded.state.incidents == self.incidents
        assert loaded.state.alerts == self.alerts
        assert do(store.owed()) == list(self.owed.values())
        sent = do(store.deliveries(limit=1000))
        assert [(each.message, each.outcome) for each in sent] == list(self.outcomes.items())[::-1]
        assert do(store.entries(0, 10_000)) == self.entries[self.trimmed :]
        assert do(store.verify()) is None
        for name, count in self.steps.items():
            assert [each.number for each in do(store.steps(name, 1000))] == list(range(1, count + 1))

    def teardown(self) -> None:
        if hasattr(self, "harness"):
            self.harness.close()
            self.folder.cleanup()


@pytest.mark.parametrize("store", STORES)
def test_any_sequence_of_calls_and_restarts_keeps_the_contract(store: str) -> None:
    machine = type(f"Model_{store}", (Model,), {"make": staticmethod(STORES[store])})
    limits = settings(
        max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(machine, settings=limits)
