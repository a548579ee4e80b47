"""`nvme`: which NVMe controllers there are, and whether they live."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, shown, text
from exporter.collectors.options import Option
from exporter.family import Family, Shape

# What the kernel calls it, in the order of the labels after `device`.
FILES = ("firmware_rev", "model", "serial", "state")
INFO = Shape(
    "node_nvme_info",
    "gauge",
    "What the controller is, and the state it is in; the value is always 1.",
    ("device", "firmware_revision", "model", "serial", "state"),
)


class Nvme:
    name = "nvme"
    help = "NVMe controllers, from /sys/class/nvme."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/class/nvme"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        devices = entries(self._folder, absent="this machine has no NVMe controller")
        return [INFO.of([(labels, 1) for device in devices if (labels := self._labels(device)) is not None])]

    def _labels(self, device: str) -> tuple[str, ...] | None:
        """None for one that went away meanwhile. Older kernels do not tell the state."""
        values = [self._kept.read_optional(f"{self._folder}/{device}/{file}") for file in FILES]
        if values.count(None) == len(values):
            return None
        return (shown(device), *(text((value or b"").strip()) for value in values))
