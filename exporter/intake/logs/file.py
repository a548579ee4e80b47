"""One file that is followed: what was added to it, and whether it is still the same.

Nothing of the file is held in memory: what is not a whole line yet is read again when more of it is there. If its
first bytes, or those before the position, are not what they were, the file was emptied and filled again.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import NamedTuple

from exporter.intake.logs.cut import LINE_BYTES_MAX, cut
from exporter.intake.logs.fingerprint import MARK_BYTES, Identity, Place, fits, mark_of, read_marks

# A last line without an end is taken for a whole one when nothing was added for this long.
HALF_LINE_SECONDS_MAX = 5.0
BOM = b"\xef\xbb\xbf"


class Unusable(OSError):
    """What is there is no file that could be followed."""


class Piece(NamedTuple):
    """What one read has brought. `cost` is how much was read for it. `lost` is how far a file had been read that was
    emptied since."""

    whole: bytes = b""
    cost: int = 0
    too_long: int = 0
    lost: Place | None = None


class File:
    def __init__(self, path: str, descriptor: int, identity: Identity, position: int) -> None:
        self.path = path
        self.identity = identity
        self.position = position
        self.behind = True
        # Since when no path leads here.
        self.gone_at: float | None = None
        # When there was last something new.
        self.moved_at = 0.0
        self.size = 0
        self.descriptor = descriptor
        self._head, self._tail = read_marks(descriptor, position)
        self._seen = (-1, -1)
        self._inside = bool(self._tail) and not self._tail.endswith(b"\n")

    def close(self) -> None:
        with suppress(OSError):
            os.close(self.descriptor)

    def place(self) -> Place:
        return Place(self.path, *self.identity, self.position, mark_of(self._head), mark_of(self._tail))

    def descends_from(self, place: Place) -> bool:
        """Whether what was read to that place stands here too."""
        there = os.fstat(self.descriptor).st_size >= place.position
        return there and fits(self.descriptor, place.head, place.tail, place.position)

    def begins_like(self, place: Place) -> bool:
        """Whether it could become a copy of what was read to that place: it is not as long yet."""
        head = os.pread(self.descriptor, place.head.size, 0)
        whole = mark_of(head) == place.head or not head
        return whole and os.fstat(self.descriptor).st_size < place.position

    @property
    def lag(self) -> int:
        return max(0, self.size - self.position)

    def read(self, most: int, *, now: float, starts: re.Pattern[bytes] | None = None) -> Piece:
        """At most so many bytes, or one line. Raises OSError."""
        status = os.fstat(self.descriptor)
        self.size = status.st_size
        seen = (status.st_size, status.st_mtime_ns)
        if seen == self._seen and not self.behind:
            return self.rest() if self.lag and now - self.moved_at >= HALF_LINE_SECONDS_MAX else Piece()
        if seen != self._seen:
            self.moved_at = now
        before, self._seen = self._seen, seen
        if self.size < max(self.position, before[0]):
            return self._began_anew()
        head = os.pread(self.descriptor, MARK_BYTES, 0)
        if not head.startswith(self._head):
            return self._began_anew()
        self._head = head
        position = self.position
        data = self._after(most)
        if data is None:
            return self._began_anew()
        found = cut(data, inside=self._inside, starts=starts)
        if not found.taken and len(data) >= most:
            data = self._after(LINE_BYTES_MAX) or b""
            found = cut(data, inside=self._inside, starts=starts)
        whole = self._take(data[: found.taken], found.whole)
        self._inside = found.inside
        self.behind = self.position > position and self.lag > 0
        return Piece(whole, len(data), found.too_long)

    def rest(self) -> Piece:
        """What is not whole, as a line, where nothing is added any more. What is added all the same is no line."""
        data = self._after(min(self.lag, LINE_BYTES_MAX))
        if data is None:
            return self._began_anew()
        whole = self._take(data, b"" if self._inside else data.removesuffix(b"\n") + b"\n")
        self._inside = not data.endswith(b"\n")
        return Piece(whole, len(data))

    def _after(self, most: int) -> bytes | None:
        """What stands after the position; None where what stands before it has changed. Holes are passed over."""
        before = len(self._tail)
        found = os.pread(self.descriptor, before + most, self.position - before)
        if not found.startswith(self._tail):
            return None
        data = found[before:]
        text = data.lstrip(b"\0")
        if len(text) < len(data):
            self._take(data[: len(data) - len(text)], b"")
        return text

    def _take(self, data: bytes, whole: bytes) -> bytes:
        if self.position == 0:
            whole = whole.removeprefix(BOM)
        self.position += len(data)
        self._tail = (self._tail + data[-MARK_BYTES:])[-MARK_BYTES:]
        return whole.replace(b"\0", b"") if b"\0" in whole else whole

    def _began_anew(self) -> Piece:
        lost = self.place()
        self.position, self._head, self._tail = 0, b"", b""
        self._seen = (-1, -1)
        self._inside = False
        self.behind = True
        return Piece(lost=lost)


def opened(path: str, position: int | None) -> File:
    """From the position, or from the end. Raises OSError; whatever may block at being opened or read is refused."""
    _regular(path, os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        _regular(path, status)
        at = status.st_size if position is None else position
        return File(path, descriptor, Identity(status.st_dev, status.st_ino), at)
    except OSError:
        os.close(descriptor)
        raise


def resumed(path: str, place: Place) -> File | None:
    """The file that was read to that place, or one with the same content, from there; None where this is another one.
    Raises OSError."""
    file = opened(path, 0)
    if file.descends_from(place):
        return File(path, file.descriptor, file.identity, place.position)
    file.close()
    return None


def _regular(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unusable(None, "found no regular file", path)
