"""What is held against an address by which finding, and what follows from it, as numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exporter.finding import Finding, Severity
from exporter.reputation.allowed import PRIVATE_PLACES, Allowed, Entry

PRIVATE_ORIGIN = "reputation.allow_private"
POINTS: Mapping[Severity, float] = {"info": 0.0, "low": 10.0, "medium": 30.0, "high": 60.0, "critical": 120.0}
# Fifty failed logins of one address are no accident, and nobody waits for fifty more; to page a person for each such
# address would be too much, so the finding itself is not critical. Who gives a list of malicious addresses knows why.
OWN_POINTS: Mapping[str, float] = {"brute_force_address": 120.0, "malicious_address": 120.0}
PRIVATE_ENTRIES = tuple(Entry(place, PRIVATE_ORIGIN) for place in PRIVATE_PLACES)
# No score is more thresholds than this, so that each is below one again after a few half-lives.
THRESHOLDS_MAX = 10
# How many networks may be shown with their scores.
TOP_NETWORKS_MAX = 20


class Policy(msgspec.Struct, frozen=True):
    """Without a file these are in force."""

    threshold: float = 100.0
    half_life_seconds: float = 1_800.0
    block_seconds: float = 900.0
    block_seconds_max: float = 86_400.0
    # Without a block for so long, the next one is the first.
    forget_seconds: float = 86_400.0
    # Whom a person has released is left alone for so long.
    grace_seconds: float = 900.0
    dry_run: bool = False
    points: Mapping[Severity, float] = msgspec.field(default_factory=lambda: POINTS)
    # Of detectors that have points of their own.
    detectors: Mapping[str, float] = msgspec.field(default_factory=lambda: OWN_POINTS)
    allowed: Allowed = Allowed(PRIVATE_ENTRIES)
    top_networks: int = TOP_NETWORKS_MAX

    def points_of(self, finding: Finding) -> float:
        own = self.detectors.get(finding.detector)
        return self.points.get(finding.severity, 0.0) if own is None else own

    def faded(self, score: float, *, seconds: float) -> float:
        """What is left of it after so long."""
        return score if seconds <= 0 else score * 2.0 ** (-seconds / self.half_life_seconds)

    def seconds_of(self, times: int) -> float:
        """How long the block lasts that is the `times`-th in a row."""
        # Beyond that many doublings the cap holds in any case.
        return min(self.block_seconds * 2.0 ** min(times - 1, 64), self.block_seconds_max)
