"""`time`: the machine's clock, its time zone, and the clock source that the kernel uses."""

import time
from collections.abc import Callable, Iterable

from exporter.collectors.files import Kept, Paths, numbered, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

NOW = Shape("node_time_seconds", "gauge", "The machine's clock, in seconds since 1970.")
ZONE = Shape(
    "node_time_zone_offset_seconds",
    "gauge",
    "How far the local time zone is ahead of UTC.",
    ("time_zone",),
)
AVAILABLE = Shape(
    "node_time_clocksource_available_info",
    "gauge",
    "A clock source that the kernel could use; the value is always 1.",
    ("clocksource", "device"),
)
CURRENT = Shape(
    "node_time_clocksource_current_info",
    "gauge",
    "The clock source that the kernel uses; the value is always 1.",
    ("clocksource", "device"),
)


class Time:
    name = "time"
    help = "System time, time zone and clock sources."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        # The kernel makes them when it starts, and no more later.
        self._devices = tuple(
            (str(index), f"{folder}/available_clocksource", f"{folder}/current_clocksource")
            for index, folder in numbered(f"{paths.sysfs}/devices/system/clocksource", "clocksource")
        )
        self._kept = Kept()
        self._seen: list[tuple[bytes | None, bytes | None]] = []
        self._clock_sources: tuple[Family, ...] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        now = self._now()
        zone, offset_seconds = local_zone(now)
        seen = [(self._kept.read_optional(path), self._kept.read_optional(other)) for _, path, other in self._devices]
        if seen != self._seen:
            self._clock_sources = clock_sources([device for device, _, _ in self._devices], seen)
            self._seen = seen
        return NOW.single(now), ZONE.of((((zone,), offset_seconds),)), *self._clock_sources


def clock_sources(devices: Iterable[str], seen: Iterable[tuple[bytes | None, ...]]) -> tuple[Family, ...]:
    """`seen` is what each device's two files say: the names that there are, and the one in use."""
    could_be: list[tuple[tuple[str, str], int]] = []
    in_use: list[tuple[tuple[str, str], int]] = []
    for device, (available, current) in zip(devices, seen, strict=True):
        names = dict.fromkeys(text(available or b"").split())
        could_be.extend(((name, device), 1) for name in names)
        if name := text(current or b"").strip():
            in_use.append(((name, device), 1))
    return AVAILABLE.of(could_be), CURRENT.of(in_use)


def local_zone(now: float) -> tuple[str, int]:
    """The local zone's abbreviation and its offset at that moment, so summer time is seen when it begins."""
    local = time.localtime(now)
    return local.tm_zone, local.tm_gmtoff
