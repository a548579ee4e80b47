"""Where the receiver keeps what must survive: the protocol, and its contract.

schema.py    the tables of SQLite
journal.py   reading the journal and its hash chain, also in a store that a receiver is using
database.py  the SQL, synchronous and single-threaded: one call, one transaction
sqlite.py    the store of the embedded default: a thread of its own, and one fsync for all that is waiting

The contract, which tests/contract/ holds every store to:

- `append` returns when the facts are on disk, and not before. Positions have no gaps and no repeats. When it
  raises StoreFailed nothing of it is in the journal.
- `commit` moves changes, messages and the position reached in one transaction, or nothing.
- `load` returns the state as the last commit left it and the position reached; `owed` returns the messages that
  are neither taken nor refused, in the order of their decisions. `entries` returns what comes after a position,
  so that nothing is decided twice.
- An entry that was set aside is committed like any other decision, and stays listed for as long as the journal:
  replaying needs to know it. `untold` are those that no incident tells of yet.
- Each entry of the journal carries the hash of the one before.
- A failure (full disk) is not for ever: the next call tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from receiver.entry import Entry, EntrySetAside, Fact
from receiver.incident import AlertRecord, Incident, Step
from receiver.message import Message
from receiver.state import Change, State


class StoreFailed(Exception):
    """It could not be written; nothing of it is there. Trying again later may help."""


class StoreUnusable(Exception):
    """The receiver cannot start with this store. The text is for the person who started it."""


class Draft(msgspec.Struct, frozen=True):
    """A fact that wants a place in the journal."""

    at: datetime
    fact: Fact


class Loaded(msgspec.Struct, frozen=True):
    """What a start continues from."""

    state: State
    position: int


class SetAside(msgspec.Struct, frozen=True):
    """A body that could not be understood, kept for the person who wants to know why."""

    at: datetime
    source: str
    reason: str
    problem: str
    body: bytes


class Size(msgspec.Struct, frozen=True):
    """How much there is, for status and metrics."""

    entries: int
    set_aside: int
    entries_set_aside: int
    bytes: int


class Store(Protocol):
    """What the runner and the doors need of a store."""

    async def append(self, draft: Draft) -> Entry: ...

    async def commit(self, changes: Sequence[Change], messages: Sequence[Message], position: int) -> None: ...

    async def load(self) -> Loaded: ...

    async def owed(self) -> list[Message]: ...

    async def entries(self, after: int, limit: int) -> list[Entry]: ...

    async def set_aside(self, body: SetAside) -> None: ...

    async def last_set_aside(self, limit: int) -> list[SetAside]: ...

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        """The newest first."""
        ...

    async def untold(self) -> list[EntrySetAside]:
        """In the order of their positions."""
        ...

    async def incidents(self, *, status: str, text: str, limit: int) -> list[Incident]: ...

    async def incident(self, identifier: str) -> Incident | None: ...

    async def alerts(self, *, limit: int, incident: str | None = None) -> list[AlertRecord]: ...

    async def steps(self, incident: str, limit: int) -> list[Step]: ...

    async def size(self) -> Size: ...

    async def verify(self, *, last: int | None = None) -> str | None:
        """Walks the chain, or its last so many entries; the first place that does not hold, in words, or None."""
        ...

    async def close(self) -> None: ...
