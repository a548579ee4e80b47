"""`rapl`: the energy that processors and memory have used, where the hardware counts it. Only root may read it."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from exporter.collectors.files import Kept, Paths, entries, read_optional, shown, text, whole_number
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape, shape
from exporter.outcome import Absent

MICROJOULES = 1_000_000
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
LABELS = ("index", "path")
BY_ZONE = Shape("node_rapl_joules_total", "counter", "Energy that the zone has used.", (*LABELS, "rapl_zone"))


class Zone(NamedTuple):
    """`energy` is the file that counts, in millionths of a joule."""

    shape: Shape
    labels: tuple[str, ...]
    energy: str


class Rapl:
    name = "rapl"
    help = "Energy used by processors and memory, from /sys/class/powercap."
    enabled = True
    options: tuple[Option, ...] = (
        Option("enable-zone-label", Kind.SWITCH, "false", "whether the zone is a label, instead of a part of the name"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._folder = f"{paths.sysfs}/class/powercap"
        self._by_zone = (chosen or Chosen(self.options)).on("enable-zone-label")
        self._kept = Kept()
        self._seen: list[str] = []
        self._zones: list[Zone] = []

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        seen = entries(self._folder, absent="this machine does not count its energy")
        if seen != self._seen:
            self._zones = list(zones(self._folder, seen, by_zone=self._by_zone))
            self._seen = seen
        samples: dict[Shape, list[tuple[tuple[str, ...], float]]] = {}
        for form, labels, energy in self._zones:
            try:
                microjoules = whole_number(self._kept.read_value(energy), energy)
            except PermissionError:
                raise Absent("only root may read the energy that was used") from None
            except OSError:  # The zone went away meanwhile.
                continue
            samples.setdefault(form, []).append((labels, microjoules / MICROJOULES))
        return [form.of(of_zone) for form, of_zone in samples.items()]


def zones(folder: str, names: Iterable[str], *, by_zone: bool) -> Iterable[Zone]:
    """The folders that have a name. `package-0` is `package` with index 0; others are numbered as they come."""
    seen: dict[str, int] = {}
    for entry in names:
        content = read_optional(f"{folder}/{entry}/name")
        if content is None:
            continue
        zone = text(content).strip()
        base, hyphen, number = zone.partition("-")
        if hyphen and number.isdecimal():
            zone, index = base, int(number)
        else:
            index = seen.get(zone, 0)
        seen[zone] = index + 1
        labels = (str(index), shown(f"{folder}/{entry}"))
        energy = f"{folder}/{entry}/energy_uj"
        if by_zone:
            yield Zone(BY_ZONE, (*labels, zone), energy)
        else:
            name = f"node_rapl_{NOT_IN_A_NAME.sub('_', zone)}_joules_total"
            yield Zone(shape(name, "counter", "Energy that this zone has used.", LABELS), labels, energy)
