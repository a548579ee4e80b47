"""GET /blocklist, and what is known of one address; PUT and DELETE block it by hand and release it.

Here, and here alone, addresses are told: to responders, and admins change the list. What somebody sent is not repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from exporter.negotiation import accepts_gzip
from exporter.reputation.block import REASON_CHARACTERS_MAX, Block
from exporter.reputation.formats import FORMATS
from exporter.reputation.keeper import Keeper, settle
from exporter.reputation.listing import TYPES, Form, Listing, shown
from exporter.reputation.moments import moment
from exporter.reputation.place import Network, Place, place_of, written
from exporter.reputation.reputation import Refused, Reputation
from exporter.reputation.settings import seconds
from exporter.reputation.trail import HISTORY_MAX, Trail, said
from guard.web.messages import JSON, Answer, Request, error_answer
from guard.web.routes import Route

T = TypeVar("T")

BODY_BYTES_MAX = 4_096
BY_CHARACTERS_MAX = 100
# How long a block by hand lasts where nobody says it.
DURATION = "1h"
NOT_KEPT = "a restart forgets it, as there is no --security.state-file"
_STATUS = {"allow_list": 409, "full": 503}
_KINDS = (*TYPES, *FORMATS)
_CURSOR = "X-Tocsin-Cursor"


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants done, and why."""

    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)] = ""
    duration: Annotated[str, Meta(max_length=20)] = DURATION
    by: Annotated[str, Meta(max_length=BY_CHARACTERS_MAX)] = ""


_WISH = msgspec.json.Decoder(Wish)


class ReputationDoors:
    def __init__(
        self, reputation: Reputation, trail: Trail, *, keeper: Keeper | None = None, clock: Callable[[], float]
    ) -> None:
        self._reputation = reputation
        self._trail = trail
        self._keeper = keeper
        self._clock = clock
        start = secrets.token_hex(4)
        self._listing = Listing(reputation.blocks, start=start)
        self._dry = Listing(reputation.dry, start=f"{start}d")

    def routes(self) -> Sequence[Route]:
        return (
            Route("GET", "/blocklist", self.blocklist),
            Route("GET", "/blocklist/history", self.history),
            Route("GET", "/reputation/{address}", self.known),
            Route("PUT", "/blocklist/{address}", self.block, BODY_BYTES_MAX),
            Route("DELETE", "/blocklist/{address}", self.release, BODY_BYTES_MAX),
            # A network whose slash was written as it is.
            Route("GET", "/reputation/{address}/{bits}", self.known, door="GET /reputation/{address}"),
            Route("PUT", "/blocklist/{address}/{bits}", self.block, BODY_BYTES_MAX, door="PUT /blocklist/{address}"),
            Route(
                "DELETE",
                "/blocklist/{address}/{bits}",
                self.release,
                BODY_BYTES_MAX,
                door="DELETE /blocklist/{address}",
            ),
        )

    async def blocklist(self, request: Request) -> Answer:
        try:
            asked = _asked(request, ("since", "family", "format", "dry_run"))
            family = _one_of("family", asked.get("family", "0"), {"0": 0, "4": 4, "6": 6})
            dry_run = _one_of("dry_run", asked.get("dry_run", "false"), {"false": 0, "true": 1})
            listing = self._dry if dry_run else self._listing
            json = "application/json" in request.headers.get("accept", "").lower()
            kind = _one_of("format", asked.get("format", "json" if json else "text"), {each: each for each in _KINDS})
            if "since" in asked and kind not in TYPES:
                raise ValueError(f"since: found with the format {kind}, expected it with {' or '.join(TYPES)}")
            version = listing.version_of(asked["since"]) if "since" in asked else None
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        now = await self._now()
        form = Form(kind, family, accepts_gzip(request.headers.get("accept-encoding")))
        headers = {"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-cache"}
        if "since" in asked:
            cursor, body = await listing.since(version, form)
            return _answer(body, form, {**headers, _CURSOR: cursor})
        tag, cursor = listing.tag(form), listing.cursor
        if _matches(request.headers.get("if-none-match"), tag):
            return Answer(b"", form.content_type, 304, {**headers, "ETag": tag, _CURSOR: cursor})
        cursor, tag, body = await listing.whole(form, now=now)
        return _answer(body, form, {**headers, "ETag": tag, _CURSOR: cursor})

    async def known(self, request: Request) -> Answer:
        try:
            place = _place(request)
            _asked(request, ())
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        now = await self._now()
        return _json({"address": written(place), **self._said(place, now)})

    async def block(self, request: Request) -> Answer:
        try:
            place, wish = _wished(request)
            if not wish.reason.strip():
                raise ValueError("reason: found none, expected why, in a sentence")
            lasts = _lasts(wish)
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        try:
            block = self._reputation.block(
                place, now=self._clock(), seconds=lasts, reason=wish.reason.strip(), by=_who(request, wish)
            )
        except Refused as refused:
            return error_answer(_STATUS[refused.why], str(refused))
        return await self._done("blocked", block)

    async def release(self, request: Request) -> Answer:
        try:
            place, wish = _wished(request)
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        reason = wish.reason.strip() or "no reason was given"
        block = self._reputation.release(place, now=self._clock(), reason=reason, by=_who(request, wish))
        if block is not None:
            return await self._done("released", block)
        around = None if isinstance(place, Network) else self._reputation.blocks.covering(place)
        if around is not None:
            return error_answer(
                409, f"it is blocked as a part of {around.address}: release that, or allow this address"
            )
        return error_answer(404, "it is not blocked")

    async def history(self, request: Request) -> Answer:
        try:
            limit = _asked(request, ("limit",)).get("limit", str(HISTORY_MAX))
            if not (limit.isascii() and limit.isdecimal() and len(limit) <= 4 and 1 <= int(limit) <= HISTORY_MAX):
                raise ValueError(f"limit: found something else, expected a whole number from 1 to {HISTORY_MAX}")
        except ValueError as wrong:
            return error_answer(400, str(wrong))
        await self._now()
        return _json({"history": [said(deed) for deed in islice(reversed(self._trail.history), int(limit))]})

    async def _now(self) -> float:
        """What has ended by then is off the list."""
        now = self._clock()
        await settle(self._reputation, now)
        return now

    async def _done(self, what: str, block: Block) -> Answer:
        """Once it is on the disk, if there is a file for it."""
        if self._keeper is not None:
            try:
                await self._keeper.keep()
            except OSError as error:
                why = error.strerror or str(error)
                return error_answer(503, f"{what}, but that could not be written and would be lost at a restart: {why}")
        if self._keeper is not None and self._keeper.is_kept:
            return _json({what: shown(block), "on_disk": True})
        return _json({what: shown(block), "on_disk": False, "note": NOT_KEPT})

    def _said(self, place: Place, now: float) -> Mapping[str, object]:
        policy, blocks = self._reputation.policy, self._reputation.blocks
        score = None if isinstance(place, Network) else self._reputation.scores.get(place)
        block = blocks.get(place) if isinstance(place, Network) else blocks.covering(place)
        dry = self._reputation.dry.get(place)
        return {
            "score": 0.0 if score is None else round(score.left(policy, now), 1),
            "threshold": policy.threshold,
            "blocked": _shown(block),
            "would_be_blocked": _shown(dry),
            "never_blocked": policy.allowed.why(place) or None,
            "blocks_in_a_row": 0 if score is None else score.times,
            "left_alone_until": None if score is None or score.spared_until <= now else moment(score.spared_until),
            "findings": []
            if score is None
            else [
                {
                    "detector": each.detector,
                    "times": each.times,
                    "points": each.points,
                    "first": moment(each.first),
                    "last": moment(each.last),
                    "why": each.why,
                }
                for each in sorted(score.reasons.values(), key=lambda each: -each.last)
            ],
        }


def _shown(block: Block | None) -> object:
    return None if block is None else shown(block)


def _json(value: object) -> Answer:
    return Answer(msgspec.json.encode(value) + b"\n", JSON, headers={"Cache-Control": "no-store"})


def _answer(body: bytes, form: Form, headers: Mapping[str, str]) -> Answer:
    squeezed = {"Content-Encoding": "gzip"} if form.gzip else {}
    return Answer(body, form.content_type, headers={**headers, **squeezed})


def _who(request: Request, wish: Wish) -> str:
    return wish.by if request.caller is None else request.caller.as_who(wish.by)


def _place(request: Request) -> Place:
    """Raises ValueError."""
    return place_of("/".join(request.parts[each] for each in ("address", "bits") if each in request.parts))


def _lasts(wish: Wish) -> float:
    """Raises ValueError."""
    try:
        return seconds(wish.duration)
    except ValueError as error:
        raise ValueError(f"duration: {error}") from None


def _wished(request: Request) -> tuple[Place, Wish]:
    """Raises ValueError."""
    _asked(request, ())
    place = _place(request)
    if not request.body:
        return place, Wish()
    try:
        return place, _WISH.decode(request.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'the body: {error}; expected an object such as {{"reason": "…", "duration": "2h"}}') from None


def _asked(request: Request, names: Sequence[str]) -> dict[str, str]:
    """The fields of the query. Raises ValueError."""
    found: dict[str, str] = {}
    for name, value in request.fields():
        if name not in names or name in found:
            expected = (
                f"expected each of {', '.join(names)} at most once, and nothing else" if names else "expected none"
            )
            raise ValueError(f"the query: found a field that is not known here, {expected}")
        found[name] = value
    return found


def _one_of(name: str, text: str, there: Mapping[str, T]) -> T:
    if text not in there:
        raise ValueError(f"{name}: found something else, expected one of {', '.join(there)}")
    return there[text]


def _matches(header: str | None, tag: str) -> bool:
    if header is None:
        return False
    tags = [each.strip().removeprefix("W/") for each in header.split(",")]
    return tag in tags or "*" in tags
