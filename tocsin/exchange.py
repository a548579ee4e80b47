"""What is told of one HTTP request, whichever server and framework answers it: two events, and one more when it fails.

Only the template of a route is told, never a path: paths are endless, and people are in them.
"""

from __future__ import annotations

from time import perf_counter
from typing import Protocol

from tocsin.identifiers import CURRENT, accepted

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
OTHER = "OTHER"
UNMATCHED = "unmatched"
# Where a framework does not tell its routes: whoever knows the template writes it here, into the scope or the environ.
ROUTE_KEY = "tocsin.route"
# What nginx says of a client that did not wait for an answer.
CLIENT_IS_GONE = 499
FAILED = 500


class Tell(Protocol):
    def __call__(self, event: str, /, **fields: object) -> None: ...


class Exchange:
    """One request, from its beginning to its end. While it lasts, events and log lines have its identifiers."""

    __slots__ = ("_began", "_method", "_scheme", "_tell", "ids", "is_over")

    def __init__(self, method: str, scheme: str, *, correlation_id: str, traceparent: str, tell: Tell) -> None:
        self._method = method if method in METHODS else OTHER
        self._scheme = "https" if scheme == "https" else "http"
        self._tell = tell
        self.is_over = False
        self.ids = accepted(correlation_id, traceparent)
        CURRENT.set(self.ids)
        self._began = perf_counter()
        tell("http_request_started", method=self._method, scheme=self._scheme)

    def failed(self, error: type[BaseException]) -> None:
        self._tell("error", error_type=error.__name__, component="http")

    def end(self, status: int, route: str | None) -> None:
        """Told once: whoever comes later is not heard."""
        if not self.is_over:
            self.is_over = True
            self._tell(
                "http_request",
                method=self._method,
                scheme=self._scheme,
                route=route or UNMATCHED,
                status=status,
                duration_seconds=round(perf_counter() - self._began, 6),
                started=True,
            )

    def leave(self) -> None:
        """What comes after belongs to another request, or to none."""
        CURRENT.set(None)
