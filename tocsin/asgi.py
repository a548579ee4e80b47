"""Middleware for any ASGI application: FastAPI, Starlette, Litestar, Quart, Django.

    app.add_middleware(tocsin.asgi.Middleware)        # FastAPI, Starlette
    app = tocsin.asgi.Middleware(app)                 # any other

A request is told when its last byte was handed to the server, so a stream counts to its end, and what runs in the
background after it does not.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any

from tocsin.exchange import CLIENT_IS_GONE, FAILED, ROUTE_KEY, Exchange, Tell
from tocsin.identifiers import CURRENT, accepted
from tocsin.telling import event

# Of applications that are mounted within each other.
MOUNTS_MAX = 10

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Middleware:
    def __init__(self, app: App, *, tell: Tell = event) -> None:
        self.app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await self._request(scope, receive, send)
            case "websocket":
                await self._socket(scope, receive, send)
            case _:
                await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        correlation_id, traceparent = _headers(scope)
        above = scope.get("root_path", "")
        outer = scope.get("app") or self.app
        exchange = Exchange(
            scope["method"],
            scope.get("scheme", ""),
            correlation_id=correlation_id,
            traceparent=traceparent,
            tell=self._tell,
        )
        status = 0
        is_gone = False

        async def received() -> Message:
            nonlocal is_gone
            message = await receive()
            if message["type"] == "http.disconnect":
                is_gone = True
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_answered(exchange)]}
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                exchange.end(status, route_of(scope, outer, above))

        try:
            await self.app(scope, received, sent)
        except CancelledError:  # the client has left, or the server stops
            is_gone = True
            raise
        except Exception as error:
            exchange.failed(type(error))
            status = status or FAILED
            raise
        finally:
            if not exchange.is_over:
                exchange.end(status or (CLIENT_IS_GONE if is_gone else FAILED), route_of(scope, outer, above))
            exchange.leave()

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        tell = self._tell
        CURRENT.set(accepted(*_headers(scope)))
        opened_at: float | None = None
        is_answered = False

        async def received() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                tell("websocket_message", direction="received")
            elif message["type"] == "websocket.disconnect":
                closed()
            return message

        async def sent(message: Message) -> None:
            nonlocal opened_at, is_answered
            match message["type"]:
                case "websocket.accept" if not is_answered:
                    await send(message)
                    is_answered = True
                    opened_at = perf_counter()
                    tell("websocket_attempt", accepted=True)
                    tell("websocket_opened")
                    return
                case "websocket.close" | "websocket.http.response.start" if not is_answered:
                    is_answered = True
                    status = message.get("status", 403)
                    tell("websocket_attempt", accepted=False, rejection_reason=f"status_{status}")
                case "websocket.close":
                    closed()
                case "websocket.send":
                    tell("websocket_message", direction="sent")
            await send(message)

        def closed() -> None:
            nonlocal opened_at
            if opened_at is not None:
                tell("websocket_closed", duration_seconds=round(perf_counter() - opened_at, 6))
                opened_at = None

        try:
            await self.app(scope, received, sent)
        except Exception as error:
            tell("error", error_type=type(error).__name__, component="websocket")
            if not is_answered:
                tell("websocket_attempt", accepted=False, rejection_reason="status_500")
            raise
        finally:
            closed()
            CURRENT.set(None)


def route_of(scope: Scope, outer: object, above: str) -> str | None:
    """The template of the route that answered. `outer` is the application, `above` the root path it was called with."""
    said = scope.get(ROUTE_KEY) or scope.get("path_template")
    if said:
        return str(said)
    routes = getattr(outer, "routes", ())
    route = scope.get("route")
    path = None if route is None or hasattr(route, "routes") else getattr(route, "path", None)
    mounted = scope.get("root_path", "")[len(above) :]
    if mounted:
        prefix = _template(routes, mounted)
        return None if prefix is None else prefix + (path or "/{path}")
    if path is None and (endpoint := scope.get("endpoint")) is not None:
        found = (each for each in routes if getattr(each, "endpoint", None) is endpoint)
        path = getattr(next(found, None), "path", None)
    return path


def _template(routes: Sequence[object], path: str) -> str | None:
    """Of the mounts under which an application was found."""
    template = ""
    for _ in range(MOUNTS_MAX):
        for route in routes:
            pattern = getattr(route, "path_regex", None)
            found = pattern.match(path + "/") if hasattr(route, "routes") and pattern is not None else None
            if found is not None:
                break
        else:
            return None
        template += getattr(route, "path", "")
        path = "/" + found.groupdict().get("path", "").rstrip("/")
        if path == "/":
            return template
        routes = getattr(route, "routes", ())
    return None


def _headers(scope: Scope) -> tuple[str, str]:
    """Of several of a name, the first."""
    correlation_id = traceparent = b""
    for name, value in scope.get("headers", ()):
        if name == b"x-correlation-id":
            correlation_id = correlation_id or value
        elif name == b"traceparent":
            traceparent = traceparent or value
    return correlation_id.decode("latin-1"), traceparent.decode("latin-1")


def _answered(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    ids = exchange.ids
    return [(b"x-correlation-id", ids.correlation_id.encode()), (b"traceparent", ids.traceparent.encode())]
