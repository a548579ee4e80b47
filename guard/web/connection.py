"""One connection: bytes in, answers out, in the order of the requests.

A connection is in one phase at a time, and each but the door's own work has its time. One request is in progress at a
time; what comes behind it waits unread, little of it, and then nothing more is taken from the socket. A large answer is
written piece by piece as the other end takes it, so that who reads slowly costs no memory but that of the answer. After
a request that was refused before it was read to its end, the rest is thrown away for a moment: closing at once would
take the refusal back from the sender's hands.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, cast

from guard.access import Approach
from guard.judge import UNKNOWN, Refusal
from guard.limits import network_of
from guard.trail import CORRELATION, CURRENT, Trail, made, read
from guard.web.body import Body, body_of
from guard.web.head import Head, find_head, read_head
from guard.web.messages import Answer, Request, error_answer, head_of
from guard.web.room import Place
from guard.web.routes import Found, Route

if TYPE_CHECKING:
    from guard.web.server import Server

log = logging.getLogger("tocsin.listen")

# Bytes of later requests that wait while one is in progress; then nothing more is read.
AHEAD_BYTES_MAX = 65_536
# Of an answer, handed to the kernel at a time; between two pieces others have their turn.
PIECE_BYTES = 262_144

_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
_KEEP = b"Connection: keep-alive\r\n"
_CLOSE = b"Connection: close\r\n"
NO_BODY = "the body does not come to its end"
CROWDED = "there are too many connections"
INTERNAL = "internal error; the log of this process says more"


class Phase(Enum):
    HEAD = "head"  # of the next request, or nothing yet
    WORKING = "working"  # the judge and the door
    BODY = "body"  # the door waits for it
    ANSWERING = "answering"  # the other end takes it
    LEAVING = "leaving"  # what still comes is thrown away
    GONE = "gone"


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self.phase = Phase.HEAD
        self.deadline: float | None = None  # of the phase
        self.since = self._loop.time()  # in this phase
        self._unread = b""
        self._fresh = True  # nothing was asked yet
        self._ending = False  # what is in progress is the last that is answered
        self._half_closed = False  # the other end sends no more
        self._reading_paused = False
        self._writing_paused = False
        self._body: Body | None = None
        self._body_whole: asyncio.Future[None] | None = None
        self._place = Place(None)  # of the body
        self._outgoing = memoryview(b"")
        self._closes_after = False
        self._leaves_rest = False  # of a request that was refused before it was read to its end
        self._task: asyncio.Task[None] | None = None
        self._trail: Trail | None = None  # of what is in progress

    # --- what the transport calls ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        # A Unix socket's other end has no address.
        self._remote = str(peer[0]) if isinstance(peer, tuple) else None
        self._local = (str(local[0]), int(local[1])) if isinstance(local, tuple) else None
        self._certificate: Mapping[str, object] | None = transport.get_extra_info("peercert") or None
        self._secure = transport.get_extra_info("sslcontext") is not None
        self._enter(Phase.HEAD, self._server.limits.head_seconds)
        self._server.made(self)

    def data_received(self, data: bytes) -> None:
        match self.phase:
            case Phase.LEAVING | Phase.GONE:
                return
            case Phase.BODY:
                self._take(data)
            case Phase.HEAD:
                if not self._unread and not self._fresh:
                    self._enter(Phase.HEAD, self._server.limits.head_seconds)
                self._unread = self._unread + data if self._unread else data
                self._go_on()
            case Phase.WORKING | Phase.ANSWERING:
                self._unread += data
        if len(self._unread) > AHEAD_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """What was asked is still answered; TLS knows no half of a connection."""
        self._half_closed = True
        if self.phase is Phase.HEAD and self._unread and not self._secure:
            self._go_on()
            return True
        return self.phase in (Phase.WORKING, Phase.ANSWERING) and not self._secure

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._write_on()

    def connection_lost(self, _: Exception | None) -> None:
        waits_for_body = self.phase is Phase.BODY
        self._enter(Phase.GONE)
        self._unread, self._outgoing = b"", memoryview(b"")
        self._server.left(self)
        # A door's work is not left half done; without the body it has not begun.
        if waits_for_body and self._task is not None:
            self._task.cancel()

    # --- what the server calls ---------------------------------------------------------------------------------

    @property
    def can_be_spared(self) -> bool:
        return self.phase is Phase.HEAD

    @property
    def holds_a_place(self) -> bool:
        """It is the other end that we wait for, in the middle of a request."""
        return self.phase in (Phase.BODY, Phase.ANSWERING)

    @property
    def network(self) -> str:
        return network_of(self._remote)

    @property
    def held_bytes(self) -> int:
        """What this process keeps for the other end, beside an answer that others share."""
        return len(self._unread) + self._transport.get_write_buffer_size()

    def overdue(self) -> None:
        """The phase took longer than it may. What is done about it is done once."""
        self.deadline = None
        match self.phase:
            case Phase.HEAD if self._unread:
                self._server.cut("slow")
                self._refuse(Refusal(408, "the request did not come in time"))
            case Phase.BODY:
                self._server.cut("slow")
                self._fail_body(Refusal(408, "the body did not come in time"))
            case Phase.ANSWERING:
                self._server.cut("slow")
                self._transport.abort()
            case Phase.HEAD:
                self._close()
            case Phase.LEAVING:
                self._transport.abort()

    def spare(self, answer: Answer | None = None) -> None:
        """There are too many connections, and this is the one that misses least."""
        self._server.cut("crowded")
        if self.phase is Phase.BODY:
            self._fail_body(Refusal(503, CROWDED, {"Retry-After": "1"}))
        elif self.phase is Phase.ANSWERING:
            self._enter(Phase.LEAVING, self._server.limits.leave_seconds)
            self._transport.abort()
        elif answer is not None:
            self._send(answer, closes=True)
        else:
            self._close()

    def end(self) -> None:
        """What is in progress is answered, and nothing more."""
        self._ending = True
        if self.phase is Phase.HEAD:
            self._transport.close()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    # --- from bytes to a request -------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """With the next request, if it is there and nothing is in its way."""
        self._unread = self._unread.lstrip(b"\r\n")
        try:
            end = find_head(self._unread)
            if end is None:
                if self._half_closed and self._unread:
                    raise Refusal(400, "the request did not come to its end")
                if self._half_closed:
                    self._transport.close()
                return
            head, self._unread = read_head(self._unread[:end]), self._unread[end:]
        except Refusal as refusal:
            self._server.cut("malformed")
            self._refuse(refusal)
            return
        self._fresh = False
        self._enter(Phase.WORKING)
        self._task = self._loop.create_task(self._serve(head))

    async def _serve(self, head: Head) -> None:
        self._trail = read(head.headers.get("x-correlation-id"), head.headers.get("traceparent")) or made()
        CURRENT.set(self._trail)  # for log lines; the task's own context ends with it
        self._body = None
        try:
            answer = await self._answered(head)
        except Refusal as refusal:
            answer = error_answer(refusal.status, str(refusal), refusal.headers)
        except Exception:
            log.exception("a handler failed", extra=self._where(head))
            answer = error_answer(500, INTERNAL)
        finally:
            self._place.leave()
        if self._is_gone():
            return
        whole = head.body_bytes == 0 or self._has_whole_body()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("a request was answered", extra={**self._where(head), "status": answer.status})
        self._send(answer, head=head, closes=not (whole and head.keeps_alive) or self._ending, whole=whole)

    def _has_whole_body(self) -> bool:
        return self._body is not None and self._body.whole

    async def _answered(self, head: Head) -> Answer:
        """Raises Refusal."""
        found = self._find(head)
        name = UNKNOWN if isinstance(found, Refusal) else found.route.name
        approach = Approach(self._remote, head.headers.get("authorization"), self._certificate)
        caller = await self._server.judge.judge(name, approach)
        if isinstance(found, Refusal):  # told to those only who may look
            raise found
        body = await self._read_body(head, found.route)
        request = Request(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=head.headers,
            parts=found.parts,
            body=body,
            remote=self._remote,
            local=self._local,
            secure=self._secure,
            caller=caller,
        )
        return await found.route.handler(request)

    def _find(self, head: Head) -> Found | Refusal:
        try:
            return self._server.routes.find(head.method, head.path)
        except Refusal as refusal:
            return refusal

    def _where(self, head: Head) -> dict[str, object]:
        found = self._find(head)
        return {"method": head.method, "route": "none" if isinstance(found, Refusal) else found.route.path}

    async def _read_body(self, head: Head, route: Route) -> bytes:
        if head.body_bytes == 0:
            return b""
        self._place = Place(route.room)
        try:
            return await self._whole_body(head, route.largest_body)
        except Refusal as refusal:
            self._place.refused(refusal.status)
            raise

    async def _whole_body(self, head: Head, bytes_max: int) -> bytes:
        self._body = body_of(head.body_bytes, bytes_max=bytes_max)
        if self._is_gone():
            raise Refusal(400, NO_BODY)
        if head.expects and not self._unread:
            self._transport.write(_GO_ON)
        self._enter(Phase.BODY, self._server.limits.body_seconds)
        self._body_whole = self._loop.create_future()
        unread, self._unread = self._unread, b""
        self._take(unread)
        if self._half_closed and not self._body.whole:
            self._fail_body(Refusal(400, NO_BODY))
        self._resume_reading()
        await self._body_whole
        return self._body.content()

    def _take(self, data: bytes) -> None:
        assert self._body is not None
        try:
            self._unread = self._body.take(data)
            self._place.take(len(data) - len(self._unread))
        except Refusal as refusal:
            self._fail_body(refusal)
            return
        if self._body.whole:
            self._enter(Phase.WORKING)
            if self._body_whole is not None and not self._body_whole.done():
                self._body_whole.set_result(None)

    def _fail_body(self, refusal: Refusal) -> None:
        self._enter(Phase.WORKING)
        if self._body_whole is not None and not self._body_whole.done():
            self._body_whole.set_exception(refusal)

    # --- from an answer to bytes -------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Whatever is behind cannot be told apart any more."""
        answer = error_answer(refusal.status, str(refusal), refusal.headers)
        self._send(answer, closes=True, whole=False)

    def _send(self, answer: Answer, *, head: Head | None = None, closes: bool, whole: bool = True) -> None:
        """`whole` says that the request was read to its end."""
        self._closes_after = closes
        self._leaves_rest = not whole
        keeps = head is not None and head.old and not closes
        connection = _CLOSE if closes else _KEEP if keeps else b""
        more = {**self._server.judge.headers, CORRELATION: (self._trail or made()).correlation}
        self._trail = None
        start = head_of(answer, more=more, date=self._server.date(), connection=connection)
        body = b"" if head is not None and head.method == "HEAD" else answer.body
        if len(body) <= PIECE_BYTES:
            start, body = start + body, b""
        self._enter(Phase.ANSWERING, self._server.limits.answer_seconds)
        self._outgoing = memoryview(body)
        self._transport.write(start)
        self._write_on()

    def _write_on(self) -> None:
        if self.phase is not Phase.ANSWERING or self._writing_paused:
            return
        if self._outgoing:
            piece, self._outgoing = self._outgoing[:PIECE_BYTES], self._outgoing[PIECE_BYTES:]
            self._transport.write(piece)
            self._loop.call_soon(self._write_on)
            return
        self._sent()

    def _sent(self) -> None:
        self._task = None
        if self._leaves_rest:
            self._leave()
        elif self._closes_after or self._ending:
            self._close()
        else:
            self._enter(Phase.HEAD, self._server.limits.idle_seconds)
            if self._unread or self._half_closed:
                self._enter(Phase.HEAD, self._server.limits.head_seconds)
                self._go_on()
            self._resume_reading()

    def _close(self) -> None:
        self._enter(Phase.LEAVING, self._server.limits.leave_seconds)
        self._transport.close()

    def _leave(self) -> None:
        self._enter(Phase.LEAVING, self._server.limits.leave_seconds)
        self._unread = b""
        if self._half_closed:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._resume_reading()

    # --- phases and flow ---------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, seconds: float | None = None) -> None:
        self.phase = phase
        self.since = self._loop.time()
        self.deadline = None if seconds is None else self.since + seconds
        if self.deadline is not None:
            self._server.watch(self.deadline)

    def _is_gone(self) -> bool:
        return self.phase is Phase.GONE

    def _resume_reading(self) -> None:
        if self._reading_paused and len(self._unread) <= AHEAD_BYTES_MAX and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()
