"""`time`: the machine's clock, its time zone, and the clock source that the kernel uses."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from exporter.collectors.files import Paths, numbered, read_optional, text
from exporter.collectors.options import Option
from exporter.family import Family, single


class Time:
    name = "time"
    help = "System time, time zone and clock sources."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._clock_sources = f"{paths.sysfs}/devices/system/clocksource"

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        now = self._now()
        zone, offset_seconds = local_zone(now)
        yield Family.of(
            name="node_time_seconds",
            type="gauge",
            help="The machine's clock, in seconds since 1970.",
            samples=single(now),
        )
        yield Family.of(
            name="node_time_zone_offset_seconds",
            type="gauge",
            help="How far the local time zone is ahead of UTC.",
            labels=("time_zone",),
            samples=(((zone,), offset_seconds),),
        )
        yield from self._clock_source_families()

    def _clock_source_families(self) -> Iterable[Family]:
        available: list[tuple[tuple[str, str], float]] = []
        current: list[tuple[tuple[str, str], float]] = []
        for index, folder in numbered(self._clock_sources, "clocksource"):
            names = text(read_optional(f"{folder}/available_clocksource") or b"").split()
            available.extend(((name, str(index)), 1) for name in dict.fromkeys(names))
            name = text(read_optional(f"{folder}/current_clocksource") or b"").strip()
            if name:
                current.append(((name, str(index)), 1))
        yield Family.of(
            name="node_time_clocksource_available_info",
            type="gauge",
            help="A clock source that the kernel could use; the value is always 1.",
            labels=("clocksource", "device"),
            samples=available,
        )
        yield Family.of(
            name="node_time_clocksource_current_info",
            type="gauge",
            help="The clock source that the kernel uses; the value is always 1.",
            labels=("clocksource", "device"),
            samples=current,
        )


def local_zone(now: float) -> tuple[str, float]:
    """The local zone's abbreviation and its offset at that moment, so summer time is seen when it begins."""
    local = datetime.fromtimestamp(now, tz=UTC).astimezone()
    offset = local.utcoffset()
    return local.tzname() or "UTC", offset.total_seconds() if offset is not None else 0.0
