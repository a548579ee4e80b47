"""What the exporter says about its own keeping of blocks, in the role `self`."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.family import Family, single


class KeptCounts:
    def __init__(self) -> None:
        self.state_failures = 0
        self.saved_at = 0.0
        self.trail_failures = 0
        self.trail_lost = 0


def families(told: KeptCounts) -> Iterable[Family]:
    yield Family.of(
        name="tocsin_exporter_reputation_state_failures_total",
        type="counter",
        help="How often the file with blocks and scores could not be read or written.",
        samples=single(told.state_failures),
    )
    yield Family.of(
        name="tocsin_exporter_reputation_state_saved_timestamp_seconds",
        type="gauge",
        help="When blocks and scores were last written to their file, in seconds since 1970; 0 is never.",
        samples=single(told.saved_at),
    )
    yield Family.of(
        name="tocsin_exporter_reputation_audit_failures_total",
        type="counter",
        help="How often the audit trail of blocks could not be written.",
        samples=single(told.trail_failures),
    )
    yield Family.of(
        name="tocsin_exporter_reputation_audit_lines_lost_total",
        type="counter",
        help="Lines of the audit trail that were lost, because too many waited for the disk.",
        samples=single(told.trail_lost),
    )
