"""Posts each message as JSON: the body of the message as it was decided, with its idempotency key.

Redirects are refused: they would turn the POST into a GET, or carry the headers' secrets elsewhere. An error
never shows the URL, which may hold a token; it names the host only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import msgspec
from yarl import URL

from guard.trail import CORRELATION, TRACEPARENT
from receiver.channels import Refused, Unreachable
from receiver.channels.posting import SYSTEM, Poster
from receiver.channels.templates import NO_TEMPLATES, Templates, Words
from receiver.channels.trust import Certificates
from receiver.links import NO_LINKS, Links
from receiver.message import Kind, Message
from receiver.view import IncidentView

ANSWER_BYTES_MAX = 512


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
        certificates: Certificates = SYSTEM,
        links: Links = NO_LINKS,
        templates: Templates = NO_TEMPLATES,
    ) -> None:
        self._url = URL(url)
        self._headers = dict(headers)
        self._secret_file = secret_file
        self._links = links
        self._templates = templates
        self._poster = Poster(
            timeout_seconds=timeout_seconds, shown_bytes_max=ANSWER_BYTES_MAX, certificates=certificates
        )
        self.retry_seconds_max = retry_seconds_max

    def preview(self, message: Message) -> str:
        """What the policy puts into headers may be secret, and so may the address."""
        configured = [f"{name}: …" for name in self._headers]
        own = ["Content-Type: application/json", f"Idempotency-Key: {message.id}"]
        own += [f"{name}: {value}" for name, value in _identifiers(message).items()]
        if self._secret_file is not None:
            own.append("X-Tocsin-Signature: sha256=…")
        body = msgspec.json.format(self._body(message, self._templates.words_now(message)), indent=2).decode()
        return "\n".join([f"POST to {self._url.host}", *own, *configured, "", body, ""])

    async def send(self, message: Message) -> str:
        words = await self._templates.words(message)
        body = self._body(message, words)
        answer = await self._poster.post(self._url, body, {**self._headers, **self._own_headers(message, body)})
        said = f"{answer.status} {answer.text}".strip()
        if 200 <= answer.status < 300:
            return words.said(said)
        raise Refused(f"answered {said}")

    async def close(self) -> None:
        await self._poster.close()

    def _body(self, message: Message, words: Words) -> bytes:
        """What was decided, with links at its end: where they lead is not decided, and the key to them stays here.
        Where the policy has a template, what that makes."""
        templated = words.get("body")
        if templated is not None:
            return templated.encode()
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
            **_identifiers(message),
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


def _identifiers(message: Message) -> dict[str, str]:
    """Those of the webhook that the message follows from. A trace that came goes on as it is: no span of ours is shown
    to anybody. Where none came, one begins that is the same for all that follows from that webhook, and not sampled."""
    if not message.correlation:
        return {}
    begun = hashlib.sha256(message.correlation.encode()).hexdigest()
    return {
        CORRELATION: message.correlation,
        TRACEPARENT: message.traceparent or f"00-{begun[:32]}-{begun[32:48]}-00",
    }
