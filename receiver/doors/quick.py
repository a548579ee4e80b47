"""The quick way to the webhook door: plain `POST /webhook/SOURCE`, as Alertmanager sends it, without a web framework.

A connection begins here. Each of its requests is looked at: one that is exactly what this module understands is
answered by the webhook door. Any other, and everything after it, is handed over to the framework with every byte
unread, and stays there. So nothing that is odd is refused here: the framework judges it, and answers it if it may be.

Understood is HTTP/1.1 with a Content-Length and a Host, printable headers, none of them twice, none that changes what
the body means or how the connection goes on. Bodies in pieces are collected from senders that are welcome; others are
refused by the framework, which throws away what still comes. One request is in progress on a connection at a time, so
that answers keep the order of the requests, and a sender that reads no answers is read from no longer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import cast

import msgspec

from guard.access import Approach, Unverified
from guard.listen import KEEPALIVE_SECONDS
from guard.trail import CORRELATION, CURRENT, Trail, made, read, said
from receiver.doors.webhook import BODY_BYTES_MAX, Accepted, Outcome, Refused, WebhookDoor

log = logging.getLogger("tocsin.receiver")

# Larger heads, and those with more headers, are the framework's.
HEAD_BYTES_MAX = 8_000
HEADERS_MAX = 100
# Bytes of later requests that wait while one is in progress; then nothing more is read.
AHEAD_BYTES_MAX = 64 * 1024
SWEEP_SECONDS = 10.0

_BEGINNING = b"POST /webhook/"
_HEAD = re.compile(
    rb"POST /webhook/([A-Za-z0-9][A-Za-z0-9_.-]{0,62}) HTTP/1\.1"
    rb"((?:\r\n[A-Za-z0-9!#$%&'*+.^_`|~-]+:[\t\x20-\x7e]*)+)\r\n\r\n"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,9}")
_HOST = re.compile(rb"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
# These change what the body means, how the connection goes on, or who may ask.
_NOT_OURS = frozenset(
    b"connection content-encoding expect keep-alive origin proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_WHERE = {"method": "POST", "route": "/webhook/{source}"}
_encode = msgspec.json.Encoder().encode
_INTERNAL = _encode({"error": "internal error; the log of this process says more"})


class Head(msgspec.Struct, frozen=True):
    """What matters of a request's head."""

    source: str
    authorization: str | None
    body_bytes: int
    came: Trail | None = None  # what it is to be found again by


@lru_cache(maxsize=512)
def read_head(head: bytes) -> Head | None:
    """None when it is not plainly a webhook. A sender's heads differ in their length only, and repeat."""
    match = _HEAD.fullmatch(head)
    if match is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in match[2].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers or name in _NOT_OURS:
            return None
        headers[name] = value.strip(b" \t")
    length, host = headers.get(b"content-length", b""), headers.get(b"host", b"")
    if not _LENGTH.fullmatch(length) or not _HOST.fullmatch(host) or len(headers) > HEADERS_MAX:
        return None
    if int(length) > BODY_BYTES_MAX:
        return None
    authorization = headers.get(b"authorization")
    came = read(
        *(headers[name].decode() if name in headers else None for name in (b"x-correlation-id", b"traceparent"))
    )
    return Head(match[1].decode(), None if authorization is None else authorization.decode(), int(length), came)


class Quick:
    """Makes the connections, and ends them. `behind` makes the framework's protocol."""

    def __init__(self, door: WebhookDoor, *, keepalive_seconds: float = KEEPALIVE_SECONDS) -> None:
        self._door = door
        self._keepalive_seconds = keepalive_seconds
        self._connections: set[_Connection] = set()
        self._none_left = asyncio.Event()
        self._sweeping: asyncio.TimerHandle | None = None

    def connection(self, behind: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        return _Connection(self._door, behind=behind, made=self._made, left=self._left)

    async def close(self, grace_seconds: float) -> None:
        """What is in progress is answered, nothing new is begun; after the grace period the rest is cut."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._connections):
            connection.end()
        try:
            async with asyncio.timeout(grace_seconds):
                while self._connections:
                    self._none_left.clear()
                    await self._none_left.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()

    def _made(self, connection: _Connection) -> None:
        self._connections.add(connection)
        if self._sweeping is None:
            self._sweep()

    def _left(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()

    def _sweep(self) -> None:
        """One timer for all: one a request would cost more than answering it."""
        loop = asyncio.get_running_loop()
        for connection in list(self._connections):
            connection.end_if_idle_since(loop.time() - self._keepalive_seconds)
        self._sweeping = loop.call_later(min(SWEEP_SECONDS, self._keepalive_seconds), self._sweep)


class _Connection(asyncio.Protocol):
    def __init__(
        self,
        door: WebhookDoor,
        *,
        behind: Callable[[], asyncio.Protocol],
        made: Callable[[_Connection], None],
        left: Callable[[_Connection], None],
    ) -> None:
        self._door = door
        self._behind = behind
        self._made = made
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._remote: str | None = None
        self._certificate: Mapping[str, object] | None = None  # that TLS has verified
        self._speaks_tls = False
        self._unread = b""
        self._came: Trail | None = None  # with the request in progress
        self._arriving: _Arriving | None = None  # the body of the request in progress
        self._waiting = False  # for the outcome of the request in progress
        self._going_on = False
        self._reading_paused = False
        self._writing_paused = False
        self._half_closed = False  # the sender sends no more
        self._ending = False  # what is in progress is the last that is answered
        self._idle_since = 0.0

    # --- what the transport calls ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        peer = transport.get_extra_info("peername")
        self._remote = str(peer[0]) if peer else None
        self._certificate = transport.get_extra_info("peercert") or None
        self._speaks_tls = transport.get_extra_info("sslcontext") is not None
        self._idle_since = self._loop.time()
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self._arriving is not None:
            data = self._arriving.came(data)
            if self._arriving.missing:
                return
            self._whole()
        self._unread = self._unread + data if self._unread else data
        if not (self._waiting or self._writing_paused):
            self._go_on()
        elif len(self._unread) > AHEAD_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """What was asked is still answered; TLS knows no half of a connection."""
        self._half_closed = True
        return (self._waiting or self._writing_paused) and not self._speaks_tls

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if not self._waiting:
            self._go_on()

    def connection_lost(self, _: Exception | None) -> None:
        self._unread = b""
        self._forget_body()
        self._left(self)

    # --- what its maker calls ----------------------------------------------------------------------------------

    def end(self) -> None:
        self._ending = True
        if not (self._waiting or self._arriving):
            self._transport.close()

    def cut(self) -> None:
        self._transport.abort()

    def end_if_idle_since(self, moment: float) -> None:
        if self._idle_since <= moment and not (self._waiting or self._arriving):
            self._transport.close()

    # --- requests ----------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Begins what is unread, one request after the other: a loop, since a refusal is answered at once."""
        if self._going_on:
            return
        self._going_on = True
        while self._unread and not (self._waiting or self._writing_paused or self._transport.is_closing()):
            if not self._begin(self._unread):
                break
        self._going_on = False
        if self._waiting or self._writing_paused or self._transport.is_closing():
            return
        if self._half_closed:
            self._transport.close()
        elif self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    def _begin(self, unread: bytes) -> bool:
        """Whether a request was begun that came whole; if not, more bytes must come, or it is ours no longer."""
        end = unread.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX) + 4
        if end < 4:
            if len(unread) >= HEAD_BYTES_MAX or unread[: len(_BEGINNING)] != _BEGINNING[: len(unread)]:
                self._hand_over()
            return False
        head = read_head(unread[:end])
        if head is None:
            self._hand_over()
            return False
        size = head.body_bytes
        self._came = head.came
        whole = len(unread) >= end + size
        try:
            self._door.admit(head.source, Approach(self._remote, head.authorization, self._certificate))
            self._door.reserve(size)
        except Unverified:  # a password that comes for the first time
            self._hand_over()
            return False
        except Refused as refusal:
            if not whole:
                self._hand_over()
                return False
            self._unread = unread[end + size :]
            self._door.came()
            self._waiting = True
            self._reply(refusal)
            return True
        except Exception as error:  # noqa: BLE001 - a mistake of ours, answered as the framework does
            if not whole:
                self._hand_over()
                return False
            self._unread = b""
            self._door.came()
            self._waiting = self._ending = True
            self._reply(error)
            return False
        self._door.came()
        self._unread = unread[end + size :]
        if whole:
            self._door.release(size)
            self._take(head, unread[end : end + size], time.perf_counter())
            return True
        timer = self._loop.call_later(self._door.body_seconds_max, self._late)
        self._arriving = _Arriving(head, unread[end:], timer)
        return False

    def _whole(self) -> None:
        arriving = self._arriving
        assert arriving is not None
        self._forget_body()
        try:
            self._door.check_load()
        except Refused as refusal:
            self._waiting = True
            self._reply(refusal)
        else:
            self._take(arriving.head, b"".join(arriving.parts), arriving.began)

    def _late(self) -> None:
        self._forget_body()
        self._ending = True
        self._reply(self._door.too_slow())

    def _forget_body(self) -> None:
        if self._arriving is not None:
            self._arriving.timer.cancel()
            self._door.release(self._arriving.head.body_bytes)
            self._arriving = None

    def _take(self, head: Head, body: bytes, began: float) -> None:
        self._waiting = True
        try:
            self._door.take(head.source, body, began=began, came=head.came, reply=self._reply)
        except Exception as error:  # noqa: BLE001 - as the framework does: logged whole, answered without details
            self._reply(error)

    def _reply(self, outcome: Outcome) -> None:
        self._waiting = False
        self._idle_since = self._loop.time()
        match outcome:
            case Accepted():
                status, body, headers = 200, _encode(outcome), ""
                trail = self._came or Trail(self._door.named(outcome))
            case Refused():
                self._door.refused(outcome)
                trail = self._otherwise()
                status, body = outcome.status, _encode({"error": str(outcome)})
                headers = "".join(f"{name}: {value}\r\n" for name, value in outcome.headers.items())
            case _:
                trail = self._otherwise()
                log.error("a handler failed", extra={**said(trail), **_WHERE}, exc_info=outcome)
                status, body, headers = 500, _INTERNAL, ""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("a request was answered", extra={**said(trail), **_WHERE, "status": status})
        if self._transport.is_closing():
            return
        headers += f"{CORRELATION}: {trail.correlation}\r\n"
        if self._ending:
            headers += "Connection: close\r\n"
        self._transport.write(_answer(status, headers, body))
        if self._ending:
            self._transport.close()
        elif self._unread or self._half_closed or self._reading_paused:
            self._go_on()

    def _otherwise(self) -> Trail:
        """Of what is not in the journal."""
        return self._came or CURRENT.get() or made()

    def _hand_over(self) -> None:
        """The framework takes the connection, with every byte of the request. It answers nobody who half closed."""
        if self._half_closed:
            self._transport.close()
            return
        self._left(self)
        behind, unread = self._behind(), self._unread
        self._unread = b""
        self._transport.set_protocol(behind)
        behind.connection_made(self._transport)
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        behind.data_received(unread)


class _Arriving:
    """A body that comes in pieces."""

    def __init__(self, head: Head, begun: bytes, timer: asyncio.TimerHandle) -> None:
        self.head = head
        self.parts = [begun]
        self.missing = head.body_bytes - len(begun)
        self.timer = timer
        self.began = time.perf_counter()

    def came(self, data: bytes) -> bytes:
        """What is left over is of the next request."""
        self.parts.append(data[: self.missing])
        left = data[self.missing :]
        self.missing -= len(self.parts[-1])
        return left


def _answer(status: int, headers: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nDate: {_date(int(time.time()))}\r\n{headers}\r\n"
    )
    return head.encode() + body


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
