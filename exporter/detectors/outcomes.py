"""Which events of a batch went well and which failed, in the spellings of the bundled rules. It is found out once for a
batch, so that each detector can ask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import TypeVar

from exporter.event import Batch
from exporter.mapping.bundled.words import FAILED, FALSE, SUCCEEDED

Value = TypeVar("Value")
_FAILED, _SUCCEEDED, _FALSE = map(re.compile, (FAILED, SUCCEEDED, FALSE))


def failed(batch: Batch) -> Sequence[bool]:
    """By `outcome`. What has neither word is neither."""
    return batch.once(failed, partial(_rows, batch.texts("outcome"), _FAILED))


def succeeded(batch: Batch) -> Sequence[bool]:
    return batch.once(succeeded, partial(_rows, batch.texts("outcome"), _SUCCEEDED))


def refused(batch: Batch) -> Sequence[bool]:
    """By `accepted`."""
    return batch.once(refused, partial(_rows, batch.texts("accepted"), _FALSE))


def of(column: Sequence[Value], rows: Sequence[bool]) -> Sequence[Value]:
    """Those of these rows; often it is all of them."""
    return column if False not in rows else list(compress(column, rows))


def _rows(column: Sequence[str | None], words: re.Pattern[str]) -> Sequence[bool]:
    if len(column) == 1:
        return (words.fullmatch(column[0] or "") is not None,)
    found = {text: words.fullmatch(text or "") is not None for text in dict.fromkeys(column)}
    return list(map(found.__getitem__, column))
