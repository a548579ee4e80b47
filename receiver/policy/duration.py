"""Durations as Prometheus writes them: 5m, 1h30m, 0s, 500ms. Never a bare number, never a float."""

from __future__ import annotations

import re
from datetime import timedelta

# Each unit at most once, the largest first: exactly what Prometheus accepts.
_SHAPE = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_UNIT_MILLISECONDS = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_UNIT_NAMES = ("y", "w", "d", "h", "m", "s", "ms")
_DAYS_MAX = 100 * 365


def parse_duration(text: str) -> timedelta:
    """The duration that `text` names; ValueError with what was expected otherwise."""
    if text == "0":
        return timedelta(0)
    found = _SHAPE.fullmatch(text) if text and len(text) <= 64 and text.isascii() else None
    if found is None:
        raise ValueError("a duration such as 30s, 5m or 1h30m")
    milliseconds = sum(
        int(count) * unit for count, unit in zip(found.groups(), _UNIT_MILLISECONDS, strict=True) if count is not None
    )
    if milliseconds > _DAYS_MAX * 86_400_000:
        raise ValueError("a duration of at most 100 years")
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """The shortest text that parse_duration reads back; parts below a millisecond are cut off."""
    rest = duration // timedelta(milliseconds=1)
    parts = []
    for unit, name in zip(_UNIT_MILLISECONDS[2:], _UNIT_NAMES[2:], strict=True):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"
