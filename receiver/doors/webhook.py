"""Alertmanager's door. 200 means: on disk. 503 means: come back, Alertmanager will. 4xx means: it would be no
use to come back; what could not be understood is set aside for the person who wants to know why.

What is decided here knows nothing of a web framework: `admit`, `reserve` and `take` are values in, an answer out. Two
ways lead to it, with the same answers: `post`, for whatever HTTP there is, and quick.py, for what Alertmanager sends.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Mapping
from time import perf_counter

import msgspec
from aiohttp import web

from guard.access import Approach
from guard.doorkeeper import approach_of
from guard.framework import trail_of
from guard.judge import Use, ignore_use
from guard.trail import CORRELATION, CURRENT, Trail, made
from receiver.alert import InvalidPayload, parse
from receiver.clock import Clock
from receiver.doors.answers import answer, refuse
from receiver.entry import AlertsReceived, Entry
from receiver.message import entry_named
from receiver.metrics import Metrics
from receiver.runner import Overloaded, Runner
from receiver.sources import Sources, Unwelcome
from receiver.store import SetAside, Store, StoreFailed

log = logging.getLogger("tocsin.receiver")

DOOR = "POST /webhook/{source}"
# 20,000 alerts are about 15 MB.
BODY_BYTES_MAX = 64 * 1024 * 1024
SET_ASIDE_BYTES_MAX = 64 * 1024
ARRIVING_BYTES_MAX = 512 * 1024 * 1024
# Alertmanager's next peer begins to send after 15 seconds; a sender that needs longer for a body is in trouble.
BODY_SECONDS_MAX = 15.0
_RETRY = {503: {"Retry-After": "5"}}


class Accepted(msgspec.Struct, frozen=True):
    """It is on disk: what the sender is told."""

    accepted: int
    position: int


class Refused(Exception):
    """It is not taken. `reason` is a bounded word for the metric; the text is for the sender."""

    def __init__(self, status: int, reason: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers or _RETRY.get(status, {})
        super().__init__(text)


# What became of a webhook; another exception is a mistake of ours.
Outcome = Accepted | Exception


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
        on_use: Callable[[Use], None] = ignore_use,
    ) -> None:
        self._runner = runner
        self._store = store
        self.sources = Sources({})  # nobody, until a policy says who
        self._metrics = metrics
        self._clock = clock
        self._on_use = on_use
        self.body_seconds_max = body_seconds_max
        self._arriving_bytes_max = arriving_bytes_max
        self.arriving_bytes = 0  # of bodies that are not whole yet
        self._setting_aside: set[asyncio.Task[None]] = set()

    # --- what is decided about a webhook, however it came -----------------------------------------------------

    def came(self) -> None:
        """A webhook came; it is counted once, whatever becomes of it."""
        self._metrics.webhooks.inc()

    def refused(self, refusal: Refused) -> None:
        """It is answered with this refusal."""
        self._metrics.webhooks_refused.labels(refusal.reason).inc()

    def admit(self, source: str, approach: Approach) -> None:
        """Before a byte of the body is read. Raises Refused; and Unverified where a password comes for the first time:
        that takes longer, and `admit_slowly` answers."""
        try:
            self.sources.admit(source, approach)
        except Unwelcome as error:
            raise self._turned_away(error, approach) from None
        self.check_load()

    async def admit_slowly(self, source: str, approach: Approach) -> None:
        """The same. Raises Refused."""
        try:
            await self.sources.admit_slowly(source, approach)
        except Unwelcome as error:
            raise self._turned_away(error, approach) from None
        self.check_load()

    def _turned_away(self, error: Unwelcome, approach: Approach) -> Refused:
        if error.login:
            self._on_use(Use(error.name, None, approach.remote or "", DOOR, refused=True))
        return Refused(error.status, error.reason, str(error), error.headers)

    def check_load(self) -> None:
        """Again when a body that came in pieces is whole: those that came at the same time may have been too much.
        Raises Refused."""
        try:
            self._runner.check_load()
        except Overloaded as error:
            raise Refused(503, error.reason, f"too much at once ({error}): send it again") from None

    def reserve(self, size: int) -> None:
        """Room for a body while it arrives; `release` gives it back. Raises Refused."""
        if self.arriving_bytes and self.arriving_bytes + size > self._arriving_bytes_max:
            raise Refused(503, "arriving", "too many bodies arrive at once: send it again")
        self.arriving_bytes += size

    def release(self, size: int) -> None:
        self.arriving_bytes -= size

    def too_slow(self) -> Refused:
        return Refused(503, "slow", f"the body did not arrive within {self.body_seconds_max:g} seconds")

    def named(self, accepted: Accepted) -> str:
        """What a webhook is found again by that came without anything: its place in the journal."""
        return entry_named(self._runner.state.journal, accepted.position)

    def take(
        self, source: str, body: bytes, *, began: float, came: Trail | None, reply: Callable[[Outcome], None]
    ) -> None:
        """Calls `reply` once: when it is on disk, when it cannot be, or when it was set aside. `began` is when its
        head was there, by perf_counter; `came` is what it is to be found again by."""
        try:
            notification = parse(body)
        except InvalidPayload as error:
            task = asyncio.create_task(self._set_aside(source, error, body, came, reply))
            self._setting_aside.add(task)
            task.add_done_callback(self._setting_aside.discard)
            return
        alerts = len(notification.alerts)

        def written(done: Future[Entry]) -> None:
            error = done.exception()
            if error is None:
                self._metrics.webhook_seconds.observe(perf_counter() - began)
                reply(Accepted(alerts, done.result().position))
            elif isinstance(error, StoreFailed):
                reply(Refused(503, "store", f"it could not be written to disk ({error}): send it again"))
            else:
                reply(RuntimeError("the store raised what it should not", error))

        fact = AlertsReceived(source, body, notification, *came) if came else AlertsReceived(source, body, notification)
        self._runner.append(fact).add_done_callback(written)

    async def _set_aside(
        self, source: str, error: InvalidPayload, body: bytes, came: Trail | None, reply: Callable[[Outcome], None]
    ) -> None:
        # The task's own context, in which the answer is made as well. The framework's way has it already.
        CURRENT.set(came or CURRENT.get() or made())
        log.warning("a webhook was not understood", extra={"source": source, "error": str(error)})
        try:
            await self._store.set_aside(
                SetAside(self._clock.now(), source, error.reason, str(error), body[:SET_ASIDE_BYTES_MAX])
            )
        except StoreFailed:
            log.warning("and could not be set aside: the store cannot be written")
        reply(Refused(400, error.reason, str(error)))

    # --- as a handler of the web framework ---------------------------------------------------------------------

    async def post(self, request: web.Request) -> web.Response:
        began = perf_counter()
        self.came()
        source, came = request.match_info["source"], trail_of(request)
        try:
            await self.admit_slowly(source, approach_of(request))
            body = await self._body(request)
            self.check_load()
            outcome = await self._taken(source, body, began, came)
            if not isinstance(outcome, Accepted):
                raise outcome
            response = answer(outcome)
            response.headers[CORRELATION] = came.correlation if came else self.named(outcome)
            return response
        except Refused as refusal:
            self.refused(refusal)
            refuse(refusal.status, str(refusal), headers=refusal.headers)

    async def _taken(self, source: str, body: bytes, began: float, came: Trail | None) -> Outcome:
        known: Future[Outcome] = asyncio.get_running_loop().create_future()
        # Whoever waits may have been cut off at the end of the grace period.
        reply: Callable[[Outcome], None] = lambda outcome: None if known.done() else known.set_result(outcome)  # noqa: E731
        self.take(source, body, began=began, came=came, reply=reply)
        return await known

    async def _body(self, request: web.Request) -> bytes:
        """The whole body, within a time and with a limit on what all bodies together may take while they arrive."""
        encoded = request.content_length is None or "Content-Encoding" in request.headers
        size = BODY_BYTES_MAX if encoded else request.content_length or 0
        self.reserve(size)
        try:
            if request.content.is_eof():  # it came together with the head, as small bodies do
                return await request.read()
            async with asyncio.timeout(self.body_seconds_max):
                return await request.read()
        except TimeoutError:
            raise self.too_slow() from None
        except web.HTTPRequestEntityTooLarge as error:
            self._metrics.webhooks_refused.labels("too_large").inc()
            error.text = f"the body is larger than {BODY_BYTES_MAX} bytes: use max_alerts or smaller groups"
            raise
        except web.HTTPException:
            raise
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            raise Refused(400, "unreadable", f"the body could not be read: {type(error).__name__}") from None
        finally:
            self.release(size)
