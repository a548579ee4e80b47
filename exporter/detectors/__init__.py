"""Who looks for attacks and for what is unusual in what applications say; one idea a file.

A detector is given batches of the kinds of event that it asks for, and says what it has found. It is pure: values and
a time in, findings out. What it remembers is bounded, and what it had to forget is counted.

    anomaly/  is the newest number of a stream unusual?
    unusual   a detector with a baseline: counts and measures by intervals
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from exporter.event import Batch, Fields
from exporter.finding import Finding


class Detector(Protocol):
    """`name` is a word of its findings and metrics."""

    name: str
    asked: Mapping[str, Fields]

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        """The batch is of a kind that it asks for."""
