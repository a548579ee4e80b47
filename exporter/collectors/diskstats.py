"""`diskstats`: what each block device has read and written since the start, and what udev knows about the device.

What udev knows hardly ever changes. Its files are looked at in each scrape, and read again only when a device came or
went, or one of them was written anew.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from exporter.collectors.files import DIGITS_MAX, Kept, Malformed, Paths, read_optional, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape, Type

# Partitions, and what is no disk; node_exporter's default.
DEVICES_EXCLUDED = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"
SECTOR_BYTES = 512
MILLISECONDS = 1000
# What every kernel since 2.6.25 says of a device: discards came with 4.18, flushes with 5.5.
COLUMNS_MIN = 11


def _shape(name: str, description: str, kind: Type = "counter") -> Shape:
    return Shape(f"node_disk_{name}", kind, description, ("device",))


# In the kernel's order; what a number is multiplied with, or divided by.
COLUMNS: tuple[tuple[Shape, int, int], ...] = (
    (_shape("reads_completed_total", "Reads that were completed."), 1, 1),
    (_shape("reads_merged_total", "Reads that became part of another before they were sent to the device."), 1, 1),
    (_shape("read_bytes_total", "Bytes read."), SECTOR_BYTES, 1),
    (_shape("read_time_seconds_total", "Seconds that all reads took, added up."), 1, MILLISECONDS),
    (_shape("writes_completed_total", "Writes that were completed."), 1, 1),
    (_shape("writes_merged_total", "Writes that became part of another before they were sent to the device."), 1, 1),
    (_shape("written_bytes_total", "Bytes written."), SECTOR_BYTES, 1),
    (_shape("write_time_seconds_total", "Seconds that all writes took, added up."), 1, MILLISECONDS),
    (_shape("io_now", "Requests that the device has and has not completed.", "gauge"), 1, 1),
    (_shape("io_time_seconds_total", "Seconds in which the device had something to do."), 1, MILLISECONDS),
    (
        _shape("io_time_weighted_seconds_total", "Seconds that all requests have been waiting or served, added up."),
        1,
        MILLISECONDS,
    ),
    (_shape("discards_completed_total", "Discards that were completed."), 1, 1),
    (_shape("discards_merged_total", "Discards that became part of another before they were sent."), 1, 1),
    (_shape("discarded_sectors_total", "Sectors of 512 bytes that were discarded."), 1, 1),
    (_shape("discard_time_seconds_total", "Seconds that all discards took, added up."), 1, MILLISECONDS),
    (_shape("flush_requests_total", "Flushes that were completed."), 1, 1),
    (_shape("flush_requests_time_seconds_total", "Seconds that all flushes took, added up."), 1, MILLISECONDS),
)
INFO = Shape(
    "node_disk_info",
    "gauge",
    "What the device is; the value is always 1.",
    ("device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn"),
)
FILESYSTEM_INFO = Shape(
    "node_disk_filesystem_info",
    "gauge",
    "What file system the device holds; the value is always 1.",
    ("device", "type", "usage", "uuid", "version"),
)
MAPPER_INFO = Shape(
    "node_disk_device_mapper_info",
    "gauge",
    "What the device mapper made the device of; the value is always 1.",
    ("device", "lv_layer", "lv_name", "name", "uuid", "vg_name"),
)
ATA: tuple[tuple[bytes, Shape], ...] = (
    (b"ID_ATA_WRITE_CACHE", _shape("ata_write_cache", "1 where the ATA disk has a write cache.", "gauge")),
    (
        b"ID_ATA_WRITE_CACHE_ENABLED",
        _shape("ata_write_cache_enabled", "1 where the write cache of the ATA disk is in use.", "gauge"),
    ),
    (
        b"ID_ATA_ROTATION_RATE_RPM",
        _shape("ata_rotation_rate_rpm", "Rotations of the ATA disk in a minute; 0 where nothing rotates.", "gauge"),
    ),
)

# Major number, minor number, and name.
Device = tuple[str, str, str]
# When udev's file was written, and which file it is; None where there is none.
Stamp = tuple[int, int] | None


class Diskstats:
    name = "diskstats"
    help = "Reads and writes of disks from /proc/diskstats, and what udev knows about them."
    enabled = True
    options: tuple[Option, ...] = (
        Option("device-exclude", Kind.PATTERN, DEVICES_EXCLUDED, "devices that are left out"),
        Option("device-include", Kind.PATTERN, "", "only these devices"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._path = f"{paths.procfs}/diskstats"
        self._blocks = f"{paths.sysfs}/block"
        self._udev = paths.udev_data
        chosen = chosen or Chosen(self.options)
        self._wanted = Filter(include=chosen.pattern("device-include"), exclude=chosen.pattern("device-exclude"))
        self._kept = Kept()
        self._stamps: Mapping[Device, Stamp] = {}
        self._infos: Sequence[Family] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        devices = parse(self._kept.read(self._path), self._wanted, self._path)
        stamps = {device: self._stamp(device) for device in devices}
        if stamps != self._stamps:
            self._infos = tuple(info_families({device: self._described(device) for device in devices}))
            self._stamps = stamps
        return (*column_families({name: numbers for (_, _, name), numbers in devices.items()}), *self._infos)

    def _stamp(self, device: Device) -> Stamp:
        try:
            status = os.stat(self._udev_file(device))
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _udev_file(self, device: Device) -> str:
        return f"{self._udev}/b{device[0]}:{device[1]}"

    def _described(self, device: Device) -> Mapping[bytes, str]:
        """What udev says, and whether the disk rotates, under the name that the kernel has for that."""
        properties = udev_properties(read_optional(self._udev_file(device)) or b"")
        # In a folder's name the kernel has no slash.
        rotational = read_optional(f"{self._blocks}/{device[2].replace('/', '!')}/queue/rotational") or b""
        return {**properties, b"rotational": "1" if rotational.strip() == b"1" else "0"}


def parse(content: bytes, wanted: Filter, where: str = "diskstats") -> dict[Device, list[int]]:
    """`254 0 vda 41 0 …`: the numbers of each device that is wanted; those that a kernel adds later are left out."""
    devices: dict[Device, list[int]] = {}
    for line in content.split(b"\n"):
        if not line:
            continue
        words = line.split(maxsplit=3)
        # The numbers and the name become parts of paths.
        if len(words) < 4 or not (words[0] + words[1]).isdigit() or b"\0" in words[2]:
            raise _malformed(where, line)
        name = text(words[2])
        if wanted.keeps(name):
            numbers = words[3].split()
            if len(numbers) < COLUMNS_MIN or len(max(numbers, key=len)) > DIGITS_MAX or not b"".join(numbers).isdigit():
                raise _malformed(where, line)
            devices[text(words[0]), text(words[1]), name] = list(map(int, numbers))
    return devices


def _malformed(where: str, line: bytes) -> Malformed:
    return Malformed(where, found=line, expected="the numbers of a device, its name, and at least eleven counters")


def column_families(numbers: Mapping[str, list[int]]) -> Iterable[Family]:
    rows = [((name,), row) for name, row in numbers.items()]
    most = max((len(row) for _, row in rows), default=0)
    for place, (shape, factor, divisor) in enumerate(COLUMNS[:most]):
        if divisor == 1:
            yield shape.of([(labels, row[place] * factor) for labels, row in rows if len(row) > place])
        else:
            yield shape.of([(labels, row[place] / divisor) for labels, row in rows if len(row) > place])


def udev_properties(content: bytes) -> dict[bytes, str]:
    """The lines `E:ID_MODEL=Fast SSD` of udev's database."""
    found = {}
    for line in content.split(b"\n"):
        name, equals, value = line.removeprefix(b"E:").partition(b"=")
        if equals and line.startswith(b"E:"):
            found[name] = text(value)
    return found


def info_families(described: Mapping[Device, Mapping[bytes, str]]) -> Iterable[Family]:
    infos, filesystems, mapped = [], [], []
    for (major, minor, name), known in described.items():
        say = known.get
        serial = say(b"SCSI_IDENT_SERIAL") or say(b"ID_SERIAL_SHORT") or say(b"ID_SERIAL", "")
        about = (say(b"ID_MODEL", ""), say(b"ID_PATH", ""), say(b"ID_REVISION", ""), known[b"rotational"])
        infos.append(((name, major, minor, *about, serial, say(b"ID_WWN", "")), 1))
        if kind := say(b"ID_FS_TYPE"):
            usage, version = say(b"ID_FS_USAGE", ""), say(b"ID_FS_VERSION", "")
            filesystems.append(((name, kind, usage, say(b"ID_FS_UUID", ""), version), 1))
        if mapper := say(b"DM_NAME"):
            layer, volume = say(b"DM_LV_LAYER", ""), say(b"DM_LV_NAME", "")
            mapped.append(((name, layer, volume, mapper, say(b"DM_UUID", ""), say(b"DM_VG_NAME", "")), 1))
    yield INFO.of(infos)
    yield FILESYSTEM_INFO.of(filesystems)
    yield MAPPER_INFO.of(mapped)
    for key, shape in ATA:
        values = {name: known.get(key, "") for (_, _, name), known in described.items() if known.get(b"ID_ATA")}
        yield shape.of([((name,), int(value)) for name, value in values.items() if _is_number(value)])


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX
