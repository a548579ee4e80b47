"""The store of the embedded default: one SQLite file, written by one thread, one fsync for all that is waiting.

While a transaction is being written, appends and commits gather; the next transaction takes all of them. So a
slow disk makes transactions larger, not the queue longer.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO, TypeVar, cast

from receiver.entry import Entry, EntrySetAside
from receiver.incident import AlertRecord, Incident, Step
from receiver.message import Message
from receiver.state import Change
from receiver.statistics import Counted
from receiver.store import (
    Anchor,
    Delivery,
    Draft,
    Loaded,
    SetAside,
    Size,
    StoreFailed,
    StoreRefused,
    StoreUnusable,
    Walked,
)
from receiver.store.database import Commit, Database, Forget, ForgetDigests, Result, SigningKey, Trim, Work, connect

SIGNING_KEY_BYTES = 32

T = TypeVar("T")


class Background(Protocol):
    """Runs a function where it may block, one after the other."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


class SqliteStore:
    """The store protocol over a Database. `write` and `read` say where the blocking work happens."""

    def __init__(
        self,
        writer: Database,
        *,
        write: Background,
        reader: Database,
        read: Background,
        on_close: Callable[[], None],
        counter: Database | None = None,
        count: Background | None = None,
    ) -> None:
        """Who counts takes long: a counter of its own keeps others from waiting for that."""
        self._writer = writer
        self._write = write
        self._reader = reader
        self._read = read
        self._counter = counter or reader
        self._count = count or read
        self._on_close = on_close
        self._waiting: list[tuple[Work, asyncio.Future[Result]]] = []
        self._pump: asyncio.Task[None] | None = None

    # --- writing -------------------------------------------------------------------------------------------

    def append(self, draft: Draft) -> asyncio.Future[Entry]:
        return cast("asyncio.Future[Entry]", self._enqueue(draft))  # a draft always gives an entry

    async def commit(self, changes: Sequence[Change], messages: Sequence[Message], position: int) -> None:
        await self._enqueue(Commit(changes, messages, position))

    async def set_aside(self, body: SetAside) -> None:
        await self._enqueue(body)

    async def trim(self, anchor: Anchor) -> int:
        return await self._taken_out(Trim(anchor))

    async def forget(self, incident: str) -> int:
        return await self._taken_out(Forget(incident))

    async def forget_digests(self, before: datetime) -> int:
        return await self._taken_out(ForgetDigests(before))

    async def _taken_out(self, work: Trim | Forget | ForgetDigests) -> int:
        gone = await self._enqueue(work)
        assert isinstance(gone, int)
        return gone

    def _enqueue(self, work: Work) -> asyncio.Future[Result]:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._write_what_waits())
        return done

    async def _write_what_waits(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await self._write_batch(batch)

    async def _write_batch(self, batch: list[tuple[Work, asyncio.Future[Result]]]) -> None:
        work = [item for item, _ in batch]
        try:
            results = await self._write(lambda: self._writer.write(work))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            if _of_the_disk(error):  # all of it failed, all of it may be tried again
                self._fail(batch, StoreFailed(str(error)))
            elif len(batch) == 1:
                self._fail(batch, StoreRefused(f"{type(error).__name__}: {error}"))
            else:  # one of them cannot be written: the others must not suffer for it
                half = len(batch) // 2
                await self._write_batch(batch[:half])
                await self._write_batch(batch[half:])
        else:
            for (_, done), result in zip(batch, results, strict=True):
                if not done.done():
                    done.set_result(result)

    def _fail(self, batch: list[tuple[Work, asyncio.Future[Result]]], error: StoreFailed) -> None:
        for _, done in batch:
            if not done.done():
                done.set_exception(error)

    # --- reading -------------------------------------------------------------------------------------------

    async def load(self) -> Loaded:
        return await self._asked(self._reader.load)

    async def owed(self) -> list[Message]:
        return await self._asked(self._reader.owed)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        return await self._asked(lambda: self._reader.entries(after, limit))

    async def incidents(self, *, status: str, text: str, limit: int) -> list[Incident]:
        return await self._asked(lambda: self._reader.reading.incidents(status, text, limit))

    async def incident(self, identifier: str) -> Incident | None:
        return await self._asked(lambda: self._reader.reading.incident(identifier))

    async def alerts(self, *, limit: int, incident: str | None = None) -> list[AlertRecord]:
        return await self._asked(lambda: self._reader.reading.alerts(limit, incident))

    async def steps(self, incident: str, limit: int) -> list[Step]:
        return await self._asked(lambda: self._reader.reading.steps(incident, limit))

    async def last_set_aside(self, limit: int) -> list[SetAside]:
        return await self._asked(lambda: self._reader.reading.last_set_aside(limit))

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        return await self._asked(lambda: self._reader.reading.entries_set_aside(limit))

    async def untold(self) -> list[EntrySetAside]:
        return await self._asked(self._reader.reading.untold)

    async def deliveries(
        self, *, limit: int, channel: str = "", incident: str = "", outcome: str = ""
    ) -> list[Delivery]:
        return await self._asked(lambda: self._reader.reading.deliveries(limit, channel, incident, outcome))

    async def counted(self, cuts: Sequence[datetime]) -> Counted:
        try:
            return await self._count(lambda: self._counter.counting.counted(cuts))
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error

    async def delivery(self, message: str) -> Delivery | None:
        return await self._asked(lambda: self._reader.reading.delivery(message))

    async def size(self) -> Size:
        return await self._asked(self._reader.size)

    async def signing_key(self) -> bytes:
        key = await self._asked(self._reader.signing_key)
        if key is None:
            made = await self._enqueue(SigningKey(secrets.token_bytes(SIGNING_KEY_BYTES)))
            assert isinstance(made, bytes)
            key = made
        return key

    async def verify(self, *, last: int | None = None) -> str | None:
        return await self._asked(lambda: self._reader.verify(last))

    async def walk_on(self, walked: Walked | None) -> Walked:
        return await self._asked(lambda: self._reader.walk_on(walked))

    async def anchor(self) -> Anchor | None:
        return await self._asked(self._reader.removal.anchor)

    async def trimmable(self, before: datetime) -> Anchor | None:
        return await self._asked(lambda: self._reader.removal.trimmable(before))

    async def forgettable(self, before: datetime, limit: int) -> list[str]:
        return await self._asked(lambda: self._reader.removal.forgettable(before, limit))

    async def _asked(self, function: Callable[[], T]) -> T:
        try:
            return await self._read(function)
        except sqlite3.Error as error:
            raise StoreFailed(str(error)) from error

    async def close(self) -> None:
        while self._pump is not None and not self._pump.done():
            await asyncio.wait([self._pump])
        if self._counter is not self._reader:
            await self._count(self._counter.close)
        await self._read(self._reader.close)
        await self._write(self._writer.close)
        self._on_close()


def _of_the_disk(error: Exception) -> bool:
    """Full, locked, failing, broken; everything else is about what was to be written."""
    about_values = sqlite3.IntegrityError | sqlite3.DataError | sqlite3.InterfaceError | sqlite3.ProgrammingError
    return isinstance(error, sqlite3.Error | OSError | MemoryError) and not isinstance(error, about_values)


def path_of(url: str) -> Path:
    """sqlite:///data/receiver.db is relative to the working folder; a fourth slash makes it absolute."""
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        raise ValueError(
            f"found {url.partition('@')[2] or url!r}, expected an address such as sqlite:///data/receiver.db"
        )
    return Path(url.removeprefix(prefix))


def open_sqlite(path: Path) -> SqliteStore:
    """Opens or creates the file, for this process alone. StoreUnusable says why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(path.with_name(path.name + ".lock"))
    except OSError as error:
        raise StoreUnusable(f"cannot write in {path.parent}: {error.strerror or error}") from None
    try:
        writer = Database(path, connect=connect, new_name=lambda: secrets.token_hex(4))
        reader, counter = (Database(path, connect=_connect_to_read, new_name=_never) for _ in range(2))
    except sqlite3.Error as error:
        lock.close()
        raise StoreUnusable(f"cannot use {path} as a store: {error}") from None
    except StoreUnusable:
        lock.close()
        raise
    threads = [_thread(f"tocsin-store-{name}") for name in ("write", "read", "count")]
    writing, reading, counting = threads

    def on_close() -> None:
        for thread in threads:
            thread.shutdown(wait=False)
        lock.close()

    return SqliteStore(
        writer,
        write=_in_thread(writing),
        reader=reader,
        read=_in_thread(reading),
        on_close=on_close,
        counter=counter,
        count=_in_thread(counting),
    )


def _locked(path: Path) -> TextIO:
    """Two receivers on one file would each decide: the second one is told who was first."""
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read(20).strip() or "unknown"
        lock.close()
        raise StoreUnusable(f"{path.parent} is in use by another receiver (process {owner})") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _never() -> str:
    raise AssertionError("only the writer creates a store")


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


def _in_thread(executor: ThreadPoolExecutor) -> Background:
    def run(function: Callable[[], T], /) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(executor, function)

    return run
