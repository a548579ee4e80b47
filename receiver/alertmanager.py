"""Alertmanager's API, version 2, as far as it is asked: which alerts there are, what is muted and by what, what a group
holds, and since when this Alertmanager runs.

Only GET, one request after the other. What comes back is read up to a limit, within a time, and parsed into typed
values; whatever is wrong with it is one exception with a text that never shows the address, which may hold a secret.
Redirects are not followed: they would carry the token elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from guard.tokens import Unreadable, first_token
from receiver.alert import Alert, Time, utc

# 100,000 alerts are about 64 MiB; to read them takes a fifth of a second.
ANSWER_BYTES_MAX = 64 * 1024 * 1024
ANSWER_SECONDS_MAX = 10.0

T = TypeVar("T")


class NoAnswer(Exception):
    """Alertmanager did not say what it was asked. The text is for people."""


class Muting(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What Alertmanager does about an alert: `active`, `suppressed`, or `unprocessed` in its first moment."""

    state: str
    silenced_by: tuple[str, ...] | None = None
    inhibited_by: tuple[str, ...] | None = None


class Seen(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One alert that Alertmanager has."""

    fingerprint: str
    ends_at: Time
    status: Muting


class Silence(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    ends_at: Time
    created_by: str = ""
    comment: str = ""


class Member(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One alert of a group."""

    fingerprint: str
    labels: dict[str, str]
    starts_at: Time
    status: Muting
    annotations: dict[str, str] = {}
    generator_url: str = msgspec.field(name="generatorURL", default="")

    def alert(self) -> Alert:
        """As a webhook would bring it."""
        return Alert(
            status="firing",
            labels=self.labels,
            starts_at=utc(self.starts_at),
            annotations=self.annotations,
            generator_url=self.generator_url,
            fingerprint=self.fingerprint,
        )


class _Receiver(msgspec.Struct, frozen=True):
    name: str


class SeenGroup(msgspec.Struct, frozen=True):
    """A group as the API shows it: with its receiver and its labels, without its key."""

    labels: dict[str, str]
    receiver: _Receiver
    alerts: list[Member]


class _Status(msgspec.Struct, frozen=True):
    uptime: Time  # it is called so, and is the moment of the start


class Alertmanager:
    """One Alertmanager. The token's file is read for each request, so that it can be changed without a restart."""

    def __init__(
        self,
        url: str,
        *,
        token_file: Path | None = None,
        seconds_max: float = ANSWER_SECONDS_MAX,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._url = URL(url)
        self._token_file = token_file
        self._timeout = aiohttp.ClientTimeout(total=seconds_max)
        self._bytes_max = bytes_max
        self._session: aiohttp.ClientSession | None = None

    async def started_at(self) -> datetime:
        return utc((await self._get("status", _Status))[0].uptime)

    async def alerts(self) -> dict[str, Seen]:
        """Those that fire, by fingerprint. One whose end is past, by Alertmanager's own clock, is over."""
        found, now = await self._get("alerts", list[Seen])
        return {each.fingerprint: each for each in found if now is None or each.ends_at > now or each.ends_at.year == 1}

    async def silences(self) -> dict[str, Silence]:
        found, _ = await self._get("silences", list[Silence])
        return {each.id: each for each in found}

    async def groups(self) -> list[SeenGroup]:
        """Every group, with the alerts that nothing mutes."""
        muted = {"silenced": "false", "inhibited": "false"}
        found, _ = await self._get("alerts/groups", list[SeenGroup], query=muted)
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _get(
        self, what: str, kind: type[T], *, query: Mapping[str, str] | None = None
    ) -> tuple[T, datetime | None]:
        """What it answered, and when by its own clock."""
        body, date = await self._body(what, query or {})
        try:
            return msgspec.json.decode(body, type=kind), _moment(date)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NoAnswer(
                f"/api/v2/{what}: expected what Alertmanager answers, found something else: {error}"
            ) from None

    async def _body(self, what: str, query: Mapping[str, str]) -> tuple[bytes, str | None]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False)
        url = (self._url / "api/v2" / what).with_query(query)
        try:
            async with self._session.get(url, headers=self._headers(), allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NoAnswer(f"/api/v2/{what}: expected status 200, found {answer.status}")
                return await self._read(what, answer), answer.headers.get("Date")
        except TimeoutError:
            raise NoAnswer(f"/api/v2/{what}: no whole answer within {self._timeout.total:g} seconds") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswer(f"/api/v2/{what}: {_without_url(error)}") from None

    async def _read(self, what: str, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in answer.content.iter_any():
            body += part
            if len(body) > self._bytes_max:
                raise NoAnswer(f"/api/v2/{what}: expected at most {self._bytes_max} bytes, found more")
        return bytes(body)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Tocsin"}
        if self._token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {first_token(self._token_file)}"
            except Unreadable as error:
                raise NoAnswer(f"the token cannot be read: {error}") from None
        return headers


def _moment(date: str | None) -> datetime | None:
    """The moment in an HTTP `Date`, if it holds one with a zone."""
    try:
        moment = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return None if moment.tzinfo is None else utc(moment)


def _without_url(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0  # below 0: a name that does not resolve
        return os.strerror(number) if number > 0 else error.os_error.strerror or "cannot connect"
    return type(error).__name__
