"""What messages link to: the page of an incident, and the signed link by which somebody answers without a login.

The link's token names the incident, the channel that it was made for, and when it ends; the journal is signed with
them and not written out. The key never leaves the store: it is in no message, answer, log or export. The end counts
from the moment at which the message was decided, so that a message which is tried again is the same message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from receiver.message import Message
from receiver.view import IncidentView

ADDRESS_CHARACTERS_MAX = 900
TOKEN_CHARACTERS_MAX = 300
ANSWER_WORDS = "acknowledge, snooze or resolve"  # what such a link is called
VALID_FOR = timedelta(hours=24)
# Half of the hash: nobody guesses one of 2^128, and mails do not like long lines.
_SIGNATURE_BYTES = 16
_END_BYTES = 4
# What could end a link, or lead elsewhere than the web, is shown to nobody.
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`\\\x00-\x20\x7f]+")
_ESCAPED = len("&amp;")


def is_address(text: str) -> bool:
    length = len(text) + text.count("&") * (_ESCAPED - 1)
    return text.isascii() and length <= ADDRESS_CHARACTERS_MAX and _ADDRESS.fullmatch(text) is not None


def external_url(text: str) -> str:
    """What people put before the paths of this receiver. Raises ValueError: without links nobody would know why."""
    expected = "expected an address such as https://tocsin.example.org"
    try:
        found = urlsplit(text)
    except ValueError:  # a bracket that is never closed, for one
        raise ValueError(f"found {text[:80]!r}, {expected}") from None
    if "@" in found.netloc:
        raise ValueError(f"found a user or a password in it, {expected}")
    if not is_address(text) or not found.hostname or found.query or found.fragment:
        raise ValueError(f"found {text[:80]!r}, {expected}")
    return text


class Claim(NamedTuple):
    """What a genuine token says."""

    incident: str
    channel: str
    ends: datetime


class NotGenuine(Exception):
    """This receiver did not make this token, or somebody changed it."""


class Links:
    """Without an address at which people reach this receiver there are no links; without a key, none that answer.
    `valid_for` is that of the policy in force: a reload sets it."""

    def __init__(
        self,
        *,
        external_url: str | None = None,
        key: bytes | None = None,
        journal: Callable[[], str] = str,
        valid_for: timedelta = VALID_FOR,
    ) -> None:
        self._external_url = external_url.rstrip("/") if external_url else None
        self._key = key
        self._journal = journal
        self.valid_for = valid_for

    @property
    def overview(self) -> str | None:
        """The start page."""
        return self._external_url if self._external_url is not None and is_address(self._external_url) else None

    def incident(self, identifier: str) -> str | None:
        return self._address(f"/incidents/{identifier}")

    def answer(self, message: Message, incident: IncidentView) -> str | None:
        """By which whoever reads the message says what is to become of an incident in it; none if it is over."""
        if self._key is None or incident.status == "resolved":
            return None
        return self._address(f"/ack/{self.token(incident.id, message.channel, message.created_at + self.valid_for)}")

    def _address(self, path: str) -> str | None:
        address = f"{self._external_url}{path}"
        return address if self._external_url is not None and is_address(address) else None

    # --- tokens ------------------------------------------------------------------------------------------------

    def token(self, incident: str, channel: str, ends: datetime) -> str:
        said = int(ends.timestamp()).to_bytes(_END_BYTES, "big") + f"{incident}\0{channel}".encode()
        return urlsafe_b64encode(self._signature(said) + said).rstrip(b"=").decode("ascii")

    def read(self, token: str) -> Claim:
        """Raises NotGenuine. Whether it has ended is for the caller to say, who knows the time."""
        if not token.isascii() or len(token) > TOKEN_CHARACTERS_MAX:
            raise NotGenuine
        try:
            whole = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except NotBase64:
            raise NotGenuine from None
        signature, said = whole[:_SIGNATURE_BYTES], whole[_SIGNATURE_BYTES:]
        if self._key is None or not hmac.compare_digest(signature, self._signature(said)):
            raise NotGenuine
        incident, _, channel = said[_END_BYTES:].decode().partition("\0")
        claim = Claim(incident, channel, datetime.fromtimestamp(int.from_bytes(said[:_END_BYTES], "big"), UTC))
        # The same bytes can be written in several ways: only the way in which we write them is ours.
        if not hmac.compare_digest(token, self.token(*claim)):
            raise NotGenuine
        return claim

    def seal(self, token: str) -> str:
        """What the page's form says beside the token, and nothing else can know that has not read the page."""
        return self._hash(b"form", token.encode())[:_SIGNATURE_BYTES].hex()

    def _signature(self, said: bytes) -> bytes:
        return self._hash(b"answer", said)[:_SIGNATURE_BYTES]

    def _hash(self, purpose: bytes, said: bytes) -> bytes:
        assert self._key is not None
        return hmac.new(self._key, b"\0".join((purpose, self._journal().encode(), said)), hashlib.sha256).digest()


NO_LINKS = Links()
