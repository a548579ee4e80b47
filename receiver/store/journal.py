"""Reading the journal and its hash chain: in the receiver's own store, and in one that a receiver is using.

The journal is a hash chain: each row's hash covers the hash before it, so that a row cannot be changed, taken out
or put in without every later hash giving it away. What is cut off at the end is noticed by the position up to which
is decided. Nothing here writes, and nothing holds a transaction for long, so that the receiver is not in its way.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from receiver.entry import Entry, Fact, JournalTrimmed, Unreadable, Written, read
from receiver.store import Anchor, StoreUnusable, Walked
from receiver.store.packing import CannotUnpack, Unpacking
from receiver.store.schema import PACKED_SINCE, VERSION

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ROWS_AT_ONCE = 1000
_PART_BYTES = 4 * 1024 * 1024
_TELLS_OF_ANCHOR = "journal_trimmed"


_Row = tuple[int, int, str, str, bytes, int]  # position, time, kind, source, body, packed


class Choice(msgspec.Struct, frozen=True):
    """Which entries: an empty kind is every kind; `until` is not among them."""

    kind: str = ""
    after: int = 0
    since: datetime | None = None
    until: datetime | None = None


class Damaged(sqlite3.DatabaseError):
    """What the store holds about the journal is not what Tocsin wrote."""


class Journal:
    """The journal of one store. `connection` is only read from."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._unpack = Unpacking(connection).unpack
        # The audit reads stores as they are, also those that an older version wrote and none has brought forward.
        version = int(self._run("PRAGMA user_version").fetchone()[0])
        self._columns = f"position, at, kind, source, body, {'packed' if version >= PACKED_SINCE else '0'}"
        self.name = str(self._meta("journal", ""))

    def head(self) -> tuple[int, bytes]:
        """The last position and its hash."""
        row = self._run("SELECT position, hash FROM journal ORDER BY position DESC LIMIT 1").fetchone()
        if row:
            return int(row[0]), bytes(row[1])
        begin = self.begin()
        return begin.position, begin.hash

    def anchor(self) -> Anchor | None:
        """Where the journal begins, once entries were taken out."""
        kept = self._meta("anchor", None)
        if kept is None:
            return None
        try:
            anchor = msgspec.json.decode(kept, type=Anchor)
            bytes.fromhex(anchor.hash)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Damaged(f"what is kept about the beginning of the journal cannot be read: {error}") from None
        return anchor

    def decided(self) -> int:
        return int(self._meta("position", 0))

    def entries(self, *, after: int, limit: int) -> Iterator[Entry]:
        rows = self._run(
            f"SELECT {self._columns} FROM journal WHERE position > ? ORDER BY position LIMIT ?",  # noqa: S608
            (after, limit),
        )
        return (self._entry(*row) for row in rows)

    def forwards(self, choice: Choice) -> Iterator[Entry]:
        """From the oldest on, read in parts, so that the receiver is not held up however long it takes."""
        after = choice.after
        while rows := self._chosen(choice, "position > ?", after, "ASC"):
            yield from (self._entry(*row) for row in rows)
            after = rows[-1][0]

    def backwards(self, choice: Choice) -> Iterator[Entry]:
        """From the newest back."""
        before = 2**63 - 1
        while rows := self._chosen(choice, "position < ?", before, "DESC"):
            yield from (self._entry(*row) for row in rows)
            before = rows[-1][0]

    def rows(self, after: int) -> Iterator[tuple[int, int, Written, bytes]]:
        """What the hashes cover, and the hashes: position, time, what is written, hash."""
        while part := self._part(after):
            for position, at, kind, source, body, packed, stored in part:
                try:
                    yield position, at, Written(kind, source, self._unpack(packed, body)), stored
                except CannotUnpack as error:
                    raise Damaged(f"entry {position} is not what was written: {error}") from None
            after = part[-1][0]

    def walk(self, *, known: int, on_progress: Callable[[int], None]) -> Walked:
        """Walks the chain, from the entry `known` on, which is taken as it is; 0 is the beginning."""
        walked = self._known(known) if known else None
        while walked is None or not walked.done:
            walked = self.walk_on(walked)
            on_progress(walked.position)
        return walked

    def walk_on(self, walked: Walked | None) -> Walked:
        """One part of the way."""
        try:
            begin = walked or self.begin()
        except Damaged as error:
            return Walked(0, b"", str(error), done=True)
        decided = self.decided()  # before the part is read: the end may move on meanwhile
        rows = self._part(begin.position)
        anchor = self.anchor()  # after the part was read: what was taken out before that is not missing
        if anchor is not None and anchor.position > begin.position:
            return self.begin()
        if not rows:
            return self._end(begin, decided)
        position, chain, waited = begin.position, begin.hash, begin.anchor
        for found, at, kind, source, body, packed, stored in rows:
            if found != position + 1:
                problem = f"entry {position + 1} is missing (the next one is {found})"
                return Walked(position, chain, problem, done=True)
            try:
                written = Written(kind, source, self._unpack(packed, body))
            except CannotUnpack as error:
                return Walked(position, chain, f"entry {found} is not what was written: {error}", done=True)
            if link(chain, found, at, written) != stored:
                problem = f"entry {found} is not what was written, or the one before it"
                return Walked(position, chain, problem, done=True)
            position, chain = found, stored
            if waited is not None and kind == _TELLS_OF_ANCHOR and _tells_of(read(written), waited):
                waited = None
        return Walked(position, chain, anchor=waited)

    def begin(self) -> Walked:
        """Where the chain begins: at its genesis, or at the anchor."""
        anchor = self.anchor()
        if anchor is None:
            return Walked(0, genesis(self.name))
        return Walked(anchor.position, bytes.fromhex(anchor.hash), anchor=anchor)

    def _known(self, known: int) -> Walked:
        begin = self.begin()
        if known <= begin.position:
            return begin
        before = self._run("SELECT hash FROM journal WHERE position = ?", (known,)).fetchone()
        if before is None:
            return Walked(known, begin.hash, f"entry {known} is missing", done=True)
        return Walked(known, bytes(before[0]))

    def _end(self, walked: Walked, decided: int) -> Walked:
        problem = None
        if walked.position < decided:
            problem = f"entry {walked.position + 1} is missing (the end is cut off: {decided} entries were decided)"
        elif walked.anchor is not None:
            problem = (
                f"the entries up to {walked.anchor.position} are missing, and no entry says that they were taken out"
            )
        return Walked(walked.position, walked.hash, problem, done=True)

    def _chosen(self, choice: Choice, where: str, bound: int, order: str) -> list[_Row]:
        low = micros(choice.since) if choice.since else -(2**63)
        high = micros(choice.until) - 1 if choice.until else 2**63 - 1
        return self._run(
            f"SELECT {self._columns} FROM journal WHERE {where} AND position > ? AND (kind = ? OR ? = '') "  # noqa: S608
            f"AND at BETWEEN ? AND ? ORDER BY position {order} LIMIT ?",
            (bound, choice.after, choice.kind, choice.kind, low, high, _ROWS_AT_ONCE),
        ).fetchall()

    def _part(self, after: int) -> list[tuple[int, int, str, str, bytes, int, bytes]]:
        """Some rows, as many as a few bodies of the largest size leave room for, in a transaction of their own."""
        size = 0
        part = []
        for row in self._run(
            f"SELECT {self._columns}, hash FROM journal WHERE position > ? ORDER BY position LIMIT ?",  # noqa: S608
            (after, _ROWS_AT_ONCE),
        ):
            part.append(row)
            size += len(row[4])
            if size > _PART_BYTES:
                break
        return part

    def _entry(self, position: int, at: int, kind: str, source: str, body: bytes, packed: int) -> Entry:
        try:
            fact = read(Written(kind, source, self._unpack(packed, body)))
        except CannotUnpack as error:
            fact = Unreadable(kind, source, body, f"cannot be unpacked: {error}")
        try:
            return Entry(position, moment(at), fact)
        except OverflowError:
            return Entry(position, _EPOCH, Unreadable(kind, source, body, f"its time cannot be read: {at}"))

    def _meta(self, key: str, default: Any) -> Any:
        row = self._run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default


def open_journal(path: Path) -> tuple[Journal, Callable[[], None]]:
    """The journal of a store that may be in use, and what closes it. Takes no lock, and writes nothing."""
    if not path.is_file():
        raise StoreUnusable(f"there is no store {path}")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
        try:
            if version_of(connection, path) == 0:
                raise StoreUnusable(f"{path} is no store of Tocsin")
            return Journal(connection), connection.close
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreUnusable(f"cannot read {path} as a store: {error}") from None


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version, 0 for an empty file. A newer one is refused."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreUnusable(
            f"{path} was written by a newer Tocsin (schema {version}; this one knows {VERSION}): "
            "start the newer version, or restore a backup"
        )
    return version


def genesis(journal: str) -> bytes:
    return hashlib.sha256(f"tocsin journal {journal}".encode()).digest()


def link(before: bytes, position: int, at: int, written: Written) -> bytes:
    """Each part is preceded by its length: no two different rows have the same bytes."""
    head = f"{position}|{at}|{written.kind}|{len(written.source)}|{written.source}|{len(written.body)}|"
    return hashlib.sha256(b"".join((before, head.encode(), written.body))).digest()


def _tells_of(fact: Fact, anchor: Anchor) -> bool:
    told = (anchor.position, anchor.hash, anchor.entries)
    return isinstance(fact, JournalTrimmed) and (fact.position, fact.hash, fact.entries) == told


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    return _EPOCH + at * _MICROSECOND
