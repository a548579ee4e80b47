"""The audit trail: what was done about addresses, as lines of JSON that are only ever added.

Each has the digest of the line before it: who changes a line, or takes one out, breaks the chain behind it.

The file is opened for each addition, so it can be rotated by moving it away; a new file goes on with the chain.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from exporter.reputation.deed import Deed
from exporter.reputation.disk import opened
from exporter.reputation.moments import moment

# Lines that wait for a disk; further ones are lost, and counted.
WAITING_MAX = 50_000
# The last deeds, for those who ask over HTTP.
HISTORY_MAX = 1_000
# The end of a file, in which its last line is.
END_BYTES = 65_536


class Trail:
    """`history` has the last deeds. Where there is no file, nothing waits to be written."""

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.history: deque[Deed] = deque(maxlen=HISTORY_MAX)
        self.waiting: deque[Deed] = deque()
        self.lost = 0
        self._before: str | None = None

    def take(self, deed: Deed) -> None:
        self.history.append(deed)
        if not self.path:
            return
        if len(self.waiting) >= WAITING_MAX:
            self.lost += 1
        else:
            self.waiting.append(deed)

    def prove(self) -> None:
        """That there is a file for it, which may be a new one. Raises OSError."""
        if self.path:
            os.close(opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT))

    def write(self, deeds: Sequence[Deed]) -> None:
        """At the end of the file, and on the disk. Raises OSError; then none of them, or some, are there."""
        descriptor = opened(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            whole, last = _end(descriptor)
            before = _digest(last) if last else (self._before or "")
            lines = list(_lines(deeds, before))
            size = os.lseek(descriptor, 0, os.SEEK_END)
            data = memoryview((b"" if whole else b"\n") + b"".join(line + b"\n" for line in lines))
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
                os.fsync(descriptor)
            except OSError:
                # Half a line would be one that nobody can read.
                os.ftruncate(descriptor, size)
                raise
            self._before = _digest(lines[-1])
        finally:
            os.close(descriptor)


def said(deed: Deed) -> dict[str, object]:
    return {
        "at": moment(deed.at),
        "what": deed.what,
        "address": deed.address,
        "origin": deed.origin,
        "why": deed.why,
        "reason": deed.reason,
        "by": deed.by,
        "since": moment(deed.since),
        "until": moment(deed.until),
        "score": deed.score,
        "times": deed.times,
        "dry_run": deed.dry_run,
    }


def broken(lines: Iterable[bytes]) -> int | None:
    """The number of the first line, from 1, that does not follow the one before; None where all do. What the first one
    follows is in another file, or nothing."""
    before: str | None = None
    for number, line in enumerate(map(bytes.rstrip, lines), start=1):
        try:
            found = msgspec.json.decode(line, type=dict[str, object]).get("before")
        except ValueError:
            return number
        if before is not None and found != before:
            return number
        before = _digest(line)
    return None


def _lines(deeds: Sequence[Deed], before: str) -> Iterable[bytes]:
    for deed in deeds:
        line = msgspec.json.encode({**said(deed), "before": before})
        before = _digest(line)
        yield line


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _end(descriptor: int) -> tuple[bool, bytes]:
    """Whether the last line is whole, and that line; nothing of an empty file."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    data = os.pread(descriptor, END_BYTES, max(0, size - END_BYTES))
    return not data or data.endswith(b"\n"), data.rstrip(b"\n").rpartition(b"\n")[2]
