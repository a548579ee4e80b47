"""What Prometheus may know of blocked addresses: how many, and a few networks. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.family import Family, single
from exporter.reputation.block import ORIGINS
from exporter.reputation.deed import REFUSALS, RELEASES
from exporter.reputation.reputation import Reputation


def families(reputation: Reputation, now: float) -> Iterable[Family]:
    reputation.expire(now)
    yield Family.of(
        name="security_blocked_addresses",
        type="gauge",
        help="Addresses and networks on the blocklist now, by how they came there.",
        labels=("origin",),
        samples=tuple(((origin,), float(reputation.blocks.count(origin))) for origin in ORIGINS),
    )
    yield Family.of(
        name="security_blocks_total",
        type="counter",
        help="How often an address or a network was put on the blocklist, by how it came there.",
        labels=("origin",),
        samples=tuple(((origin,), float(reputation.blocked_total[origin])) for origin in ORIGINS),
    )
    yield Family.of(
        name="security_releases_total",
        type="counter",
        help="How often an address or a network was taken off the blocklist, by why.",
        labels=("reason",),
        samples=tuple(((reason,), float(reputation.released_total[reason])) for reason in RELEASES),
    )
    yield Family.of(
        name="security_blocks_refused_total",
        type="counter",
        help="How often somebody was not blocked who would have been, by why.",
        labels=("reason",),
        samples=tuple(((reason,), float(reputation.refused_total[reason])) for reason in REFUSALS),
    )
    yield Family.of(
        name="security_dry_run_blocked_addresses",
        type="gauge",
        help="Addresses that would be on the blocklist if this were no dry run.",
        samples=single(float(len(reputation.dry))),
    )
    yield Family.of(
        name="security_dry_run_blocks_total",
        type="counter",
        help="How often an address would have been put on the blocklist if this were no dry run.",
        samples=single(float(reputation.dry_total)),
    )
    yield Family.of(
        name="security_tracked_addresses",
        type="gauge",
        help="Addresses that have a score.",
        samples=single(float(len(reputation.scores))),
    )
    yield Family.of(
        name="security_forgotten_addresses_total",
        type="counter",
        help="Scores that were forgotten because there were too many.",
        samples=single(float(reputation.scores.forgotten)),
    )
    yield Family.of(
        name="security_top_source_score",
        type="gauge",
        help="The networks against which most is held: the sum of the scores of their addresses.",
        labels=("network",),
        samples=tuple(((network,), round(score, 1)) for network, score in reputation.top_networks(now)),
    )
