"""The tables of SQLite. A store that a newer Tocsin wrote is refused; older ones are brought forward here.

`TABLES` is what a new store gets. `MIGRATIONS` leads there from each earlier version, one step at a time, in the
transaction that also writes the new version down.
"""

from __future__ import annotations

from collections.abc import Mapping

VERSION = 4
PACKED_SINCE = 3  # the version whose journal may hold compressed bodies

_ENTRIES_SET_ASIDE = """CREATE TABLE entries_set_aside (
        position INTEGER PRIMARY KEY,   -- of the entry about which nothing could be decided
        told INTEGER NOT NULL,          -- 1 when it is in an incident of Tocsin's own
        data BLOB NOT NULL
    ) STRICT"""

_KNOWN = """CREATE TABLE known (
        name TEXT PRIMARY KEY,          -- of a source, a group that was cut, a channel
        data BLOB NOT NULL
    ) STRICT, WITHOUT ROWID"""
_DICTIONARIES = """CREATE TABLE dictionaries (
        number INTEGER PRIMARY KEY,
        data BLOB NOT NULL              -- what bodies of the journal are compressed with
    ) STRICT"""

_OUTBOX = """CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,     -- the order in which they were decided
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        incident TEXT NOT NULL,
        kind TEXT NOT NULL,
        created_at TEXT NOT NULL,
        data BLOB NOT NULL
    ) STRICT"""

_DELIVERIES = """CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY,     -- what it was in the outbox
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        incident TEXT NOT NULL,
        kind TEXT NOT NULL,
        created_at TEXT NOT NULL,
        settled_at TEXT,
        outcome TEXT NOT NULL,
        attempts INTEGER,
        seconds REAL,
        answer TEXT NOT NULL
    ) STRICT"""
_DELIVERIES_BY_INCIDENT = "CREATE INDEX deliveries_by_incident ON deliveries (incident)"
# What statistics count, and all that they want to know of it.
_PAGES_BY_TIME = """CREATE INDEX pages_by_time ON deliveries (settled_at, outcome, channel, kind, incident)
    WHERE outcome = 'delivered' AND kind IN ('opened', 'escalated', 'digest')"""

_SPELLS = """CREATE TABLE spells (
        begun_at INTEGER NOT NULL,      -- as all times here: microseconds since 1970, UTC
        incident TEXT NOT NULL,
        number INTEGER NOT NULL,        -- 1: from its opening; more: it was opened again
        severity TEXT NOT NULL,
        name TEXT NOT NULL,             -- of its first alert
        paged_at INTEGER,
        acknowledged_at INTEGER,
        acknowledged_by TEXT NOT NULL,
        ended_at INTEGER,
        how TEXT NOT NULL,              -- it ended
        flaps INTEGER NOT NULL,
        PRIMARY KEY (begun_at, incident, number)
    ) STRICT, WITHOUT ROWID"""
_SPELLS_BY_INCIDENT = "CREATE INDEX spells_by_incident ON spells (incident, number, name)"


def _micros_of(text: str) -> str:
    """The time in an expression; older versions of SQLite read it to the millisecond."""
    return f"CAST(round((julianday({text}) - 2440587.5) * 86400000.0) * 1000 AS INTEGER)"


# What was over when version 4 came has one spell, however often it was opened again: more was not written down.
_SPELLS_OF_OLD = f"""INSERT INTO spells
    SELECT {_micros_of("json_extract(data, '$.opened_at')")}, id, 1, json_extract(data, '$.severity'),
        coalesce(json_extract(data, '$.kinds[0]'), ''),
        (SELECT min({_micros_of("created_at")}) FROM deliveries
            WHERE deliveries.incident = old.id AND kind IN ('opened', 'escalated')),
        (SELECT min({_micros_of("json_extract(CAST(steps.data AS TEXT), '$.at')")}) FROM steps
            WHERE steps.incident = old.id AND json_extract(CAST(steps.data AS TEXT), '$.what') = 'acknowledged'),
        coalesce(json_extract(data, '$.acknowledged_by'), ''),
        {_micros_of("json_extract(data, '$.resolved_at')")},
        CASE WHEN json_extract(data, '$.merged_into') IS NOT NULL THEN 'merged'
            WHEN json_extract(data, '$.resolved_by') IS NOT NULL THEN 'person' ELSE 'itself' END,
        coalesce(json_extract(data, '$.reopened'), 0)
    FROM (SELECT id, CAST(data AS TEXT) AS data FROM incidents WHERE status = 'resolved') AS old
    WHERE json_extract(data, '$.resolved_at') IS NOT NULL"""  # noqa: S608 - from the lines above

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
        hash BLOB NOT NULL,             -- SHA-256 over the hash before and this row, its body as it came
        packed INTEGER NOT NULL DEFAULT 0  -- 0: the body is as it came; else the dictionary it is compressed with
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
    """CREATE TABLE set_aside (
        number INTEGER PRIMARY KEY,
        data BLOB NOT NULL
    ) STRICT""",
    _ENTRIES_SET_ASIDE,
    _KNOWN,
    _DICTIONARIES,
    _OUTBOX,
    _DELIVERIES,
    _DELIVERIES_BY_INCIDENT,
    _PAGES_BY_TIME,
    _SPELLS,
    _SPELLS_BY_INCIDENT,
)

# What brings a store of that version to the next one.
MIGRATIONS: Mapping[int, tuple[str, ...]] = {
    1: (_ENTRIES_SET_ASIDE,),
    2: (
        "ALTER TABLE journal ADD COLUMN packed INTEGER NOT NULL DEFAULT 0",
        _KNOWN,
        _DICTIONARIES,
        "ALTER TABLE outbox RENAME TO outbox_of_2",
        _OUTBOX,
        """INSERT INTO outbox SELECT number, id, json_extract(text, '$.channel'), json_extract(text, '$.incident'),
            json_extract(text, '$.kind'), json_extract(text, '$.created_at'), data
            FROM (SELECT *, CAST(data AS TEXT) AS text FROM outbox_of_2)""",
        "DROP TABLE outbox_of_2",
        _DELIVERIES,
        _DELIVERIES_BY_INCIDENT,
    ),
    3: (_PAGES_BY_TIME, _SPELLS, _SPELLS_BY_INCIDENT, _SPELLS_OF_OLD),
}
