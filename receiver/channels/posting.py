"""One POST over HTTP, for the channels that speak it: what time may cure is Unreachable, a redirect is Refused.

An error never shows an address or a secret; it names the host only. Who asked for a pause gets it: nothing is posted
there before it is over.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp
from yarl import URL

from guard import secretfile
from guard.tokens import Unreadable
from receiver.channels import Refused, Unreachable
from receiver.channels.trust import Certificates, why_no_tls

ANSWER_BYTES_MAX = 1024 * 1024
RETRY_AFTER_SECONDS_MAX = 3600.0
# What another attempt may cure: the other side was busy or late, not offended.
TRY_AGAIN = frozenset({408, 425, 429})
_WHOLE_BYTES = 256 * 1024
SYSTEM = Certificates()


class Answer(NamedTuple):
    """Of somebody who is neither busy nor elsewhere. Whether it means yes is for the channel to say."""

    status: int
    text: str


class Poster:
    """One session, which keeps its connections. `shown_bytes_max`: of an answer only so much is read, as it comes, and
    errors show it; without it a channel reads the whole answer, and no error shows it, as it may hold an address."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        shown_bytes_max: int | None = None,
        certificates: Certificates = SYSTEM,
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._shown_bytes_max = shown_bytes_max
        self._certificates = certificates
        self._session: aiohttp.ClientSession | None = None
        self._rests_until = 0.0  # by the loop's clock

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        loop = asyncio.get_running_loop()
        rest = self._rests_until - loop.time()
        if rest > 0:
            raise Unreachable(f"{url.host} asked for a pause", seconds=rest)
        if self._session is None:
            as_it_comes = self._shown_bytes_max is not None
            self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=not as_it_comes)
        tls = await self._certificates.context()
        # As bytes a large body would be written in one piece, and hold up everything else meanwhile.
        data = body if len(body) <= _WHOLE_BYTES else io.BytesIO(body)
        whole = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Tocsin", **headers}
        whole["Accept-Encoding"] = "identity"
        try:
            async with self._session.post(url, data=data, headers=whole, allow_redirects=False, ssl=tls) as answer:
                status, text = answer.status, await _text_of(answer, self._shown_bytes_max or ANSWER_BYTES_MAX)
                seconds = retry_after_seconds(answer.headers.get("Retry-After"))
        except TimeoutError:
            raise Unreachable(f"{url.host} did not answer within {self._timeout.total:g} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{url.host}: {without_url(error)}") from None
        if status in TRY_AGAIN or status >= 500:
            if status == 429 and seconds is not None:
                self._rests_until = loop.time() + seconds
            said = text if self._shown_bytes_max is not None else ""
            raise Unreachable(f"answered {status} {said}".strip(), seconds=seconds)
        if 300 <= status < 400:
            raise Refused(f"answered {status}: a redirect, which is not followed")
        return Answer(status, text)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _text_of(answer: aiohttp.ClientResponse, bytes_max: int) -> str:
    """All of it, up to the limit: what comes in parts is put together."""
    body = bytearray()
    while len(body) < bytes_max and (part := await answer.content.read(bytes_max - len(body))):
        body += part
    return body.decode(errors="replace").strip()


def secret_in(path: Path) -> str:
    """What the file holds now. Without it nothing is sent; it may be there at the next attempt."""
    try:
        return secretfile.secret_in(path)
    except Unreadable as error:
        raise Unreachable(str(error)) from None


def retry_after_seconds(written: str | None) -> float | None:
    if written is None or not written.strip().isdecimal():
        return None
    return min(float(written), RETRY_AFTER_SECONDS_MAX)


def without_url(error: Exception) -> str:
    if isinstance(error.__cause__, ssl.SSLError):
        return why_no_tls(error.__cause__)
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "cannot connect"
    return type(error).__name__
