"""A store that an older version wrote is brought forward with all that is in it; one that a newer wrote is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from receiver.entry import EntrySetAside, write
from receiver.incident import Status
from receiver.state import MessageSettled
from receiver.statistics import Spells, Times
from receiver.store import Draft, StoreUnusable
from receiver.store.journal import genesis, link, micros, open_journal
from receiver.store.schema import MIGRATIONS, TABLES, VERSION
from receiver.store.sqlite import open_sqlite
from tests.contract.values import at, fact, incident, message, step

# As version 1 had them, word for word.
TABLES_OF_1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE journal (position INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
    source TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL) STRICT""",
    """CREATE TABLE incidents (id TEXT PRIMARY KEY, position INTEGER NOT NULL, status TEXT NOT NULL,
    in_memory INTEGER NOT NULL, text TEXT NOT NULL, data BLOB NOT NULL) STRICT, WITHOUT ROWID""",
    "CREATE INDEX incidents_by_status ON incidents (status, position)",
    "CREATE INDEX incidents_in_memory ON incidents (position) WHERE in_memory = 1",
    """CREATE TABLE alerts (number INTEGER PRIMARY KEY, incident TEXT NOT NULL, source TEXT NOT NULL,
    fingerprint TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (incident, source, fingerprint)) STRICT""",
    """CREATE TABLE steps (incident TEXT NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (incident, number)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, data BLOB NOT NULL) STRICT",
    "CREATE TABLE set_aside (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
)


# What version 2 had besides.
ENTRIES_SET_ASIDE_OF_2 = """CREATE TABLE entries_set_aside (position INTEGER PRIMARY KEY, told INTEGER NOT NULL,
    data BLOB NOT NULL) STRICT"""
# And version 3.
_ABOUT_OF_3 = """id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, incident TEXT NOT NULL, kind TEXT NOT NULL,
    created_at TEXT NOT NULL"""
NEW_IN_3 = (
    "ALTER TABLE journal ADD COLUMN packed INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE known (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE dictionaries (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
    f"CREATE TABLE outbox (number INTEGER PRIMARY KEY, {_ABOUT_OF_3}, data BLOB NOT NULL) STRICT",
    f"""CREATE TABLE deliveries (number INTEGER PRIMARY KEY, {_ABOUT_OF_3}, settled_at TEXT, outcome TEXT NOT NULL,
    attempts INTEGER, seconds REAL, answer TEXT NOT NULL) STRICT""",
    "CREATE INDEX deliveries_by_incident ON deliveries (incident)",
)
TABLES_OF: dict[int, tuple[str, ...]] = {
    1: TABLES_OF_1,
    2: (*TABLES_OF_1, ENTRIES_SET_ASIDE_OF_2),
    3: (*(each for each in TABLES_OF_1 if "TABLE outbox" not in each), ENTRIES_SET_ASIDE_OF_2, *NEW_IN_3),
}
OWED = msgspec.structs.replace(message(7), body=b"\x00\xff")


def store_of(version: int, path: Path, *, entries: int) -> None:
    with sqlite3.connect(path) as connection:
        for statement in TABLES_OF[version]:
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('journal', 'old')")
        connection.execute("INSERT INTO meta VALUES ('position', ?)", (entries,))
        chain = genesis("old")
        for number in range(1, entries + 1):
            written = write(fact(number))
            chain = link(chain, number, micros(at(number)), written)
            row = (number, micros(at(number)), written.kind, written.source, written.body, chain)
            columns = "position, at, kind, source, body, hash"
            connection.execute(f"INSERT INTO journal ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
        data = msgspec.json.encode(incident(1), order="deterministic")
        connection.execute("INSERT INTO incidents VALUES ('T-1', 1, 'open', 1, 't-1', ?)", (data,))
        owed = msgspec.json.encode(OWED, order="deterministic")
        about = f", 'chat', 'T-1', 'opened', '{OWED.created_at.isoformat()}'" if version == 3 else ""
        connection.execute(f"INSERT INTO outbox VALUES (70, 'm7'{about}, ?)", (owed,))
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def tables(path: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {name: [str(row[1:]) for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}
    found["version"] = [str(connection.execute("PRAGMA user_version").fetchone())]
    connection.close()
    return found


@pytest.mark.parametrize("version", TABLES_OF)
def test_a_store_of_an_earlier_version_is_brought_forward_with_all_that_is_in_it(version: int, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "old.db"
        store_of(version, path, entries=7)
        journal, close = open_journal(path)  # the audit reads it as it is
        assert journal.walk(known=0, on_progress=lambda _: None).problem is None
        assert [entry.fact for entry in journal.entries(after=0, limit=100)] == [fact(n) for n in range(1, 8)]
        close()
        for _ in range(2):  # the second start finds it brought forward
            store = open_sqlite(path)
            loaded = await store.load()
            assert (loaded.position, loaded.state.journal, loaded.state.incidents) == (7, "old", {"T-1": incident(1)})
            assert [entry.fact for entry in await store.entries(0, 100)] == [fact(number) for number in range(1, 8)]
            assert await store.verify() is None
            assert await store.owed() == [OWED]
            (owed,) = await store.deliveries(limit=10, channel="chat", incident="T-1", outcome="owed")
            assert (owed.message, owed.kind, owed.created_at) == ("m7", "opened", OWED.created_at)
            await store.close()
        store = open_sqlite(path)
        aside = EntrySetAside(7, at(7), "delivered", "", "KeyError: 'x'")
        await store.commit((aside, MessageSettled("m7")), (message(8),), 7)
        assert await store.untold() == [aside]
        assert [each.message for each in await store.deliveries(limit=10)] == ["m8", "m7"]
        for number in range(8, 30):
            await store.append(Draft(at(number), fact(number)))
        assert [entry.fact for entry in await store.entries(0, 100)] == [fact(number) for number in range(1, 30)]
        assert await store.verify() is None
        await store.close()
        fresh = open_sqlite(tmp_path / "fresh.db")
        await fresh.close()
        assert tables(path) == tables(tmp_path / "fresh.db")

    asyncio.run(test())


def test_what_was_over_before_statistics_were_kept_is_counted_as_far_as_it_is_known(tmp_path: Path) -> None:
    """When it was opened and resolved, when the first page was written, when it was first acknowledged."""
    path = tmp_path / "old.db"
    store_of(3, path, entries=1)
    over = msgspec.structs.replace(
        incident(2, status=Status.RESOLVED), resolved_at=at(600), acknowledged_by="ana", reopened=2
    )
    merged = msgspec.structs.replace(
        incident(3, status=Status.RESOLVED), resolved_at=at(60), severity="warning", kinds=(), merged_into="T-2"
    )
    with sqlite3.connect(path) as connection:
        for each in (over, merged):
            data = msgspec.json.encode(each, order="deterministic")
            connection.execute("INSERT INTO incidents VALUES (?, 2, 'resolved', 0, '', ?)", (each.id, data))
        for number, kind in ((10, "opened"), (20, "escalated"), (5, "updated")):
            about = (number, f"d{number}", kind, at(number).isoformat(), at(number + 1).isoformat())
            connection.execute(
                "INSERT INTO deliveries VALUES (?, ?, 'chat', 'T-2', ?, ?, ?, 'delivered', 1, 0.1, '')", about
            )
        for number, what in ((30, "opened"), (70, "acknowledged"), (80, "acknowledged")):
            data = msgspec.json.encode(msgspec.structs.replace(step(2, number), what=what))
            connection.execute("INSERT INTO steps VALUES ('T-2', ?, ?)", (number, data))
    connection.close()

    async def test() -> None:
        store = open_sqlite(path)
        counted = await store.counted([at(0), at(3600)])
        await store.close()
        (critical, warning) = counted.severities
        assert critical == Spells(
            "critical", 1, 0, 1, 1, 0, 0, 2, Times(1, 60.0, 60.0), Times(1, 598.001, 598.001)
        )  # to the millisecond
        assert (warning.name, warning.incidents, warning.merged, warning.resolved) == ("warning", 1, 1, 0)
        assert [(each.name, each.pages) for each in counted.alerts] == [("Down", 2), ("", 0)]
        assert [(each.person, each.acknowledged) for each in counted.answered] == [("ana", 1)]

    asyncio.run(test())


def test_there_is_a_way_from_every_earlier_version() -> None:
    assert sorted(MIGRATIONS) == list(range(1, VERSION))
    assert len(TABLES) > len(TABLES_OF_1)


def test_a_store_that_a_newer_version_wrote_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    store_of(2, path, entries=1)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = tables(path)
    for use in (open_sqlite, open_journal):
        with pytest.raises(StoreUnusable, match="written by a newer Tocsin"):
            use(path)
    assert tables(path) == before
