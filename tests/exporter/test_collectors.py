"""What the collectors make of the kernel's files: well-formed, strange and broken ones."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import COLLECTORS, cpu, filesystem, loadavg, meminfo, stat
from exporter.collectors.cpu import Cpu
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.loadavg import Loadavg
from exporter.collectors.stat import Stat
from exporter.collectors.time import Time, local_zone
from exporter.collectors.uname import Uname
from exporter.family import Family
from tests.exporter.builders import FIXTURE_PATHS

Parse = Callable[[bytes], object]
PARSERS: list[Parse] = [
    loadavg.parse,
    meminfo.parse,
    stat.parse,
    cpu.parse,
    cpu.parse_range,
    filesystem.parse,
]


def collected(collector: Cpu | Loadavg | Stat | Time | Uname) -> dict[str, dict[tuple[str, ...], float]]:
    families: list[Family] = list(collector.collect(time.monotonic() + 30))
    return {family.name: dict(family.samples) for family in families}


@pytest.mark.parametrize("parse", PARSERS)
@given(content=st.binary(max_size=200))
def test_a_broken_file_is_malformed_and_never_another_error(parse: Parse, content: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(content)


@pytest.mark.parametrize(
    ("parse", "content", "said"),
    [
        (loadavg.parse, b"", "found '', expected three load averages"),
        (loadavg.parse, b"0.1 0.2\n", "expected three load averages"),
        (loadavg.parse, b"0.1 zwei 0.3 1/2 3\n", "expected three load averages"),
        (meminfo.parse, b"MemTotal: 1 kB\nMemFree: x kB\n", "found 'MemFree: x kB'"),
        (meminfo.parse, b"MemTotal: 12 MB\n", "found 'MemTotal: 12 MB'"),
        (meminfo.parse, b"MemTotal 12 kB\n", "found 'MemTotal 12 kB'"),
        (stat.parse, b"btime\n", "found 'btime', expected a whole number"),
        (stat.parse, b"ctxt -1\nbtime 1\n", "found 'ctxt -1'"),
        (stat.parse, b"ctxt 1\n", "expected a line that begins with btime"),
        (cpu.parse, b"cpu 1 2 3 4\n", "expected a line for at least one processor"),
        (cpu.parse, b"cpu0 1 2 3\n", "found 'cpu0 1 2 3'"),
        (cpu.parse, b"cpu0 1 2 3 -4\n", "found 'cpu0 1 2 3 -4'"),
        (cpu.parse_range, b"0-x", "found '0-x'"),
        (filesystem.parse, b"22 27 0:21 / /proc rw proc proc rw\n", "expected a line of mountinfo"),
        (filesystem.parse, b"22 27 021 / /proc rw - proc proc rw\n", "expected a line of mountinfo"),
    ],
)
def test_the_error_says_what_was_found_and_expected(parse: Parse, content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        parse(content)
    assert said in str(raised.value)


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


def test_a_processor_without_the_file_online_cannot_be_offline() -> None:
    found = collected(Cpu(FIXTURE_PATHS))
    assert found["node_cpu_online"] == {("0",): 1, ("1",): 1, ("2",): 0}
    assert found["node_cpu_isolated"] == {("1",): 1}


def test_lists_of_processors_are_read_as_the_kernel_writes_them() -> None:
    assert cpu.parse_range(b"0-2,5,7-8\n") == [0, 1, 2, 5, 7, 8]


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


def test_a_processor_that_is_offline_keeps_its_last_values() -> None:
    before = {"0": times(idle=1, iowait=1), "1": times(idle=2, iowait=2)}
    after = cpu.never_backwards(before, {"0": times(idle=3, iowait=1)})
    assert after == {"0": times(idle=3, iowait=1), "1": times(idle=2, iowait=2)}


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
    assert found["node_time_clocksource_current_info"] == {}


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
