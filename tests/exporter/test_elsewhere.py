"""The collectors of other systems, constructed here: by this system's psutil where it says the same, else made up."""

import os
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from exporter.collectors import BuiltIn, build
from exporter.collectors.elsewhere import (
    COLLECTORS,
    Boottime,
    Cpu,
    Diskstats,
    Filesystem,
    Loadavg,
    Meminfo,
    Netdev,
)
from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen
from exporter.family import Family
from tests.pages import rows

NOWHERE = Paths("/nonexistent", "/nonexistent", "/")
# As psutil documents them for macOS and FreeBSD.
MAC_MEMORY = namedtuple("svmem", "total available percent used free active inactive wired")
BSD_MEMORY = namedtuple("svmem", "total available percent used free active inactive buffers cached shared wired")
SWAP = namedtuple("sswap", "total used free percent sin sout")
TIMES = namedtuple("scputimes", "user nice system idle irq")


def values(collector: Any) -> dict[str, dict[tuple[str, ...], float]]:
    families: list[Family] = list(collector.collect(0.0))
    return {family.name: {tuple(labels): value for labels, value in family.samples} for family in families}


def psutil_that_says(**answers: Callable[..., Any]) -> Any:
    return SimpleNamespace(**answers)


# Another system's memory is called otherwise, and a machine may be without disks.
HERE = [kind for kind in COLLECTORS if kind.name not in ("meminfo", "diskstats")]


@pytest.mark.parametrize("kind", HERE, ids=lambda kind: kind.name)
def test_each_of_them_says_something_of_this_machine(kind: type[BuiltIn]) -> None:
    assert any(family.samples for family in build(kind, NOWHERE).collect(0.0))


def test_the_counters_of_devices_are_those_of_the_kernel() -> None:
    before = psutil.net_io_counters(pernic=True, nowrap=False)["lo"]
    shown = values(Netdev(NOWHERE))
    after = psutil.net_io_counters(pernic=True, nowrap=False)["lo"]
    assert before.bytes_recv <= shown["node_network_receive_bytes_total"]["lo",] <= after.bytes_recv
    assert before.packets_sent <= shown["node_network_transmit_packets_total"]["lo",] <= after.packets_sent


def test_a_counter_that_fell_is_shown_fallen() -> None:
    asked: list[Mapping[str, Any]] = []

    def counters(**how: Any) -> dict[str, Any]:
        asked.append(how)
        numbers = dict.fromkeys(["read_count", "read_bytes", "write_count", "write_bytes", "write_time"], 7)
        return {"disk0": SimpleNamespace(**numbers, read_time=1500)}

    shown = values(Diskstats(NOWHERE, asked=psutil_that_says(disk_io_counters=counters)))
    assert shown["node_disk_read_time_seconds_total"] == {("disk0",): 1.5}
    assert shown["node_disk_written_bytes_total"] == {("disk0",): 7}
    assert asked == [{"perdisk": True, "nowrap": False}]


def test_no_disks_are_no_samples() -> None:
    shown = values(Diskstats(NOWHERE, asked=psutil_that_says(disk_io_counters=lambda **_: None)))
    assert all(samples == {} for samples in shown.values())


def test_memory_of_a_mac_has_the_names_that_node_exporter_uses_there() -> None:
    memory = MAC_MEMORY(total=1000, available=450, percent=0, used=0, free=140, active=300, inactive=300, wired=200)
    asked = psutil_that_says(
        virtual_memory=lambda: memory, swap_memory=lambda: SWAP(total=64, used=8, free=56, percent=0, sin=0, sout=0)
    )
    shown = values(Meminfo(NOWHERE, asked=asked, platform="darwin"))
    assert {name.removeprefix("node_memory_"): value[()] for name, value in shown.items()} == {
        "active_bytes": 300,
        "free_bytes": 150,
        "inactive_bytes": 300,
        "swap_total_bytes": 64,
        "swap_used_bytes": 8,
        "total_bytes": 1000,
        "wired_bytes": 200,
    }


def test_memory_of_a_bsd_likewise() -> None:
    memory = BSD_MEMORY(
        total=9,
        available=9,
        percent=9,
        used=9,
        free=140,
        active=300,
        inactive=30,
        buffers=9,
        cached=9,
        shared=9,
        wired=20,
    )
    asked = psutil_that_says(
        virtual_memory=lambda: memory, swap_memory=lambda: SWAP(total=64, used=8, free=56, percent=0, sin=0, sout=0)
    )
    shown = values(Meminfo(NOWHERE, asked=asked, platform="freebsd14"))
    assert {name.removeprefix("node_memory_"): value[()] for name, value in shown.items()} == {
        "active_bytes": 300,
        "free_bytes": 140,
        "inactive_bytes": 30,
        "swap_size_bytes": 64,
        "swap_used_bytes": 8,
        "wired_bytes": 20,
    }


def test_time_in_interrupts_has_the_name_that_it_has_on_the_bsds() -> None:
    asked = psutil_that_says(cpu_times=lambda percpu: [TIMES(1, 2, 3, 4, 5), TIMES(6, 7, 8, 9, 10)])
    shown = values(Cpu(NOWHERE, asked=asked))["node_cpu_seconds_total"]
    assert shown["0", "interrupt"] == 5
    assert shown["1", "idle"] == 9
    assert len(shown) == 10


def test_a_mount_that_cannot_be_asked_says_why_and_the_others_are_there() -> None:
    mounts = [
        SimpleNamespace(device="/dev/disk1", mountpoint="/", fstype="apfs", opts="rw,local"),
        SimpleNamespace(device="//nas/x", mountpoint="/nonexistent", fstype="smbfs", opts="ro"),
        SimpleNamespace(device="devfs", mountpoint="/dev", fstype="devfs", opts="rw"),
    ]
    asked = psutil_that_says(disk_partitions=lambda all: mounts)  # noqa: A006 - psutil's own word
    shown = values(Filesystem(NOWHERE, asked=asked))
    root, gone = ("/dev/disk1", "", "apfs", "/"), ("//nas/x", "no such file or directory", "smbfs", "/nonexistent")
    assert shown["node_filesystem_device_error"] == {root: 0, gone: 1}
    assert shown["node_filesystem_readonly"] == {root: 0, gone: 1}
    status = os.statvfs("/")
    assert shown["node_filesystem_size_bytes"] == {root: status.f_blocks * status.f_frsize}
    only = Chosen(Filesystem.options, {"fs-types-include": "^smb"})
    assert set(values(Filesystem(NOWHERE, only, asked=asked))["node_filesystem_device_error"]) == {gone}


def test_devices_can_be_left_out() -> None:
    without = Chosen(Netdev.options, {"device-exclude": "^lo$"})
    assert ("lo",) not in values(Netdev(NOWHERE, without))["node_network_receive_bytes_total"]


def test_load_and_start_are_those_of_this_machine() -> None:
    assert set(values(Loadavg(NOWHERE))) == {"node_load1", "node_load5", "node_load15"}
    assert 0 < values(Boottime(NOWHERE))["node_boot_time_seconds"][()] < time.time()


def test_they_take_the_place_of_the_others_off_linux() -> None:
    program = (
        "import psutil, sys, asyncio\n"
        "sys.platform = 'darwin'\n"
        "from exporter.collectors import COLLECTORS\n"
        "print(' '.join(each.name for each in COLLECTORS))"
    )
    end = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert end.stdout.split() == [kind.name for kind in COLLECTORS], end.stderr


def test_psutil_is_not_imported_on_linux() -> None:
    program = "import exporter.__main__, sys; print('psutil' in sys.modules)"
    end = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert end.stdout == "False\n", end.stderr


def test_what_they_publish_is_documented() -> None:
    documented = rows("exporter.md", "Other systems")
    assert set(documented) == {kind.name for kind in COLLECTORS}
