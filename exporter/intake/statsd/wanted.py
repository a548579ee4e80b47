"""What lines of a name become, as a mapping file or nobody says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from exporter.mapping.rule import TTL_SECONDS, Type

HELP = "Lines of StatsD with this name."


class Wanted(msgspec.Struct, frozen=True):
    """What lines of a name become."""

    name: str
    type: Type
    labels: tuple[tuple[str, str], ...] = ()
    help: str = HELP
    buckets: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()
    ttl_seconds: float | None = TTL_SECONDS
    scale: float = 1.0
    # Whether a tag outweighs a label of the same name.
    honor_labels: bool = False


# What lines with this name and of this class become; None where they are dropped.
Choose = Callable[[str, str], Wanted | None]
_UNMAPPED: Mapping[str, Type] = {"counter": "counter", "gauge": "gauge", "observer": "histogram"}


def unmapped(name: str, kind: str) -> Wanted:
    return Wanted(name, _UNMAPPED[kind])
