"""`watchdog`: the timers that start the machine again when nobody winds them up."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, shown, signed_number, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

NAME = ("name",)
NUMBERS = {
    "bootstatus": Shape("node_watchdog_bootstatus", "gauge", "Why the machine was started, as the driver says.", NAME),
    "fw_version": Shape("node_watchdog_fw_version", "gauge", "The firmware's version.", NAME),
    "nowayout": Shape("node_watchdog_nowayout", "gauge", "1 where the timer cannot be stopped once it runs.", NAME),
    "timeleft": Shape("node_watchdog_timeleft_seconds", "gauge", "Time that is left until the machine is reset.", NAME),
    "timeout": Shape("node_watchdog_timeout_seconds", "gauge", "Time in which the timer must be wound up.", NAME),
    "pretimeout": Shape("node_watchdog_pretimeout_seconds", "gauge", "How long before the reset it warns.", NAME),
    "access_cs0": Shape("node_watchdog_access_cs0", "gauge", "Whether it was started from the other boot flash.", NAME),
}
TEXTS = ("options", "identity", "state", "status", "pretimeout_governor")
INFO = Shape("node_watchdog_info", "gauge", "What a watchdog is, as labels; the value is always 1.", (*NAME, *TEXTS))


class Watchdog:
    name = "watchdog"
    help = "Watchdog timers, from /sys/class/watchdog."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/class/watchdog"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        names = entries(self._folder, absent="this kernel has no watchdogs")
        numbers: dict[Shape, list[tuple[tuple[str, ...], int]]] = {shape: [] for shape in NUMBERS.values()}
        info: list[tuple[tuple[str, ...], int]] = []
        for name in names:
            label = shown(name)
            for file, shape in NUMBERS.items():
                path = f"{self._folder}/{name}/{file}"
                content = self._kept.read_optional(path)
                if content is not None:
                    numbers[shape].append(((label,), signed_number(content, path)))
            texts = (self._kept.read_optional(f"{self._folder}/{name}/{file}") or b"" for file in TEXTS)
            info.append(((label, *(text(content).strip() for content in texts)), 1))
        families = [*(shape.of(samples) for shape, samples in numbers.items()), INFO.of(info)]
        return [family for family in families if family.samples]
