"""Watched files: each change counts once, whatever was changed, and no name of a file is shown."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.collectors.files import Paths
from exporter.collectors.fingerprints import FILE_BYTES_MAX
from exporter.collectors.options import Chosen
from exporter.collectors.watched_files import FILES_MAX, WatchedFiles
from tests.exporter.builders import SURELY, Found, collected

CHECKED = "security_watched_files_last_check_timestamp_seconds"


class Watch:
    """A root with files, and a clock; each look is a minute later."""

    def __init__(self, root: Path, files: str, *, state_file: Path | None = None) -> None:
        self.now = 0.0
        self.root = root
        options = {"files": files, "state": str(state_file or "")}
        chosen = Chosen(WatchedFiles.options, options)
        self.collector = WatchedFiles(Paths(rootfs=str(root)), chosen, clock=lambda: self.now)
        self.found = collected(self.collector)

    def look(self) -> Found:
        """What is said when the next look has been taken."""
        self.now += 60
        checked = self.found[CHECKED][()]
        deadline = time.monotonic() + SURELY
        while collected(self.collector)[CHECKED][()] == checked:
            assert time.monotonic() < deadline
        self.found = collected(self.collector)
        return self.found

    def changes(self, path: str = "/a") -> float:
        return self.look()["security_watched_file_changes_total"][path,]

    def state(self, path: str = "/a") -> dict[str, float]:
        files = self.look()["security_watched_files"]
        return {state: count for (each, state), count in files.items() if each == path and count}


def rewritten(path: Path) -> None:
    """Other bytes, the same size, and the same time: only reading tells."""
    status = path.stat()
    path.write_bytes(b"y" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "other content": lambda path: path.write_text("other"),
    "other content of the same size and time": rewritten,
    "other permissions": lambda path: path.chmod(0o666),
    "gone": lambda path: path.unlink(),
    "replaced by a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_counts_once(change: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    watch = Watch(tmp_path, "/a,/b")
    assert watch.found["security_watched_file_last_change_timestamp_seconds"] == {}
    assert watch.changes() == 0
    before = time.time()
    CHANGES[change](tmp_path / "a")
    assert [watch.changes(), watch.changes()] == [1, 1]
    assert watch.changes("/b") == 0
    assert list(watch.found["security_watched_file_last_change_timestamp_seconds"]) == [("/a",)]
    assert watch.found["security_watched_file_last_change_timestamp_seconds"]["/a",] >= before


def test_what_only_looks_different_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    watch = Watch(tmp_path, "/a")
    os.utime(tmp_path / "a", (1, 1))
    assert watch.changes() == 0
    (tmp_path / "new").write_text("x")
    (tmp_path / "new").replace(tmp_path / "a")
    assert watch.changes() == 0


def test_a_file_that_comes_is_a_change_and_so_is_its_end(tmp_path: Path) -> None:
    watch = Watch(tmp_path, "/a")
    assert watch.state() == {"missing": 1}
    (tmp_path / "a").write_text("x")
    assert watch.changes() == 1
    assert watch.state() == {"read": 1}
    (tmp_path / "a").unlink()
    assert watch.changes() == 2


def test_a_pattern_is_one_label_for_all_its_files(tmp_path: Path) -> None:
    for name in ("ana", "ben"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").write_text(name)
    watch = Watch(tmp_path, "/*/keys")
    assert watch.state("/*/keys") == {"read": 2}
    (tmp_path / "ana" / "keys").write_text("other")
    (tmp_path / "ben" / "keys").unlink()
    assert watch.changes("/*/keys") == 2
    assert watch.changes("/*/keys") == 2
    (tmp_path / "ben" / "keys").write_text("again")
    assert watch.changes("/*/keys") == 3
    assert not any("ana" in str(watch.found[name]) for name in watch.found)


def test_a_pattern_finds_only_so_many_files(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 5):
        (tmp_path / f"{number}").touch()
    assert Watch(tmp_path, "/*").state("/*") == {"read": FILES_MAX}


def test_what_is_too_large_or_no_file_is_not_read_and_its_size_and_time_are_watched(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    os.mkfifo(tmp_path / "b")
    watch = Watch(tmp_path, "/a,/b")
    assert [watch.state("/a"), watch.state("/b")] == [{"not_read": 1}, {"not_read": 1}]
    os.utime(tmp_path / "a", (1, 1))
    assert watch.changes() == 1


CHANGED = "security_watched_file_changes_total"


def test_with_a_state_file_a_change_before_the_start_is_seen_and_counts_go_on(tmp_path: Path) -> None:
    kept = tmp_path / "state.json"
    (tmp_path / "a").write_text("x")
    watch = Watch(tmp_path, "/a,/b", state_file=kept)
    (tmp_path / "b").write_text("x")
    assert watch.changes("/b") == 1
    assert kept.stat().st_mode & 0o777 == 0o600
    assert Watch(tmp_path, "/a,/b", state_file=kept).found[CHANGED] == {("/a",): 0, ("/b",): 1}
    rewritten(tmp_path / "a")
    again = Watch(tmp_path, "/a,/b,/c", state_file=kept)
    assert again.found[CHANGED] == {("/a",): 1, ("/b",): 1, ("/c",): 0}
    assert len(again.found["security_watched_file_last_change_timestamp_seconds"]) == 2
    assert again.changes() == 1


def test_without_one_a_change_before_the_start_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    Watch(tmp_path, "/a")
    rewritten(tmp_path / "a")
    assert Watch(tmp_path, "/a").found[CHANGED] == {("/a",): 0}


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'{"files": {"/a": 7}}', b"[" * 100_000])
def test_a_state_file_that_says_nothing_is_written_anew(content: bytes, tmp_path: Path) -> None:
    kept = tmp_path / "state.json"
    kept.write_bytes(content)
    (tmp_path / "a").write_text("x")
    assert Watch(tmp_path, "/a", state_file=kept).found[CHANGED] == {("/a",): 0}
    rewritten(tmp_path / "a")
    assert Watch(tmp_path, "/a", state_file=kept).found[CHANGED] == {("/a",): 1}


def test_a_state_file_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "missing" / "state.json", tmp_path, tmp_path / "pipe"):
        assert Watch(tmp_path, "/a", state_file=place).changes() == 0


def test_a_name_that_is_no_text_is_watched_and_kept_too(tmp_path: Path) -> None:
    kept = tmp_path / "state.json"
    name = os.fsdecode(os.fsencode(tmp_path) + b"/dir/\xff")
    (tmp_path / "dir").mkdir()
    Path(name).write_text("x")
    watch = Watch(tmp_path, "/dir/*", state_file=kept)
    rewritten(Path(name))
    assert watch.changes("/dir/*") == 1
    assert Watch(tmp_path, "/dir/*", state_file=kept).found[CHANGED]["/dir/*",] == 1
    Path(name).unlink()
    assert Watch(tmp_path, "/dir/*", state_file=kept).found[CHANGED]["/dir/*",] == 2


@pytest.mark.parametrize(
    ("text", "said"), [("a", "a path that begins with /"), (",".join(f"/{n}" for n in range(101)), "at most 100")]
)
def test_what_cannot_be_watched_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WatchedFiles(Paths(), Chosen(WatchedFiles.options, {"files": text}))
