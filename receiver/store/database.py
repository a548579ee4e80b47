"""All of the SQL. Synchronous, one connection, one thread at a time; every call is one transaction.

The journal is a hash chain: see journal.py, which reads it.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from receiver.entry import Entry, EntrySetAside, write
from receiver.incident import AlertRecord, Incident
from receiver.known import Known, name_of
from receiver.message import Message
from receiver.policy.policy import NO_POLICY, Policy
from receiver.state import (
    AlertChanged,
    Change,
    CutMended,
    IncidentChanged,
    IncidentForgotten,
    KnownChanged,
    MessageSettled,
    PolicyInForce,
    SetAsideTold,
    SourceForgotten,
    SpellChanged,
    State,
    StepTaken,
)
from receiver.store import Anchor, Draft, Loaded, SetAside, Size, Walked
from receiver.store import journal as chain_of
from receiver.store.counting import Counting, spell_row
from receiver.store.loading import alerts_in_memory
from receiver.store.packing import Packing
from receiver.store.reading import Reading, structs
from receiver.store.removal import Removal
from receiver.store.schema import MIGRATIONS, TABLES, VERSION

SET_ASIDE_MAX = 100
HASH_KEY_BYTES = 32
_SIGNING_KEY = "signing_key"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Commit(msgspec.Struct, frozen=True):
    """What one or several decisions changed, and how far in the journal they reach."""

    changes: Sequence[Change]
    messages: Sequence[Message]
    position: int


class Trim(msgspec.Struct, frozen=True):
    """Some of the entries up to the anchor are to go."""

    anchor: Anchor


class SigningKey(msgspec.Struct, frozen=True):
    """This is the key, unless there is one already."""

    proposed: bytes


class Forget(msgspec.Struct, frozen=True):
    """Some of what belongs to an incident is to go."""

    incident: str


class ForgetDigests(msgspec.Struct, frozen=True):
    """Some of the digests that were answered before that are to go."""

    before: datetime


Work = Draft | Commit | SetAside | Trim | Forget | ForgetDigests | SigningKey
Result = Entry | int | bytes | None


class Database:
    """One SQLite file. `connect` is handed in, so that a simulation can fail any statement it likes."""

    removes_with = Removal

    def __init__(
        self,
        path: Path,
        *,
        connect: Callable[[Path], sqlite3.Connection],
        new_name: Callable[[], str],
        new_hash_key: Callable[[], bytes] = lambda: secrets.token_bytes(HASH_KEY_BYTES),
    ) -> None:
        self._connection = connect(path)
        self._path = path
        self._prepare(new_name, new_hash_key)
        self._journal = chain_of.Journal(self._connection)
        self.reading = Reading(self._connection)
        self.counting = Counting(self._connection)
        self.removal = self.removes_with(self._connection, self._journal)
        self.journal = self._journal.name
        self.hash_key = bytes(self._meta("hash_key", b""))
        self._position, self._hash = self._head()
        self._packing = Packing(self._connection)
        self._messages = self._last_message()

    def close(self) -> None:
        self._connection.close()

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, work: Sequence[Work]) -> list[Result]:
        """All of `work` in one transaction, in its order. An append gives its entry, what takes out how much."""
        self._packing.renew()
        position, chain = self._position, self._hash
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            results: list[Result] = []
            rows: list[tuple[object, ...]] = []
            for item in work:
                match item:
                    case Draft(at, fact):
                        position += 1
                        written = write(fact)
                        micros = chain_of.micros(at)
                        chain = chain_of.link(chain, position, micros, written)
                        packed, body = self._packing.pack(written.body)
                        rows.append((position, micros, written.kind, written.source, body, chain, packed))
                        results.append(Entry(position, at, fact))
                    case Commit():
                        self._commit(item)
                        results.append(None)
                    case SetAside():
                        self._set_aside(item)
                        results.append(None)
                    case Trim(anchor):
                        results.append(self.removal.trim(anchor))
                    case Forget(incident):
                        results.append(self.removal.forget(incident))
                    case ForgetDigests(before):
                        results.append(self.removal.forget_digests(before))
                    case SigningKey(proposed):
                        run("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_SIGNING_KEY, proposed))
                        results.append(self.signing_key())
            self._connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
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
        self._put_spells(change for change in commit.changes if isinstance(change, SpellChanged))
        self._put_messages(commit.messages)
        for change in commit.changes:
            match change:
                case MessageSettled():
                    self._settle(change)
                case IncidentForgotten(incident):
                    run("UPDATE incidents SET in_memory = 0 WHERE id = ?", (incident,))
                case PolicyInForce(policy):
                    self._put_meta("policy", _encode(policy))
                case EntrySetAside(position):
                    run("INSERT INTO entries_set_aside VALUES (?, 0, ?)", (position, _encode(change)))
                case KnownChanged(known):
                    run("INSERT OR REPLACE INTO known VALUES (?, ?)", (name_of(known), _encode(known)))
                case CutMended(group):
                    run("DELETE FROM known WHERE name = ?", (f"cut {group.index}",))
                case SourceForgotten(name):
                    run("DELETE FROM known WHERE name = ?", (f"source {name}",))
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

    def _put_spells(self, changes: Iterable[SpellChanged]) -> None:
        latest = {(change.incident, change.spell.number): change for change in changes}
        self._connection.executemany(
            "INSERT OR REPLACE INTO spells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [spell_row(change) for change in latest.values()],
        )

    def _put_messages(self, messages: Sequence[Message]) -> None:
        rows = []
        for message in messages:
            self._messages += 1  # a gap, should the transaction fail, does no harm
            written = message.created_at.isoformat()
            about = (message.id, message.channel, message.incident, message.kind.value, written)
            rows.append((self._messages, *about, _encode(message)))
        self._connection.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _settle(self, settled: MessageSettled) -> None:
        """It moves from what is owed to what was sent."""
        at = settled.at.isoformat() if settled.at else None
        self._connection.execute(
            "INSERT OR REPLACE INTO deliveries "
            "SELECT number, id, channel, incident, kind, created_at, ?, ?, ?, ?, ? FROM outbox WHERE id = ?",
            (at, settled.outcome, settled.attempts, settled.seconds, settled.answer, settled.message),
        )
        self._connection.execute("DELETE FROM outbox WHERE id = ?", (settled.message,))

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
            hash_key=self.hash_key,
            policy=msgspec.json.decode(policy, type=Policy) if policy else NO_POLICY,
            known=self._known(),
            incidents=structs(
                self._connection, Incident, "SELECT data FROM incidents WHERE in_memory = 1 ORDER BY position, id"
            ),
            alerts=alerts_in_memory(self._connection),
        )
        return Loaded(state=state, position=int(self._meta("position", 0)))

    def _known(self) -> list[Known]:
        decoder: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)
        return [decoder.decode(data) for (data,) in self._connection.execute("SELECT data FROM known ORDER BY name")]

    def owed(self) -> list[Message]:
        return structs(self._connection, Message, "SELECT data FROM outbox ORDER BY number")

    def entries(self, after: int, limit: int) -> list[Entry]:
        return list(self._journal.entries(after=after, limit=limit))

    def size(self) -> Size:
        entries, _ = self._journal.head()
        (undecided,) = self._connection.execute("SELECT count(*) FROM entries_set_aside").fetchone()
        (aside,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM set_aside").fetchone()
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        anchor = self._journal.anchor()
        return Size(
            entries=entries,
            trimmed=anchor.position if anchor else 0,
            set_aside=aside,
            entries_set_aside=undecided,
            bytes=sum(file.stat().st_size for file in files if file.exists()),
        )

    def signing_key(self) -> bytes | None:
        key = self._meta(_SIGNING_KEY, None)
        return None if key is None else bytes(key)

    def walk_on(self, walked: Walked | None) -> Walked:
        return self._journal.walk_on(walked)

    def verify(self, last: int | None) -> str | None:
        known = 0 if last is None else max(0, self._journal.head()[0] - last)
        return self._journal.walk(known=known, on_progress=lambda _: None).problem

    # --- inside --------------------------------------------------------------------------------------------

    def _prepare(self, new_name: Callable[[], str], new_hash_key: Callable[[], bytes]) -> None:
        run = self._connection.execute
        version = chain_of.version_of(self._connection, self._path)
        if version == VERSION and self._meta("hash_key", None) is not None:
            return
        run("BEGIN IMMEDIATE")
        try:
            for statement in _way_from(version):
                run(statement)
            if version == 0:
                self._put_meta("journal", new_name())
            if self._meta("hash_key", None) is None:  # also in what an older version wrote
                self._put_meta("hash_key", new_hash_key())
            run(f"PRAGMA user_version = {VERSION}")
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _head(self) -> tuple[int, bytes]:
        """What comes next goes on after what was decided, also where the end of the journal was cut off."""
        position, chain = self._journal.head()
        return max(position, self._journal.decided()), chain

    def _last_message(self) -> int:
        """Numbers are not used again: they are the order of what is owed and of what was sent."""
        query = "SELECT max(number) FROM (SELECT number FROM outbox UNION ALL SELECT number FROM deliveries)"
        (last,) = self._connection.execute(query).fetchone()
        return int(last or 0)

    def _meta(self, key: str, default: Any) -> Any:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def _put_meta(self, key: str, value: object) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


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
