"""`edac`: errors that the memory's controllers have found, corrected and not, in all and by row of chips (csrow)."""

from collections.abc import Iterable
from typing import NamedTuple

from exporter.collectors.files import Kept, Paths, entries, numbered, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape

CORRECTED = Shape(
    "node_edac_correctable_errors_total",
    "counter",
    "Memory errors that were corrected.",
    ("controller",),
)
UNCORRECTED = Shape(
    "node_edac_uncorrectable_errors_total",
    "counter",
    "Memory errors that could not be corrected.",
    ("controller",),
)
ROW_CORRECTED = Shape(
    "node_edac_csrow_correctable_errors_total",
    "counter",
    "Memory errors in the row that were corrected; the row unknown has those that could not be placed.",
    ("controller", "csrow"),
)
ROW_UNCORRECTED = Shape(
    "node_edac_csrow_uncorrectable_errors_total",
    "counter",
    "Memory errors in the row that could not be corrected; the row unknown has those that could not be placed.",
    ("controller", "csrow"),
)


class Counter(NamedTuple):
    """A file with a number, and where that is shown."""

    shape: Shape
    labels: tuple[str, ...]
    path: str


class Edac:
    name = "edac"
    help = "Memory errors, from /sys/devices/system/edac."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/devices/system/edac/mc"
        self._kept = Kept()
        self._seen: list[str] | None = None
        self._counters: list[Counter] = []

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        """Controllers only come and go with their drivers; a machine without any has no errors to show."""
        seen = entries(self._folder)
        if seen != self._seen:
            self._counters = list(counters(self._folder))
            self._seen = seen
        samples: dict[Shape, list[tuple[tuple[str, ...], int]]] = {}
        for shape, labels, path in self._counters:
            content = self._kept.read_optional(path)
            if content is not None:
                samples.setdefault(shape, []).append((labels, whole_number(content, path)))
        return [shape.of(of_shape) for shape, of_shape in samples.items()]


def counters(folder: str) -> Iterable[Counter]:
    for number, controller in numbered(folder, "mc"):
        name = str(number)
        yield Counter(CORRECTED, (name,), f"{controller}/ce_count")
        yield Counter(ROW_CORRECTED, (name, "unknown"), f"{controller}/ce_noinfo_count")
        yield Counter(UNCORRECTED, (name,), f"{controller}/ue_count")
        yield Counter(ROW_UNCORRECTED, (name, "unknown"), f"{controller}/ue_noinfo_count")
        for row, path in numbered(controller, "csrow"):
            yield Counter(ROW_CORRECTED, (name, str(row)), f"{path}/ce_count")
            yield Counter(ROW_UNCORRECTED, (name, str(row)), f"{path}/ue_count")
