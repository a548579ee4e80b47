"""The collectors of systems other than Linux: what psutil says of them, in the names that node_exporter uses there.

Only what means the same is given a name of node_exporter's; what psutil computes, rounds or mends is left out. So the
memory that is free on macOS is taken together with what is read ahead, as the kernel counts it, and counters are as
they are. Nothing here is kept between scrapes, and nobody has tried these collectors on those systems yet: they are
tested by what psutil documents.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psutil

from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.collectors.textfile import Textfile
from exporter.collectors.time import Time
from exporter.collectors.uname import Uname
from exporter.family import Family, Shape

# A counter of each device: the metric, its help, where psutil has the number, and what one of them is worth.
Counter = tuple[Shape, str, float]


def _counter(name: str, description: str, field: str, unit: float = 1) -> Counter:
    return Shape(name, "counter", description, ("device",)), field, unit


class Boottime:
    name = "boottime"
    help = "When the machine was started."
    enabled = True
    options: tuple[Option, ...] = ()

    _SHAPE = Shape("node_boot_time_seconds", "gauge", "When the machine was started, in seconds since 1970.")

    def __init__(self, paths: Paths, *, asked: Any = psutil) -> None:  # noqa: ARG002
        self._asked = asked

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        yield self._SHAPE.single(self._asked.boot_time())


class Cpu:
    name = "cpu"
    help = "Time of each processor in each mode."
    enabled = True
    options: tuple[Option, ...] = ()

    _SHAPE = Shape(
        "node_cpu_seconds_total", "counter", "Seconds that a processor has spent in a mode.", ("cpu", "mode")
    )
    # psutil's word, and node_exporter's on the BSDs.
    _MODES: Mapping[str, str] = {
        "user": "user",
        "nice": "nice",
        "system": "system",
        "idle": "idle",
        "irq": "interrupt",
    }

    def __init__(self, paths: Paths, *, asked: Any = psutil) -> None:  # noqa: ARG002
        self._asked = asked

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        yield self._SHAPE.of(
            [
                ((str(number), mode), getattr(times, field))
                for number, times in enumerate(self._asked.cpu_times(percpu=True))
                for field, mode in self._MODES.items()
                if hasattr(times, field)
            ]
        )


class Diskstats:
    name = "diskstats"
    help = "What disks have read and written."
    enabled = True
    options: tuple[Option, ...] = ()

    _COUNTERS: Sequence[Counter] = (
        _counter("node_disk_reads_completed_total", "Reads that are done.", "read_count"),
        _counter("node_disk_read_bytes_total", "Bytes read.", "read_bytes"),
        _counter("node_disk_read_time_seconds_total", "Seconds spent by reads.", "read_time", 0.001),
        _counter("node_disk_writes_completed_total", "Writes that are done.", "write_count"),
        _counter("node_disk_written_bytes_total", "Bytes written.", "write_bytes"),
        _counter("node_disk_write_time_seconds_total", "Seconds spent by writes.", "write_time", 0.001),
    )

    def __init__(self, paths: Paths, *, asked: Any = psutil) -> None:  # noqa: ARG002
        self._asked = asked

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        # As they are: psutil's own default makes counters that fell go on from where they were.
        yield from _by_device(self._COUNTERS, self._asked.disk_io_counters(perdisk=True, nowrap=False) or {})


class Filesystem:
    name = "filesystem"
    help = "Size, free space and inodes of mounted filesystems."
    enabled = True
    options: tuple[Option, ...] = (
        Option("mount-points-exclude", Kind.PATTERN, r"^/(dev)($|/)", "mount points that are left out"),
        Option("mount-points-include", Kind.PATTERN, "", "only these mount points"),
        Option("fs-types-exclude", Kind.PATTERN, r"^devfs$", "types of file systems that are left out"),
        Option("fs-types-include", Kind.PATTERN, "", "only these types of file systems"),
    )

    _LABELS = ("device", "device_error", "fstype", "mountpoint")
    _ERROR = Shape(
        "node_filesystem_device_error", "gauge", "1 where the filesystem could not be asked for its numbers.", _LABELS
    )
    _READ_ONLY = Shape("node_filesystem_readonly", "gauge", "1 where the filesystem is mounted read-only.", _LABELS)
    _MEASURES: Sequence[tuple[Shape, Callable[[os.statvfs_result], float]]] = (
        (
            Shape("node_filesystem_size_bytes", "gauge", "Size of the filesystem.", _LABELS),
            lambda status: status.f_blocks * status.f_frsize,
        ),
        (
            Shape("node_filesystem_free_bytes", "gauge", "Free space, including what only root may use.", _LABELS),
            lambda status: status.f_bfree * status.f_frsize,
        ),
        (
            Shape("node_filesystem_avail_bytes", "gauge", "Free space for those who are not root.", _LABELS),
            lambda status: status.f_bavail * status.f_frsize,
        ),
        (
            Shape("node_filesystem_files", "gauge", "Inodes that the filesystem has.", _LABELS),
            lambda status: status.f_files,
        ),
        (
            Shape("node_filesystem_files_free", "gauge", "Inodes that are free.", _LABELS),
            lambda status: status.f_ffree,
        ),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None, *, asked: Any = psutil) -> None:  # noqa: ARG002
        chosen = chosen or Chosen(self.options)
        self._points = Filter(
            include=chosen.pattern("mount-points-include"), exclude=chosen.pattern("mount-points-exclude")
        )
        self._types = Filter(include=chosen.pattern("fs-types-include"), exclude=chosen.pattern("fs-types-exclude"))
        self._asked = asked

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        errors: dict[tuple[str, ...], float] = {}
        read_only: dict[tuple[str, ...], float] = {}
        statuses: dict[tuple[str, ...], os.statvfs_result] = {}
        for mount in self._asked.disk_partitions(all=True):
            if not (self._points.keeps(mount.mountpoint) and self._types.keeps(mount.fstype)):
                continue
            status, error = _statvfs(mount.mountpoint)
            labels = (mount.device, error, mount.fstype, mount.mountpoint)
            errors[labels] = int(status is None)
            read_only[labels] = int("ro" in mount.opts.split(","))
            if status is not None:
                statuses[labels] = status
        yield self._ERROR.of(tuple(errors.items()))
        yield self._READ_ONLY.of(tuple(read_only.items()))
        for shape, measure in self._MEASURES:
            yield shape.of([(labels, measure(status)) for labels, status in statuses.items()])


class Loadavg:
    name = "loadavg"
    help = "Load averages."
    enabled = True
    options: tuple[Option, ...] = ()

    _SHAPES = (
        Shape("node_load1", "gauge", "Load average over one minute."),
        Shape("node_load5", "gauge", "Load average over five minutes."),
        Shape("node_load15", "gauge", "Load average over fifteen minutes."),
    )

    def __init__(self, paths: Paths) -> None: ...

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return [shape.single(load) for shape, load in zip(self._SHAPES, os.getloadavg(), strict=True)]


class Meminfo:
    """node_exporter's names differ from system to system; what is not among them here has no name there."""

    name = "meminfo"
    help = "Memory and swap, in bytes."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths, *, asked: Any = psutil, platform: str = sys.platform) -> None:  # noqa: ARG002
        self._asked = asked
        self._read = _darwin if platform == "darwin" else _bsd

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        for name, value in self._read(self._asked.virtual_memory(), self._asked.swap_memory()).items():
            yield _memory(name).single(value)


class Netdev:
    name = "netdev"
    help = "What network devices have received and sent."
    enabled = True
    options: tuple[Option, ...] = (
        Option("device-exclude", Kind.PATTERN, "", "devices that are left out"),
        Option("device-include", Kind.PATTERN, "", "only these devices"),
    )

    _COUNTERS: Sequence[Counter] = (
        _counter("node_network_receive_bytes_total", "Bytes received.", "bytes_recv"),
        _counter("node_network_receive_packets_total", "Packets received.", "packets_recv"),
        _counter("node_network_receive_errs_total", "Packets received with errors.", "errin"),
        _counter("node_network_transmit_bytes_total", "Bytes sent.", "bytes_sent"),
        _counter("node_network_transmit_packets_total", "Packets sent.", "packets_sent"),
        _counter("node_network_transmit_errs_total", "Packets that could not be sent.", "errout"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None, *, asked: Any = psutil) -> None:  # noqa: ARG002
        chosen = chosen or Chosen(self.options)
        self._devices = Filter(include=chosen.pattern("device-include"), exclude=chosen.pattern("device-exclude"))
        self._asked = asked

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        counted = self._asked.net_io_counters(pernic=True, nowrap=False) or {}
        yield from _by_device(
            self._COUNTERS, {name: told for name, told in counted.items() if self._devices.keeps(name)}
        )


def _by_device(counters: Sequence[Counter], told: Mapping[str, Any]) -> Iterable[Family]:
    for shape, field, unit in counters:
        yield shape.of([((device,), getattr(numbers, field) * unit) for device, numbers in told.items()])


def _statvfs(path: str) -> tuple[os.statvfs_result | None, str]:
    try:
        return os.statvfs(path), ""
    except OSError as error:
        return None, os.strerror(error.errno or 0).lower()


def _memory(name: str) -> Shape:
    return Shape(f"node_memory_{name}", "gauge", f"Memory, as the kernel counts it: {name.removesuffix('_bytes')}.")


def _darwin(memory: Any, swap: Any) -> dict[str, float]:
    return {
        "active_bytes": memory.active,
        # What psutil calls free lacks the pages that were read ahead; what it calls available still has them.
        "free_bytes": memory.available - memory.inactive,
        "inactive_bytes": memory.inactive,
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
        "total_bytes": memory.total,
        "wired_bytes": memory.wired,
    }


def _bsd(memory: Any, swap: Any) -> dict[str, float]:
    return {
        "active_bytes": memory.active,
        "free_bytes": memory.free,
        "inactive_bytes": memory.inactive,
        "swap_size_bytes": swap.total,
        "swap_used_bytes": swap.used,
        "wired_bytes": memory.wired,
    }


COLLECTORS = (Boottime, Cpu, Diskstats, Filesystem, Loadavg, Meminfo, Netdev, Textfile, Time, Uname)
