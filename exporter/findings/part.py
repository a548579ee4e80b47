"""The place of findings in the program: whatever a detector finds comes here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporter.detection import Told
from exporter.family import Family
from exporter.finding import Finding
from exporter.findings.counts import Counts, Kind
from exporter.findings.kept import Kept
from exporter.findings.lines import Lines
from exporter.findings.tally import FindingCounts


class Findings:
    """Belongs to one event loop."""

    def __init__(self, told: FindingCounts, *, expected: Callable[[], Iterable[Kind]] = tuple) -> None:
        """`expected` are the detectors that are on, and how severe what they find is."""
        self.kept = Kept()
        self._counts = Counts(expected=expected)
        self._lines = Lines(told)
        self._hearers: tuple[Told, ...] = ()

    def tell(self, hearer: Told) -> None:
        """Who is told of what was found, too; also of what a dry run finds."""
        self._hearers = (*self._hearers, hearer)

    def take(self, found: Sequence[Finding]) -> None:
        self._counts.take(found)
        self.kept.take(found)
        self._lines.take(found)
        for hearer in self._hearers:
            hearer(found)

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - counts have no age
        return self._counts.families()
