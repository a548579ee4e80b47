"""`thermal_zone`: temperatures of thermal zones, and how hard cooling devices work.

A zone or a device that goes, or has nothing to say at the moment, is missing by itself.
"""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, signed_number, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

TEMPERATURE = Shape("node_thermal_zone_temp", "gauge", "Temperature of the zone in degrees Celsius.", ("type", "zone"))
STATE = Shape(
    "node_cooling_device_cur_state", "gauge", "How much the device cools now; 0 is not at all.", ("name", "type")
)
HIGHEST_STATE = Shape("node_cooling_device_max_state", "gauge", "How much the device can cool.", ("name", "type"))

Samples = list[tuple[tuple[str, ...], float]]


class ThermalZone:
    name = "thermal_zone"
    help = "Temperatures of thermal zones, and cooling devices."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/class/thermal"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        temperatures: Samples = []
        states: Samples = []
        most: Samples = []
        for entry in entries(self._folder):
            folder = f"{self._folder}/{entry}"
            zone, device = entry.removeprefix("thermal_zone"), entry.removeprefix("cooling_device")
            if not zone.isdecimal() and not device.isdecimal():
                continue
            kind = self._kept.read_optional(f"{folder}/type")
            if kind is None:
                continue
            if zone.isdecimal():
                labels = (text(kind.strip()), zone)
                self._measure(f"{folder}/temp", labels, temperatures, 1000)
            else:
                labels = (device, text(kind.strip()))
                self._measure(f"{folder}/cur_state", labels, states, 1)
                self._measure(f"{folder}/max_state", labels, most, 1)
        return TEMPERATURE.of(temperatures), STATE.of(states), HIGHEST_STATE.of(most)

    def _measure(self, path: str, labels: tuple[str, str], samples: Samples, divisor: int) -> None:
        content = self._kept.read_optional(path)
        if content is not None:
            number = signed_number(content, path)
            samples.append((labels, number if divisor == 1 else number / divisor))
