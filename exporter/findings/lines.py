"""A line of the log for each finding; where there are many in a minute, one line that counts the rest.

No line says who it was: at most the network, /24 or /48, where the configuration wants it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from exporter.finding import Finding
from exporter.findings.tally import FindingCounts
from exporter.identity import network_of
from guard.log import Ours

log = logging.getLogger("tocsin.exporter")

# In one minute; the next ones are one line together when it is over.
LINES_MAX = 30
MINUTE_SECONDS = 60.0
# Of detectors that a digest names, those with the most findings first.
NAMED_MAX = 20

# Calls something after so many seconds.
Later = Callable[[float, Callable[[], None]], object]


def _in_this_loop(seconds: float, do: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, do)


class Lines:
    def __init__(
        self, told: FindingCounts, *, clock: Callable[[], float] = time.monotonic, later: Later = _in_this_loop
    ) -> None:
        self.networks = False
        self._told = told
        self._clock = clock
        self._later = later
        self._ends = 0.0
        self._written = 0
        self._rest: Counter[str] = Counter()

    def take(self, found: Sequence[Finding]) -> None:
        now = self._clock()
        if now >= self._ends and not self._rest:
            self._ends, self._written = now + MINUTE_SECONDS, 0
        for finding in found:
            if self._written < LINES_MAX:
                self._written += 1
                _write(finding, networks=self.networks)
                continue
            if not self._rest:
                self._later(max(0.0, self._ends - now), self._digest)
            self._rest[finding.detector] += 1
            self._told.without_line += 1

    def _digest(self) -> None:
        rest, self._rest = self._rest, Counter()
        self._ends = 0.0
        log.warning(
            "further security findings",
            extra={
                "findings": rest.total(),
                "seconds": MINUTE_SECONDS,
                "detectors": dict(rest.most_common(NAMED_MAX)),
            },
        )


def _write(finding: Finding, *, networks: bool) -> None:
    said: dict[str, object] = {
        "detector": finding.detector,
        "severity": finding.severity,
        "why": Ours(finding.why),
        "value": finding.value,
        "threshold": finding.threshold,
        "window_seconds": finding.window_seconds,
    }
    if finding.source:
        said["source"] = finding.source
    if networks and finding.address is not None:
        said["network"] = Ours(network_of(finding.address))
    if finding.dry_run:
        log.info("security finding in a dry run", extra=said)
    else:
        log.warning("security finding", extra=said)
