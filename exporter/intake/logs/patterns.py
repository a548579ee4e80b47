"""Lines that regular expressions take apart; their named groups are fields.

Where the first expression is found in every line of a chunk, it takes all of them apart at once: as each find takes
whole lines, as many finds as lines can only be one a line. Elsewhere lines are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from exporter.columns import Written
from exporter.event import Fields, Raw
from exporter.intake.logs.columns import found_in, wanted, with_moments
from exporter.intake.logs.cut import records
from exporter.intake.logs.moments import Read
from exporter.intake.logs.settings import Pattern
from exporter.reader import Found

# Of a line, or of a record of several lines. What expressions try takes time that grows with the square of this.
MATCHED_CHARACTERS_MAX = 2_048
# Of these, what may be in a field: where the end is missing, half of an address could be taken for something else.
_KEPT_CHARACTERS = MATCHED_CHARACTERS_MAX - 256
# The kind of event that is no kind: that of lines in which nothing is found.
NOTHING = ""


class Patterns:
    def __init__(
        self,
        asked: Mapping[str, Fields],
        written: Written,
        moment: Read,
        *,
        patterns: Sequence[Pattern],
        starts: str = "",
    ) -> None:
        """Each pattern says its kind, or none where the line does."""
        self._asked = asked
        self._moment = moment
        self._starts = re.compile(f"^(?:{starts})", re.MULTILINE) if starts else None
        flags = re.DOTALL if starts else 0
        self._expressions = [re.compile(each.match, flags) for each in patterns]
        self._written = [written._replace(kind=each.event) for each in patterns]
        matters = wanted(asked, written)
        self._groups = [
            [(name, group) for name, group in each.groupindex.items() if name in matters] for each in self._expressions
        ]
        self._whole = None if starts else _whole(self._expressions[0])

    def parse(self, data: bytes) -> Found:
        text = data.decode(errors="replace").replace("\r\n", "\n").strip("\n")
        if self._starts is not None:
            return self._one_by_one(records(text, self._starts))
        lines = text.split("\n")
        if self._whole is not None and text and "\n\n" not in text and max(map(len, lines)) <= MATCHED_CHARACTERS_MAX:
            rows = self._whole.findall(text)
            if len(rows) == len(lines):
                # A single group comes alone, and not as one of several.
                every = [(row,) for row in rows] if self._expressions[0].groups == 1 else rows
                return with_moments(self._events(0, every, range(len(rows))), self._asked, self._moment)
        return self._one_by_one([line for line in lines if line.strip()])

    def _one_by_one(self, lines: Sequence[str]) -> Found:
        finds = [expression.search for expression in self._expressions]
        rows: list[list[tuple[str, ...]]] = [[] for _ in finds]
        places: list[list[int]] = [[] for _ in finds]
        nothing = 0
        for place, line in enumerate(lines):
            for number, find in enumerate(finds):
                match = find(line[:MATCHED_CHARACTERS_MAX])
                if match is not None:
                    is_whole = len(line) <= MATCHED_CHARACTERS_MAX
                    rows[number].append(match.groups("") if is_whole else _kept(match))
                    places[number].append(place)
                    break
            else:
                nothing += 1
        found = [self._events(number, rows[number], places[number]) for number in range(len(finds)) if rows[number]]
        unmatched = {NOTHING: nothing} if nothing else {}
        for each in found:
            for kind, count in each.unmatched.items():
                unmatched[kind] = unmatched.get(kind, 0) + count
        events: list[Raw] = [raw for each in found for raw in each.events]
        faults = sorted(fault for each in found for fault in each.faults)
        return with_moments(Found(events, faults, unmatched), self._asked, self._moment)

    def _events(self, number: int, rows: Sequence[Sequence[str]], places: Sequence[int]) -> Found:
        """`rows` have all groups of the expression."""
        by_group = list(zip(*rows, strict=True))
        columns = {name: by_group[group - 1] for name, group in self._groups[number]}
        found = found_in(columns, len(rows), self._written[number], self._asked)
        return found._replace(faults=[fault._replace(place=places[fault.place]) for fault in found.faults])


def _kept(match: re.Match[str]) -> tuple[str, ...]:
    """The groups, as far as they are away from where the line was cut."""
    return tuple([match.string[start : min(end, _KEPT_CHARACTERS)] for start, end in match.regs[1:]])


def _whole(expression: re.Pattern[str]) -> re.Pattern[str] | None:
    """The same for whole lines. None where it has flags of its own."""
    pattern = expression.pattern
    # Nothing is found in a line without a character that can be seen.
    before = r"^(?![^\S\n]*$)" + ("" if pattern.startswith("^") and "|" not in pattern else ".*?")
    try:
        return re.compile(f"{before}(?:{pattern}).*$", re.MULTILINE)
    except re.error:
        return None
