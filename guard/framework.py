"""A web application of the framework behind doors: opened together, closed gracefully.

A stop takes no new connection, lets requests in progress finish for the grace period, and then cuts them. What every
door shares is that a mistake of ours becomes a logged error with its trace and an answer without details, and that
every refusal is JSON.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from guard.listen import KEEPALIVE_SECONDS, Address, base_urls, open_doors
from guard.trail import CORRELATION, CURRENT, TRACEPARENT, Trail, made, read

log = logging.getLogger("tocsin.listen")

GRACE_SECONDS_MIN = 0.1
_TRAIL = web.RequestKey("tocsin.trail", Trail)
# Not HTTP at all, or a body that breaks off or is not encoded as its headers say.
_SENDERS_MISTAKES = (HttpProcessingError, web.RequestPayloadError)


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
        app.middlewares.insert(0, on_a_trail)
        app.on_response_prepare.append(_name_trail)
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
        servers = await open_doors(connection, addresses, tls=tls)
        yield base_urls(servers, tls=tls is not None)
    finally:
        for server in servers:
            server.close()
        closing = [runner.cleanup()] if front is None else [front.close(grace_seconds), runner.cleanup()]
        await asyncio.gather(*closing)


@web.middleware
async def on_a_trail(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Each request has identifiers, which its answer and its log lines have as well. The requests of a connection share
    a context: so what was there before is put back."""
    trail = trail_of(request) or made()
    request[_TRAIL] = trail
    before = CURRENT.set(trail)
    try:
        response = await handler(request)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("a request was answered", extra={**_where(request), "status": response.status})
        return response
    finally:
        CURRENT.reset(before)


def trail_of(request: web.Request) -> Trail | None:
    """What came with the request, if anything did."""
    return read(_only(request, CORRELATION), _only(request, TRACEPARENT))


def _only(request: web.Request, name: str) -> str | None:
    """Of a header that is there twice, nobody knows which one is meant."""
    values = request.headers.getall(name, ())
    return values[0] if len(values) == 1 else None


async def _name_trail(request: web.Request, response: web.StreamResponse) -> None:
    trail = request.get(_TRAIL)
    if trail is not None:
        response.headers.setdefault(CORRELATION, trail.correlation)


def _where(request: web.Request) -> dict[str, object]:
    route = request.match_info.route.resource
    return {"method": request.method, "route": route.canonical if route else "none"}


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
        log.exception("a handler failed", extra=_where(request))
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
