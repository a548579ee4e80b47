"""`hwmon`: what the machine's sensors measure: temperatures, fans, voltages, currents, power.

The kernel says by the names of a chip's files what they are (`temp1_input`, `in0_max`). Which files there are is looked
up at each scrape, and what they mean is worked out only when they have changed. A sensor that cannot be read, or does
not say a number, is missing by itself.
"""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from exporter.collectors.files import Kept, Paths, entries, read_optional, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import RESERVED_SUFFIXES, Family, Shape, Type, shape

KINDS = (
    *("vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy"),
    *("humidity", "intrusion", "freq"),
)
FILE_NAME = re.compile(r"([^0-9]+)([0-9]{0,9})(?:_(.+))?")
NOT_IN_A_NAME = re.compile(r"[^a-z0-9:_]")
MILLI, MICRO = 1e3, 1e6

CHIP_NAMES = Shape("node_hwmon_chip_names", "gauge", "What a chip calls itself; always 1.", ("chip", "chip_name"))
SENSOR_LABELS = Shape(
    "node_hwmon_sensor_label",
    "gauge",
    "What the driver says that a sensor measures; always 1.",
    ("chip", "label", "sensor"),
)


class Reading(NamedTuple):
    """Where a number is read, and what it is divided by."""

    path: str
    labels: tuple[str, str]
    divisor: float


class Found(NamedTuple):
    """A chip's folder as it was seen; another device may come by the same number with the same files."""

    folder: str
    target: str
    files: list[str]
    device_files: list[str]


class Layout(NamedTuple):
    """Everything about the chips that does not change from scrape to scrape."""

    found: list[Found]
    readings: list[tuple[Shape, list[Reading]]]
    names: tuple[Family, ...]


class Hwmon:
    name = "hwmon"
    help = "Temperatures, fans, voltages and power of the machine's sensors."
    enabled = True
    options: tuple[Option, ...] = (
        Option("chip-include", Kind.PATTERN, "", "only these chips, as the label chip has them"),
        Option("chip-exclude", Kind.PATTERN, "", "chips that are left out"),
        Option("sensor-include", Kind.PATTERN, "", "only these sensors, written CHIP;SENSOR"),
        Option("sensor-exclude", Kind.PATTERN, "", "sensors that are left out, written CHIP;SENSOR"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._folder = f"{paths.sysfs}/class/hwmon"
        self._chips = Filter(include=chosen.pattern("chip-include"), exclude=chosen.pattern("chip-exclude"))
        self._sensors = Filter(include=chosen.pattern("sensor-include"), exclude=chosen.pattern("sensor-exclude"))
        self._kept = Kept()
        self._layout = Layout([], [], ())

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        found = chips(self._folder)
        if found != self._layout.found:
            self._kept.close()
            self._layout = layout(found, self._chips, self._sensors)
        measured = (each.of(self._values(each.type, readings)) for each, readings in self._layout.readings)
        return (*self._layout.names, *measured)

    def _values(self, kind: Type, readings: list[Reading]) -> list[tuple[tuple[str, ...], float]]:
        values: list[tuple[tuple[str, ...], float]] = []
        for path, labels, divisor in readings:
            content = self._kept.read_optional(path)
            if content is None:
                continue
            try:
                value = float(content) / divisor
            except ValueError:
                continue
            if kind != "counter" or value >= 0:
                values.append((labels, value))
        return values


def chips(folder: str) -> list[Found]:
    """The chips that there are. One that goes while it is looked at is not there."""
    names = entries(folder, absent="no sensors: the kernel has no folder class/hwmon")
    found = []
    for name in names:
        path = f"{folder}/{name}"
        try:
            files = os.listdir(path)
        except OSError:
            continue
        found.append(Found(path, target_of(path), files, device_files(path) if "device" in files else []))
    return found


def target_of(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def device_files(path: str) -> list[str]:
    """Old drivers have their files in the folder of the device instead."""
    try:
        return os.listdir(f"{path}/device")
    except OSError:
        return []


def layout(found: list[Found], wanted_chips: Filter, wanted_sensors: Filter) -> Layout:
    """By family, so that a scrape only reads and divides. A series that two files claim belongs to the first."""
    families: dict[Shape, dict[tuple[str, str], Reading]] = {}
    names: dict[tuple[str, str], None] = {}
    labels: dict[tuple[str, str, str], None] = {}
    for each in found:
        own = read_optional(f"{each.folder}/name")
        own_name = cleaned(text(own)) if own is not None else ""
        chip = chip_name(each, own_name)
        if not wanted_chips.keeps(chip):
            continue
        if own_name:
            names[chip, own_name] = None
        for sensor, elements in sensors(each).items():
            if not wanted_sensors.keeps(f"{chip};{sensor}"):
                continue
            label = read_optional(elements["label"]) if "label" in elements else None
            if label is not None:
                labels[chip, text(label.strip(b"\n")), sensor] = None
            shown = None if label is None else cleaned(text(label))
            for family, path, divisor, name in measures(sensor, elements, shown):
                families.setdefault(family, {}).setdefault((chip, name), Reading(path, (chip, name), divisor))
    ordered = sorted(families.items(), key=lambda item: item[0].name)
    return Layout(
        found,
        [(family, list(readings.values())) for family, readings in ordered],
        (CHIP_NAMES.of([(pair, 1) for pair in names]), SENSOR_LABELS.of([(three, 1) for three in labels])),
    )


def chip_name(found: Found, own_name: str) -> str:
    """By the device, whose place does not depend on which driver came first; else as the chip calls itself."""
    try:
        bus, device = os.path.realpath(f"{found.folder}/device", strict=True).split("/")[-2:]
    except OSError:
        device = ""
    if cleaned(device):
        return "_".join(filter(None, (cleaned(bus), cleaned(device))))
    return own_name or cleaned(os.path.basename(os.path.realpath(found.folder)))


def sensors(found: Found) -> dict[str, dict[str, str]]:
    """For each sensor (`temp1`) its elements (`input`, `max`) and the path of each."""
    files = {name: f"{found.folder}/{name}" for name in sorted(found.files)}
    files |= {name: f"{found.folder}/device/{name}" for name in sorted(found.device_files)}
    by_sensor: dict[str, dict[str, str]] = {}
    for name, path in files.items():
        match = FILE_NAME.fullmatch(name)
        if match is not None and match[1] in KINDS:
            by_sensor.setdefault(f"{match[1]}{int(match[2] or 0)}", {})[match[3] or ""] = path
    return by_sensor


def measures(sensor: str, elements: dict[str, str], label: str | None) -> Iterable[tuple[Shape, str, float, str]]:
    """For each number of a sensor: its family, where it is read, what it is divided by, and the sensor's name."""
    kind = sensor.rstrip("0123456789")
    match kind:
        case "beep_enable" if "" in elements:
            yield gauge("node_hwmon_beep_enabled", "1 if the chip may beep."), elements[""], 1, sensor
        case "vrm" if "" in elements:
            yield gauge("node_hwmon_voltage_regulator_version", "Version of the regulator."), elements[""], 1, sensor
        case "update_interval" if "" in elements:
            yield (
                gauge("node_hwmon_update_interval_seconds", "How often the chip measures."),
                elements[""],
                MILLI,
                sensor,
            )
        case "beep_enable" | "vrm" | "update_interval":
            return
        case _:
            for element, path in elements.items():
                if element == "label" or (kind == "freq" and element == "input" and label is None):
                    continue
                name, divisor = metric(kind, element, has_plain="" in elements)
                description = f"What the sensors' files {kind}*{'_' if element else ''}{element} say."
                shown = label if kind == "freq" and element == "input" and label is not None else sensor
                yield gauge(name, description), path, divisor, shown


def metric(kind: str, element: str, *, has_plain: bool) -> tuple[str, float]:
    """node_exporter's name for the number, and what makes it one in the unit of that name."""
    name = f"node_hwmon_{kind}"
    if element == "input":
        name += "_input" if has_plain else ""
    elif element:
        name += f"_{cleaned(element)}"
    match kind, element:
        case _, "fault" | "alarm":
            return name, 1
        case _, "beep":
            return f"{name}_enabled", 1
        case "in" | "cpu", _:
            return f"{name}_volts", MILLI
        case "temp", _ if element != "type":
            return f"{name}_celsius", MILLI
        case "curr", _:
            return f"{name}_amps", MILLI
        case "energy", _:
            return f"{name}_joule_total", MICRO
        case "power", "average_interval" | "average_interval_min" | "average_interval_max":
            return f"{name}_seconds", MILLI
        case "power", _:
            return name if element == "accuracy" else f"{name}_watt", MICRO
        case "humidity", _:
            return name, MICRO
        case "fan", "input" | "min" | "max" | "target":
            return f"{name}_rpm", 1
        case "freq", "input":
            return f"{name}_freq_mhz", MICRO
    return name, 1


def gauge(name: str, description: str) -> Shape:
    """A gauge, unless the name says that it is something else."""
    kind: Type = "gauge"
    if name.endswith(RESERVED_SUFFIXES):
        kind = "counter" if name.endswith("_joule_total") else "unknown"
    return shape(name, kind, description, ("chip", "sensor"))


def cleaned(name: str) -> str:
    return NOT_IN_A_NAME.sub("_", name.lower()).strip("_")
