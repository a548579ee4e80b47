"""`powersupplyclass`: batteries and mains, as the kernel describes them.

Which attributes a supply has is looked up at each scrape; one that cannot be read at the moment is missing by itself.
"""

import os
from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, shown, signed_number, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape

# The kernel's file, what node_exporter calls it, and what the kernel counts in: millionths or tenths of a unit.
WHOLE = {
    "authentic": "authentic",
    "calibrate": "calibrate",
    "capacity": "capacity",
    "capacity_alert_max": "capacity_alert_max",
    "capacity_alert_min": "capacity_alert_min",
    "cycle_count": "cyclecount",
    "online": "online",
    "present": "present",
    "time_to_empty_now": "time_to_empty_seconds",
    "time_to_full_now": "time_to_full_seconds",
}
MILLIONTHS = {
    "charge_now": "charge_ampere",
    "current_now": "current_ampere",
    "energy_now": "energy_watthour",
    "power_now": "power_watt",
    "voltage_now": "voltage_volt",
} | {
    name: name
    for name in (
        *("charge_control_limit", "charge_control_limit_max", "charge_counter", "charge_empty", "charge_empty_design"),
        *("charge_full", "charge_full_design", "charge_term_current", "constant_charge_current"),
        *("constant_charge_current_max", "constant_charge_voltage", "constant_charge_voltage_max"),
        *("current_boot", "current_max", "energy_empty", "energy_empty_design", "energy_full", "energy_full_design"),
        *("input_current_limit", "precharge_current", "voltage_boot", "voltage_max", "voltage_max_design"),
        *("voltage_min", "voltage_min_design", "voltage_ocv"),
    )
}
TENTHS = {
    name: f"{name}_celsius"
    for name in (
        *("temp", "temp_alert_max", "temp_alert_min", "temp_ambient", "temp_ambient_max", "temp_ambient_min"),
        *("temp_max", "temp_min"),
    )
}
DESCRIBED = (
    *("capacity_level", "charge_type", "health", "manufacturer", "model_name", "scope", "serial_number", "status"),
    *("technology", "type", "usb_type"),
)

MEASURES: dict[str, tuple[Shape, float]] = {
    file: (
        Shape(f"node_power_supply_{name}", "gauge", f"What the kernel's file {file} says.", ("power_supply",)),
        divisor,
    )
    for names, divisor in ((WHOLE, 1), (MILLIONTHS, 1e6), (TENTHS, 10))
    for file, name in names.items()
}
INFO = Shape(
    "node_power_supply_info", "gauge", "What the supply is and how it is; always 1.", ("power_supply", *DESCRIBED)
)


class PowerSupplyClass:
    name = "powersupplyclass"
    help = "Batteries and mains."
    enabled = True
    options: tuple[Option, ...] = (Option("ignored-supplies", Kind.PATTERN, "^$", "power supplies that are left out"),)

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        ignored = (chosen or Chosen(self.options)).pattern("ignored-supplies")
        self._folder = f"{paths.sysfs}/class/power_supply"
        self._wanted = Filter(include=None, exclude=ignored)
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        supplies = entries(self._folder, absent="no power supplies: the kernel has no folder class/power_supply")
        infos: list[tuple[tuple[str, ...], float]] = []
        measured: dict[Shape, list[tuple[tuple[str, ...], float]]] = {}
        for name in supplies:
            supply = shown(name)
            if not self._wanted.keeps(supply):
                continue
            folder = f"{self._folder}/{name}"
            try:
                files = os.listdir(folder)
            except OSError:
                continue
            infos.append(((supply, *self._description(folder, files)), 1))
            for file in files:
                measure = MEASURES.get(file)
                content = None if measure is None else self._kept.read_optional(f"{folder}/{file}")
                if measure is not None and content is not None:
                    shape, divisor = measure
                    number = signed_number(content, f"{folder}/{file}")
                    measured.setdefault(shape, []).append(((supply,), number if divisor == 1 else number / divisor))
        return (INFO.of(infos), *(shape.of(measured[shape]) for shape, _ in MEASURES.values() if shape in measured))

    def _description(self, folder: str, files: list[str]) -> list[str]:
        """What the supply does not say is an empty label, which is the same as none."""
        contents = (self._kept.read_optional(f"{folder}/{name}") if name in files else None for name in DESCRIBED)
        return [text(content.strip()) if content is not None else "" for content in contents]
