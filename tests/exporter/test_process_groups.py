"""Groups of processes: each second of work is counted once, whoever ends, begins, or moves into the others."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from exporter.collectors.process_groups import GROUPS_KEPT_MAX, ProcessGroups
from exporter.collectors.processfiles import PAGE_BYTES
from tests.exporter.builders import FIXTURE_PATHS

Found = dict[str, dict[tuple[str, ...], float]]
BOOTED = 1_700_000_000


class Machine:
    """Processes of our own making, under a folder that looks like /proc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stat").write_text(f"cpu  1 2 3 4\nbtime {BOOTED}\n")

    def process(
        self,
        number: int,
        name: str = "a",
        *,
        user: int = 0,
        system: int = 0,
        start: int = 100,
        state: str = "S",
        threads: int = 1,
        switches: int = 0,
        read: int | None = 0,
        flags: int = 0,
        limit: str = "1024",
    ) -> None:
        folder = self.folder / str(number)
        (folder / "fd").mkdir(parents=True, exist_ok=True)
        before, after = (
            [state, 1, 1, 1, 0, -1, flags, 7, 0, 3, 0, user, system, 0, 0, 20, 0, threads, 0],
            [start, 4096, 2],
        )
        fields = " ".join(map(str, [*before, *after, 0, 0, 0]))
        (folder / "stat").write_text(f"{number} ({name}) {fields}\n")
        said = f"voluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t2\n"
        (folder / "status").write_text(f"Name:\t{name}\nVmSwap:\t 3 kB\n{said}")
        (folder / "limits").write_text(f"Limit  Soft  Hard  Units\nMax open files  {limit}  4096  files\n")
        (folder / "io").unlink(missing_ok=True)
        if read is not None:
            (folder / "io").write_text(f"rchar: 1\nread_bytes: {read}\nwrite_bytes: 5\n")

    def end(self, number: int) -> None:
        (self.folder / str(number)).rename(self.folder / f"ended-{number}-{len(list(self.folder.iterdir()))}")

    def collector(self, top: int = 20) -> ProcessGroups:
        return ProcessGroups(Paths(procfs=str(self.folder)), Chosen(ProcessGroups.options, {"top": str(top)}))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def look(collector: ProcessGroups) -> Found:
    prefix = "namedprocess_namegroup_"
    return {each.name.removeprefix(prefix): dict(each.samples) for each in collector.collect(float("inf"))}


def seconds(collector: ProcessGroups) -> dict[str, float]:
    return {name: value for (name, mode), value in look(collector)["cpu_seconds_total"].items() if mode == "user"}


def test_it_is_off_unless_asked_for() -> None:
    assert ProcessGroups.enabled is False


def test_processes_of_one_name_are_one_group(machine: Machine) -> None:
    machine.process(1, user=150, system=50, start=300, threads=2, switches=10, read=100)
    machine.process(2, user=25, start=200, state="R", switches=1, read=11)
    machine.process(3, "b", state="I")
    found = look(machine.collector())
    assert found["num_procs"] == {("a",): 2, ("b",): 1, ("other",): 0}
    assert found["num_threads"] == {("a",): 3, ("b",): 1, ("other",): 0}
    assert found["cpu_seconds_total"]["a", "user"] == 1.75
    assert found["cpu_seconds_total"]["a", "system"] == 0.5
    assert found["memory_bytes"]["a", "resident"] == 4 * PAGE_BYTES
    assert found["memory_bytes"]["a", "virtual"] == 8192
    assert found["memory_bytes"]["a", "swapped"] == 6 * 1024
    assert found["oldest_start_time_seconds"] == {("a",): BOOTED + 2, ("b",): BOOTED + 1, ("other",): 0}
    assert found["read_bytes_total"] == {("a",): 111, ("b",): 0}
    assert found["write_bytes_total"] == {("a",): 10, ("b",): 5}
    assert found["major_page_faults_total"] == {("a",): 6, ("b",): 3, ("other",): 0}
    assert found["minor_page_faults_total"] == {("a",): 14, ("b",): 7, ("other",): 0}
    assert found["context_switches_total"]["a", "voluntary"] == 11
    assert found["context_switches_total"]["a", "nonvoluntary"] == 4
    assert {state for (name, state), count in found["states"].items() if name == "a" and count} == {
        "Sleeping",
        "Running",
    }
    assert found["states"]["b", "Other"] == 1


def test_the_fixtures_have_a_name_that_looks_like_more() -> None:
    found = look(ProcessGroups(FIXTURE_PATHS))
    assert found["num_procs"] == {("gone",): 1, ("init",): 1, ("odd) R 1 (name",): 1, ("other",): 0}
    assert found["states"]["gone", "Zombie"] == 1
    assert found["memory_bytes"]["init", "swapped"] == 64 * 1024
    assert found["read_bytes_total"]["odd) R 1 (name",] == 1048576


def test_a_counter_does_not_fall_when_a_process_ends(machine: Machine) -> None:
    collector = machine.collector()
    machine.process(1, user=1000)
    machine.process(2, user=200)
    assert seconds(collector) == {"a": 12, "other": 0}
    machine.end(1)
    machine.process(2, user=300)
    assert seconds(collector) == {"a": 13, "other": 0}
    machine.process(3, user=50)
    assert seconds(collector) == {"a": 13.5, "other": 0}
    machine.end(2)
    machine.end(3)
    found = look(collector)
    assert found["cpu_seconds_total"]["a", "user"] == 13.5
    assert found["num_procs"]["a",] == 0


def test_a_number_that_is_given_again_is_another_process(machine: Machine) -> None:
    collector = machine.collector()
    machine.process(1, user=1000, start=100)
    assert seconds(collector)["a"] == 10
    machine.process(1, user=300, start=900)
    assert seconds(collector)["a"] == 13


def test_a_process_that_takes_another_name_counts_there_from_then_on(machine: Machine) -> None:
    collector = machine.collector()
    machine.process(1, "a", user=100)
    assert seconds(collector)["a"] == 1
    machine.process(1, "b", user=400)
    assert seconds(collector) == {"a": 1, "b": 3, "other": 0}


def test_only_those_that_use_most_are_shown_by_name(machine: Machine) -> None:
    for number, name in enumerate("abcde", 1):
        machine.process(number, name, user=number * 100, start=number * 100)
    found = look(machine.collector(2))
    assert found["num_procs"] == {("d",): 1, ("e",): 1, ("other",): 3}
    assert found["cpu_seconds_total"]["other", "user"] == 6
    assert found["memory_bytes"]["other", "virtual"] == 3 * 4096
    assert found["oldest_start_time_seconds"]["other",] == BOOTED + 1
    assert look(machine.collector(0))["num_procs"] == {("other",): 5}


def test_a_process_whose_name_is_other_is_among_them(machine: Machine) -> None:
    machine.process(1, "other", user=100)
    machine.process(2, "b", user=100)
    found = look(machine.collector())
    assert found["num_procs"] == {("b",): 1, ("other",): 1}
    assert found["cpu_seconds_total"]["other", "user"] == 1


def test_a_group_that_moves_counts_where_it_is_shown(machine: Machine) -> None:
    collector = machine.collector(1)
    machine.process(1, "a", user=1000)
    machine.process(2, "b", user=500)
    assert seconds(collector) == {"a": 10, "other": 5}
    machine.process(2, "b", user=2000)
    assert seconds(collector) == {"b": 15, "other": 5}
    machine.process(1, "a", user=2500)
    assert seconds(collector) == {"a": 25, "other": 5}
    machine.process(2, "b", user=2100)
    assert seconds(collector) == {"a": 25, "other": 6}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    steps=st.lists(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 500)), max_size=5), min_size=1, max_size=8),
    top=st.integers(0, 4),
)
def test_nothing_is_counted_twice_or_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[int, int]]], top: int
) -> None:
    machine = Machine(tmp_path_factory.mktemp("proc"))
    collector = machine.collector(top)
    spent: dict[int, int] = {}
    last: dict[str, float] = {}
    for step in steps:
        for number, more in step:
            spent[number] = spent.get(number, 0) + more
            machine.process(number, f"group-{number}", user=spent[number], switches=spent[number])
        now = seconds(collector)
        assert all(now[name] >= value for name, value in last.items() if name in now)
        last |= now
        assert sum(last.values()) == pytest.approx(sum(spent.values()) / 100)


def test_groups_that_are_gone_are_remembered_only_for_so_long(machine: Machine) -> None:
    collector = machine.collector(1)
    for number in range(GROUPS_KEPT_MAX + 5):
        machine.process(1, f"name-{number}", user=100 * (number + 1), start=number)
        assert f"name-{number}" in seconds(collector)
    assert len(collector._used) <= GROUPS_KEPT_MAX + 2
    assert len(collector._spent) <= GROUPS_KEPT_MAX + 2


def test_the_kernels_own_threads_are_left_out(machine: Machine) -> None:
    machine.process(2, "kthreadd", flags=0x00208040)
    machine.process(3, "a", flags=0x00400000)
    assert look(machine.collector())["num_procs"] == {("a",): 1, ("other",): 0}


def test_what_nobody_says_to_us_is_not_shown(machine: Machine) -> None:
    machine.process(1, read=None)
    found = look(machine.collector())
    assert found["read_bytes_total"] == {}
    assert found["cpu_seconds_total"]["a", "user"] == 0


def test_a_process_that_was_not_scheduled_is_not_asked_further(machine: Machine) -> None:
    collector = machine.collector()
    machine.process(1, read=100)
    machine.process(2, "b", read=100, threads=2)
    assert look(collector)["read_bytes_total"] == {("a",): 100, ("b",): 100}
    machine.process(1, read=200)
    machine.process(2, "b", read=200, threads=2)
    assert look(collector)["read_bytes_total"] == {("a",): 100, ("b",): 200}
    machine.process(1, read=200, switches=1)
    assert look(collector)["read_bytes_total"] == {("a",): 200, ("b",): 200}


def test_a_process_that_ends_while_it_is_looked_at_is_not_there(machine: Machine) -> None:
    machine.process(1)
    machine.process(2, "b")
    (machine.folder / "2" / "status").unlink()
    (machine.folder / "3").mkdir()
    assert look(machine.collector())["num_procs"] == {("a",): 1, ("other",): 0}


def test_somebody_in_thousands_of_groups_of_users_has_his_switches(machine: Machine) -> None:
    machine.process(1, switches=7)
    status = machine.folder / "1" / "status"
    groups = " ".join(map(str, range(100_000, 103_000)))
    status.write_text(status.read_text().replace("VmSwap", f"Groups:\t{groups}\nVmSwap"))
    found = look(machine.collector())
    assert found["context_switches_total"]["a", "voluntary"] == 7
    assert found["memory_bytes"]["a", "swapped"] == 3072


def test_gvisor_counts_no_switches_and_no_swap_and_tells_no_limits(machine: Machine) -> None:
    machine.process(1)
    (machine.folder / "1" / "limits").unlink()
    (machine.folder / "1" / "status").write_text("Name:\ta\nState:\tS (sleeping)\nThreads:\t1\nSeccomp:\t0\n")
    found = look(machine.collector())
    assert found["num_procs"]["a",] == 1
    assert found["context_switches_total"]["a", "voluntary"] == 0
    assert found["memory_bytes"]["a", "swapped"] == 0
    assert found["worst_fd_ratio"]["a",] == 0


def test_a_process_that_is_hidden_from_us_is_left_out_and_costs_no_other(machine: Machine) -> None:
    """As with hidepid=1, where numbers can be listed and files cannot be opened. Not even root may read this one."""
    machine.process(1)
    machine.process(2, "b")
    (machine.folder / "2" / "stat").unlink()
    (machine.folder / "2" / "stat").symlink_to("/proc/sys/vm/compact_memory")
    assert look(machine.collector())["num_procs"] == {("a",): 1, ("other",): 0}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("1/stat", "1 (a) S 1 2\n"),
        ("1/status", "Name:\ta\nvoluntary_ctxt_switches:\tmany\n"),
        ("1/status", "Name:\ta\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\tmany\n"),
        ("1/status", "Name:\ta\nVmSwap:"),
        ("1/io", "rchar: 1\n"),
        ("1/io", "read_bytes: x\nwrite_bytes: 5\n"),
        ("1/limits", "nothing\n"),
        ("stat", "cpu 1\n"),
        ("stat", "btime soon\n"),
    ],
)
def test_a_file_that_says_something_else_is_an_error_that_names_it(machine: Machine, file: str, content: str) -> None:
    machine.process(1)
    (machine.folder / file).write_text(content)
    with pytest.raises(Malformed, match=rf"/{file}: found .*, expected"):
        look(machine.collector())


def test_nothing_is_read_after_the_deadline(machine: Machine) -> None:
    machine.process(1)
    with pytest.raises(TimeoutError, match="deadline"):
        list(machine.collector().collect(0.0))


def test_a_real_process_is_seen_with_its_files_and_its_work(machine: Machine) -> None:
    program = (
        "import sys, time; files = [open('/dev/null') for _ in range(50)]; print(1, flush=True); sys.stdin.readline();"
        "began = time.process_time()\nwhile time.process_time() - began < 0.3: pass\n"
        "print(2, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    (machine.folder / str(process.pid)).symlink_to(f"/proc/{process.pid}")
    collector = machine.collector()
    before = look(collector)
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    after = look(collector)
    process.communicate(timeout=30)
    ended = look(collector)
    ((name,),) = (group for group in before["open_filedesc"])
    assert before["open_filedesc"][name,] >= 53
    assert 0 < before["worst_fd_ratio"][name,] < 1
    assert work(after, name) - work(before, name) >= 0.2
    assert work(ended, name) == work(after, name)
    assert ended["num_procs"][name,] == 0


def work(found: Found, name: str) -> float:
    return found["cpu_seconds_total"][name, "user"] + found["cpu_seconds_total"][name, "system"]
