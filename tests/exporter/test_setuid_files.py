"""Programs with the rights of their owner, and what anybody may write: in folders of our own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen
from exporter.collectors.setuid_files import SetuidFiles, walked
from tests.exporter.builders import SURELY, Found, collected

CHECKED = "security_setuid_files_last_check_timestamp_seconds"


class Watch:
    """A root with folders, and a clock; each walk is ten minutes later."""

    def __init__(self, root: Path, folders: str) -> None:
        self.now = 0.0
        chosen = Chosen(SetuidFiles.options, {"folders": folders})
        self.collector = SetuidFiles(Paths(rootfs=str(root)), chosen, clock=lambda: self.now)
        self.found = collected(self.collector)

    def walk(self) -> Found:
        """What is said when the next walk is done."""
        self.now += 600
        checked = self.found[CHECKED][()]
        deadline = time.monotonic() + SURELY
        while collected(self.collector)[CHECKED][()] == checked:
            assert time.monotonic() < deadline
        self.found = collected(self.collector)
        return self.found

    def changes(self) -> dict[str, float]:
        found = self.walk()["security_setuid_file_changes_total"]
        return {change: count for (change,), count in found.items() if count}


def program(path: Path, mode: int = 0o4755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_programs_are_counted_in_all_that_is_below_a_folder(tmp_path: Path) -> None:
    program(tmp_path / "bin/su")
    program(tmp_path / "bin/inside/deep/mount")
    program(tmp_path / "bin/wall", 0o2755)
    program(tmp_path / "bin/both", 0o6755)
    program(tmp_path / "bin/plain", 0o755)
    program(tmp_path / "elsewhere/su")
    found = Watch(tmp_path, "/bin,/missing").found
    assert found["security_setuid_files"] == {("setuid",): 3, ("setgid",): 2}
    assert found["security_setuid_walk_incomplete"] == {(): 0}


def test_what_two_paths_lead_to_counts_once_and_links_are_not_followed(tmp_path: Path) -> None:
    program(tmp_path / "usr/bin/su")
    program(tmp_path / "elsewhere/su")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/link").symlink_to(tmp_path / "elsewhere/su")
    (tmp_path / "usr/bin/there").symlink_to(tmp_path / "elsewhere")
    assert Watch(tmp_path, "/bin,/usr/bin,/usr").found["security_setuid_files"]["setuid",] == 1


def test_what_anybody_may_write_is_counted_but_for_what_nobody_can_use(tmp_path: Path) -> None:
    program(tmp_path / "bin/open", 0o666)
    for name, mode in (("open-folder", 0o777), ("tmp", 0o1777), ("ours", 0o755)):
        (tmp_path / "bin" / name).mkdir()
        (tmp_path / "bin" / name).chmod(mode)
    (tmp_path / "bin/link").symlink_to("open")
    assert Watch(tmp_path, "/bin").found["security_world_writable_files"] == {("file",): 1, ("folder",): 1}


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, float]]] = {
    "another one": (lambda folder: program(folder / "new"), {"added": 1}),
    "a program that becomes one": (lambda folder: (folder / "plain").chmod(0o4755), {"added": 1}),
    "one that is gone": (lambda folder: (folder / "su").unlink(), {"removed": 1}),
    "one that is no more": (lambda folder: (folder / "su").chmod(0o755), {"removed": 1}),
    "one with something else in it": (
        lambda folder: (folder / "su").write_text("x") and program(folder / "su"),
        {"changed": 1},
    ),
    "one with other rights": (lambda folder: (folder / "su").chmod(0o4777), {"changed": 1}),
    "one that is replaced": (lambda folder: program(folder / "x").replace(folder / "su"), {"changed": 1}),
    "a program without rights": (lambda folder: program(folder / "usual", 0o755), {}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_counts_once(change: str, tmp_path: Path) -> None:
    program(tmp_path / "bin/su")
    program(tmp_path / "bin/plain", 0o755)
    watch = Watch(tmp_path, "/bin")
    assert watch.changes() == {}
    act, expected = CHANGES[change]
    act(tmp_path / "bin")
    assert [watch.changes(), watch.changes()] == [expected, expected]


def test_what_find_finds_on_this_machine_is_found() -> None:
    if os.geteuid() != 0 and not os.access("/usr/bin", os.R_OK):
        pytest.fail("/usr/bin cannot be read")
    command = ["find", "/usr/bin", "/usr/sbin", "-xdev", "-type", "f", "-perm", "/6000"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SURELY).stdout.split()
    assert sorted(walked(["/usr/bin", "/usr/sbin"]).programs) == sorted(said)


@pytest.mark.parametrize("limit", ["entries_max", "programs_max"])
def test_a_walk_ends_at_its_limits_and_says_so(limit: str, tmp_path: Path) -> None:
    for number in range(5):
        program(tmp_path / f"{number}")
    assert not walked([str(tmp_path)], **{limit: 5}).incomplete
    assert walked([str(tmp_path)], **{limit: 4}).incomplete


def test_folders_are_paths() -> None:
    with pytest.raises(ValueError, match="folders: found 'bin', expected a path that begins with /"):
        SetuidFiles(Paths(), Chosen(SetuidFiles.options, {"folders": "bin"}))
