"""`cpufreq`: how fast each processor runs, how fast it could, within which limits it is kept, and by which governor.

The lowest that the hardware can do is read once; the highest changes when somebody forbids boosts, and is read at each
scrape, as is how the hardware is used. Which processors have which files is looked up when processors, or the drivers
that steer them, come or go.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from exporter.collectors.files import Kept, Malformed, Paths, numbered, read_optional, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

# sysfs counts in kHz.
KILOHERTZ = 1000
# What a driver says that cannot tell.
UNKNOWN = b"<unknown>"

CPU = ("cpu",)
# What never changes, and what does.
STEADY = {
    "cpuinfo_min_freq": Shape("node_cpu_frequency_min_hertz", "gauge", "The lowest frequency of the processor.", CPU),
}
CHANGING = {
    "cpuinfo_max_freq": Shape("node_cpu_frequency_max_hertz", "gauge", "The highest frequency of the processor.", CPU),
    "cpuinfo_cur_freq": Shape("node_cpu_frequency_hertz", "gauge", "What the hardware says it runs at.", CPU),
    "scaling_cur_freq": Shape("node_cpu_scaling_frequency_hertz", "gauge", "What the kernel lets it run at.", CPU),
    "scaling_min_freq": Shape(
        "node_cpu_scaling_frequency_min_hertz", "gauge", "The lowest that the kernel allows.", CPU
    ),
    "scaling_max_freq": Shape(
        "node_cpu_scaling_frequency_max_hertz", "gauge", "The highest that the kernel allows.", CPU
    ),
}
GOVERNOR = Shape(
    "node_cpu_scaling_governor",
    "gauge",
    "1 for the governor that sets the processor's frequency, 0 for those that could.",
    ("cpu", "governor"),
)


class Governors(NamedTuple):
    """`labels` are those of all governors that a processor can have, by name."""

    cpu: str
    path: str
    labels: dict[bytes, tuple[str, str]]


class Layout(NamedTuple):
    """What there is to read, as long as `seen` stays the same."""

    seen: tuple[object, ...]
    steady: tuple[Family, ...]
    changing: tuple[tuple[Shape, list[tuple[tuple[str], str]]], ...]
    governors: list[Governors]


class Cpufreq:
    name = "cpufreq"
    help = "Frequencies and governors of processors, from /sys/devices/system/cpu."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/devices/system/cpu"
        self._kept = Kept()
        self._layout: Layout | None = None

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        seen = self._seen()
        if self._layout is None or self._layout.seen != seen:
            self._layout = layout(self._folder, seen)
        families = list(self._layout.steady)
        for shape, files in self._layout.changing:
            samples = []
            for labels, path in files:
                value = hertz(self._kept.read_optional(path), path)
                if value is not None:
                    samples.append((labels, value))
            families.append(shape.of(samples))
        states: list[tuple[tuple[str, str], int]] = []
        for governors in self._layout.governors:
            current = (self._kept.read_optional(governors.path) or b"").strip()
            if current and current not in governors.labels:
                states.append(((governors.cpu, text(current)), 1))
            states += [(labels, int(name == current)) for name, labels in governors.labels.items()]
        return [family for family in (*families, GOVERNOR.of(states)) if family.samples]

    def _seen(self) -> tuple[object, ...]:
        """Processors that are there and that are on, and the policies that drivers have made for them."""
        try:
            policies = tuple(os.listdir(f"{self._folder}/cpufreq"))
        except OSError:
            policies = ()
        lists = (self._kept.read_optional(f"{self._folder}/{name}") for name in ("present", "online"))
        return (policies, *lists)


def layout(folder: str, seen: tuple[object, ...]) -> Layout:
    steady: dict[str, list[tuple[tuple[str], int]]] = {file: [] for file in STEADY}
    changing: dict[str, list[tuple[tuple[str], str]]] = {file: [] for file in CHANGING}
    governors = []
    for number, processor in numbered(folder, "cpu"):
        cpu = str(number)
        for file in STEADY:
            path = f"{processor}/cpufreq/{file}"
            value = hertz(read_optional(path), path)
            if value is not None:
                steady[file].append(((cpu,), value))
        for file in CHANGING:
            path = f"{processor}/cpufreq/{file}"
            # Only root may read what the hardware runs at. A driver that is busy now can tell later.
            if os.access(path, os.R_OK):
                changing[file].append(((cpu,), path))
        if read_optional(f"{processor}/cpufreq/scaling_governor") is not None:
            names = (read_optional(f"{processor}/cpufreq/scaling_available_governors") or b"").split()
            labels = {name: (cpu, text(name)) for name in names}
            governors.append(Governors(cpu, f"{processor}/cpufreq/scaling_governor", labels))
    return Layout(
        seen,
        tuple(STEADY[file].of(samples) for file, samples in steady.items()),
        tuple((CHANGING[file], files) for file, files in changing.items()),
        governors,
    )


def hertz(content: bytes | None, where: str) -> int | None:
    """None where there is no such file, or nobody knows."""
    value = b"" if content is None else content.strip()
    if not value or value == UNKNOWN:
        return None
    if not value.isdigit():
        raise Malformed(where, found=value, expected="a whole number of kHz")
    return int(value) * KILOHERTZ
