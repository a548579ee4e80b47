"""A body with events, piece by piece: inflated, and cut into blocks of whole lines, or of whole parts of an array.

A body that is not whole, or too large once it is inflated, is refused before any of its events counts. For that, one
that is compressed is inflated twice, unless it is small: so a bomb costs time that is bounded, and no memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from isal import isal_zlib

from exporter.reader import LINE_BYTES_MAX, said

# Of a body once it is inflated.
INFLATED_BYTES_MAX = 64 * 1024 * 1024
# An array has to be in memory as a whole, lines do not.
ARRAY_BYTES_MAX = 16 * 1024 * 1024
# What is between two commas takes some memory of its own, however short it is.
ARRAY_COMMAS_MAX = 1_000_000
EVENTS_MAX = 200_000
# One after the other, as `cat` makes of several files.
GZIP_MEMBERS_MAX = 1_000
# What is looked at in one turn; about a thousand events.
PIECE_BYTES = 196_608
PART_EVENTS = 1_000
# Places at which it is tried to cut an array; then the rest of it is decoded at once.
CUTS_TRIED_MAX = 8
# Short lines are many in a piece.
BLOCK_LINES = 2_000
# A body that is inflated to less is not inflated again.
KEPT_BYTES = 1024 * 1024
# Handed to the inflater at a time: what it does not use of that, it copies.
_FED_BYTES = 16_384
_GZIP = 31  # its window, and its header
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FIRST = re.compile(rb"\S")
# With the beginning of an object and its first name.
_FIRST_EVENT = re.compile(rb'\s*\[\s*(\{\s*"[^"\\]{1,100}")')
_WHITE = b" \t\r\n"
_BYTE = re.compile(r"(?<=\(byte )[0-9]+(?=\))")
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
# In the place of a part that is too long, and as wrong; so it is not made into values first.
_TOO_LONG = b'"%b"' % (b"x" * LINE_BYTES_MAX)


class Unreadable(Exception):
    """Nothing of this body counts. `reason` is one of the tally's; the text is for the sender."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(text)


class Measure:
    """What is known of a body before its events count. `add` is called with each piece."""

    def __init__(self) -> None:
        self.bytes = 0
        self.lines = 0
        self.commas = 0
        self.is_array = False
        self.is_empty = True

    def add(self, piece: bytes) -> None:
        """Raises Unreadable."""
        self.bytes += len(piece)
        self.lines += piece.count(b"\n")
        if self.is_empty:
            first = _FIRST.search(piece)
            if first is not None:
                self.is_empty, self.is_array = False, first[0] == b"["
        most = ARRAY_BYTES_MAX if self.is_array else INFLATED_BYTES_MAX
        if self.bytes > most:
            what = "an array" if self.is_array else "events"
            raise Unreadable(413, "too_large", f"more than {most} bytes of {what}: send less at once")
        if not self.is_array:
            if self.lines > EVENTS_MAX:
                raise too_many()
            return
        self.commas += piece.count(b",")
        if self.commas > ARRAY_COMMAS_MAX:
            text = f"more than {ARRAY_COMMAS_MAX} values in an array: send less at once, or lines"
            raise Unreadable(413, "too_large", text)


def too_many() -> Unreadable:
    return Unreadable(413, "too_large", f"more than {EVENTS_MAX} events: send fewer at once")


def plain(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))


def inflated(data: bytes) -> Iterator[bytes]:
    """Raises Unreadable where it is no gzip, or not whole."""
    at = members = 0
    while at < len(data):
        members += 1
        if members > GZIP_MEMBERS_MAX:
            raise Unreadable(413, "too_large", f"more than {GZIP_MEMBERS_MAX} gzip files in one body")
        inflater = isal_zlib.decompressobj(_GZIP)
        while not inflater.eof:
            fed = inflater.unconsumed_tail
            if not fed:
                fed = data[at : at + _FED_BYTES]
                at += len(fed)
            try:
                piece = inflater.decompress(fed, PIECE_BYTES)
            except isal_zlib.IsalError:  # type: ignore[misc]  # its stub says that it is a value
                raise Unreadable(400, "unreadable", "the body says that it is gzip, and is not") from None
            if piece:
                yield piece
            elif not fed and not inflater.eof:
                raise Unreadable(400, "unreadable", "the gzip data ends before it is whole")
        at -= len(inflater.unused_data)


def without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Some editors begin a text with a mark of their byte order."""
    yield next(pieces, b"").removeprefix(_BYTE_ORDER_MARK)
    yield from pieces


def blocks_of_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, many at a time. Of a line that is too long there is only the beginning, still too long."""
    rest = b""
    skips = False
    for piece in pieces:
        start = 0
        if skips:
            start = piece.find(b"\n") + 1
            if not start:
                continue
            skips = False
        end = piece.rfind(b"\n") + 1
        if end > start:
            yield from _few_at_once(rest + piece[start:end])
            rest, start = b"", end
        rest += piece[start:]
        if len(rest) > LINE_BYTES_MAX:
            yield rest[: LINE_BYTES_MAX + 1]
            rest, skips = b"", True
    if rest:
        yield rest


def _few_at_once(block: bytes) -> Iterator[bytes]:
    if block.count(b"\n") <= BLOCK_LINES:
        yield block
        return
    lines = block.split(b"\n")
    for start in range(0, len(lines), BLOCK_LINES):
        yield b"\n".join(lines[start : start + BLOCK_LINES])


def parts_of_array(pieces: Iterator[bytes]) -> Iterator[list[msgspec.Raw]]:
    """Its events, some at a time. Raises Unreadable where it is none.

    It is cut where another event begins as its first one does. Whether that is between two events is found out by
    decoding what stands before. Where no cut is found, the rest is decoded at once.
    """
    rest = b""
    passed = 0
    for piece in pieces:
        if rest:
            found = _cut(rest)
            if found is None:
                rest += piece
                break
            passed += len(rest) - len(found.rest)
            rest = found.rest
            yield found.parts
        rest += piece
    rest += b"".join(pieces)
    try:
        yield _PARTS.decode(rest)
    except RecursionError:
        raise Unreadable(400, "unreadable", "the array is nested too deeply") from None
    except ValueError as error:
        where = _BYTE.sub(lambda byte: str(int(byte[0]) + passed), said(error))
        raise Unreadable(400, "unreadable", f"expected an array of events, or lines with one each: {where}") from None


def blocks_of_array(parts: Sequence[msgspec.Raw]) -> Iterator[bytes]:
    """Arrays of less."""
    if max(map(len, parts), default=0) > LINE_BYTES_MAX:
        parts = [part if len(part) <= LINE_BYTES_MAX else msgspec.Raw(_TOO_LONG) for part in parts]
    return (b"[%b]" % b",".join(parts[at : at + PART_EVENTS]) for at in range(0, len(parts), PART_EVENTS))


class _Cut(NamedTuple):
    parts: list[msgspec.Raw]
    rest: bytes  # an array again


def _cut(array: bytes) -> _Cut | None:
    """The events with which this beginning of an array begins; None where none was found that is whole."""
    first = _FIRST_EVENT.match(array)
    if first is None:
        return None
    at = len(array)
    for _ in range(CUTS_TRIED_MAX):
        at = array.rfind(first[1], first.end(), at)
        if at < 0:
            return None
        before = array[:at].rstrip(_WHITE)
        if before.endswith(b","):
            try:
                return _Cut(_PARTS.decode(before[:-1] + b"]"), b"[" + array[at:])
            except (ValueError, RecursionError):
                # It was within an event.
                continue
    return None
