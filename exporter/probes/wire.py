"""A connection of a probe: whatever comes is bounded, and whatever happens, it is gone with the probe.

Nothing here has a time-out of its own: the probe has one, and ends whatever it waits for.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from exporter.probes.attempt import Failed
from exporter.probes.targets import Place

# Of what has come and is not read yet: then no more is taken from the kernel.
AHEAD_BYTES_MAX = 262_144

_NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


class Wire(asyncio.Protocol):
    """The bytes of one connection, in both directions."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._ended = False
        self._lost: Exception | None = None
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    # --- what the loop calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class, and one in everything else.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > AHEAD_BYTES_MAX and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._lost = error
        self._wake()

    # --- what probers call -------------------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def ahead(self) -> int:
        """How many bytes have come that nobody has read."""
        return len(self._unread)

    @property
    def ended(self) -> bool:
        """Whether the other end has said all, and all of it was read."""
        return self._ended and not self._unread

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def some(self, bytes_max: int = AHEAD_BYTES_MAX) -> bytes:
        """What has come, at least one byte; nothing at the end. Raises Failed where the connection is reset."""
        while not self._unread:
            if self._lost is not None:
                raise failed(self._lost)
            if self._ended:
                return b""
            self._resume()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        found = bytes(self._unread[:bytes_max])
        del self._unread[:bytes_max]
        self._resume()
        return found

    async def exactly(self, size: int) -> bytes:
        """Raises Failed where the connection ends before."""
        found = bytearray()
        while len(found) < size:
            part = await self.some(size - len(found))
            if not part:
                raise Failed("closed", "the connection was ended in the middle of an answer")
            found += part
        return bytes(found)

    async def line(self, bytes_max: int) -> bytes:
        """Up to the end of a line, without it; what is left at the end of the connection. Raises Failed."""
        found = bytearray()
        while True:
            part = await self.some()
            if not part:
                return bytes(found)
            head, newline, rest = part.partition(b"\n")
            found += head
            if len(found) > bytes_max:
                raise Failed("too_large", f"a line has more than {bytes_max} bytes")
            if newline:
                self._unread[:0] = rest
                return bytes(found).removesuffix(b"\r")

    async def start_tls(self, context: ssl.SSLContext, server_name: str, *, seconds: float) -> ssl.SSLObject:
        """Speaks TLS from here on. Raises Failed."""
        if self._unread:
            # It would be taken for what came under protection.
            raise Failed("protocol", "something came where TLS was to begin")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self.transport,
                self,
                context,
                server_hostname=server_name,
                ssl_handshake_timeout=max(seconds, 0.001),
                ssl_shutdown_timeout=0.1,
            )
        except OSError as error:
            raise failed(error) from None
        except ValueError:
            raise Failed("tls", "the name that the certificate is to be for cannot be one") from None
        if transport is None:
            raise Failed("closed", "the connection was ended in the middle of the handshake")
        self._transport = transport
        return cast(ssl.SSLObject, transport.get_extra_info("ssl_object"))

    def end(self) -> None:
        """At once, without a word to the other end."""
        if self._transport is not None:
            self._transport.abort()

    def _resume(self) -> None:
        if self._paused and len(self._unread) <= AHEAD_BYTES_MAX // 2 and not self._ended:
            self._paused = False
            self.transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Wire]:
    """Raises Failed."""
    wire = Wire()
    loop = asyncio.get_running_loop()
    try:
        try:
            if place.address is None:
                await loop.create_unix_connection(lambda: wire, place.path)
            else:
                await loop.create_connection(lambda: wire, str(place.address), place.port)
        except OSError as error:
            raise failed(error) from None
        yield wire
    finally:
        with suppress(RuntimeError):
            wire.end()


def failed(error: Exception) -> Failed:
    """In words that name no address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("tls", f"the certificate is not to be believed: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return Failed("tls", f"no TLS: {(error.reason or 'the handshake failed').replace('_', ' ').lower()}")
    if isinstance(error, ConnectionRefusedError):
        return Failed("refused", "nobody listens there")
    if isinstance(error, TimeoutError):
        return Failed("timeout", "the connection was not made in time")
    if isinstance(error, FileNotFoundError):
        return Failed("refused", "there is no such socket")
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return Failed("unreachable", f"no way there: {error.strerror}")
    words = error.strerror if isinstance(error, OSError) and error.strerror else "the connection was ended"
    return Failed("closed", words)
