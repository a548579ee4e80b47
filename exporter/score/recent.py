"""Findings and logins of the last hours, in two numbers each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp2

from exporter.detectors.outcomes import failed
from exporter.event import Batch, Fields
from exporter.finding import Finding, Severity
from exporter.stats.minutes import Ring

POINTS: Mapping[Severity, float] = {"info": 0.0, "low": 1.0, "medium": 3.0, "high": 10.0, "critical": 30.0}
HALF_LIFE_SECONDS = 3_600.0
LOGIN_MINUTES = 60


class Points:
    """Each finding has as many as it is severe, and half of them an hour later. A dry run has none."""

    def __init__(self) -> None:
        self._points = 0.0
        self._at = 0.0

    def take(self, found: Sequence[Finding]) -> None:
        for finding in found:
            if not finding.dry_run:
                self._points = self.left(finding.at) + POINTS[finding.severity]
                self._at = finding.at

    def left(self, now: float) -> float:
        # Where the clock was set back, nothing has aged until now, and it does from now on.
        self._at = min(self._at, now)
        return self._points * exp2((self._at - now) / HALF_LIFE_SECONDS)


class Logins:
    """A view of the pipeline: `auth` events of the last hour."""

    asked: Mapping[str, Fields] = {"auth": Fields(texts=("outcome",))}

    def __init__(self) -> None:
        self._minutes = Ring(60, LOGIN_MINUTES)

    def take(self, batch: Batch, *, now: float) -> None:
        self._minutes.bin(now).count("login", {"all": batch.size, "failed": sum(failed(batch))})

    def last(self, now: float) -> tuple[int, int]:
        """How many, and how many of them failed."""
        bins = [each.counts["login"] for each in self._minutes.last(LOGIN_MINUTES, now)]
        return sum(each["all"] for each in bins), sum(each["failed"] for each in bins)
