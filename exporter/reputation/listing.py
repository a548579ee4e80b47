"""The list as bytes: text, JSON or what a firewall reads, of one family or both, plain or gzip.

Made in pieces, with a turn for everybody else between two of them, and kept until the list changes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from exporter.reputation.block import Block
from exporter.reputation.blocklist import Blocklist
from exporter.reputation.formats import FORMATS
from exporter.reputation.formats import pieces as formatted
from exporter.reputation.moments import moment
from exporter.reputation.place import family_of
from guard.web.messages import JSON

# Blocks that are written at once.
PIECE_BLOCKS = 2_000
TYPES = {"text": "text/plain; charset=utf-8", "json": JSON}
_GZIP = 31
_LEVEL = 1


class Form(NamedTuple):
    """What somebody wishes. `kind` is text, json, or the name of a format; `family` is 4, 6, or 0 for both."""

    kind: str = "text"
    family: int = 0
    gzip: bool = False

    @property
    def content_type(self) -> str:
        return FORMATS[self.kind].content_type if self.kind in FORMATS else TYPES[self.kind]

    @property
    def is_kept(self) -> bool:
        """Plain JSON is large, and seldom asked for by two; what nftables reads is about this moment."""
        return self.kind != "nft" and (self.gzip or self.kind != "json")

    def of(self, blocks: Iterable[Block]) -> list[Block]:
        """Those of the family."""
        return [block for block in blocks if family_of(block.place) == self.family] if self.family else list(blocks)


class Shown(msgspec.Struct, frozen=True):
    """A block as programs see it."""

    address: str
    origin: str
    since: str
    until: str
    reason: str
    by: str
    score: float
    times: int


class Listing:
    def __init__(self, blocks: Blocklist, *, start: str) -> None:
        """`start` tells this process from others: a cursor of another one is none."""
        self._blocks = blocks
        self._start = start
        self._kept: dict[Form, bytes] = {}
        self._kept_version = -1
        self._rendering = asyncio.Lock()

    @property
    def cursor(self) -> str:
        return f"{self._start}-{self._blocks.version}"

    def tag(self, form: Form) -> str:
        """Of what `whole` would give."""
        return f'"{self.cursor}-{form.kind}-{form.family}{"-gzip" if form.gzip else ""}"'

    def version_of(self, cursor: str) -> int | None:
        """None for a cursor of another start. ValueError for what is none."""
        start, dash, number = cursor.rpartition("-")
        if not dash or not (number.isascii() and number.isdecimal() and len(number) <= 18):
            raise ValueError("since: expected a cursor, as an answer before has given it")
        return int(number) if start == self._start else None

    async def whole(self, form: Form, *, now: float) -> tuple[str, str, bytes]:
        """The cursor and the tag of the list, and what is on it."""
        async with self._rendering:
            if self._kept_version != self._blocks.version:
                self._kept, self._kept_version = {}, self._blocks.version
            kept, cursor, tag = self._kept, self.cursor, self.tag(form)
            if form in kept:
                return cursor, tag, kept[form]
            # The list may change meanwhile: this is what it is now.
            blocks = form.of(self._blocks)
            body = await _written(_whole(blocks, form, cursor, now), form)
            if form.is_kept:
                kept[form] = body
            return cursor, tag, body

    async def since(self, version: int | None, form: Form) -> tuple[str, bytes]:
        """The new cursor, and what was added and removed; all that there is where the old one says nothing, and that
        this is so. As text or JSON."""
        changes = None if version is None else self._blocks.since(version)
        whole = changes is None
        added, removed = changes if changes is not None else (list(self._blocks), [])
        added = form.of(added)
        removed = [each for each in removed if form.family in (0, 6 if ":" in each else 4)]
        cursor = self.cursor
        if form.kind == "json":
            head = _head(cursor=cursor, whole=whole, removed=removed, name="added")
            return cursor, await _written(_objects(head, added), form)
        gone = "".join(f"{line}\n" for line in [*(["*"] if whole else []), *(f"-{each}" for each in removed)])
        return cursor, await _written(chain([gone.encode()], _lines("+%s\n", added)), form)


async def _written(pieces: Iterator[bytes], form: Form) -> bytes:
    squeeze = zlib.compressobj(_LEVEL, wbits=_GZIP) if form.gzip else None
    parts: list[bytes] = []
    for piece in pieces:
        parts.append(piece if squeeze is None else squeeze.compress(piece))
        # Whoever else asks something is answered in between.
        await asyncio.sleep(0)
    if squeeze is not None:
        parts.append(squeeze.flush())
    return b"".join(parts)


def _whole(blocks: Sequence[Block], form: Form, cursor: str, now: float) -> Iterator[bytes]:
    match form.kind:
        case "json":
            return _objects(_head(cursor=cursor, name="blocks"), blocks)
        case "text":
            return _lines("%s\n", blocks)
    return (piece.encode() for piece in formatted(form.kind, blocks, now=now))


def _head(*, name: str, **more: object) -> bytes:
    """An object whose last member is a list that comes after it."""
    return msgspec.json.encode({**more, name: []})[:-2]


def _objects(head: bytes, blocks: Sequence[Block]) -> Iterator[bytes]:
    yield head
    for at, some in enumerate(_cut(blocks)):
        yield (b"," if at else b"") + msgspec.json.encode([shown(block) for block in some])[1:-1]
    yield b"]}\n"


def _lines(form: str, blocks: Sequence[Block]) -> Iterator[bytes]:
    for some in _cut(blocks):
        yield "".join([form % block.address for block in some]).encode()


def _cut(blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
    for at in range(0, len(blocks), PIECE_BLOCKS):
        yield blocks[at : at + PIECE_BLOCKS]


def shown(block: Block) -> Shown:
    return Shown(
        block.address,
        block.origin,
        moment(block.since),
        moment(block.until),
        block.reason,
        block.by,
        block.score,
        block.times,
    )
