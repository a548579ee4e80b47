"""POST /events: lines of JSON, or one array; gzip if the sender likes. What is right counts, whatever is wrong beside.

A large body is taken piece by piece, with a turn for everybody else between two of them, and the pieces of all bodies
take turns with each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.event import Fault
from exporter.intake.body import (
    EVENTS_MAX,
    KEPT_BYTES,
    PIECE_BYTES,
    Measure,
    Unreadable,
    blocks_of_array,
    blocks_of_lines,
    inflated,
    parts_of_array,
    plain,
    too_many,
    without_mark,
)
from exporter.intake.tally import Intakes
from exporter.pipeline import Outcome, Pipeline, Sender
from guard.web.messages import JSON, Answer, Request, error_answer
from guard.web.room import Room
from guard.web.routes import Route

# Of a body as it comes, unless a flag says otherwise.
BODY_BYTES_MAX = 16 * 1024 * 1024
# What the flag may say.
BODY_BYTES_MIN = 1_024
BODY_BYTES_LIMIT_MAX = 268_435_456
# Of all bodies that are here at once, as they come.
BODIES_BYTES_MAX = 64 * 1024 * 1024
ERRORS_SHOWN_MAX = 10
_REASONS = {400: "unreadable", 408: "slow", 413: "too_large", 503: "busy"}


class EventsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The door POST /events."""

    body_bytes_max: Annotated[
        int,
        Meta(
            description="How large a body may be as it comes, still compressed; a larger one is answered 413.",
            ge=BODY_BYTES_MIN,
            le=BODY_BYTES_LIMIT_MAX,
        ),
    ] = BODY_BYTES_MAX


class Error(msgspec.Struct, frozen=True):
    event: int
    error: str


class Answered(msgspec.Struct):
    """What became of the events of a body. `errors` are the first ones; `event` counts from 0."""

    accepted: int = 0
    rejected: int = 0
    errors: list[Error] = []
    unmatched: int = 0

    @property
    def events(self) -> int:
        return self.accepted + self.rejected

    def add(self, outcome: Outcome) -> None:
        self.accepted += outcome.accepted
        self.rejected += len(outcome.faults)
        self.unmatched += outcome.unmatched
        self.errors += map(_error, outcome.faults[: ERRORS_SHOWN_MAX - len(self.errors)])


def _error(fault: Fault) -> Error:
    return Error(fault.place, fault.text)


class Events:
    """Belongs to one event loop."""

    def __init__(self, pipeline: Pipeline, intakes: Intakes, *, body_bytes_max: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._tally = intakes.of("http")
        self._refused = intakes.bodies_refused
        self._room = Room(body_bytes_max=body_bytes_max, bytes_max=BODIES_BYTES_MAX, refused=self._count_refused)
        self._turn = asyncio.Lock()

    def route(self) -> Route:
        return Route("POST", "/events", self.post, room=self._room)

    def _count_refused(self, status: int) -> None:
        self._refused[_REASONS[status]] += 1

    async def post(self, request: Request) -> Answer:
        self._tally.bytes += len(request.body)
        sender = Sender() if request.caller is None else Sender(request.caller.sources)
        try:
            blocks, take = await self._looked_at(request)
            found = await self._taken(blocks, take, sender)
        except Unreadable as error:
            self._refused[error.reason] += 1
            headers = {"Accept-Encoding": "gzip"} if error.status == 415 else {}
            return error_answer(error.status, str(error), headers)
        status = 202 if found.accepted or not found.rejected else 400
        return Answer(msgspec.json.encode(found), JSON, status)

    async def _looked_at(self, request: Request) -> tuple[Iterator[bytes], Callable[..., Outcome]]:
        """The blocks of a body, and what takes one. Raises Unreadable."""
        pieces, measure = await self._measured(request.body, _encoding_of(request))
        if measure.is_empty:
            raise Unreadable(400, "unreadable", "found an empty body, expected events: lines of JSON, or an array")
        if measure.is_array:
            return blocks_of_array(await self._parts(pieces)), self._pipeline.array
        return blocks_of_lines(pieces), self._pipeline.lines

    async def _measured(self, data: bytes, encoding: str) -> tuple[Iterator[bytes], Measure]:
        measure = Measure()
        pieces = plain if encoding == "identity" else inflated
        kept: list[bytes] = []
        for piece in without_mark(pieces(data)):
            measure.add(piece)
            if measure.bytes <= KEPT_BYTES:
                kept.append(piece)
            else:
                kept.clear()
            if measure.bytes > PIECE_BYTES:
                await self._pause()
        return iter(kept) if kept else without_mark(pieces(data)), measure

    async def _parts(self, pieces: Iterator[bytes]) -> list[msgspec.Raw]:
        """All of an array, before the first of them counts: it may end before it is whole."""
        parts: list[msgspec.Raw] = []
        for some in parts_of_array(pieces):
            if parts:
                await self._pause()
            parts += some
            if len(parts) > EVENTS_MAX:
                raise too_many()
        return parts

    async def _taken(self, blocks: Iterator[bytes], take: Callable[..., Outcome], sender: Sender) -> Answered:
        found = Answered()
        block = next(blocks, None)
        while block is not None:
            async with self._turn:
                outcome = take(block, first=found.events, sender=sender, now=time.time())
                self._tally.count(outcome)
                found.add(outcome)
                block = next(blocks, None)
                if block is not None:
                    await asyncio.sleep(0)
        return found

    async def _pause(self) -> None:
        """One piece of all that is here is looked at in a turn of the loop."""
        async with self._turn:
            await asyncio.sleep(0)


def parse_body_bytes(text: str) -> int:
    """Raises ValueError."""
    if not text.isdecimal() or not BODY_BYTES_MIN <= int(text) <= BODY_BYTES_LIMIT_MAX:
        limits = f"from {BODY_BYTES_MIN} to {BODY_BYTES_LIMIT_MAX}"
        raise ValueError(f"found {text!r}, expected a number of bytes, {limits}")
    return int(text)


def _encoding_of(request: Request) -> str:
    """Raises Unreadable."""
    named: Sequence[str] = [each.strip().lower() for each in request.headers.get("content-encoding", "").split(",")]
    match [each for each in named if each not in ("", "identity")]:
        case []:
            return "identity"
        case ["gzip" | "x-gzip"]:
            return "gzip"
    raise Unreadable(415, "encoding", "of content encodings only gzip is known here")
