"""Requests that prove by a signature who sent them: read whole, within limits, and believed only if a secret fits.

Every secret is tried, all comparisons take the same time, and no secret is kept: its file is read for each request.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from aiohttp import web

from guard.secretfile import secret_in
from guard.tokens import Unreadable
from receiver.doors.answers import RETRY, answer

log = logging.getLogger("tocsin.receiver")

# Slack sends the whole message back with a press.
BODY_BYTES_MAX = 1024 * 1024
ARRIVING_BYTES_MAX = 16 * 1024 * 1024
BODY_SECONDS_MAX = 2.0
LATELY_MAX = 10_000
COMPLAINTS_SECONDS = 10.0


class NotTaken(Exception):
    """The answer is `status`. `outcome` is a bounded word for the metric; the text is for the sender."""

    def __init__(self, status: int, outcome: str, text: str) -> None:
        self.status = status
        self.outcome = outcome
        super().__init__(text)


def refusal(error: NotTaken) -> web.Response:
    response = answer({"error": str(error)}, status=error.status)
    response.headers.update(RETRY if error.status == 503 else {})
    return response


class Complaints:
    """What was not taken is counted each time, and logged now and then: whoever knocks often fills no disk."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._rests_until: dict[str, float] = {}  # by outcome, by the loop's clock

    def log(self, error: NotTaken, *, remote: str | None) -> None:
        now = asyncio.get_running_loop().time()
        if self._rests_until.get(error.outcome, now) > now:
            return
        self._rests_until[error.outcome] = now + COMPLAINTS_SECONDS
        extra = {"from": self._sender, "outcome": error.outcome, "reason": str(error), "remote": remote}
        log.warning("a signed request was not taken", extra=extra)


class Arriving:
    """Bodies on their way in: who is at the other end is not known before a body is whole. Only what has come counts,
    so that whoever sends nothing keeps nobody out."""

    def __init__(self, *, seconds_max: float = BODY_SECONDS_MAX, arriving_bytes_max: int = ARRIVING_BYTES_MAX) -> None:
        self._seconds_max = seconds_max
        self._arriving_bytes_max = arriving_bytes_max
        self._bytes = 0

    async def body(self, request: web.Request) -> bytes:
        """The very bytes that were signed. Raises NotTaken."""
        if "Content-Encoding" in request.headers:
            raise NotTaken(400, "malformed", "the body is compressed, and what was signed is not known")
        if (request.content_length or 0) > BODY_BYTES_MAX:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds_max):
                async for chunk in request.content.iter_chunked(65_536):
                    body += chunk
                    self._bytes += len(chunk)
                    if len(body) > BODY_BYTES_MAX:
                        raise self._too_large()
                    if self._bytes > self._arriving_bytes_max:
                        raise NotTaken(503, "busy", "too many bodies arrive at once: send it again")
        except TimeoutError:
            raise NotTaken(503, "busy", f"the body did not arrive within {self._seconds_max:g} seconds") from None
        except (web.RequestPayloadError, ConnectionError, ValueError) as error:
            raise NotTaken(400, "malformed", f"the body could not be read: {type(error).__name__}") from None
        finally:
            self._bytes -= len(body)
        return bytes(body)

    def _too_large(self) -> NotTaken:
        return NotTaken(413, "too_large", f"the body is larger than {BODY_BYTES_MAX} bytes")


def fitting(files: Iterable[Path], signed: bytes, *, offered: Sequence[str]) -> list[Path]:
    """The files whose secret made one of the offered signatures (HMAC, SHA-256, hexadecimal). Raises NotTaken."""
    given = [each.encode("utf-8", "surrogateescape") for each in offered]
    found: list[Path] = []
    unreadable = ""
    for file in files:
        try:
            secret = secret_in(file)
        except Unreadable as error:
            unreadable = str(error)
            continue
        made = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        if sum(hmac.compare_digest(made, each) for each in given):
            found.append(file)
    if not found and unreadable:
        raise NotTaken(503, "secret_file", unreadable)
    if not found:
        raise NotTaken(401, "unsigned", "no signature by a secret of the policy")
    return found


class Lately:
    """What came lately. What is older than the limit allows is forgotten first."""

    def __init__(self, most: int = LATELY_MAX) -> None:
        self._most = most
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def add(self, key: str) -> None:
        self._known[key] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
