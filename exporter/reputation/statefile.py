"""Blocks and scores over restarts: one file of JSON lines, for this user alone, replaced as a whole.

The first line says whose file it is, the last one that it is whole. A file that is not ours is never replaced. A line
that cannot be read, as the disk has changed it, costs that line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, TypeVar

import msgspec
from msgspec.structs import replace

from exporter.identity import Address
from exporter.reputation.block import Block, Origin
from exporter.reputation.blocklist import BLOCKS_MAX
from exporter.reputation.disk import opened
from exporter.reputation.moments import Moment
from exporter.reputation.place import Network, place_of, written
from exporter.reputation.reputation import RELEASED_MAX, Reputation
from exporter.reputation.score import POINTS_MIN, SCORES_MAX, Reason, Score

T = TypeVar("T")

FIRST = b'{"tocsin":"reputation","version":1}'
# A longer line is none of ours.
LINE_BYTES_MAX = 32_768
LINES_MAX = BLOCKS_MAX + SCORES_MAX + RELEASED_MAX + 2
# So many are written at once, with a turn for everybody else in between.
PIECE_LINES = 500


class Unreadable(OSError):
    """There is a file, and it is not ours, or cannot be read."""


class KeptBlock(msgspec.Struct, tag_field="kept", tag="block", frozen=True):
    """A block without its place, which its address says."""

    address: str
    origin: Origin
    at: Moment
    since: Moment
    until: Moment
    reason: str
    by: str
    by_hand: bool
    score: float
    times: int
    node: str


class KeptScore(msgspec.Struct, tag_field="kept", tag="score", frozen=True):
    """What is held against an address."""

    address: str
    at: Moment
    score: float
    times: int
    blocked_until: Moment
    spared_until: Moment
    reasons: list[Reason]


class KeptRelease(msgspec.Struct, tag_field="kept", tag="release", frozen=True):
    """A place that a person has released."""

    address: str
    at: Moment


class End(msgspec.Struct, tag_field="kept", tag="end", frozen=True):
    """The last line."""

    lines: int


Line = KeptBlock | KeptScore | KeptRelease | End
_LINE = msgspec.json.Decoder(Line)


class Found(msgspec.Struct, frozen=True):
    """`lost` lines could not be read; of a file that is not `whole` there may be more."""

    lines: list[Line]
    lost: int = 0
    whole: bool = True


def load(path: str) -> Found:
    """Nothing where there is no file yet. Raises Unreadable."""
    try:
        with os.fdopen(opened(path, os.O_RDONLY), "rb") as file:
            first = file.readline(LINE_BYTES_MAX)
            if not _is_ours(first):
                raise Unreadable(f"{path}: found something else, expected what Tocsin has written there")
            found = _read(file)
            return found if first.startswith(FIRST) or not first else replace(found, lost=1)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise Unreadable(f"{path}: found no such folder, expected one in which it can be written") from None
        return Found([])
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None


def restore(reputation: Reputation, lines: list[Line], *, now: float) -> int:
    """How many of them say nothing of use."""
    wrong = 0
    for line in lines:
        try:
            _restore_one(reputation, line, now)
        except ValueError:
            wrong += 1
    return wrong


def pieces(reputation: Reputation, *, now: float) -> Iterator[bytes]:
    """The whole file. What changes between two pieces is in this file or in the next one, never half."""
    yield FIRST + b"\n"
    count = 0
    # Releases first: where they are read, they end nothing that comes after them.
    for some in _cut([KeptRelease(written(place), at) for place, at in reputation.released.items()]):
        count += len(some)
        yield _encoded(some)
    for places in _cut(list(reputation.blocks)):
        kept = [_kept_block(block) for block in places if reputation.blocks.get(block.place) is not None]
        count += len(kept)
        yield _encoded(kept)
    for addresses in _cut([address for address, _ in reputation.scores.items()]):
        scores = [_kept_score(reputation, address, now) for address in addresses]
        there = [score for score in scores if score is not None]
        count += len(there)
        yield _encoded(there)
    yield _encoded([End(count)])


class Writing:
    """A file beside the one that is to be replaced. Each step raises OSError."""

    def __init__(self, path: str) -> None:
        self._is_done = False
        self._path = os.path.realpath(path)
        with suppress(FileNotFoundError), os.fdopen(opened(self._path, os.O_RDONLY), "rb") as file:
            if not _is_ours(file.readline(LINE_BYTES_MAX)):
                raise FileExistsError(0, "found a file that Tocsin has not written, which is not replaced", path)
        self._beside = f"{self._path}.new"
        self._descriptor = opened(self._beside, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
        os.ftruncate(self._descriptor, 0)
        os.fchmod(self._descriptor, 0o600)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def finish(self) -> None:
        """From here on it is there, whatever happens."""
        os.fsync(self._descriptor)
        os.replace(self._beside, self._path)
        self._is_done = True
        os.close(self._descriptor)
        folder = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """What was begun is gone, and what was there before stays."""
        if not self._is_done:
            os.close(self._descriptor)
            os.unlink(self._beside)


def _is_ours(first: bytes) -> bool:
    """By its first line, which a disk may have cut off; so an empty file may become ours."""
    return first.rstrip(b"\n") == FIRST or FIRST.startswith(first)


def _read(file: BinaryIO) -> Found:
    lines: list[Line] = []
    lost = 0
    for _ in range(LINES_MAX):
        data = file.readline(LINE_BYTES_MAX)
        if not data:
            return Found(lines, lost, whole=False)
        try:
            line = _LINE.decode(data)
        except (ValueError, RecursionError):
            lost += 1
            continue
        if isinstance(line, End):
            return Found(lines, lost, whole=line.lines == len(lines))
        lines.append(line)
    return Found(lines, lost, whole=False)


def _restore_one(reputation: Reputation, line: Line, now: float) -> None:
    """Raises ValueError."""
    if isinstance(line, End):
        return
    place = place_of(line.address)
    match line:
        case KeptBlock():
            block = Block(
                place,
                written(place),
                line.origin,
                line.at,
                line.since,
                line.until,
                line.reason,
                line.by,
                line.by_hand,
                line.score,
                line.times,
                line.node,
            )
            reputation.restore(block, now=now)
        case KeptRelease():
            reputation.restore_release(place, line.at, now=now)
        case KeptScore() if not isinstance(place, Network):
            reasons = {reason.detector: reason for reason in line.reasons}
            score = Score(line.at, line.score, line.times, line.blocked_until, line.spared_until, reasons)
            reputation.restore_score(place, score, now=now)


def _kept_block(block: Block) -> KeptBlock:
    return KeptBlock(**{name: getattr(block, name) for name in KeptBlock.__struct_fields__})


def _kept_score(reputation: Reputation, address: Address, now: float) -> KeptScore | None:
    score = reputation.scores.get(address)
    if score is None or (
        score.left(reputation.policy, now) < POINTS_MIN and not score.times and not score.spared_until
    ):
        return None
    reasons = list(score.reasons.values())
    return KeptScore(
        written(address), score.at, score.score, score.times, score.blocked_until, score.spared_until, reasons
    )


def _encoded(lines: Sequence[Line]) -> bytes:
    return b"".join([msgspec.json.encode(line) + b"\n" for line in lines])


def _cut(items: list[T]) -> Iterator[list[T]]:
    for at in range(0, len(items), PIECE_LINES):
        yield items[at : at + PIECE_LINES]
