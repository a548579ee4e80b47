"""What the exporter says about its own handling of findings, in the role `self`."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.family import Family, single


class FindingCounts:
    def __init__(self) -> None:
        self.without_line = 0


def families(told: FindingCounts) -> Iterable[Family]:
    yield Family.of(
        name="tocsin_exporter_findings_without_line_total",
        type="counter",
        help="Findings without a line of their own in the log, as there were too many in a minute.",
        samples=single(told.without_line),
    )
