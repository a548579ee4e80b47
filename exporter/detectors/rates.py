"""Detectors with a baseline, made of what is set: those that come with Tocsin.

What is usual is the mean of the last hour, without the present; who alone sends more than may be expected of all
together is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from exporter.detectors.anomaly.stream import Manner
from exporter.detectors.settings import Rate
from exporter.detectors.unusual import Look, Unusual

# Before so much is known, nothing is unusual; nor before so many intervals.
KNOWN_SECONDS_LEAST = 600.0
KNOWN_INTERVALS_LEAST = 10
# The bundled ones: the kind of event that each counts, and the field with who is named. Nobody is named for logins: an
# office that logs in at nine would be, and other detectors look at what fails.
RATES: Mapping[str, tuple[str, str]] = {
    "unusual_login_rate": ("auth", ""),
    "message_flood": ("message_sent", "ip"),
    "connection_flood": ("connection_opened", "ip"),
}


def rate(name: str, settings: Rate) -> Unusual:
    """A bundled one."""
    event, who = RATES[name]
    seconds = settings.window_seconds
    size = int(settings.baseline_seconds / seconds)
    manner = Manner(
        method="ratio",
        limit=settings.ratio,
        size=size,
        known_least=known_least(seconds, size),
        least=settings.least,
        counts=True,
    )
    return Unusual(name, Look(events=(event,), seconds=seconds, manner=manner, who=who), severity=settings.severity)


def known_least(seconds: float, size: int) -> int:
    """How many intervals of that length have to be known, where so many are remembered."""
    return min(size, max(KNOWN_INTERVALS_LEAST, ceil(KNOWN_SECONDS_LEAST / seconds)))
