"""Processes and threads: counted by what their own files say, however they are named, whenever they end."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.processes import Processes, stat_fields
from tests.exporter.builders import FIXTURE_PATHS


def collected(paths: Paths = FIXTURE_PATHS) -> dict[str, dict[tuple[str, ...], float]]:
    return {family.name: dict(family.samples) for family in Processes(paths).collect(float("inf"))}


def machine(folder: Path, **stats: str) -> Paths:
    (folder / "sys/kernel").mkdir(parents=True)
    (folder / "sys/kernel/threads-max").write_text("100\n")
    (folder / "sys/kernel/pid_max").write_text("200\n")
    for name, stat in stats.items():
        (folder / name.strip("p")).mkdir()
        (folder / name.strip("p") / "stat").write_text(stat)
    return Paths(procfs=str(folder))


def test_processes_and_threads_are_counted_by_state() -> None:
    assert collected() == {
        "node_processes_threads": {(): 5},
        "node_processes_max_threads": {(): 31000},
        "node_processes_state": {("S",): 2, ("Z",): 1},
        "node_processes_threads_state": {("D",): 1, ("R",): 1, ("S",): 2, ("Z",): 1},
        "node_processes_pids": {(): 3},
        "node_processes_max_processes": {(): 4194304},
    }


def test_it_is_off_unless_asked_for() -> None:
    assert Processes.enabled is False


def test_a_process_that_ends_while_it_is_looked_at_is_not_counted(tmp_path: Path) -> None:
    paths = machine(tmp_path, p7="7 (x) R 1" + " 0" * 15 + " 2 0 0\n")
    (tmp_path / "8").mkdir()
    found = collected(paths)
    assert found["node_processes_pids"] == {(): 1}
    assert found["node_processes_threads_state"] == {("R",): 1}


@pytest.mark.parametrize(
    "stat", ["", "7\n", "7 (x S 1\n", "7 (x) S\n", "7 (x) S 1" + " 3" * 15 + " two 4 5", "(x) S 1" + " 3" * 30]
)
def test_a_line_that_is_none_is_an_error_that_names_it(tmp_path: Path, stat: str) -> None:
    with pytest.raises(Malformed, match=r"/7/stat: found .*, expected a name in parentheses"):
        collected(machine(tmp_path, p7=stat))


def test_a_limit_that_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    paths = machine(tmp_path)
    (tmp_path / "sys/kernel/pid_max").write_text("many\n")
    with pytest.raises(Malformed, match="pid_max: found 'many"):
        collected(paths)


def test_nothing_is_read_after_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="deadline"):
        Processes(FIXTURE_PATHS).collect(0.0)


@given(st.binary(min_size=1, max_size=64))
def test_a_name_can_have_any_bytes(name: bytes) -> None:
    line = b"17 (" + name + b") S 1" + b" -1" * 15 + b" 4 0 500\n"
    found, fields = stat_fields(line, "stat", 17)
    assert (found, fields[0], fields[17]) == (name, b"S", b"4")


def test_a_real_process_has_the_threads_that_it_started(tmp_path: Path) -> None:
    program = (
        "import threading, sys; stop = threading.Event();"
        "[threading.Thread(target=stop.wait, daemon=True).start() for _ in range(20)]; print(1, flush=True);"
        "sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    paths = machine(tmp_path)
    (tmp_path / str(process.pid)).symlink_to(f"/proc/{process.pid}")
    alive = collected(paths)
    process.communicate(timeout=30)
    assert alive["node_processes_threads"] == {(): 21}
    assert sum(alive["node_processes_threads_state"].values()) == 21
    assert collected(paths)["node_processes_pids"] == {(): 0}
