"""What the exporter says of its own process, against the client library's word and against files of ours."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from prometheus_client.process_collector import ProcessCollector

from exporter.process import Process

# The name of a program may contain anything.
STAT = "42 (a ) b) S " + " ".join(["0"] * 10) + " 250 50 0 0 20 0 1 0 3000 1048576 10 " + " ".join(["0"] * 28)


def tree(folder: Path, *, stat: str = STAT, machine: str = "cpu 1 2\nbtime 1700000000\n") -> str:
    (folder / "self" / "fd").mkdir(parents=True)
    for number in range(4):
        (folder / "self" / "fd" / str(number)).touch()
    (folder / "self" / "stat").write_text(stat)
    (folder / "stat").write_text(machine)
    return str(folder)


def values(process: Process) -> dict[str, float]:
    return {family.name: family.samples[0][1] for family in process.families()}


def test_the_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert values(Process(tree(tmp_path))) == {
        "process_virtual_memory_bytes": 1048576,
        "process_resident_memory_bytes": 10 * page,
        "process_start_time_seconds": 1700000000 + 3000 / ticks,
        "process_cpu_seconds_total": 300 / ticks,
        "process_open_fds": 3,
        "process_max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def test_names_and_types_are_those_of_the_client_library_and_so_are_the_numbers() -> None:
    theirs = {
        (metric.name + ("_total" if metric.type == "counter" else ""), metric.type): metric.samples[0].value
        for metric in ProcessCollector(registry=None).collect()
    }
    ours = {(family.name, family.type): family.samples[0][1] for family in Process().families()}
    assert list(ours) == list(theirs)
    # The kernel reckons its boot time anew at each reading.
    steady = ("process_start_time_seconds", "gauge"), ("process_max_fds", "gauge")
    assert [ours[each] for each in steady] == pytest.approx([theirs[each] for each in steady], abs=2)
    grown = ours["process_cpu_seconds_total", "counter"] - theirs["process_cpu_seconds_total", "counter"]
    assert -0.001 < grown < 5


def test_without_a_boot_time_only_the_start_is_missing(tmp_path: Path) -> None:
    found = values(Process(tree(tmp_path, machine="btime soon\n")))
    assert "process_start_time_seconds" not in found
    assert len(found) == 5


def test_without_the_kernels_files_there_are_no_such_metrics(tmp_path: Path) -> None:
    assert Process(str(tmp_path)).families() == ()


@pytest.mark.parametrize("stat", ["", "42", "42 (x) S 1 2", STAT.replace("250", "many"), "42 (x) " + "x " * 50])
def test_garbage_costs_these_metrics_and_not_the_page(tmp_path: Path, stat: str) -> None:
    assert Process(tree(tmp_path, stat=stat)).families() == ()
