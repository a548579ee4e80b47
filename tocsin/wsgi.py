"""Middleware for any WSGI application: Flask, Bottle, Pyramid. For Django there is tocsin/django.py.

    app.wsgi_app = tocsin.wsgi.Middleware(app.wsgi_app)        # Flask
    application = tocsin.wsgi.Middleware(application)          # any other

A request is told when the server has closed what the application returned, so a stream counts to its end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tocsin.exchange import FAILED, ROUTE_KEY, Exchange, Tell
from tocsin.telling import event

_KEY = "tocsin.answer"

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Middleware:
    def __init__(self, app: App, *, tell: Tell = event) -> None:
        self.app = app
        self._tell = tell
        # Flask makes an answer of what fails, and says so to whoever asked.
        flask, owner = sys.modules.get("flask"), getattr(app, "__self__", None)
        if flask is not None and isinstance(owner, flask.Flask):
            flask.got_request_exception.connect(self._failed_in_flask, owner)

    def _failed_in_flask(self, app: Any, exception: BaseException, **_: Any) -> None:  # noqa: ARG002
        answer = sys.modules["flask"].request.environ.get(_KEY)
        if answer is not None:
            answer.fail(type(exception))

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        exchange = Exchange(
            environ.get("REQUEST_METHOD", ""),
            environ.get("wsgi.url_scheme", ""),
            correlation_id=environ.get("HTTP_X_CORRELATION_ID", ""),
            traceparent=environ.get("HTTP_TRACEPARENT", ""),
            tell=self._tell,
        )
        environ[_KEY] = answer = _Answer(exchange, environ)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            answer.status = int(status[:3])
            # Flask takes its request away again before the server closes the answer.
            answer.route = route_of(environ)
            if exc_info and exc_info[0]:
                answer.fail(exc_info[0][0])
            ids = exchange.ids
            more = [("X-Correlation-ID", ids.correlation_id), ("traceparent", ids.traceparent)]
            return start_response(status, [*headers, *more], *exc_info)

        try:
            answer.body = self.app(environ, start)
        except Exception as error:
            answer.fail(type(error))
            answer.close()
            raise
        # A server may send a file in a way of its own, if it is given just that.
        if type(answer.body) is environ.get("wsgi.file_wrapper"):
            answer.finish()
            return answer.body
        return answer


class _Answer:
    def __init__(self, exchange: Exchange, environ: Environ) -> None:
        self._exchange = exchange
        self._environ = environ
        self.route: str | None = None
        self._has_failed = False
        self.body: Iterable[bytes] = ()
        self.status = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.body
        except Exception as error:
            self.fail(type(error))
            raise

    def close(self) -> None:
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            self.finish()

    def fail(self, error: type[BaseException]) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._exchange.failed(error)

    def finish(self) -> None:
        self._exchange.end(self.status or FAILED, self._environ.get(ROUTE_KEY) or self.route)
        self._exchange.leave()


def route_of(environ: Environ) -> str | None:
    """The template of the route that answered, where the framework tells."""
    said = environ.get(ROUTE_KEY)
    if said:
        return str(said)
    flask = getattr(environ.get("werkzeug.request"), "url_rule", None)
    found = getattr(flask, "rule", None) or getattr(environ.get("bottle.route"), "rule", None)
    return None if found is None else str(found)
