"""Opening a program's doors, closing them gracefully, and the loop that both happen in.

A stop takes no new connection, lets requests in progress finish for the grace period, and then cuts them.
Nothing here knows what a door does; what every door shares is that a mistake of ours becomes a logged error
with its trace and an answer without details, and that every refusal is JSON.
"""

import asyncio
import errno
import logging
import os
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

log = logging.getLogger("tocsin.listen")
T = TypeVar("T")

# Alertmanager keeps idle connections for five minutes. Were ours the shorter, a webhook would now and then
# meet a connection that is just being closed.
KEEPALIVE_SECONDS = 360.0
GRACE_SECONDS_MIN = 0.1
# Connections that the kernel holds for us: after a restart Alertmanager flushes every group at once.
BACKLOG = 1024
# Whoever begins to speak TLS and does not go on is cut off.
HANDSHAKE_SECONDS_MAX = 10.0

# Not HTTP at all, or a body that breaks off or is not encoded as its headers say.
_SENDERS_MISTAKES = (HttpProcessingError, web.RequestPayloadError)
_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:/@\s]*)):(?P<port>[0-9]{1,5})")
_REASONS = {
    errno.EADDRINUSE: "the port is taken (is another tocsin running?)",
    errno.EACCES: "not permitted (ports below 1024 need a privilege)",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}


class CannotListen(Exception):
    """A door could not be opened; the text names the address and the reason."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. No host means every interface; port 0 means any free port."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """`127.0.0.1:29100`, `[::1]:29100`, or `:29100` for every interface."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        forms = "HOST:PORT such as 127.0.0.1:29100, [::1]:29100, or :29100 for every interface"
        raise ValueError(f"found {text!r}, expected {forms}")
    return Address(match["bracketed"] or match["plain"] or None, int(match["port"]))


class Front(Protocol):
    """Stands before the web framework, and hands connections over to it."""

    def connection(self, behind: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """For a new connection. `behind` makes what it is handed over to: `transport.set_protocol`, `connection_made`,
        and `data_received` with every byte that was not answered."""
        ...

    async def close(self, grace_seconds: float) -> None:
        """Ends its connections, gracefully at first. Those that were handed over are not its own."""
        ...


@asynccontextmanager
async def listening(
    app: web.Application,
    addresses: Sequence[Address],
    *,
    grace_seconds: float,
    front: Front | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[str, ...]]:
    """Serves `app` at every address, or at none of them; yields the base URLs that are really bound."""
    if json_errors not in app.middlewares:
        app.middlewares.insert(0, json_errors)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_ServerLog(log),
        keepalive_timeout=KEEPALIVE_SECONDS,
        # A sender that hangs up must not leave half of a handler's work behind.
        handler_cancellation=False,
        # aiohttp waits this long twice, before and after it interrupts the reading of a body, and takes
        # zero for "without end".
        shutdown_timeout=max(grace_seconds, GRACE_SECONDS_MIN) / 2,
    )
    servers: list[asyncio.Server] = []
    try:
        await runner.setup()
        behind = cast("Callable[[], asyncio.Protocol]", runner.server)
        connection = behind if front is None else partial(front.connection, behind)
        for address in addresses:
            server = await _open(connection, address, tls)
            servers.append(server)
        bound = [each.getsockname() for server in servers for each in server.sockets]
        yield tuple(dict.fromkeys(_base_url(each, "http" if tls is None else "https") for each in bound))
    finally:
        for server in servers:
            server.close()
        closing = [runner.cleanup()] if front is None else [front.close(grace_seconds), runner.cleanup()]
        await asyncio.gather(*closing)


async def signals(*, on_reload: Callable[[], None] | None) -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; SIGHUP calls `on_reload`, and without one it stops as well.

    A second signal does nothing more: a program below `tocsin up` gets one from the terminal and one from
    its parent, and must not die of that. The grace period bounds the wait.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, on_reload or stop.set)
    return stop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a program to its end on the fast event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal is `{"error": …}`; an unexpected exception is logged whole, answered without details."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400 or refusal.content_type == "application/json":
            raise
        return _refused(refusal)
    except _SENDERS_MISTAKES:
        return web.json_response({"error": "the body cannot be read"}, status=400)
    except Exception as error:
        # Nobody is left to answer. aiohttp expects this error and drops it.
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise
        route = request.match_info.route.resource
        where = {"method": request.method, "route": route.canonical if route else "none"}
        log.exception("a handler failed", extra=where)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun, and there cannot be a second one") from error
        return web.json_response({"error": "internal error; the log of this process says more"}, status=500)


class _ServerLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs. A request that is no HTTP is the sender's mistake, and what it holds may be secret."""

    def log(self, level: int, msg: object, *args: object, exc_info: Any = None, **more: Any) -> None:
        if isinstance(exc_info, _SENDERS_MISTAKES):
            self.logger.debug("a request was no HTTP", extra={"kind": type(exc_info).__name__})
        else:
            super().log(level, msg, *args, exc_info=exc_info, **more)


def _refused(refusal: web.HTTPException) -> web.Response:
    unsaid = refusal.text in (None, "", f"{refusal.status}: {refusal.reason}")
    response = web.json_response({"error": refusal.reason.lower() if unsaid else refusal.text}, status=refusal.status)
    for name, value in refusal.headers.items():
        if name.lower() not in ("content-type", "content-length"):
            response.headers.add(name, value)
    return response


async def _open(
    connection: Callable[[], asyncio.Protocol], address: Address, tls: ssl.SSLContext | None
) -> asyncio.Server:
    open_ = partial(
        asyncio.get_running_loop().create_server,
        connection,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=None if tls is None else HANDSHAKE_SECONDS_MAX,
    )
    try:
        if address.host is None:
            return await open_(sock=_every_interface(address.port))
        return await open_(host=address.host, port=address.port)
    except socket.gaierror:
        raise CannotListen(f"cannot listen on {address}: {address.host!r} is not a known host") from None
    except OSError as error:
        code = error.errno or 0
        reason = _REASONS.get(code) or (os.strerror(code) if code else str(error))
        raise CannotListen(f"cannot listen on {address}: {reason}") from None


def _every_interface(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, so that any free port is the same port for both."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            # A kernel may know IPv6 and yet have no address for it, as in many containers.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))


def _base_url(bound: tuple[Any, ...], scheme: str) -> str:
    host, port = str(bound[0]), bound[1]
    if host in ("::", "0.0.0.0"):  # noqa: S104 - only recognised here, never asked for
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
