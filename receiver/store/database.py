"""All of the SQL. Synchronous, one connection, one thread at a time; every call is one transaction.

The journal is a hash chain: see journal.py, which reads it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from receiver.entry import Entry, EntrySetAside, write
from receiver.incident import AlertRecord, Incident, Status, Step
from receiver.message import Message
from receiver.policy.policy import NO_POLICY, Policy
from receiver.state import (
    AlertChanged,
    Change,
    IncidentChanged,
    IncidentForgotten,
    MessageSettled,
    PolicyInForce,
    SetAsideTold,
    State,
    StepTaken,
)
from receiver.store import Draft, Loaded, SetAside, Size
from receiver.store import journal as chain_of
from receiver.store.schema import MIGRATIONS, TABLES, VERSION

SET_ASIDE_MAX = 100
_encode = msgspec.json.Encoder(order="deterministic").encode

T = TypeVar("T")


class Commit(msgspec.Struct, frozen=True):
    """What one or several decisions changed, and how far in the journal they reach."""

    changes: Sequence[Change]
    messages: Sequence[Message]
    position: int


class Database:
    """One SQLite file. `connect` is handed in, so that a simulation can fail any statement it likes."""

    def __init__(
        self, path: Path, *, connect: Callable[[Path], sqlite3.Connection], new_name: Callable[[], str]
    ) -> None:
        self._connection = connect(path)
        self._path = path
        self._prepare(new_name)
        self._journal = chain_of.Journal(self._connection)
        self.journal = self._journal.name
        self._position, self._hash = self._head()

    def close(self) -> None:
        self._connection.close()

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, work: Sequence[Draft | Commit | SetAside]) -> list[Entry | None]:
        """All of `work` in one transaction, in its order. An append gives its entry, the rest gives None."""
        position, chain = self._position, self._hash
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            results: list[Entry | None] = []
            for item in work:
                match item:
                    case Draft(at, fact):
                        position += 1
                        written = write(fact)
                        micros = chain_of.micros(at)
                        chain = chain_of.link(chain, position, micros, written)
                        run(
                            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
                            (position, micros, written.kind, written.source, written.body, chain),
                        )
                        results.append(Entry(position, at, fact))
                    case Commit():
                        self._commit(item)
                        results.append(None)
                    case SetAside():
                        self._set_aside(item)
                        results.append(None)
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._position, self._hash = position, chain
        return results

    def _commit(self, commit: Commit) -> None:
        self._put_alerts(change.alert for change in commit.changes if isinstance(change, AlertChanged))
        self._put_incidents(change.incident for change in commit.changes if isinstance(change, IncidentChanged))
        run = self._connection.execute
        self._connection.executemany(
            "INSERT INTO steps VALUES (?, ?, ?)",
            [
                (change.step.incident, change.step.number, _encode(change.step))
                for change in commit.changes
                if isinstance(change, StepTaken)
            ],
        )
        self._connection.executemany(
            "INSERT INTO outbox (id, data) VALUES (?, ?)",
            [(message.id, _encode(message)) for message in commit.messages],
        )
        for change in commit.changes:
            match change:
                case MessageSettled(message):
                    run("DELETE FROM outbox WHERE id = ?", (message,))
                case IncidentForgotten(incident):
                    run("UPDATE incidents SET in_memory = 0 WHERE id = ?", (incident,))
                case PolicyInForce(policy):
                    self._put_meta("policy", _encode(policy))
                case EntrySetAside(position):
                    run("INSERT INTO entries_set_aside VALUES (?, 0, ?)", (position, _encode(change)))
                case SetAsideTold(positions):
                    for position in positions:
                        run("UPDATE entries_set_aside SET told = 1 WHERE position = ?", (position,))
                case _:
                    pass
        self._put_meta("position", commit.position)

    def _put_alerts(self, alerts: Iterable[AlertRecord]) -> None:
        latest = {(alert.incident, alert.source, alert.fingerprint): alert for alert in alerts}
        self._connection.executemany(
            "INSERT INTO alerts (incident, source, fingerprint, data) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (incident, source, fingerprint) DO UPDATE SET data = excluded.data",
            [(*key, _encode(alert)) for key, alert in latest.items()],
        )

    def _put_incidents(self, incidents: Iterable[Incident]) -> None:
        latest = {incident.id: incident for incident in incidents}
        self._connection.executemany(
            "INSERT INTO incidents VALUES (?, ?, ?, 1, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET status = excluded.status, text = excluded.text, data = excluded.data",
            [
                (
                    incident.id,
                    incident.position,
                    incident.status.value,
                    _searchable(incident),
                    _encode(incident),
                )
                for incident in latest.values()
            ],
        )

    def _set_aside(self, body: SetAside) -> None:
        self._connection.execute("INSERT INTO set_aside (data) VALUES (?)", (_encode(body),))
        self._connection.execute(
            "DELETE FROM set_aside WHERE number <= (SELECT max(number) FROM set_aside) - ?", (SET_ASIDE_MAX,)
        )

    # --- reading -------------------------------------------------------------------------------------------

    def load(self) -> Loaded:
        policy = self._meta("policy", b"")
        state = State.restored(
            journal=self.journal,
            policy=msgspec.json.decode(policy, type=Policy) if policy else NO_POLICY,
            incidents=self._structs(Incident, "SELECT data FROM incidents WHERE in_memory = 1 ORDER BY position, id"),
            alerts=self._structs(
                AlertRecord,
                "SELECT alerts.data FROM alerts JOIN incidents ON incidents.id = alerts.incident "
                "WHERE incidents.in_memory = 1 ORDER BY alerts.number",
            ),
        )
        return Loaded(state=state, position=int(self._meta("position", 0)))

    def owed(self) -> list[Message]:
        return self._structs(Message, "SELECT data FROM outbox ORDER BY number")

    def entries(self, after: int, limit: int) -> list[Entry]:
        return list(self._journal.entries(after=after, limit=limit))

    def incidents(self, status: str, text: str, limit: int) -> list[Incident]:
        """Newest first. `status` is one of Status, `active` (all but resolved) or `all`."""
        where = {"all": "1", "active": f"status != '{Status.RESOLVED}'"}.get(status, "status = :status")
        return self._structs(
            Incident,
            f"SELECT data FROM incidents WHERE {where} AND (:text = '' OR instr(text, :text)) "  # noqa: S608 - from the table above
            "ORDER BY position DESC, id DESC LIMIT :limit",
            {"status": status, "text": text.lower(), "limit": limit},
        )

    def incident(self, identifier: str) -> Incident | None:
        found = self._structs(Incident, "SELECT data FROM incidents WHERE id = ?", (identifier,))
        return found[0] if found else None

    def alerts(self, limit: int, incident: str | None) -> list[AlertRecord]:
        """Those of one incident in the order in which they joined, or of all incidents in memory, newest first."""
        if incident is not None:
            return self._structs(
                AlertRecord,
                "SELECT data FROM alerts WHERE incident = ? ORDER BY number LIMIT ?",
                (incident, limit),
            )
        return self._structs(
            AlertRecord,
            "SELECT alerts.data FROM alerts JOIN incidents ON incidents.id = alerts.incident "
            "WHERE incidents.in_memory = 1 ORDER BY alerts.number DESC LIMIT ?",
            (limit,),
        )

    def steps(self, incident: str, limit: int) -> list[Step]:
        newest = self._structs(
            Step, "SELECT data FROM steps WHERE incident = ? ORDER BY number DESC LIMIT ?", (incident, limit)
        )
        return newest[::-1]

    def last_set_aside(self, limit: int) -> list[SetAside]:
        return self._structs(SetAside, "SELECT data FROM set_aside ORDER BY number DESC LIMIT ?", (limit,))

    def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        return self._structs(
            EntrySetAside, "SELECT data FROM entries_set_aside ORDER BY position DESC LIMIT ?", (limit,)
        )

    def untold(self) -> list[EntrySetAside]:
        return self._structs(EntrySetAside, "SELECT data FROM entries_set_aside WHERE told = 0 ORDER BY position")

    def size(self) -> Size:
        entries, _ = self._journal.head()
        (undecided,) = self._connection.execute("SELECT count(*) FROM entries_set_aside").fetchone()
        (aside,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM set_aside").fetchone()
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return Size(entries, aside, undecided, sum(file.stat().st_size for file in files if file.exists()))

    def verify(self, last: int | None) -> str | None:
        known = 0 if last is None else max(0, self._journal.head()[0] - last)
        return self._journal.walk(known=known, on_progress=lambda _: None).problem

    # --- inside --------------------------------------------------------------------------------------------

    def _prepare(self, new_name: Callable[[], str]) -> None:
        run = self._connection.execute
        version = chain_of.version_of(self._connection, self._path)
        if version == VERSION:
            return
        run("BEGIN IMMEDIATE")
        try:
            for statement in _way_from(version):
                run(statement)
            if version == 0:
                self._put_meta("journal", new_name())
            run(f"PRAGMA user_version = {VERSION}")
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _head(self) -> tuple[int, bytes]:
        return self._journal.head()

    def _meta(self, key: str, default: Any) -> Any:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def _put_meta(self, key: str, value: object) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _structs(self, kind: type[T], query: str, values: Any = ()) -> list[T]:
        decoder = msgspec.json.Decoder(kind)
        return [decoder.decode(data) for (data,) in self._connection.execute(query, values)]


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose COMMIT returns when the data is on disk."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _way_from(version: int) -> Iterable[str]:
    """The statements that lead from a version (0: an empty file) to this one."""
    if version == 0:
        return TABLES
    return [statement for each in range(version, VERSION) for statement in MIGRATIONS[each]]


def _searchable(incident: Incident) -> str:
    labels = " ".join(f"{name}={value}" for name, value in incident.labels.items())
    return f"{incident.id} {incident.title} {incident.severity} {' '.join(incident.kinds)} {labels}".lower()
