"""What becomes of findings: they are counted and logged."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from exporter.family import Family
from exporter.finding import Finding, Severity
from guard.log import Ours

log = logging.getLogger("tocsin.exporter")


class Findings:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, Severity]] = Counter()

    def take(self, found: Sequence[Finding]) -> None:
        for finding in found:
            self._counted[finding.detector, finding.severity] += 1
            log.warning(
                "security finding",
                extra={"detector": finding.detector, "severity": finding.severity, "why": Ours(finding.why)},
            )

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - counts have no age
        yield Family.of(
            name="security_findings_total",
            type="counter",
            help="What detectors have found, by detector and severity.",
            labels=("detector", "severity"),
            samples=tuple((key, float(count)) for key, count in sorted(self._counted.items())),
        )
