"""The tables of SQLite. A store that a newer Tocsin wrote is refused; older ones are brought forward here.

`TABLES` is what a new store gets. `MIGRATIONS` leads there from each earlier version, one step at a time, in the
transaction that also writes the new version down.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSION = 2

_ENTRIES_SET_ASIDE = """CREATE TABLE entries_set_aside (
        position INTEGER PRIMARY KEY,   -- of the entry about which nothing could be decided
        told INTEGER NOT NULL,          -- 1 when it is in an incident of Tocsin's own
        data BLOB NOT NULL
    ) STRICT"""

TABLES = (
    """CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE journal (
        position INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,            -- microseconds since 1970, UTC
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        body BLOB NOT NULL,
        hash BLOB NOT NULL              -- SHA-256 over the hash before and this row
    ) STRICT""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        status TEXT NOT NULL,
        in_memory INTEGER NOT NULL,
        text TEXT NOT NULL,             -- what a search looks in
        data BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX incidents_by_status ON incidents (status, position)",
    "CREATE INDEX incidents_in_memory ON incidents (position) WHERE in_memory = 1",
    """CREATE TABLE alerts (
        number INTEGER PRIMARY KEY,     -- the order in which they joined
        incident TEXT NOT NULL,
        source TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        data BLOB NOT NULL,
        UNIQUE (incident, source, fingerprint)
    ) STRICT""",
    """CREATE TABLE steps (
        incident TEXT NOT NULL,
        number INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (incident, number)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,     -- the order in which they were decided
        id TEXT NOT NULL UNIQUE,
        data BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE set_aside (
        number INTEGER PRIMARY KEY,
        data BLOB NOT NULL
    ) STRICT""",
    _ENTRIES_SET_ASIDE,
)

# What brings a store of that version to the next one.
MIGRATIONS: Mapping[int, tuple[str, ...]] = {1: (_ENTRIES_SET_ASIDE,)}
