"""Alertmanager's door. 200 means: on disk. 503 means: come back, Alertmanager will. 4xx means: it would be no
use to come back; what could not be understood is set aside for the person who wants to know why."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import NoReturn

from aiohttp import web

from receiver.alert import InvalidPayload, parse
from receiver.clock import Clock
from receiver.doors.answers import answer, refuse
from receiver.entry import AlertsReceived
from receiver.metrics import Metrics
from receiver.runner import Overloaded, Runner
from receiver.sources import Sources, Unwelcome
from receiver.store import SetAside, Store, StoreFailed

log = logging.getLogger("tocsin.receiver")

# 20,000 alerts are about 15 MB.
BODY_BYTES_MAX = 64 * 1024 * 1024
SET_ASIDE_BYTES_MAX = 64 * 1024
ARRIVING_BYTES_MAX = 512 * 1024 * 1024
# Alertmanager's next peer begins to send after 15 seconds; a sender that needs longer for a body is in trouble.
BODY_SECONDS_MAX = 15.0
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}


class WebhookDoor:
    """POST /webhook/SOURCE. `sources` is replaced when the policy is loaded anew."""

    def __init__(
        self,
        *,
        runner: Runner,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        body_seconds_max: float = BODY_SECONDS_MAX,
        arriving_bytes_max: int = ARRIVING_BYTES_MAX,
    ) -> None:
        self._runner = runner
        self._store = store
        self.sources = Sources({})  # nobody, until a policy says who
        self._metrics = metrics
        self._clock = clock
        self._body_seconds_max = body_seconds_max
        self._arriving_bytes_max = arriving_bytes_max
        self._arriving_bytes = 0

    async def post(self, request: web.Request) -> web.Response:
        began = perf_counter()
        self._metrics.webhooks.inc()
        source = request.match_info["source"]
        self._admit(request, source)
        body = await self._body(request)
        try:
            notification = parse(body)
        except InvalidPayload as error:
            await self._set_aside(source, error, body)
            self._refuse(400, error.reason, str(error))
        try:
            position = await self._runner.submit(AlertsReceived(source, body, notification))
        except StoreFailed as error:
            self._refuse(503, "store", f"it could not be written to disk ({error}): send it again")
        self._metrics.webhook_seconds.observe(perf_counter() - began)
        return answer({"accepted": len(notification.alerts), "position": position})

    def _admit(self, request: web.Request, source: str) -> None:
        """Before a byte of the body is read."""
        try:
            self.sources.admit(source, remote=request.remote, authorization=request.headers.get("Authorization"))
            self._runner.check_load()
        except Unwelcome as error:
            self._refuse(error.status, error.reason, str(error))
        except Overloaded as error:
            self._refuse(503, error.reason, f"too much at once ({error}): send it again")

    async def _body(self, request: web.Request) -> bytes:
        """The whole body, within a time and with a limit on what all bodies together may take while they arrive."""
        encoded = request.content_length is None or "Content-Encoding" in request.headers
        size = BODY_BYTES_MAX if encoded else request.content_length or 0
        if self._arriving_bytes and self._arriving_bytes + size > self._arriving_bytes_max:
            self._refuse(503, "arriving", "too many bodies arrive at once: send it again")
        self._arriving_bytes += size
        try:
            async with asyncio.timeout(self._body_seconds_max):
                return await request.read()
        except TimeoutError:
            self._refuse(503, "slow", f"the body did not arrive within {self._body_seconds_max:g} seconds")
        except web.HTTPRequestEntityTooLarge as error:
            self._metrics.webhooks_refused.labels("too_large").inc()
            error.text = f"the body is larger than {BODY_BYTES_MAX} bytes: use max_alerts or smaller groups"
            raise
        except web.HTTPException:
            raise
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            self._refuse(400, "unreadable", f"the body could not be read: {type(error).__name__}")
        finally:
            self._arriving_bytes -= size

    async def _set_aside(self, source: str, error: InvalidPayload, body: bytes) -> None:
        log.warning("a webhook was not understood", extra={"source": source, "error": str(error)})
        try:
            await self._store.set_aside(
                SetAside(self._clock.now(), source, error.reason, str(error), body[:SET_ASIDE_BYTES_MAX])
            )
        except StoreFailed:
            log.warning("and could not be set aside: the store cannot be written")

    def _refuse(self, status: int, reason: str, text: str) -> NoReturn:
        self._metrics.webhooks_refused.labels(reason).inc()
        refuse(status, text, headers=_HEADERS.get(status, {}))
