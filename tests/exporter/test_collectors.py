"""What the collectors make of the kernel's files: well-formed, strange and broken ones."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import COLLECTORS, cpu, loadavg, meminfo, stat
from exporter.collectors.cpu import Cpu
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.loadavg import Loadavg
from exporter.collectors.meminfo import Meminfo
from exporter.collectors.options import Chosen
from exporter.collectors.stat import Stat
from exporter.collectors.time import Time, local_zone
from exporter.collectors.uname import Uname
from tests.exporter.builders import FIXTURE_PATHS, collected


def test_load_averages() -> None:
    assert loadavg.parse(b"0.21 0.37 1.05 2/431 18734\n") == (0.21, 0.37, 1.05)


def test_memory_in_kilobytes_becomes_bytes_and_counts_stay_counts() -> None:
    content = b"MemTotal:  3742148 kB\nActive(anon):   12 kB\n\nHugePages_Free:  3\nOdd-Name:  1 kB\n"
    assert meminfo.parse(content) == {
        "MemTotal_bytes": 3742148 * 1024,
        "Active_anon_bytes": 12 * 1024,
        "HugePages_Free": 3,
        "Odd_Name_bytes": 1024,
    }


LINES = st.lists(
    st.tuples(
        st.sampled_from(["MemTotal", "Active(anon)", "HugePages_Free", "Odd-Name"]),
        st.integers(0, 2**63),
        st.booleans(),
    ),
    min_size=1,
)


@given(files=st.lists(LINES, min_size=1, max_size=4))
def test_what_was_learned_of_one_file_changes_nothing_in_the_next(
    files: list[list[tuple[str, int, bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("proc") / "meminfo"
    path.touch()
    learned = Meminfo(Paths(procfs=str(path.parent)))
    for lines in files:
        path.write_text("".join(f"{name}: {value}{' kB' * in_kilobytes}\n" for name, value, in_kilobytes in lines))
        expected = {f"node_memory_{field}": {(): value} for field, value in meminfo.parse(path.read_bytes()).items()}
        assert collected(learned) == collected(learned) == expected


def test_a_number_that_becomes_a_word_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 12 kB\n")
    collector = Meminfo(Paths(procfs=str(tmp_path)))
    assert collected(collector) == {"node_memory_MemTotal_bytes": {(): 12288}}
    (tmp_path / "meminfo").write_text("MemTotal: -2 kB\n")
    with pytest.raises(Malformed, match="found 'MemTotal: -2 kB'"):
        collected(collector)


def test_soft_interrupts_are_shown_when_asked_for() -> None:
    found = collected(Stat(FIXTURE_PATHS, Chosen(Stat.options, {"softirq": "true"})))["node_softirqs_total"]
    assert (found["hi",], found["rcu",], len(found)) == (250191, 508444, 10)
    assert "node_softirqs_total" not in collected(Stat(FIXTURE_PATHS))
    assert stat.parse_softirqs(b"btime 1\n") == []


def test_only_the_sum_of_the_interrupts_is_taken() -> None:
    found = stat.parse(b"intr 8885917 17 1 0\nbtime 1418183276\nsomething_new 1\n")
    assert found == {b"intr": 8885917, b"btime": 1418183276}


def test_processor_times_are_seconds_by_the_kernels_own_number() -> None:
    found = collected(Cpu(FIXTURE_PATHS))
    assert found["node_cpu_seconds_total"]["1", "user"] == 151.73
    assert found["node_cpu_seconds_total"]["0", "steal"] == 0.4
    assert found["node_cpu_guest_seconds_total"]["1", "nice"] == 0.05
    assert len(found["node_cpu_seconds_total"]) == 2 * 8


def test_an_old_kernel_with_fewer_columns_counts_zero_for_the_others() -> None:
    assert cpu.parse(b"cpu3 1 2 3 4\n") == {"3": (1, 2, 3, 4, 0, 0, 0, 0, 0, 0)}


def test_cores_and_packages_that_processors_share_are_counted_once() -> None:
    found = collected(Cpu(FIXTURE_PATHS))
    assert found["node_cpu_core_throttles_total"] == {("0", "0"): 5, ("1", "0"): 15, ("0", "1"): 25}
    assert found["node_cpu_package_throttles_total"] == {("0",): 30, ("1",): 50}


def test_processors_are_online_that_are_in_the_kernels_list() -> None:
    found = collected(Cpu(FIXTURE_PATHS))
    assert found["node_cpu_online"] == {("0",): 1, ("1",): 1, ("2",): 0}
    assert found["node_cpu_isolated"] == {("1",): 1}


def test_the_time_of_guests_can_be_left_out() -> None:
    found = collected(Cpu(FIXTURE_PATHS, Chosen(Cpu.options, {"guest": "false"})))
    assert "node_cpu_guest_seconds_total" not in found
    assert len(found["node_cpu_seconds_total"]) == 2 * 8


def machine(folder: Path, *, online: str, processors: int) -> Paths:
    """A machine of which each processor has a core of its own, and counts throttling."""
    sysfs = folder / "sys" / "devices" / "system" / "cpu"
    for number in range(processors):
        for path, content in (
            ("topology/core_id", str(number)),
            ("topology/physical_package_id", "0"),
            ("thermal_throttle/core_throttle_count", str(number * 10)),
            ("thermal_throttle/package_throttle_count", "7"),
        ):
            (sysfs / f"cpu{number}" / path).parent.mkdir(parents=True, exist_ok=True)
            (sysfs / f"cpu{number}" / path).write_text(f"{content}\n")
    (sysfs / "present").write_text(f"0-{processors - 1}\n")
    (sysfs / "online").write_text(f"{online}\n")
    (folder / "proc").mkdir(exist_ok=True)
    lines = "".join(f"cpu{number} 1 2 3 4 5 6 7 8 9 10\n" for number in range(processors))
    (folder / "proc" / "stat").write_text(lines)
    return Paths(str(folder / "proc"), str(folder / "sys"), "/")


def test_where_there_is_no_list_each_processor_says_whether_it_is_online(tmp_path: Path) -> None:
    paths = machine(tmp_path, online="0-2", processors=3)
    folder = tmp_path / "sys" / "devices" / "system" / "cpu"
    (folder / "online").unlink()
    (folder / "cpu1" / "online").write_text("1\n")
    (folder / "cpu2" / "online").write_text("0\n")
    collector = Cpu(paths)
    assert collected(collector)["node_cpu_online"] == {("0",): 1, ("1",): 1, ("2",): 0}
    (folder / "cpu1" / "online").write_text("0\n")
    assert collected(collector)["node_cpu_online"] == {("0",): 1, ("1",): 0, ("2",): 0}


def test_processors_that_come_and_go_are_seen(tmp_path: Path) -> None:
    collector = Cpu(machine(tmp_path, online="0", processors=2))
    assert collected(collector)["node_cpu_online"] == {("0",): 1, ("1",): 0}
    machine(tmp_path, online="0-2", processors=3)
    found = collected(collector)
    assert found["node_cpu_online"] == {("0",): 1, ("1",): 1, ("2",): 1}
    assert found["node_cpu_core_throttles_total"] == {("0", "0"): 0, ("1", "0"): 10, ("2", "0"): 20}
    assert len(found["node_cpu_seconds_total"]) == 3 * 8


def test_a_counter_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    collector = Cpu(machine(tmp_path, online="0-1", processors=2))
    for number in range(2):
        (tmp_path / f"sys/devices/system/cpu/cpu{number}/thermal_throttle/package_throttle_count").unlink()
    found = collected(collector)
    assert "node_cpu_package_throttles_total" not in found
    assert len(found["node_cpu_core_throttles_total"]) == 2


def test_a_machine_without_sysfs_has_its_processor_times(tmp_path: Path) -> None:
    (tmp_path / "stat").write_bytes(b"cpu0 1 2 3 4\n")
    found = collected(Cpu(Paths(str(tmp_path), "/nonexistent", "/")))
    assert set(found) == {"node_cpu_seconds_total", "node_cpu_guest_seconds_total"}


def test_lists_of_processors_are_read_as_the_kernel_writes_them() -> None:
    assert cpu.parse_range(b"0-2,5,7-8\n") == [0, 1, 2, 5, 7, 8]
    assert cpu.parse_range(b"\n") == []


def times(*, idle: int, iowait: int) -> cpu.Times:
    return (10, 0, 10, idle, iowait, 0, 0, 0, 0, 0)


def test_a_counter_that_falls_a_little_is_held() -> None:
    before = {"0": times(idle=1000, iowait=50)}
    after = cpu.never_backwards(before, {"0": times(idle=1010, iowait=45)})
    assert after == {"0": times(idle=1010, iowait=50)}


def test_a_processor_that_was_reset_begins_anew() -> None:
    before = {"0": times(idle=1000, iowait=50)}
    after = cpu.never_backwards(before, {"0": times(idle=700, iowait=5)})
    assert after == {"0": times(idle=700, iowait=5)}


def test_a_processor_that_is_offline_is_not_shown_and_comes_back_with_no_less(tmp_path: Path) -> None:
    collector = Cpu(Paths(str(tmp_path), "/nonexistent", "/"))

    def idle_times() -> dict[tuple[str, ...], float]:
        found = collected(collector)
        assert found["node_cpu_guest_seconds_total"].keys() == {
            (cpu, mode) for cpu, _ in found["node_cpu_seconds_total"] for mode in ("user", "nice")
        }
        return {labels: value for labels, value in found["node_cpu_seconds_total"].items() if labels[1] == "idle"}

    (tmp_path / "stat").write_bytes(b"cpu0 1 0 1 900\ncpu1 1 0 1 800\ncpu2 1 0 1 700\n")
    assert idle_times() == {("0", "idle"): 9, ("1", "idle"): 8, ("2", "idle"): 7}
    (tmp_path / "stat").write_bytes(b"cpu0 1 0 1 1000\ncpu2 1 0 1 800\n")
    assert idle_times() == {("0", "idle"): 10, ("2", "idle"): 8}
    (tmp_path / "stat").write_bytes(b"cpu0 1 0 1 1100\ncpu1 1 0 1 790\ncpu3 1 0 1 100\n")
    assert idle_times() == {("0", "idle"): 11, ("1", "idle"): 8, ("3", "idle"): 1}


def test_the_clock_source_in_use_and_those_that_could_be() -> None:
    found = collected(Time(FIXTURE_PATHS, now=lambda: 1700000000.5))
    assert found["node_time_seconds"] == {(): 1700000000.5}
    assert set(found["node_time_clocksource_available_info"]) == {
        ("tsc", "0"),
        ("hpet", "0"),
        ("acpi_pm", "0"),
    }
    assert found["node_time_clocksource_current_info"] == {("tsc", "0"): 1}


def test_the_time_is_shown_where_the_kernel_offers_no_clock_sources() -> None:
    found = collected(Time(Paths(sysfs="/nonexistent"), now=lambda: 5.0))
    assert found["node_time_seconds"] == {(): 5.0}
    assert set(found) == {"node_time_seconds", "node_time_zone_offset_seconds"}


def test_the_time_zone_is_the_one_in_force_at_that_moment() -> None:
    zone, offset = local_zone(1700000000.0)
    local = time.localtime(1700000000.0)
    assert (zone, offset) == (local.tm_zone, local.tm_gmtoff)


def test_the_domain_of_uname_comes_from_the_kernel() -> None:
    ours = os.uname_result(("Linux", "crow", "6.1.0", "#1 SMP", "x86_64"))
    found = collected(Uname(FIXTURE_PATHS, uname=lambda: ours))
    assert found["node_uname_info"] == {("example.org", "x86_64", "crow", "6.1.0", "Linux", "#1 SMP"): 1}
    nowhere = collected(Uname(Paths(procfs="/nonexistent"), uname=lambda: ours))
    assert nowhere["node_uname_info"] == {("(none)", "x86_64", "crow", "6.1.0", "Linux", "#1 SMP"): 1}


def test_a_file_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="loadavg"):
        collected(Loadavg(Paths(procfs=str(tmp_path))))


def test_every_collector_has_a_name_of_its_own_and_says_what_it_is_for() -> None:
    names = [collector.name for collector in COLLECTORS]
    assert names == sorted(set(names))
    assert all(collector.help.endswith(".") for collector in COLLECTORS)
