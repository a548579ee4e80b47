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

from receiver.entry import Entry, Written, read
from receiver.store import StoreUnusable
from receiver.store.schema import VERSION

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ROWS_AT_ONCE = 1000
_PART_BYTES = 16 * 1024 * 1024


class Walked(msgspec.Struct, frozen=True):
    """How far the chain holds, and the first place where it does not."""

    position: int
    hash: bytes
    problem: str | None


class Journal:
    """The journal of one store. `connection` is only read from."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self.name = str(self._meta("journal", ""))

    def head(self) -> tuple[int, bytes]:
        """The last position and its hash."""
        row = self._run("SELECT position, hash FROM journal ORDER BY position DESC LIMIT 1").fetchone()
        return (int(row[0]), bytes(row[1])) if row else (0, genesis(self.name))

    def entries(self, *, after: int, limit: int) -> Iterator[Entry]:
        rows = self._run(
            "SELECT position, at, kind, source, body FROM journal WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
        return (_entry(*row) for row in rows)

    def of_kind(self, kind: str, *, after: int, limit: int) -> Iterator[Entry]:
        """An empty kind is every kind."""
        rows = self._run(
            "SELECT position, at, kind, source, body FROM journal "
            "WHERE position > ? AND (kind = ? OR ? = '') ORDER BY position LIMIT ?",
            (after, kind, kind, limit),
        )
        return (_entry(*row) for row in rows)

    def position_before_last(self, limit: int, kind: str) -> int:
        """After which position the last `limit` entries of a kind are."""
        rows = self._run(
            "SELECT position FROM journal WHERE kind = ? OR ? = '' ORDER BY position DESC LIMIT ?",
            (kind, kind, limit),
        )
        return min((position - 1 for (position,) in rows), default=0)

    def walk(self, *, known: int, on_progress: Callable[[int], None]) -> Walked:
        """Walks the chain, from the entry `known` on, which is taken as it is; 0 is the beginning."""
        decided = int(self._meta("position", 0))  # before the walk: the end may move on meanwhile
        chain = genesis(self.name)
        if known:
            before = self._run("SELECT hash FROM journal WHERE position = ?", (known,)).fetchone()
            if before is None:
                return Walked(known, chain, f"entry {known} is missing")
            (chain,) = before
        position = known
        while rows := self._part(position):
            for found, at, kind, source, body, stored in rows:
                expected = position + 1
                if found != expected:
                    return Walked(position, chain, f"entry {expected} is missing (the next one is {found})")
                if link(chain, found, at, Written(kind, source, body)) != stored:
                    problem = f"entry {found} is not what was written, or the one before it"
                    return Walked(position, chain, problem)
                position, chain = found, stored
            on_progress(position)
        if position < decided:
            problem = f"entry {position + 1} is missing (the end is cut off: {decided} entries were decided)"
            return Walked(position, chain, problem)
        return Walked(position, chain, None)

    def _part(self, after: int) -> list[tuple[int, int, str, str, bytes, bytes]]:
        """Some rows, as many as a few bodies of the largest size leave room for, in a transaction of their own."""
        size = 0
        part = []
        for row in self._run(
            "SELECT position, at, kind, source, body, hash FROM journal WHERE position > ? ORDER BY position LIMIT ?",
            (after, _ROWS_AT_ONCE),
        ):
            part.append(row)
            size += len(row[4])
            if size > _PART_BYTES:
                break
        return part

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


def micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _entry(position: int, at: int, kind: str, source: str, body: bytes) -> Entry:
    return Entry(position, _EPOCH + at * _MICROSECOND, read(Written(kind, source, body)))
