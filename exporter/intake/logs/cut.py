"""Bytes into whole lines, or into records of several lines. Pure: what is not whole yet stays where it is, in the file.

A line that is too long is passed over without ever being held: what was read of it is dropped, and so is the rest when
it comes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# A longer line, or record of several lines, is passed over and counted.
LINE_BYTES_MAX = 1_048_576


class Cut(NamedTuple):
    """`taken` is how many of the bytes need not be read again, `whole` those of them that are whole lines."""

    whole: bytes
    taken: int
    too_long: int = 0
    # Whether the next bytes are still those of a line that is too long.
    inside: bool = False


def cut(data: bytes, *, inside: bool = False, starts: re.Pattern[bytes] | None = None) -> Cut:
    """`starts` is what the first line of a record begins with; without one, each line is a record."""
    passed = 0
    if inside:
        passed = data.find(b"\n") + 1
        if not passed:
            return Cut(b"", len(data), inside=True)
    end = data.rfind(b"\n") + 1
    if starts is not None and end > passed:
        end = passed + _last_start(data[passed:end], starts)
    if end > passed:
        return Cut(data[passed:end], end)
    if len(data) - passed >= LINE_BYTES_MAX:
        return Cut(b"", len(data), too_long=1, inside=data[-1:] != b"\n")
    return Cut(b"", passed)


def records(text: str, starts: re.Pattern[str]) -> list[str]:
    """Each from its first line on. What comes before the first one is one too, as its beginning may have been lost."""
    at = [found.start() for found in starts.finditer(text)]
    if not at or at[0]:
        at.insert(0, 0)
    return [text[first:end].rstrip("\n") for first, end in zip(at, [*at[1:], len(text)], strict=True)]


def _last_start(data: bytes, starts: re.Pattern[bytes]) -> int:
    """Where the last record begins: it may go on. 0 where there is but one."""
    last = 0
    for found in starts.finditer(data):
        last = found.start()
    return last
