"""What exporters tell each other about addresses, as it is written, and what one of them makes of it. Pure.

Who reads it believes nothing: whoever can write where exporters meet could write anything. What is not of our form,
lies in the future or is to last for ever is refused, and so is a block of somebody who is never blocked here. All of it
may come twice, late, or in another order; the end is the same.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.finding import Finding, Severity
from exporter.identity import Address
from exporter.reputation.block import REASON_CHARACTERS_MAX, Block
from exporter.reputation.place import Network, Place, place_of, written
from exporter.reputation.reputation import Refused, Reputation
from exporter.reputation.settings import SECONDS_MAX

# A longer one is none of ours.
ENTRY_BYTES_MAX = 4_096
# So much later than ours another's clock may be.
AHEAD_SECONDS_MAX = 60.0
# What somebody found before that is not held against anybody any more.
FINDING_AGE_SECONDS_MAX = 300.0
NAME_CHARACTERS_MAX = 100

# What became of an entry.
Outcome = Literal["news", "known", "garbage", "time", "allow_list", "full", "dry_run"]

_Address = Annotated[str, Meta(min_length=1, max_length=64)]
_Name = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX)]
_Text = Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)]
_Number = Annotated[float, Meta(ge=0, le=1e15)]
# What could end a line, move a cursor or turn a text around is not shown to anybody.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class SharedBlock(msgspec.Struct, frozen=True, tag="block", tag_field="what"):
    address: _Address
    at: _Number
    since: _Number
    until: _Number
    reason: _Text
    by: _Name = ""
    by_hand: bool = False
    score: _Number = 0.0
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    node: _Name = ""


class SharedRelease(msgspec.Struct, frozen=True, tag="release", tag_field="what"):
    """A person has released it."""

    address: _Address
    at: _Number
    by: _Name = ""
    node: _Name = ""


class SharedFinding(msgspec.Struct, frozen=True, tag="finding", tag_field="what"):
    address: _Address
    at: _Number
    detector: Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    severity: Severity
    why: _Text
    value: float
    threshold: float
    window_seconds: _Number
    node: _Name = ""


Entry = SharedBlock | SharedRelease | SharedFinding
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


class Garbage(Exception):
    """It is none of ours. What it says is not repeated: it may be somebody's."""


def encoded(entry: Entry) -> bytes:
    return msgspec.json.encode(entry)


def decoded(data: bytes) -> Entry:
    """Raises Garbage."""
    if len(data) > ENTRY_BYTES_MAX:
        raise Garbage
    try:
        entry = _decoder.decode(data)
    except (ValueError, RecursionError):
        raise Garbage from None
    texts = [value for value in msgspec.structs.astuple(entry) if isinstance(value, str)]
    if any(map(_UNSEEN.search, texts)):
        raise Garbage
    return entry


def block_told(block: Block, *, node: str) -> SharedBlock:
    """`node` is who tells it, unless somebody else did before."""
    return SharedBlock(
        address=written(block.place),
        at=block.at,
        since=block.since,
        until=block.until,
        reason=_seen(block.reason),
        by=_seen(block.by[:NAME_CHARACTERS_MAX]),
        by_hand=block.by_hand,
        score=block.score,
        times=block.times,
        node=block.node or node,
    )


def release_told(address: str, *, at: float, by: str, node: str) -> SharedRelease:
    return SharedRelease(address=address, at=at, by=_seen(by[:NAME_CHARACTERS_MAX]), node=node)


def finding_told(finding: Finding, address: Address, *, node: str) -> SharedFinding:
    return SharedFinding(
        address=written(address),
        at=finding.at,
        detector=finding.detector[:NAME_CHARACTERS_MAX],
        severity=finding.severity,
        why=_seen(finding.why[:REASON_CHARACTERS_MAX]),
        value=finding.value,
        threshold=finding.threshold,
        window_seconds=finding.window_seconds,
        node=node,
    )


def take(reputation: Reputation, entry: Entry, *, now: float) -> Outcome:
    """What another exporter tells becomes ours, if it is news and may be."""
    try:
        place = _place_of(entry.address)
    except ValueError:
        return "garbage"
    if entry.at > now + AHEAD_SECONDS_MAX:
        return "time"
    match entry:
        case SharedBlock():
            return _take_block(reputation, place, entry, now=now)
        case SharedRelease():
            is_news = reputation.adopt_release(place, at=entry.at, now=now, by=entry.by)
            return "news" if is_news else "known"
        case SharedFinding():
            return _take_finding(reputation, place, entry, now=now)


def _take_block(reputation: Reputation, place: Place, entry: SharedBlock, *, now: float) -> Outcome:
    before = reputation.blocks.get(place)
    if before is not None and (before.at, before.until) == (entry.at, entry.until):
        return "known"  # it may be our own
    if not entry.since <= entry.at <= entry.until <= entry.at + SECONDS_MAX:
        return "time"
    if reputation.policy.dry_run and not entry.by_hand and entry.until > now:
        return "dry_run"
    block = Block(
        place,
        written(place),
        origin="shared",
        at=entry.at,
        since=entry.since,
        until=entry.until,
        reason=entry.reason,
        by=entry.by,
        by_hand=entry.by_hand,
        score=entry.score,
        times=entry.times,
        node=entry.node,
    )
    try:
        return "news" if reputation.adopt(block, now=now) else "known"
    except Refused as refused:
        return refused.why


def _take_finding(reputation: Reputation, place: Place, entry: SharedFinding, *, now: float) -> Outcome:
    if isinstance(place, Network):
        return "garbage"
    if entry.at < now - FINDING_AGE_SECONDS_MAX:
        return "time"
    finding = Finding(
        detector=entry.detector,
        severity=entry.severity,
        at=entry.at,
        why=entry.why,
        value=entry.value,
        threshold=entry.threshold,
        window_seconds=entry.window_seconds,
        address=place,
    )
    reputation.take([finding], now=now)
    return "news"


def _seen(text: str) -> str:
    """As others take it: a person may have written a reason in two lines."""
    return _UNSEEN.sub(" ", text)


def _place_of(text: str) -> Place:
    """As we write it, and in no other way. Raises ValueError."""
    place = place_of(text)
    if written(place) != text:
        raise ValueError("found another way to write it")
    return place
