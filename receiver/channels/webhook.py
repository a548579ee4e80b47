"""Posts each message as JSON: the body of the message as it was decided, with its idempotency key.

Redirects are refused: they would turn the POST into a GET, or carry the headers' secrets elsewhere. An error
never shows the URL, which may hold a token; it names the host only.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from receiver.channels import Refused, Unreachable
from receiver.channels.posting import TRY_AGAIN, retry_after_seconds, without_url
from receiver.links import NO_LINKS, Links
from receiver.message import Kind, Message
from receiver.view import IncidentView

ANSWER_BYTES_MAX = 512
_WHOLE_BYTES = 256 * 1024


class _About(msgspec.Struct):
    """As much of a message as its links need."""

    incident: IncidentView


class Webhook:
    """One address. `secret_file` is read for each message, so that a key can be changed without a restart."""

    parallel_max = 8

    def __init__(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        retry_seconds_max: float,
        secret_file: Path | None,
        links: Links = NO_LINKS,
    ) -> None:
        self._url = URL(url)
        self._headers = dict(headers)
        self._secret_file = secret_file
        self._links = links
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        """What the policy puts into headers may be secret, and so may the address."""
        configured = [f"{name}: …" for name in self._headers]
        own = ["Content-Type: application/json", f"Idempotency-Key: {message.id}"]
        if self._secret_file is not None:
            own.append("X-Tocsin-Signature: sha256=…")
        body = msgspec.json.format(self._body(message), indent=2).decode()
        return "\n".join([f"POST to {self._url.host}", *own, *configured, "", body, ""])

    async def send(self, message: Message) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False)
        whole = self._body(message)
        headers = {**self._headers, **self._own_headers(message, whole)}
        # As bytes a large body would be written in one piece, and hold up everything else meanwhile.
        body = whole if len(whole) <= _WHOLE_BYTES else io.BytesIO(whole)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                said = (await answer.content.read(ANSWER_BYTES_MAX)).decode(errors="replace").strip()
                return _judge(answer.status, answer.headers.get("Retry-After"), said)
        except TimeoutError:
            raise Unreachable(f"{self._url.host} did not answer within {self._timeout.total:g} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{self._url.host}: {without_url(error)}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _body(self, message: Message) -> bytes:
        """What was decided, with links at its end: where they lead is not decided, and the key to them stays here."""
        if self._links.overview is None or message.kind is Kind.DIGEST:
            return message.body
        incident = msgspec.json.decode(message.body, type=_About).incident
        links = {"acknowledge": self._links.answer(message, incident), "incident": self._links.incident(incident.id)}
        return b'%b,"links":%b}' % (message.body[:-1], msgspec.json.encode(links))

    def _own_headers(self, message: Message, body: bytes) -> dict[str, str]:
        own = {
            "Content-Type": "application/json",
            "User-Agent": "Tocsin",
            "Idempotency-Key": message.id,
            "Accept-Encoding": "identity",  # the answer is shown as it comes
        }
        if self._secret_file is not None:
            try:
                secret = self._secret_file.read_bytes().strip()
            except OSError as error:
                raise Unreachable(
                    f"the secret file {self._secret_file.name} cannot be read: {error.strerror}"
                ) from None
            if not secret:
                raise Unreachable(f"the secret file {self._secret_file.name} is empty")
            own["X-Tocsin-Signature"] = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        return own


def _judge(status: int, retry_after: str | None, said: str) -> str:
    answer = f"{status} {said}".strip()
    if 200 <= status < 300:
        return answer
    if status in TRY_AGAIN or status >= 500:
        raise Unreachable(f"answered {answer}", seconds=retry_after_seconds(retry_after))
    if 300 <= status < 400:
        raise Refused(f"answered {status}: a redirect, which a webhook does not follow")
    raise Refused(f"answered {answer}")
