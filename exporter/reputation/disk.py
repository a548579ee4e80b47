"""Work on files, in a thread of its own, that nobody waits for without an end. One piece of work at a time."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from errno import EINVAL, ETIMEDOUT
from functools import partial
from typing import TypeVar

from exporter.pool import Pool

T = TypeVar("T")

# A disk that has not answered by then is held for one that does not.
DISK_SECONDS_MAX = 10.0


class Disk:
    def __init__(self) -> None:
        self._pool = Pool("reputation-disk")
        self._last: asyncio.Future[object] | None = None

    async def do(self, work: Callable[[], T], *, seconds: float = DISK_SECONDS_MAX) -> T:
        """What the work gives or raises; OSError where the disk does not answer, and until it does again."""
        if self._last is not None and not self._last.done():
            raise OSError(ETIMEDOUT, "the disk does not answer")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def task() -> None:
            try:
                settle = partial(_settle, future, None, work())
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                settle = partial(_settle, future, error)
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:  # the process is ending, and nobody waits
                return

        self._last = future  # type: ignore[assignment]
        self._pool.submit(task)
        await asyncio.wait({future}, timeout=seconds)
        if not future.done():
            # What it says in the end is for nobody.
            future.add_done_callback(lambda done: done.exception())
            raise OSError(ETIMEDOUT, "the disk does not answer")
        return future.result()

    def close(self) -> None:
        self._pool.close()


def opened(path: str, flags: int) -> int:
    """For this user alone. What is no regular file is not opened: a pipe would never answer. Raises OSError."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(EINVAL, "found no regular file", path)
    return descriptor


def _settle(future: asyncio.Future[T], error: Exception | None, *result: T) -> None:
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(*result)
