"""Disks, arrays of them, and what is exported of them: the exact numbers, and files that are strange or broken."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import BuiltIn, build, diskstats
from exporter.collectors.diskstats import DEVICES_EXCLUDED, Diskstats
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Filter
from tests.exporter.builders import FIXTURE_PATHS

Found = dict[str, dict[tuple[str, ...], object]]
EVERYTHING = Filter(include=None, exclude=None)


def collected(kind: type[BuiltIn], paths: Paths = FIXTURE_PATHS, said: dict[str, str] | None = None) -> Found:
    return found_by(build(kind, paths, said).collect)


def found_by(collect: Callable[[float], object]) -> Found:
    families = collect(float("inf"))
    return {family.name: dict(family.samples) for family in families}  # type: ignore[attr-defined]


def paths_of(folder: Path, **files: str | bytes) -> Paths:
    """A machine with these files: `proc__net__x` is /proc/net/x."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Paths(f"{folder}/proc", f"{folder}/sys", "/", f"{folder}/udev")


def test_what_a_disk_has_done_is_in_base_units() -> None:
    found = collected(Diskstats)
    assert found["node_disk_reads_completed_total"] == {("sda",): 120, ("dm-0",): 80}
    assert found["node_disk_read_bytes_total"]["sda",] == 4096 * 512
    assert found["node_disk_read_time_seconds_total"]["sda",] == 2.5
    assert found["node_disk_written_bytes_total"]["dm-0",] == 1024 * 512
    assert found["node_disk_io_now"] == {("sda",): 2, ("dm-0",): 0}
    assert found["node_disk_io_time_weighted_seconds_total"]["sda",] == 3.751
    assert found["node_disk_discarded_sectors_total"]["sda",] == 512
    assert found["node_disk_flush_requests_time_seconds_total"]["sda",] == 0.044


def test_what_the_kernel_does_not_say_of_a_disk_is_not_made_up() -> None:
    found = collected(Diskstats)
    assert found["node_disk_discards_completed_total"] == {("sda",): 9}
    assert found["node_disk_flush_requests_total"] == {("sda",): 21}


def test_what_udev_knows_of_a_disk() -> None:
    found = collected(Diskstats)
    assert set(found["node_disk_info"]) == {
        ("sda", "8", "0", 'Slow "HDD" 2T', "pci-0000:00:17.0-ata-1", "SC60", "1", "Z1", "0x5000c500a1b2c3d4"),
        ("dm-0", "253", "0", "", "", "", "0", "", ""),
    }
    assert set(found["node_disk_filesystem_info"]) == {("dm-0", "ext4", "filesystem", "5f0d1c58-0000", "1.0")}
    assert set(found["node_disk_device_mapper_info"]) == {("dm-0", "", "root", "vg-root", "LVM-0a1b", "vg")}
    assert found["node_disk_ata_write_cache"] == {("sda",): 1}
    assert found["node_disk_ata_write_cache_enabled"] == {("sda",): 0}
    assert found["node_disk_ata_rotation_rate_rpm"] == {("sda",): 7200}


@pytest.mark.parametrize(
    ("properties", "serial"),
    [
        (b"E:SCSI_IDENT_SERIAL=a\nE:ID_SERIAL_SHORT=b\nE:ID_SERIAL=c\n", "a"),
        (b"E:SCSI_IDENT_SERIAL=\nE:ID_SERIAL_SHORT=b\nE:ID_SERIAL=c\n", "b"),
        (b"E:ID_SERIAL=\xff c=d\n", "\\xff c=d"),
        (b"S:ID_SERIAL=c\nID_SERIAL=c\nE:ID_SERIAL\n\xff\x00\n", ""),
    ],
)
def test_the_serial_number_is_the_one_on_the_disk_if_that_is_known(
    tmp_path: Path, properties: bytes, serial: str
) -> None:
    paths = paths_of(tmp_path, proc__diskstats="8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")
    (tmp_path / "udev").mkdir()
    (tmp_path / "udev" / "b8:0").write_bytes(properties)
    (labels,) = collected(Diskstats, paths)["node_disk_info"]
    assert labels[7] == serial


def test_an_ata_value_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, proc__diskstats="8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n")
    (tmp_path / "udev").mkdir()
    (tmp_path / "udev" / "b8:0").write_bytes(b"E:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=yes\nE:ID_ATA_ROTATION_RATE_RPM=5\n")
    found = collected(Diskstats, paths)
    assert found["node_disk_ata_write_cache"] == {}
    assert found["node_disk_ata_rotation_rate_rpm"] == {("sda",): 5}


def test_what_udev_learns_later_is_seen_and_a_device_that_went_away_is_gone(tmp_path: Path) -> None:
    line = "8 {0} sd{1} 1 2 3 4 5 6 7 8 9 10 11\n"
    table = tmp_path / "proc" / "diskstats"
    paths = paths_of(tmp_path, proc__diskstats=line.format(0, "a") + line.format(16, "b"))
    collect = build(Diskstats, paths).collect

    def models() -> dict[str, str]:
        return {labels[0]: labels[3] for labels in found_by(collect)["node_disk_info"]}

    assert models() == {"sda": "", "sdb": ""}
    (tmp_path / "udev").mkdir()
    (tmp_path / "udev" / "b8:16").write_text("E:ID_MODEL=first\n")
    assert models() == {"sda": "", "sdb": "first"}
    (tmp_path / "udev" / "b8:16").write_text("E:ID_MODEL=second\n")
    os.utime(tmp_path / "udev" / "b8:16", ns=(1, 1))
    assert models() == {"sda": "", "sdb": "second"}
    table.write_text(line.format(0, "a"))
    assert models() == {"sda": ""}
    (tmp_path / "udev" / "b8:16").unlink()
    table.write_text(line.format(16, "b"))
    assert models() == {"sdb": ""}


@pytest.mark.parametrize(
    ("device", "shown"),
    [("sda", True), ("sda1", False), ("nvme0n1", True), ("nvme0n1p2", False), ("zram0", False), ("dm-3", True)],
)
def test_partitions_and_what_is_no_disk_are_left_out(tmp_path: Path, device: str, shown: bool) -> None:
    paths = paths_of(tmp_path, proc__diskstats=f"8 0 {device} 1 2 3 4 5 6 7 8 9 10 11\n")
    assert ("node_disk_io_now" in collected(Diskstats, paths)) is shown
    only = {"device-exclude": "", "device-include": "[1-3]$"}
    assert ("node_disk_io_now" in collected(Diskstats, paths, only)) is (device[-1] in "123")
    assert Diskstats.options[0].default == DEVICES_EXCLUDED


@pytest.mark.parametrize(
    "line",
    [
        b"8 0 sda 1 2 3 4 5 6 7 8 9 10",
        b"8 0 sda 1 2 3 4 5 6 7 8 9 10 x",
        b"8 0 sda 1 2 3 4 5 6 7 8 9 10 -1",
        b"8 0 sda 1 2 3 4 5 6 7 8 9 10 " + b"9" * 400,
        b"8 0 sda",
        b"8 0 s\0a 1 2 3 4 5 6 7 8 9 10 11",
        b"8 0\0 sda 1 2 3 4 5 6 7 8 9 10 11",
        b"8 ../0 sda 1 2 3 4 5 6 7 8 9 10 11",
        b"\xff",
    ],
)
def test_a_line_that_is_none_of_a_disk_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(Malformed, match=r"diskstats: found '.*', expected the numbers of a device"):
        diskstats.parse(line + b"\n", EVERYTHING)


@given(st.binary(max_size=200))
def test_broken_files_of_disks_are_malformed_and_never_another_error(content: bytes) -> None:
    diskstats.udev_properties(content)
    with contextlib.suppress(Malformed):
        diskstats.parse(content, EVERYTHING)
