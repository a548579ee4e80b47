"""Where the receiver keeps what must survive: the protocol, and its contract.

schema.py    the tables of SQLite
packing.py   bodies are kept compressed
journal.py   reading the journal and its hash chain, also in a store that a receiver is using
loading.py   reading the alerts that a start needs
reading.py   what doors ask
counting.py  what statistics ask
removal.py   the SQL that takes out what is too old
database.py  all other SQL, synchronous and single-threaded: one call, one transaction
sqlite.py    the store of the embedded default: a thread of its own, and one fsync for all that is waiting

The contract, which tests/contract/ holds every store to:

- `append` returns when the facts are on disk, and not before. Positions have no gaps and no repeats. When it
  raises StoreFailed nothing of it is in the journal.
- `commit` moves changes, messages and the position reached in one transaction, or nothing.
- `load` returns the state as the last commit left it and the position reached; `owed` returns the messages that
  are neither taken nor refused, in the order of their decisions. `entries` returns what comes after a position,
  so that nothing is decided twice.
- A message that is settled leaves `owed` and stays in `deliveries`, with its outcome.
- An entry that was set aside is committed like any other decision, and stays listed for as long as the journal:
  replaying needs to know it. `untold` are those that no incident tells of yet.
- Each entry of the journal carries the hash of the one before.
- `signing_key` is made once and stays; it is in no journal.
- Entries are taken out from the beginning, up to an anchor that stays; only decided ones. The chain is walked from the
  anchor, and an entry after it must tell of it.
- A failure (full disk) is not for ever: the next call tries again. What can never be written, such as a message that
  is there already, raises StoreRefused, and nothing that is written at the same time suffers for it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from receiver.entry import Entry, EntrySetAside, Fact
from receiver.incident import AlertRecord, Incident, Step
from receiver.message import Message
from receiver.state import Change, State
from receiver.statistics import Counted


class StoreFailed(Exception):
    """It could not be written; nothing of it is there. Trying again later may help."""


class StoreRefused(StoreFailed):
    """It is not acceptable as it is; nothing of it is there. Trying the same again cannot help."""


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


class Delivery(msgspec.Struct, frozen=True):
    """One message and what became of it. While it is `owed`, nothing is known of an answer."""

    message: str
    channel: str
    incident: str
    kind: str
    created_at: datetime
    settled_at: datetime | None
    outcome: str  # owed, delivered, refused or withdrawn
    attempts: int | None
    seconds: float | None
    answer: str


class Anchor(msgspec.Struct, frozen=True):
    """Where the journal begins, once entries were taken out: after `position`, whose hash was `hash`."""

    position: int
    hash: str
    entries: int  # that went with this anchor
    at: datetime  # of the last one of them


class Walked(msgspec.Struct, frozen=True):
    """How far the chain holds, and the first place where it does not."""

    position: int
    hash: bytes
    problem: str | None = None
    done: bool = False
    anchor: Anchor | None = None  # where the walk began, until the entry that tells of it is met


class Size(msgspec.Struct, frozen=True):
    """How much there is, for status and metrics."""

    entries: int  # the last position
    trimmed: int  # the last position that was taken out, 0 when none was
    set_aside: int
    entries_set_aside: int
    bytes: int


class Store(Protocol):
    """What the runner and the doors need of a store."""

    def append(self, draft: Draft) -> Future[Entry]: ...

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

    async def deliveries(
        self, *, limit: int, channel: str = "", incident: str = "", outcome: str = ""
    ) -> list[Delivery]:
        """Newest first, in the order of the decisions; an empty text is every one."""
        ...

    async def counted(self, cuts: Sequence[datetime]) -> Counted:
        """What began, and what was taken, from the first of `cuts` to the last; messages apart for each part between
        two of them. Nobody else who asks waits for it."""
        ...

    async def delivery(self, message: str) -> Delivery | None:
        """One of them."""
        ...

    async def size(self) -> Size: ...

    async def signing_key(self) -> bytes:
        """32 bytes from chance, the same for as long as the store is there."""
        ...

    async def verify(self, *, last: int | None = None) -> str | None:
        """Walks the chain, or its last so many entries; the first place that does not hold, in words, or None."""
        ...

    async def walk_on(self, walked: Walked | None) -> Walked:
        """A short part of the way along the chain, from the beginning when nothing is walked yet."""
        ...

    async def anchor(self) -> Anchor | None: ...

    async def trimmable(self, before: datetime) -> Anchor | None:
        """Which of the oldest entries could go: decided, and all of them older than `before`. Not all at once."""
        ...

    async def trim(self, anchor: Anchor) -> int:
        """Takes out some of the entries up to the anchor, which is kept; how many, 0 when none is left."""
        ...

    async def forgettable(self, before: datetime, limit: int) -> list[str]:
        """The oldest incidents that left the state and were resolved before that."""
        ...

    async def forget(self, incident: str) -> int:
        """Takes out some of what belongs to an incident, itself last; how many rows, 0 when none is left."""
        ...

    async def forget_digests(self, before: datetime) -> int:
        """Takes out some of the digests that were answered before that; how many, 0 when none is left."""
        ...

    async def close(self) -> None: ...
