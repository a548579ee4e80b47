"""Mounted filesystems: which are shown, how they are named, and that a dead one spoils nothing."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.collectors.asking import NO_ANSWER
from exporter.collectors.files import Paths
from exporter.collectors.filesystem import Filesystem, parse
from tests.exporter.builders import FIXTURE_PATHS, SURELY

STATUS = os.statvfs_result((65536, 4096, 1000, 400, 300, 50, 20, 20, 0, 255))
ROOT = ("/dev/vda1", "", "ext4", "/")
DATA = ("/dev/vdb", "", "xfs", "/data")
TAPE = ("filer:/tape\\040drive", "", "nfs4", "/mnt/tape drive")
RUN = ("tmpfs", "", "tmpfs", "/run")
TAPE_SILENT = (TAPE[0], NO_ANSWER, *TAPE[2:])


class Mounts:
    """Stands where `os.statvfs` stands; a path in `silent` does not answer before `awake` is set."""

    def __init__(self, *silent: bytes) -> None:
        self.silent = silent
        self.awake = threading.Event()
        self.left = threading.Event()
        self.asked: list[bytes] = []

    def statvfs(self, path: bytes) -> os.statvfs_result:
        self.asked.append(path)
        if path in self.silent:
            assert self.awake.wait(SURELY)
            self.left.set()
        return STATUS


@contextmanager
def silent(*paths: bytes) -> Iterator[Mounts]:
    mounts = Mounts(*paths)
    try:
        yield mounts
    finally:
        mounts.awake.set()


def collected(collector: Filesystem, *, seconds: float = 30.0) -> dict[str, dict[tuple[str, ...], float]]:
    families = collector.collect(time.monotonic() + seconds)
    return {family.name: dict(family.samples) for family in families}


def test_sizes_are_bytes_of_the_fragment_size() -> None:
    found = collected(Filesystem(FIXTURE_PATHS, statvfs=Mounts().statvfs))
    assert found["node_filesystem_size_bytes"] == dict.fromkeys((ROOT, DATA, TAPE, RUN), 1000 * 4096)
    assert found["node_filesystem_free_bytes"][ROOT] == 400 * 4096
    assert found["node_filesystem_avail_bytes"][ROOT] == 300 * 4096
    assert found["node_filesystem_files"][ROOT] == 50
    assert found["node_filesystem_files_free"][ROOT] == 20
    assert found["node_filesystem_mount_info"]["/dev/vda1", "254", "0", "/"] == 1


def test_read_only_is_what_the_mount_or_its_filesystem_says() -> None:
    found = collected(Filesystem(FIXTURE_PATHS, statvfs=Mounts().statvfs))
    assert found["node_filesystem_readonly"] == {ROOT: 0, DATA: 1, TAPE: 1, RUN: 0}


def test_a_file_system_that_made_itself_read_only_says_so_when_it_is_asked() -> None:
    """As after an error on its disk, of which the list of mounts need not tell."""
    statuses = [STATUS, os.statvfs_result((*STATUS[:8], os.ST_RDONLY, *STATUS[9:])), STATUS]
    collector = Filesystem(FIXTURE_PATHS, statvfs=lambda path: statuses[0] if path == b"/" else STATUS)
    for read_only in (0, 1, 0):
        assert collected(collector)["node_filesystem_readonly"][ROOT] == read_only
        del statuses[0]
        statuses.append(STATUS)


def test_the_kernels_escapes_are_taken_back_before_asking() -> None:
    mounts = Mounts()
    collected(Filesystem(FIXTURE_PATHS, statvfs=mounts.statvfs))
    assert mounts.asked == [b"/", b"/data", b"/run", b"/mnt/tape drive"]


def test_a_filesystem_that_cannot_be_asked_shows_the_error_and_nothing_else() -> None:
    def refuse(path: bytes) -> os.statvfs_result:
        if path == b"/data":
            raise PermissionError(errno.EACCES, "said by the kernel")
        return STATUS

    found = collected(Filesystem(FIXTURE_PATHS, statvfs=refuse))
    refused = ("/dev/vdb", "permission denied", "xfs", "/data")
    assert found["node_filesystem_device_error"] == {ROOT: 0, refused: 1, TAPE: 0, RUN: 0}
    assert found["node_filesystem_readonly"][refused] == 1
    assert set(found["node_filesystem_size_bytes"]) == {ROOT, TAPE, RUN}


def test_a_mount_that_does_not_answer_spoils_nothing_and_is_asked_once() -> None:
    with silent(b"/mnt/tape drive") as mounts:
        collector = Filesystem(FIXTURE_PATHS, statvfs=mounts.statvfs)
        for _ in range(3):
            found = collected(collector, seconds=0.2)
            assert found["node_filesystem_device_error"] == {ROOT: 0, DATA: 0, TAPE_SILENT: 1, RUN: 0}
            assert set(found["node_filesystem_size_bytes"]) == {ROOT, DATA, RUN}
        assert mounts.asked.count(b"/mnt/tape drive") == 1
        assert mounts.asked.count(b"/run") == 3


def test_a_mount_that_answers_late_is_shown_again() -> None:
    with silent(b"/mnt/tape drive") as mounts:
        collector = Filesystem(FIXTURE_PATHS, statvfs=mounts.statvfs)
        assert collected(collector, seconds=0.2)["node_filesystem_device_error"][TAPE_SILENT] == 1
        mounts.awake.set()
        assert mounts.left.wait(SURELY)
        deadline = time.monotonic() + SURELY
        while TAPE_SILENT in collected(collector)["node_filesystem_device_error"]:
            assert time.monotonic() < deadline
        assert collected(collector)["node_filesystem_size_bytes"][TAPE] == 1000 * 4096


def test_inside_a_container_the_hosts_root_is_taken_off() -> None:
    content = (
        b"1 0 8:1 / /host rw - ext4 /dev/sda1 rw\n"
        b"2 1 8:2 / /host/home rw - ext4 /dev/sda2 rw\n"
        b"3 1 8:3 / /hostage rw - ext4 /dev/sda3 rw\n"
    )
    found = [(mount.mountpoint, mount.place.path) for mount in parse(content, rootfs="/host")]
    assert found == [("/", b"/host/"), ("/home", b"/host/home"), ("/hostage", b"/host/hostage")]


def test_every_octal_escape_and_every_byte_is_understood() -> None:
    content = b"1 0 8:1 / /a\\040b\\011c\\134d\xff rw - ext4 /dev/sda1 rw\n"
    (mount,) = parse(content)
    assert mount.place.path == b"/a b\tc\\d\xff"
    assert mount.mountpoint == "/a b\tc\\d\\xff"


def test_bytes_that_others_take_for_the_end_of_a_line_or_a_word_are_part_of_a_name() -> None:
    """The kernel escapes blanks, tabs and line breaks; whoever may mount chooses all other bytes."""
    content = b"1 0 8:1 / /a\rb\x0bc\x0cd\xc2\x85e rw - fuse.x f\rs rw\n"
    (mount,) = parse(content)
    assert mount.place.path == b"/a\rb\x0bc\x0cd\xc2\x85e"
    assert (mount.device, mount.fstype) == ("f\rs", "fuse.x")


def test_a_path_that_no_system_call_takes_is_an_error_of_that_mount(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "mountinfo").write_bytes(b"1 0 8:1 / /a\\000b rw - ext4 /dev/sda1 rw\n")
    (labels,) = collected(Filesystem(Paths(procfs=str(tmp_path))))["node_filesystem_device_error"]
    assert labels == ("/dev/sda1", "not a path", "ext4", "/a\0b")


def test_what_is_mounted_or_made_read_only_between_two_scrapes_is_seen(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    table = tmp_path / "1" / "mountinfo"
    collector = Filesystem(Paths(procfs=str(tmp_path)), statvfs=Mounts().statvfs)
    table.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert list(collected(collector)["node_filesystem_readonly"].values()) == [0]
    table.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 ro\n")
    assert list(collected(collector)["node_filesystem_readonly"].values()) == [1]
    table.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 ro\n2 1 8:2 / /b rw - ext4 /dev/sda2 rw\n")
    assert list(collected(collector)["node_filesystem_files"].values()) == [50, 50]


def test_a_mount_without_a_device_is_no_reason_to_fail() -> None:
    (mount,) = parse(b"1 0 0:50 / /mnt/a rw - fuse  rw\n")
    assert (mount.device, mount.fstype) == ("", "fuse")


@pytest.mark.parametrize(
    ("mountpoint", "fstype", "wanted"),
    [
        ("/", "ext4", True),
        ("/run/user/1000", "tmpfs", True),
        ("/devices", "ext4", True),
        ("/dev/shm", "tmpfs", False),
        ("/var/lib/docker/overlay2/abc", "ext4", False),
        ("/run/credentials/systemd-journald.service", "ramfs", False),
        ("/mnt", "overlay", False),
        ("/mnt", "cgroup2", False),
        ("/mnt", "nfs4", True),
    ],
)
def test_what_is_not_a_disk_is_left_out(mountpoint: str, fstype: str, wanted: bool, tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    line = f"1 0 8:1 / {mountpoint} rw - {fstype} /dev/sda1 rw\n"
    (tmp_path / "self" / "mountinfo").write_text(line)
    found = collected(Filesystem(Paths(procfs=str(tmp_path)), statvfs=Mounts().statvfs))
    assert bool(found["node_filesystem_readonly"]) is wanted


def test_without_the_first_process_the_own_mounts_are_shown_each_once(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_bytes(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n" * 2)
    found = collected(Filesystem(Paths(procfs=str(tmp_path)), statvfs=Mounts().statvfs))
    assert found["node_filesystem_files"] == {("/dev/sda1", "", "ext4", "/"): 50}


def test_no_list_of_mounts_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        collected(Filesystem(Paths(procfs=str(tmp_path))))
