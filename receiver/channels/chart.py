"""A small picture for mails: how many alerts of an incident fired, and when. The same message is the same picture.

PNG is written here: one color a byte, rows one after the other, compressed. Nothing of an alert but its times is in it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from receiver.message import Document
from receiver.view import AlertView

WIDTH = 640
HEIGHT = 120
# What began earlier than so long before the incident was opened is drawn as if it had begun then.
BEFORE = timedelta(hours=1)
SHORTEST = timedelta(minutes=10)

_BACKGROUND, _GRID, _AREA, _EDGE, _OPENED = range(5)
_PALETTE = ("ffffff", "e3e7eb", "f2c9c5", "b3261e", "59636e")
_TOP = 8  # rows above the highest number
_DASH = 4


class Chart(NamedTuple):
    """`caption` says in words what the picture shows."""

    png: bytes
    caption: str


class _Times(NamedTuple):
    """What the picture's columns stand for."""

    begin: datetime
    end: datetime

    def column(self, at: datetime) -> int:
        return max(0, min(WIDTH - 1, int((at - self.begin) / (self.end - self.begin) * WIDTH)))


def chart_of(document: Document, *, at: datetime) -> Chart | None:
    """As it was known at that moment; nothing where there are no alerts to draw."""
    alerts = [each for each in document.alerts if each.starts_at <= at and not each.moved_on]
    if not alerts:
        return None
    opened = document.incident.opened_at
    earliest = max(min(each.starts_at for each in alerts), opened - BEFORE)
    times = _Times(min(earliest, opened, at - SHORTEST), at)
    counts = _counts(alerts, times)
    left_out = f", of the first {len(alerts)} alerts" if document.alerts_left_out else ""
    caption = (
        f"from {times.begin:%Y-%m-%d %H:%M:%S}Z to {times.end:%Y-%m-%d %H:%M:%S}Z, "
        f"at most {max(counts)} at a time, {sum(_fires(each) for each in alerts)} at last{left_out}"
    )
    return Chart(_png(list(_rows(counts, opened=times.column(opened)))), caption)


def _fires(alert: AlertView) -> bool:
    return alert.status == "firing" or alert.ends_at is None


def _counts(alerts: Sequence[AlertView], times: _Times) -> list[int]:
    """For each column the most that fired at any moment of it: what was short is seen as well."""
    changes = []
    for alert in alerts:
        ends = times.end if alert.ends_at is None or alert.status == "firing" else alert.ends_at
        if ends > times.begin:
            changes.append((max(alert.starts_at, times.begin), 1))
            changes.append((max(ends, alert.starts_at), -1))
    most, count, before = [0] * WIDTH, 0, 0
    for at, change in sorted(changes, key=lambda each: (each[0], -each[1])):
        column = times.column(at)
        most[before : column + 1] = [max(each, count) for each in most[before : column + 1]]
        if change > 0 or at < times.end:
            count += change
            most[column] = max(most[column], count)
        before = column
    return most


def _rows(counts: Sequence[int], *, opened: int) -> Iterator[bytes]:
    highest = max(counts) or 1
    tops = [HEIGHT - 1 - round(count / highest * (HEIGHT - 1 - _TOP)) for count in counts]
    grid = {HEIGHT - 1, _TOP, (HEIGHT - 1 + _TOP) // 2}
    for y in range(HEIGHT):
        plain = _GRID if y in grid else _BACKGROUND
        row = bytearray(
            plain if y < top or not count else _EDGE if y <= top + 1 else _AREA
            for top, count in zip(tops, counts, strict=True)
        )
        if y % (2 * _DASH) < _DASH:
            row[opened] = _OPENED
        yield bytes(row)


def _png(rows: Sequence[bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)  # 8 bits for each point, which names a color
    points = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    parts = ((b"IHDR", header), (b"PLTE", bytes.fromhex("".join(_PALETTE))), (b"IDAT", points), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
