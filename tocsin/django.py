"""Middleware for Django, under WSGI and under ASGI.

    MIDDLEWARE = ["tocsin.django.Middleware", ...]        # the first one

A request is told when Django closes its answer, so a stream counts to its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from tocsin.exchange import CLIENT_IS_GONE, FAILED, Exchange, Tell
from tocsin.telling import event


class Middleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any], *, tell: Tell = event) -> None:
        self._get_response = get_response
        self._tell = tell
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._later(request)
        exchange = self._begun(request)
        try:
            response = self._get_response(request)
        except BaseException as error:
            self._broken(exchange, request, error)
            raise
        return self._answered(exchange, request, response)

    async def _later(self, request: Any) -> Any:
        exchange = self._begun(request)
        waiting: Awaitable[Any] = self._get_response(request)
        try:
            response = await waiting
        except BaseException as error:
            self._broken(exchange, request, error)
            raise
        return self._answered(exchange, request, response)

    def process_exception(self, request: Any, exception: Exception) -> None:
        """Django makes an answer of it before it comes as far as our call."""
        exchange = getattr(request, "_tocsin_exchange", None)
        if exchange is not None:
            exchange.failed(type(exception))

    def _begun(self, request: Any) -> Exchange:
        request._tocsin_exchange = exchange = Exchange(
            request.method or "",
            request.scheme,
            correlation_id=request.headers.get("X-Correlation-ID", ""),
            traceparent=request.headers.get("traceparent", ""),
            tell=self._tell,
        )
        return exchange

    def _broken(self, exchange: Exchange, request: Any, error: BaseException) -> None:
        if isinstance(error, Exception):
            exchange.failed(type(error))
        exchange.end(FAILED if isinstance(error, Exception) else CLIENT_IS_GONE, route_of(request))
        exchange.leave()

    def _answered(self, exchange: Exchange, request: Any, response: Any) -> Any:
        response.headers["X-Correlation-ID"] = exchange.ids.correlation_id
        response.headers["traceparent"] = exchange.ids.traceparent

        def end() -> None:
            exchange.end(response.status_code, route_of(request))
            exchange.leave()

        # As Django does itself for what has to be closed with an answer.
        response._resource_closers.append(end)
        return response


def route_of(request: Any) -> str | None:
    match = getattr(request, "resolver_match", None)
    return None if match is None else f"/{match.route.lstrip('^').lstrip('/')}"
