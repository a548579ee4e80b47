"""File systems that do not answer: a real one, and more of them than anybody has threads for."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.collectors import build
from exporter.collectors.asking import NO_ANSWER, STALL_SECONDS, THREADS_MAX
from exporter.collectors.files import Paths
from exporter.collectors.filesystem import Filesystem
from tests.exporter import fuse
from tests.exporter.builders import SURELY, sample
from tests.exporter.program import started
from tests.left_out import left_out

STATUS = os.statvfs_result((65536, 4096, 1000, 400, 300, 50, 20, 20, 0, 255))
WITHIN = 4.0
PATIENCE_SECONDS = 1.0
PATIENCE = {"X-Prometheus-Scrape-Timeout-Seconds": str(PATIENCE_SECONDS)}
Found = dict[str, dict[tuple[str, ...], float]]


class Real(NamedTuple):
    process: subprocess.Popen[str]
    folder: Path

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.hears() == "done"

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def mounted() -> Iterator[Real]:
    """Under /dev, as everybody else on this machine who asks all file systems leaves that out."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK) or not os.access("/dev/shm", os.W_OK):
        left_out("only root can mount, and only where there is FUSE")
    folder = Path(tempfile.mkdtemp(prefix="tocsin held back ", dir="/dev/shm"))
    command = [sys.executable, fuse.__file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        real = Real(process, folder)
        try:
            if real.hears() != "mounted":
                left_out("this machine does not let us mount")
            yield real
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
            # One that was killed has not unmounted.
            fuse.libc.umount2(str(folder).encode(), fuse.DETACH)
            folder.rmdir()


def collected(collector: Filesystem, *, seconds: float = WITHIN) -> Found:
    return {family.name: dict(family.samples) for family in collector.collect(time.monotonic() + seconds)}


def of(folder: Path) -> Filesystem:
    """This machine's root and that folder."""
    said = {
        "mount-points-include": f"^(/|{folder})$",
        "mount-points-exclude": "",
        "fs-types-exclude": "",
        "mount-timeout": "200ms",
    }
    collector = build(Filesystem, Paths(), said)
    assert isinstance(collector, Filesystem)
    return collector


def shown(found: Found, name: str, folder: Path) -> dict[str, float]:
    """By the error that is shown with it."""
    return {labels[1]: value for labels, value in found[f"node_filesystem_{name}"].items() if labels[3] == str(folder)}


def test_a_real_file_system_that_answers_is_shown(mounted: Real) -> None:
    found = collected(of(mounted.folder))
    assert shown(found, "size_bytes", mounted.folder) == {"": fuse.BLOCKS * fuse.BLOCK_BYTES}
    assert shown(found, "avail_bytes", mounted.folder) == {"": fuse.AVAILABLE * fuse.BLOCK_BYTES}
    assert shown(found, "files_free", mounted.folder) == {"": fuse.FILES_FREE}


def test_a_real_file_system_that_hangs_costs_nobody_else_and_is_asked_once(mounted: Real) -> None:
    collector = of(mounted.folder)
    mounted.say("hold")
    for _ in range(3):
        found = collected(collector)
        assert shown(found, "device_error", mounted.folder) == {NO_ANSWER: 1}
        assert shown(found, "size_bytes", mounted.folder) == {}
        assert shown(found, "size_bytes", Path("/")).keys() == {""}
    assert mounted.hears() == "held"
    # Had it been asked a second time, another "held" would come before this.
    mounted.say("answer")
    until = time.monotonic() + SURELY
    while NO_ANSWER in shown(collected(collector), "device_error", mounted.folder):
        assert time.monotonic() < until
    assert shown(collected(collector), "files", mounted.folder) == {"": fuse.FILES}


def test_a_real_file_system_whose_server_died_shows_the_kernels_error(mounted: Real) -> None:
    collector = of(mounted.folder)
    mounted.process.kill()
    mounted.process.wait()
    assert shown(collected(collector), "device_error", mounted.folder) == {"transport endpoint is not connected": 1}
    fuse.libc.umount2(str(mounted.folder).encode(), fuse.DETACH)
    assert shown(collected(collector), "device_error", mounted.folder) == {}


def test_what_is_mounted_made_read_only_and_unmounted_is_seen_at_the_next_scrape(mounted: Real) -> None:
    collector = of(mounted.folder)
    for flags, read_only in ((fuse.REMOUNT | os.ST_RDONLY, 1), (fuse.REMOUNT, 0)):
        collected(collector)
        assert not fuse.libc.mount(None, str(mounted.folder).encode(), None, flags, None)
        assert shown(collected(collector), "readonly", mounted.folder) == {"": read_only}
    fuse.libc.umount2(str(mounted.folder).encode(), fuse.DETACH)
    assert shown(collected(collector), "readonly", mounted.folder) == {}


def test_a_mount_point_that_has_vanished_says_so(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert errors(collected(table_of(tmp_path, f"1 0 8:1 / {gone} rw - ext4 /dev/sda1 rw\n"))) == {
        str(gone): "no such file or directory"
    }


class Dead:
    """Stands where `os.statvfs` stands: paths that begin with /dead do not answer before they are released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[bytes] = []
        self.threads: set[int] = set()

    def statvfs(self, path: bytes) -> os.statvfs_result:
        self.asked.append(path)
        self.threads.add(threading.get_ident())
        if path.startswith(b"/dead"):
            assert self.release.wait(SURELY)
        return STATUS


@contextmanager
def dead() -> Iterator[Dead]:
    mounts = Dead()
    try:
        yield mounts
    finally:
        mounts.release.set()


def table_of(folder: Path, content: str, mounts: Dead | None = None) -> Filesystem:
    (folder / "1").mkdir(exist_ok=True)
    (folder / "1" / "mountinfo").write_text(content)
    paths = Paths(procfs=str(folder))
    return Filesystem(paths) if mounts is None else Filesystem(paths, statvfs=mounts.statvfs)


def lines(*mountpoints: str, fstype: str = "ext4", first: int = 1) -> str:
    return "".join(
        f"{number} 0 8:{number} / {mountpoint} rw - {fstype} /dev/sda{number} rw\n"
        for number, mountpoint in enumerate(mountpoints, start=first)
    )


def errors(found: Found) -> dict[str, str]:
    return {labels[3]: labels[1] for labels in found["node_filesystem_device_error"]}


def test_thousands_of_mounts_are_asked_by_one_thread(tmp_path: Path) -> None:
    points = [f"/mnt/{number}" for number in range(5000)]
    with dead() as mounts:
        found = collected(table_of(tmp_path, lines(*points), mounts), seconds=SURELY)
        assert errors(found) == dict.fromkeys(points, "")
        assert len(found["node_filesystem_avail_bytes"]) == len(points)
        assert len(mounts.threads) == 1


def test_several_dead_mounts_are_waited_for_together_and_leave_half_of_the_time(tmp_path: Path) -> None:
    points = [f"/dead/{number}" for number in range(8)]
    with dead() as mounts:
        collector = table_of(tmp_path, lines(*points, "/well"), mounts)
        began = time.monotonic()
        found = collected(collector, seconds=2.0)
        assert time.monotonic() - began < 2.0
        assert errors(found) == {**dict.fromkeys(points, NO_ANSWER), "/well": ""}
        began = time.monotonic()
        assert errors(collected(collector, seconds=SURELY)) == errors(found)
        assert time.monotonic() - began < SURELY / 2
        assert sorted(mounts.asked) == sorted([*(point.encode() for point in points), b"/well", b"/well"])


def test_more_dead_mounts_than_threads_do_not_cost_those_that_answer(tmp_path: Path) -> None:
    points = [f"/dead/{number}" for number in range(THREADS_MAX + 10)]
    table = lines(*points, fstype="nfs4") + lines("/", "/well", first=1000)
    with dead() as mounts:
        collector = table_of(tmp_path, table, mounts)
        for _ in range(3):
            found = errors(collected(collector, seconds=4 * STALL_SECONDS * THREADS_MAX))
            assert found == {**dict.fromkeys(points, NO_ANSWER), "/": "", "/well": ""}
        assert len(mounts.threads) <= THREADS_MAX
        assert mounts.asked.count(b"/well") == 3
        assert max(mounts.asked.count(point.encode()) for point in points) == 1
        mounts.release.set()
        until = time.monotonic() + SURELY
        while NO_ANSWER in errors(collected(collector)).values():
            assert time.monotonic() < until


def test_what_is_mounted_in_the_place_of_a_dead_one_is_asked(tmp_path: Path) -> None:
    with dead() as mounts:
        collector = table_of(tmp_path, lines("/dead/1"), mounts)
        assert errors(collected(collector, seconds=0.2)) == {"/dead/1": NO_ANSWER}
        table_of(tmp_path, lines("/dead/1", first=2))
        collected(collector, seconds=0.2)
        collected(collector, seconds=0.2)
        assert mounts.asked == [b"/dead/1"] * 2


def test_a_collector_that_is_replaced_takes_its_threads_along(tmp_path: Path) -> None:
    with dead() as mounts:
        collector = table_of(tmp_path, lines("/well"), mounts)
        collected(collector)
        (worker,) = (thread for thread in threading.enumerate() if thread.ident in mounts.threads)
        del collector
        worker.join(SURELY)
        assert not worker.is_alive()


def test_the_whole_program_answers_in_time_and_adds_no_thread(mounted: Real) -> None:
    flags = [
        f"--collector.filesystem.mount-points-include=^(/|{mounted.folder})$",
        "--collector.filesystem.mount-points-exclude=",
        "--collector.filesystem.fs-types-exclude=",
    ]
    threads = []
    with started(*flags) as program:
        program.get("/metrics", **PATIENCE)
        mounted.say("hold")
        try:
            for _ in range(20):
                began = time.monotonic()
                page = program.get("/metrics", **PATIENCE)
                assert time.monotonic() - began < PATIENCE_SECONDS
                assert f'device_error="{NO_ANSWER}",fstype="fuse.tocsin",mountpoint="{mounted.folder}"}} 1' in page
                assert re.search(r'^node_filesystem_size_bytes\{[^}]*mountpoint="/"\}', page, re.MULTILINE)
                assert sample(page, 'node_scrape_collector_success{collector="filesystem"}') == 1
                threads.append(len(os.listdir(f"/proc/{program.process.pid}/task")))
            # It is told once: it was asked once.
            assert mounted.hears() == "held"
        finally:
            # The kernel lets nobody end who waits for an answer that is owed.
            mounted.say("answer")
    # The first of them may leave some behind, and no other.
    assert threads[3:] == [threads[3]] * 17
