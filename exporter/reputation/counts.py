"""What is counted about exporters that share their blocklist."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.family import Family, single

KINDS = ("block", "release", "finding")
REASONS = ("garbage", "time", "allow_list", "full", "dry_run")


class Sharing:
    def __init__(self) -> None:
        self.sent = dict.fromkeys(KINDS, 0)
        self.received = dict.fromkeys(KINDS, 0)
        self.refused = dict.fromkeys(REASONS, 0)
        self.dropped = 0
        self.failures = 0
        self.syncs = 0
        self.success_at = 0.0


def families(counts: Sharing) -> Iterable[Family]:
    return [
        Family.of(
            name="tocsin_exporter_sharing_sent_total",
            type="counter",
            help="What was told to other exporters through Redis, by what it is.",
            labels=("kind",),
            samples=tuple(((kind,), float(count)) for kind, count in counts.sent.items()),
        ),
        Family.of(
            name="tocsin_exporter_sharing_received_total",
            type="counter",
            help="What other exporters told through Redis and was news here, by what it is.",
            labels=("kind",),
            samples=tuple(((kind,), float(count)) for kind, count in counts.received.items()),
        ),
        Family.of(
            name="tocsin_exporter_sharing_refused_total",
            type="counter",
            help="What came through Redis and was not believed, or was not to be here, by reason.",
            labels=("reason",),
            samples=tuple(((reason,), float(count)) for reason, count in counts.refused.items()),
        ),
        Family.of(
            name="tocsin_exporter_sharing_dropped_total",
            type="counter",
            help="What other exporters were not told at once: too much waited, or Redis was away.",
            samples=single(float(counts.dropped)),
        ),
        Family.of(
            name="tocsin_exporter_sharing_failures_total",
            type="counter",
            help="How often Redis could not be reached, or did not answer as it should.",
            samples=single(float(counts.failures)),
        ),
        Family.of(
            name="tocsin_exporter_sharing_syncs_total",
            type="counter",
            help="How often everything in Redis was read from its beginning.",
            samples=single(float(counts.syncs)),
        ),
        Family.of(
            name="tocsin_exporter_sharing_last_success_timestamp_seconds",
            type="gauge",
            help="When Redis was last asked, and answered; 0 if never.",
            samples=single(counts.success_at),
        ),
    ]
