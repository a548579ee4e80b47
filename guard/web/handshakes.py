"""TLS before a connection begins: how many may be at it.

Whoever begins to speak TLS and does not go on holds more memory than one who only connects, and is no connection yet.
An event loop that listens with TLS itself tells nobody of them. So the doors accept what comes themselves, and hand
it to the loop one by one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from guard.listen import BACKLOG

HANDSHAKES_MAX = 128
# Accepted at a time, before others have their turn.
AT_ONCE = 64
# When the system has no more descriptors to give.
RETRY_SECONDS = 1.0


class Handshakes:
    """`begin` makes the protocol of a connection, `cut` is told why one was ended."""

    def __init__(
        self,
        begin: Callable[[], asyncio.Protocol],
        *,
        context: ssl.SSLContext,
        seconds: float,
        most: int,
        cut: Callable[[str], None],
    ) -> None:
        self._begin = begin
        self._context = context
        self._seconds = seconds
        self._most = most
        self._cut = cut
        self._loop = asyncio.get_running_loop()
        self._listening: list[socket.socket] = []
        self._under_way: dict[asyncio.Task[None], None] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def listen(self, servers: Sequence[asyncio.Server]) -> None:
        """At their sockets, in their place. They must not have begun to serve."""
        for server in servers:
            for each in server.sockets:
                own = socket.fromfd(each.fileno(), each.family, each.type)
                own.setblocking(False)
                own.listen(BACKLOG)
                self._listening.append(own)
                self._loop.add_reader(own, self._accept, own)

    async def close(self) -> None:
        for own in self._listening:
            self._loop.remove_reader(own)
            own.close()
        self._listening.clear()
        ended = list(self._under_way)
        for each in ended:
            each.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _accept(self, own: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = own.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(own)
                self._loop.call_later(RETRY_SECONDS, self._again, own)
                return
            accepted.setblocking(False)
            if len(self._under_way) >= self._most:
                # A handshake takes as long as a few packets take: the one that began first is the one that stalls.
                self._cut("crowded")
                first = next(iter(self._under_way))
                del self._under_way[first]
                first.cancel()
            task = self._loop.create_task(self._shake_hands(accepted))
            self._under_way[task] = None
            task.add_done_callback(partial(self._done, accepted))

    def _done(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        if task.cancelled():  # perhaps before it began
            accepted.close()

    def _again(self, own: socket.socket) -> None:
        if own in self._listening:
            self._loop.add_reader(own, self._accept, own)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._begin, accepted, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except ConnectionAbortedError:  # it took too long
            self._cut("slow")
            accepted.close()
        except OSError:  # no TLS, or not one that we want
            accepted.close()
