"""Which events of a batch are meant, and what of the values of a field may be told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import compress
from operator import and_
from typing import Any

from exporter.event import Batch
from exporter.mapping.compiled import Verdicts
from exporter.mapping.rule import Condition

# The others are somebody's, or too long.
_TOLD = re.compile(r"[\w./:{}\[\] -]{1,60}", re.ASCII)

# For each event whether it is meant; None: all of them are.
Chosen = Sequence[bool] | None


class Choosing:
    """Events that fulfil all conditions."""

    def __init__(self, where: Sequence[Condition]) -> None:
        self.fields = tuple(dict.fromkeys(each.field for each in where))
        self._conditions = tuple((each.field, Verdicts(each)) for each in where)

    def of(self, batch: Batch) -> Chosen:
        chosen: Chosen = None
        for field, verdicts in self._conditions:
            found = list(map(verdicts.__getitem__, batch.texts(field)))
            chosen = found if chosen is None else list(map(and_, chosen, found))
        return chosen


def of(column: Sequence[Any], chosen: Chosen) -> Sequence[Any]:
    return column if chosen is None else list(compress(column, chosen))


def told(field: str, label: str) -> str:
    """In a sentence: which value of the field it is, if it may be told; nothing for no value."""
    if not label:
        return ""
    return f", {field} {label}" if _TOLD.fullmatch(label) else f", of one {field}"
