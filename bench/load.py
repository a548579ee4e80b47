"""A load of HTTP requests over a few kept-alive connections, cheap enough not to be what is measured.

Each connection sends a prepared request, waits for the whole answer, sends the next: as Alertmanager does, and
as many at once as it has groups to flush.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import cast

import uvloop


@dataclass
class Load:
    """What one run did."""

    seconds: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)  # by status
    no_retry_after: int = 0  # 503 that do not say when to come back

    def answered(self, answer: bytes, seconds: float) -> None:
        status = int(answer[9:12])
        self.answers[status] = self.answers.get(status, 0) + 1
        self.latencies.setdefault(status, []).append(seconds)
        self.no_retry_after += status == 503 and b"\r\nRetry-After: " not in answer

    def rate(self, status: int = 200) -> float:
        return self.answers.get(status, 0) / self.seconds

    def latency(self, share: float, status: int = 200) -> float:
        ordered = sorted(self.latencies.get(status, ()))
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    """One request after the other, until the time is over or, where each is sent once, until its part is sent."""

    def __init__(
        self, requests: Sequence[bytes], first: int, stride: int, load: Load, end: float, *, once: bool
    ) -> None:
        self._requests = requests
        self._next = first
        self._stride = stride
        self._load = load
        self._end = end
        self._to_send = len(range(first, len(requests), stride)) if once else -1
        self._left: bytes = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._send()

    def data_received(self, data: bytes) -> None:
        self._left += data
        if answered(self._left) is None:
            return
        now = time.perf_counter()
        self._load.answered(self._left, now - self._sent)
        self._left = b""
        if now < self._end and self._to_send:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._to_send -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + self._stride) % len(self._requests)


def answered(bytes_so_far: bytes) -> bytes | None:
    """The body of the first request or answer in it, once that is whole."""
    head, separator, rest = bytes_so_far.partition(b"\r\n\r\n")
    length = _content_length(head)
    return rest[:length] if separator and len(rest) >= length else None


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


def post(path: str, body: bytes, host: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run_load(requests: Sequence[bytes], *, port: int, connections: int, seconds: float, once: bool = False) -> Load:
    """For so long, round and round; or `once`, until each was sent or the time is over."""
    load = Load()
    connections = min(connections, len(requests))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        begin = time.perf_counter()
        waits = []
        for first in range(connections):
            _, protocol = await loop.create_connection(
                partial(_Connection, requests, first, connections, load, begin + seconds, once=once),
                "127.0.0.1",
                port,
            )
            waits.append(protocol.done)
        await asyncio.wait_for(asyncio.gather(*waits), seconds + 60)
        load.seconds = time.perf_counter() - begin

    uvloop.run(run())
    return load


class _AheadConnection(asyncio.Protocol):
    """So many requests ahead of the answers, until there are no more and all are answered."""

    def __init__(self, another: Callable[[], bytes | None], ahead: int, load: Load) -> None:
        self._another = another
        self._ahead = ahead
        self._load = load
        self._left = b""
        self._sent: deque[float] = deque()
        self._answered_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        for _ in range(self._ahead):
            self._send()

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (body := answered(self._left)) is not None:
            end = self._left.index(b"\r\n\r\n") + 4 + len(body)
            now = time.perf_counter()
            self._load.answered(self._left[:end], now - max(self._sent.popleft(), self._answered_at))
            self._answered_at, self._left = now, self._left[end:]
            self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if self._sent:
            self.done.set_exception(RuntimeError(f"it was cut, and {len(self._sent)} requests were not answered"))
        else:
            self.done.set_result(None)

    def _send(self) -> None:
        request = self._another()
        if request is not None:
            self._sent.append(time.perf_counter())
            self._transport.write(request)
        elif not self._sent:
            self._transport.close()


def run_ahead(
    another: Callable[[], bytes | None], *, port: int, connections: int, ahead: int, seconds_max: float
) -> Load:
    """All that `another` gives, each once. The time of an answer runs from when its request was sent and everything
    before it on its connection was answered."""
    load = Load()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        make = partial(_AheadConnection, another, ahead, load)
        made = [await loop.create_connection(make, "127.0.0.1", port) for _ in range(connections)]
        await asyncio.wait_for(asyncio.gather(*(protocol.done for _, protocol in made)), seconds_max)
        load.seconds = time.perf_counter() - began

    uvloop.run(run())
    return load


def send_all(requests: Sequence[bytes], *, port: int) -> float:
    """Each of them once, one after the other; the seconds that it took. All must be answered 200."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for request in requests:
            connection.sendall(request)
            answer = _one_answer(connection)
            if answer[9:12] != b"200":
                raise RuntimeError(f"answered {answer[:500]!r}")
    return time.perf_counter() - began


def _one_answer(connection: socket.socket) -> bytes:
    answer = b""
    while True:
        more = connection.recv(65_536)
        if not more:
            raise RuntimeError("the connection was closed")
        answer += more
        if answered(answer) is not None:
            return answer


def spread(values: Sequence[float], digits: int = 0) -> str:
    return " / ".join(f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
