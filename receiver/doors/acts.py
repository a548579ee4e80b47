"""POST /api/v1/incidents/ID/...: what people do to an incident; and POST /api/v1/deliveries/ID/resend.

200 means: decided, on disk; this is the incident now.

The door only appends, like every other; it learns the outcome by waiting until its own entry is decided and committed.
409 means that the state of the incident does not allow it. Who has proved who they are acts under that name: `by` may
say another one, as a program does that acts for people, and then both are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from guard.doorkeeper import caller_of
from receiver.doors.answers import RETRY, answer, refuse
from receiver.doors.doing import ACT_SECONDS_MAX, Doing, NotDone
from receiver.entry import VIAS, Acknowledged, Act, Assigned, Merged, Noted, ResolvedByHand, Snoozed, Split
from receiver.policy.duration import parse_duration

ACT_BYTES_MAX = 65_536
BY_CHARACTERS_MAX = 100
NOTE_CHARACTERS_MAX = 4_000
SNOOZE_SECONDS_MAX = 30 * 86_400
SPLIT_ALERTS_MAX = 1_000
IDENTIFIER_CHARACTERS_MAX = 100

VIA = "X-Tocsin-Via"

_By = Annotated[str, Meta(min_length=1, max_length=BY_CHARACTERS_MAX, pattern=r"\S")]
_Identifier = Annotated[str, Meta(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX, pattern=r"\S")]
_Text = Annotated[str, Meta(min_length=1, max_length=NOTE_CHARACTERS_MAX, pattern=r"\S")]
_NOT_BLANK = r"`str` matching regex '\\S'"  # as msgspec says it


class Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who acknowledges, resolves, or sends again."""

    by: _By | None = None


class Putting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who snoozes, and for how long. `for` is no name in Python."""

    duration: str = msgspec.field(name="for")
    by: _By | None = None


class Writing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who notes what."""

    text: _Text
    by: _By | None = None


class Giving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who gives it to whom."""

    to: _By
    by: _By | None = None


class Joining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that it is the same trouble as which other incident."""

    into: _Identifier
    by: _By | None = None


class Parting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes out which alerts, or what was once merged from which incident."""

    by: _By | None = None
    alerts: Annotated[list[_Identifier], Meta(min_length=1, max_length=SPLIT_ALERTS_MAX)] | None = None
    merged: _Identifier | None = None


T = TypeVar("T", Plain, Putting, Writing, Giving, Joining, Parting)


class Acts:
    def __init__(self, *, doing: Doing, seconds_max: float = ACT_SECONDS_MAX) -> None:
        self._doing = doing
        self._seconds_max = seconds_max

    async def acknowledge(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Plain)
        return await self._do(Acknowledged(_incident(request), _by(request, wanted), _via(request)))

    async def resolve(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Plain)
        return await self._do(ResolvedByHand(_incident(request), _by(request, wanted), _via(request)))

    async def snooze(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Putting)
        try:
            duration = parse_duration(wanted.duration)
        except ValueError as error:
            refuse(400, f"for: found {wanted.duration!r:.80}, expected {error}")
        if not 1 <= duration.total_seconds() <= SNOOZE_SECONDS_MAX:
            refuse(400, f"for: found {wanted.duration!r:.80}, expected a duration from 1s to 30d")
        return await self._do(Snoozed(_incident(request), _by(request, wanted), duration, _via(request)))

    async def note(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Writing)
        return await self._do(Noted(_incident(request), _by(request, wanted), wanted.text, _via(request)))

    async def assign(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Giving)
        return await self._do(Assigned(_incident(request), _by(request, wanted), wanted.to, _via(request)))

    async def merge(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Joining)
        return await self._do(
            Merged(_incident(request), _by(request, wanted), wanted.into, _via(request)), other=wanted.into
        )

    async def split(self, request: web.Request) -> web.Response:
        wanted = await self._read(request, Parting)
        if (wanted.alerts is None) == (wanted.merged is None):
            refuse(400, "body: expected either `alerts` or `merged`")
        alerts = tuple(dict.fromkeys(wanted.alerts or ()))
        act = Split(_incident(request), _by(request, wanted), alerts, wanted.merged, _via(request))
        return await self._do(act, other=wanted.merged)

    async def resend(self, request: web.Request) -> web.Response:
        """Of a message, not of an incident: what its channel refused, or what was given up, is told again."""
        wanted = await self._read(request, Plain)
        resent = self._doing.resend(request.match_info["id"], by=_by(request, wanted), via=_via(request))
        return await self._answered(resent)

    async def _read(self, request: web.Request, form: type[T]) -> T:
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds_max):
                async for chunk in request.content.iter_chunked(ACT_BYTES_MAX):
                    body += chunk
                    if len(body) > ACT_BYTES_MAX:
                        text = f"the body is larger than {ACT_BYTES_MAX} bytes"
                        raise web.HTTPRequestEntityTooLarge(ACT_BYTES_MAX, len(body), text=text)
        except TimeoutError:
            refuse(503, f"the body did not arrive within {self._seconds_max:g} seconds", headers=RETRY)
        try:
            return msgspec.json.decode(bytes(body) or b"{}", type=form)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            what = what.replace(_NOT_BLANK, "a text that is not blank")
            refuse(400, f"{path.rstrip('`').lstrip('.') or 'body'}: {what[:1].lower()}{what[1:]}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refuse(400, f"body: expected JSON, found something else ({error})")

    async def _do(self, act: Act, *, other: str | None = None) -> web.Response:
        return await self._answered(self._doing.do(act, other=other))

    async def _answered(self, done: Awaitable[dict[str, object]]) -> web.Response:
        try:
            return answer(await done)
        except NotDone as error:
            refuse(error.status, str(error), headers=RETRY if error.status == 503 else {})


def _incident(request: web.Request) -> str:
    return request.match_info["id"]


def _by(request: web.Request, wanted: T) -> str:
    who = caller_of(request).as_who(wanted.by)
    if not who:
        refuse(400, "body: found no `by`, expected who does this: a token or a login would tell")
    return who


def _via(request: web.Request) -> str:
    """What the caller says of itself; whoever says nothing is a program. Nobody can say that it is a link or a button:
    this door could not know."""
    via = ", ".join(request.headers.getall(VIA, ["api"]))
    if via not in VIAS:
        known = " or ".join(VIAS)
        refuse(400, f"the header {VIA}: found {via[:40]!r}, expected {known}: more cannot be known of a caller here")
    return via
