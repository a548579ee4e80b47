"""Lines of key=value.

A program writes the same keys in the same order most of the time. So the keys of a line are made into one regular
expression that takes all lines of a chunk apart at once, and is right only if it fits each of them. Where it does not,
lines are taken apart one by one, which takes five times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from exporter.columns import Written
from exporter.event import Fault, Fields
from exporter.intake.logs.columns import found_in, wanted, with_moments
from exporter.intake.logs.moments import Read
from exporter.reader import Found

NO_PAIR = "the line: expected key=value"
# Keys of a line that are made into one expression; Python's own limit is higher.
KEYS_MAX = 100

_VALUE = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|[^\s"]*+'
_PAIR = re.compile(rf'(?<!\S)([^\s="]+)=({_VALUE})(?!\S)')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Logfmt:
    def __init__(self, asked: Mapping[str, Fields], written: Written, moment: Read) -> None:
        self._asked = asked
        self._written = written
        self._moment = moment
        self._wanted = wanted(asked, written)
        self._shape: re.Pattern[str] | None = None
        self._names: Sequence[str] = ()

    def parse(self, data: bytes) -> Found:
        text = data.decode(errors="replace").replace("\r\n", "\n").strip("\n")
        columns = self._at_once(text)
        if columns is not None:
            found = found_in(columns, text.count("\n") + 1, self._written, self._asked)
        else:
            found = self._one_by_one([line for line in text.split("\n") if line.strip()])
        return with_moments(found, self._asked, self._moment)

    def _at_once(self, text: str) -> dict[str, Sequence[str]] | None:
        """None where not every line is of the shape that was learned."""
        if self._shape is None or not self._names:
            return None
        rows = self._shape.findall(text)
        if len(rows) != text.count("\n") + 1:
            return None
        by_name = [rows] if len(self._names) == 1 else zip(*rows, strict=True)
        return {name: list(map(_plain, column)) for name, column in zip(self._names, by_name, strict=True)}

    def _one_by_one(self, lines: Sequence[str]) -> Found:
        rows: list[dict[str, str]] = []
        places: list[int] = []
        faults: list[Fault] = []
        for place, line in enumerate(lines):
            pairs = _PAIR.findall(line)
            if pairs:
                rows.append(dict(pairs))
                places.append(place)
            else:
                faults.append(Fault(place, NO_PAIR))
        if rows:
            self._learn(list(rows[-1]))
        names = sorted({name for row in rows for name in row} & self._wanted)
        columns = {name: [_plain(row.get(name, "")) for row in rows] for name in names}
        found = found_in(columns, len(rows), self._written, self._asked)
        return found._replace(faults=sorted([*faults, *found.faults]))

    def _learn(self, keys: Sequence[str]) -> None:
        """The shape of lines with these keys. No line of it has a key twice, or anything else in between."""
        self._names = [key for key in keys if key in self._wanted]
        self._shape = None
        if len(keys) <= KEYS_MAX:
            parts = [f"{re.escape(key)}=({'' if key in self._wanted else '?:'}{_VALUE})" for key in keys]
            self._shape = re.compile(f"^{' '.join(parts)}$", re.MULTILINE)


def _plain(value: str) -> str:
    """A value without its quotes."""
    if value[:1] != '"':
        return value
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), value[1:-1]) if "\\" in value else value[1:-1]
