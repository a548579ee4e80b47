"""The connections there are: how many there may be, and when each must have gone on.

One timer stands for all of them, at the earliest of their deadlines; where nothing is late, it does nothing. When there
are too many connections, the one that has idled longest goes, so that whoever opens them for nothing keeps out nobody
who asks something.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from guard.judge import Judge
from guard.listen import HANDSHAKE_SECONDS_MAX, KEEPALIVE_SECONDS, Address, base_urls, open_doors
from guard.web.connection import CROWDED, Connection
from guard.web.handshakes import HANDSHAKES_MAX, Handshakes
from guard.web.messages import error_answer
from guard.web.routes import Routes

CONNECTIONS_MAX = 512
HEAD_SECONDS_MAX = 10.0
BODY_SECONDS_MAX = 30.0
ANSWER_SECONDS_MAX = 60.0
LEAVE_SECONDS_MAX = 2.0
# Why a connection is ended before its time, so that each series is there at zero.
REASONS = ("malformed", "slow", "crowded")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A timer is not set again for less than this: deadlines are seconds away.
_SLACK_SECONDS = 0.01


class Limits(msgspec.Struct, frozen=True):
    """How many, and how long."""

    connections: int = CONNECTIONS_MAX
    handshakes: int = HANDSHAKES_MAX
    handshake_seconds: float = HANDSHAKE_SECONDS_MAX
    head_seconds: float = HEAD_SECONDS_MAX
    body_seconds: float = BODY_SECONDS_MAX
    answer_seconds: float = ANSWER_SECONDS_MAX
    leave_seconds: float = LEAVE_SECONDS_MAX
    idle_seconds: float = KEEPALIVE_SECONDS


def ignore_cut(_: str) -> None:
    """For programs that do not count."""


class Server:
    def __init__(
        self, routes: Routes, judge: Judge, *, limits: Limits | None = None, on_cut: Callable[[str], None] = ignore_cut
    ) -> None:
        self.routes = routes
        self.judge = judge
        self.limits = limits or Limits()
        self.cut = on_cut
        self._connections: dict[Connection, None] = {}
        self._none_left = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0
        self._second = 0
        self._date = b""

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connections(self) -> tuple[Connection, ...]:
        return tuple(self._connections)

    def connection(self) -> asyncio.Protocol:
        """For a new one."""
        return Connection(self)

    def handshakes(self, context: ssl.SSLContext) -> Handshakes:
        """Before connections over TLS."""
        seconds, most = self.limits.handshake_seconds, self.limits.handshakes
        return Handshakes(self.connection, context=context, seconds=seconds, most=most, cut=self.cut)

    def made(self, connection: Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) <= self.limits.connections:
            return
        spared = self._who_misses_least(connection)
        if spared is not None:
            spared.spare()
        else:
            connection.spare(error_answer(503, CROWDED, {"Retry-After": "1"}))

    def _who_misses_least(self, new: Connection) -> Connection | None:
        idle = [each for each in self._connections if each.can_be_spared and each is not new]
        if not idle:
            # Nobody from an address that has more of them keeps out one from an address that has fewer.
            held = Counter(each.network for each in self._connections)
            greediest = max(held, key=held.__getitem__)
            if held[greediest] > held[new.network]:
                idle = [each for each in self._connections if each.holds_a_place and each.network == greediest]
        return min(idle, key=lambda each: each.since, default=None)

    def left(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if not self._connections:
            self._none_left.set()

    def watch(self, deadline: float) -> None:
        """Somebody is to be looked after then."""
        if self._timer is None or deadline < self._looks_at - _SLACK_SECONDS:
            if self._timer is not None:
                self._timer.cancel()
            # What uvloop returns for a time that is over does not know it: so it is kept here.
            self._looks_at = deadline
            self._timer = asyncio.get_running_loop().call_at(deadline, self._look)

    def date(self) -> bytes:
        """As HTTP writes it; made once a second. The library's way would cost 9 ms of every start, to import it."""
        second = int(time.time())
        if second != self._second:
            year, month, day, hour, minute, seconds, weekday, *_ = time.gmtime(second)
            text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{seconds:02} GMT"
            self._second, self._date = second, text.encode()
        return self._date

    async def close(self, grace_seconds: float) -> None:
        """What is in progress is answered, nothing new is begun; after the grace period the rest is cut."""
        for connection in list(self._connections):
            connection.end()
        try:
            async with asyncio.timeout(grace_seconds):
                while self._connections:
                    self._none_left.clear()
                    await self._none_left.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time() + _SLACK_SECONDS
        for connection in list(self._connections):
            if connection.deadline is not None and connection.deadline <= now:
                connection.overdue()
        waiting = [each.deadline for each in self._connections if each.deadline is not None]
        if waiting:
            self.watch(min(waiting))


@asynccontextmanager
async def serving(
    server: Server,
    addresses: Sequence[Address],
    *,
    grace_seconds: float,
    tls: ssl.SSLContext | None = None,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[tuple[str, ...]]:
    """Serves at every address and socket, or at none of them; yields the base URLs that are really bound."""
    opened = await open_doors(server.connection, addresses, tls=None, sockets=sockets, begin=tls is None)
    handshakes = None if tls is None else server.handshakes(tls)
    try:
        if handshakes is not None:
            handshakes.listen(opened)
        yield base_urls(opened, tls=tls is not None)
    finally:
        for each in opened:
            each.close()
        if handshakes is not None:
            await handshakes.close()
        await server.close(grace_seconds)
