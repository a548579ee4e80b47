"""The tables of SQLite. A store that a newer Tocsin wrote is refused; older ones are brought forward here."""

from __future__ import annotations

VERSION = 1

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
)
