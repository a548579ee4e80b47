"""How text is laid out for a terminal: cut and wrapped to its columns, times and durations as people read them.

`columns` is None where the width does not matter, as in a pipe: then nothing is cut and nothing is wrapped.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TextIO

COLUMNS_LEAST = 20  # in less than this nothing can be read


def columns_of(out: TextIO, environ: Mapping[str, str]) -> int | None:
    """What $COLUMNS says, else what the terminal says; None where `out` is no terminal."""
    said = environ.get("COLUMNS", "")
    if said.isascii() and said.isdigit() and int(said[:6]) > 0:
        return int(said[:6])
    try:
        return os.get_terminal_size(out.fileno()).columns or None
    except (OSError, ValueError):
        return None


def width(text: str) -> int:
    """In columns: a Chinese character takes two, an accent that joins another character takes none."""
    return len(text) if text.isascii() else sum(map(_width_of, text))


def _width_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int | None) -> str:
    """What is too long ends with …."""
    if columns is None or width(text) <= columns:
        return text
    return text[: _fitting(text, columns - 1)] + "…"


def wrapped(text: str, columns: int | None, *, indent: int, lines_max: int) -> list[str]:
    """Indented lines, between words where that is possible; what is left over after `lines_max` is cut."""
    space = None if columns is None else max(columns - indent, COLUMNS_LEAST)
    lines: list[str] = []
    while space is not None and width(text) > space and len(lines) < lines_max - 1:
        fits = max(1, _fitting(text, space))
        at = fits if text[fits] == " " else text.rfind(" ", 0, fits)
        if at < fits // 2:  # a word as long as that is broken
            at = fits
        lines.append(text[:at].rstrip())
        text = text[at:].lstrip()
    lines.append(cut(text, space).rstrip())
    return [" " * indent + line for line in lines]


def _fitting(text: str, columns: int) -> int:
    """How many of its characters fit."""
    for place, character in enumerate(text):
        columns -= _width_of(character)
        if columns < 0:
            return place
    return len(text)


def table(rows: Sequence[Sequence[str]], columns: int | None) -> str:
    """Columns as wide as what is in them; only the last one, which says most, is cut."""
    widths = [max(width(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell + " " * (most - width(cell)) for cell, most in zip(row, widths, strict=False)]
        head = "  ".join([*cells, ""])
        room = None if columns is None else max(columns - width(head), COLUMNS_LEAST)
        lines.append((head + cut(row[-1], room)).rstrip())
    return "\n".join(lines) + "\n"


def moment(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text)


def written(at: datetime) -> str:
    """To the second, in UTC, and still sortable."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def lasting(seconds: float) -> str:
    """The two largest units: `12s`, `4m2s`, `1h30m`, `2d4h`. Clocks that disagree make nothing negative."""
    whole = max(0, int(seconds))
    parts: list[str] = []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, whole = divmod(whole, unit)
        if count or parts:
            parts.append(f"{count}{name}")
    shown = [part for part in parts[:2] if not part.startswith("0")]
    return "".join(shown) or "0s"


def taking(seconds: float) -> str:
    """How long a machine took: `12ms`, `1.5s`, and from a minute on as `lasting` says it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 60 else lasting(seconds)
