"""`btrfs`: how each Btrfs file system has divided its devices, as far as sysfs tells.

What node_exporter asks the file system itself by ioctl, errors and unused space of each device, is not here: such a
call can hang like the file system, and needs privileges.
"""

import os
from collections.abc import Iterable

from exporter.collectors.files import Kept, Paths, entries, shown, text, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape

# A small file system, made with `--mixed`, has one group for data and metadata.
GROUPS = ("data", "metadata", "mixed", "system")
# How often each byte is on the devices, by the profile; for the others it follows from their number.
COPIES = {"single": 1, "dup": 2, "raid0": 1, "raid1": 2, "raid1c3": 3, "raid1c4": 4, "raid10": 2}
PARITY = {"raid5": 1, "raid6": 2}
SECTOR_BYTES = 512

INFO = Shape("node_btrfs_info", "gauge", "The name of the file system; the value is always 1.", ("label", "uuid"))
RESERVE = Shape(
    "node_btrfs_global_rsv_size_bytes", "gauge", "Size of the reserve for the file system's own needs.", ("uuid",)
)
DEVICE_SIZE = Shape("node_btrfs_device_size_bytes", "gauge", "Size of the device.", ("device", "uuid"))
RESERVED = Shape(
    "node_btrfs_reserved_bytes", "gauge", "Bytes that are promised and not written.", ("block_group_type", "uuid")
)
OF_A_PROFILE = ("block_group_type", "mode", "uuid")
SIZE = Shape("node_btrfs_size_bytes", "gauge", "Bytes that are set aside for this kind of content.", OF_A_PROFILE)
USED = Shape("node_btrfs_used_bytes", "gauge", "Bytes of those that are in use.", OF_A_PROFILE)
RATIO = Shape(
    "node_btrfs_allocation_ratio", "gauge", "Bytes that each byte takes on the devices, by its profile.", OF_A_PROFILE
)
SHAPES = (INFO, RESERVE, DEVICE_SIZE, RESERVED, SIZE, USED, RATIO)

Samples = dict[Shape, list[tuple[tuple[str, ...], float]]]


class Btrfs:
    name = "btrfs"
    help = "Btrfs file systems, from /sys/fs/btrfs."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/fs/btrfs"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        samples: Samples = {shape: [] for shape in SHAPES}
        for entry in entries(self._folder):
            # Beside the file systems is what this kernel can do.
            if entry.count("-") == 4:
                self._add(samples, entry)
        return [shape.of(found) for shape, found in samples.items()]

    def _add(self, samples: Samples, entry: str) -> None:
        """All of one file system; one that is unmounted meanwhile has gone before its last file was read."""
        folder, uuid = f"{self._folder}/{entry}", shown(entry)
        found: Samples = {shape: [] for shape in SHAPES}
        try:
            found[INFO].append(((text(self._kept.read_value(f"{folder}/label").strip()), uuid), 1))
            found[RESERVE].append(((uuid,), self._number(f"{folder}/allocation/global_rsv_size")))
            devices = entries(f"{folder}/devices")
            for device in devices:
                # What is missing has no size.
                sectors = self._kept.read_optional(f"{folder}/devices/{device}/size") or b"0"
                size = whole_number(sectors, f"{folder}/devices/{device}/size") * SECTOR_BYTES
                found[DEVICE_SIZE].append(((shown(device), uuid), size))
            groups = entries(f"{folder}/allocation")
            for group in filter(groups.__contains__, GROUPS):
                self._add_group(found, f"{folder}/allocation/{group}", (group, uuid), len(devices))
        except FileNotFoundError:
            if os.path.isdir(folder):
                raise
            return
        for shape, added in found.items():
            samples[shape] += added

    def _add_group(self, found: Samples, folder: str, labels: tuple[str, str], devices: int) -> None:
        group, uuid = labels
        found[RESERVED].append((labels, self._number(f"{folder}/bytes_reserved")))
        for profile in entries(folder):
            if profile not in COPIES and profile not in PARITY:
                continue
            about = (group, profile, uuid)
            found[SIZE].append((about, self._number(f"{folder}/{profile}/total_bytes")))
            found[USED].append((about, self._number(f"{folder}/{profile}/used_bytes")))
            found[RATIO].append((about, ratio(profile, devices)))

    def _number(self, path: str) -> int:
        return whole_number(self._kept.read_value(path), path)


def ratio(profile: str, devices: int) -> float:
    if profile in COPIES:
        return COPIES[profile]
    # With as few devices as there are for parity alone there is nothing to divide.
    return devices / max(1, devices - PARITY[profile])
