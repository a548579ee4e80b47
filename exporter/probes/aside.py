"""Work that may hang where nobody can end it: looking up a name, a file on a dead mount.

It is done in threads that can be left behind. There are only so many of them: while all of them hang, whoever comes
is told so at once. Whoever asks for what is being waited for already waits along, and takes no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from exporter.pool import Pool
from exporter.probes.attempt import Failed

T = TypeVar("T")
THREADS_MAX = 16


class Aside:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pool = Pool("tocsin-probe")
        self._going: dict[Hashable, asyncio.Future[Any]] = {}

    @property
    def held(self) -> int:
        """How many threads are at work, or hang."""
        return len(self._going)

    async def run(self, key: Hashable, task: Callable[[], T]) -> T:
        """What the task gives back. The key says what it does: the same key, the same answer. Raises `Failed`."""
        going = self._going.get(key)
        if going is None:
            if len(self._going) >= THREADS_MAX:
                raise Failed("busy", f"{THREADS_MAX} names and files are being waited for already")
            going = self._going[key] = asyncio.get_running_loop().create_future()
            going.add_done_callback(_seen)
            if len(self._going) > self._pool.threads:
                self._pool.grow()
            self._pool.submit(partial(self._work, asyncio.get_running_loop(), key, going, task))
        # Whoever gives up leaves it to the others, and to whoever comes next.
        found: T = await asyncio.shield(going)
        return found

    def _work(
        self, loop: asyncio.AbstractEventLoop, key: Hashable, going: asyncio.Future[Any], task: Callable[[], object]
    ) -> None:
        """In a thread. The loop may be gone: then the process is ending and nobody waits."""
        try:
            settle = partial(going.set_result, task())
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            settle = partial(going.set_exception, error)

        def done() -> None:
            self._going.pop(key, None)
            settle()

        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(done)


def _seen(future: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()
