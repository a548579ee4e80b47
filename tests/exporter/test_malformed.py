"""Broken files of the kernel: each parser says what it found and what it expected, and never fails in another way."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import (
    cpu,
    cpu_vulnerabilities,
    filefd,
    filesystem,
    interrupts,
    loadavg,
    meminfo,
    meminfo_numa,
    pressure,
    schedstat,
    selinux,
    stat,
    vmstat,
)
from exporter.collectors import os as os_release
from exporter.collectors.files import Malformed

Parse = Callable[[bytes], object]
PARSERS: list[Parse] = [
    loadavg.parse,
    meminfo.parse,
    stat.parse,
    cpu.parse,
    cpu.parse_range,
    stat.parse_softirqs,
    filesystem.parse,
    vmstat.parse,
    pressure.parse,
    filefd.parse,
    schedstat.parse,
    selinux.configured_mode,
    os_release.parse,
    interrupts.parse,
    cpu_vulnerabilities.parse,
    meminfo_numa.parse,
    meminfo_numa.parse_numastat,
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: f"{parse.__module__.rpartition('.')[2]}.{parse.__name__}")
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
        (cpu.parse, b"cpu0 1 2 3 4 " + b"9" * 400, "found 'cpu0 1 2 3 4 9999"),
        (cpu.parse, b"cpu0 1 2 3 -4\n", "found 'cpu0 1 2 3 -4'"),
        (cpu.parse_range, b"0-x", "found '0-x'"),
        (cpu.parse_range, b"0-99999999999", "expected at most 65536 processors"),
        (cpu.parse_range, b"0-40000,40001-80000", "expected at most 65536 processors"),
        (meminfo.parse, b"\n", "expected lines of a name"),
        (stat.parse_softirqs, b"softirq 3 1 2\n", "expected softirq, a sum and 10 counts"),
        (stat.parse_softirqs, b"softirq 3 1 2 3 4 5 6 7 8 9 x\n", "expected softirq, a sum and 10 counts"),
        (filesystem.parse, b"22 27 0:21 / /proc rw proc proc rw\n", "expected a line of mountinfo"),
        (filesystem.parse, b"22 27 021 / /proc rw - proc proc rw\n", "expected a line of mountinfo"),
        (vmstat.parse, b"", "found '', expected lines of a name"),
        (vmstat.parse, b"pgpgin 1\npgpgout\n", "expected lines of a name"),
        (pressure.parse, b"some avg10=0.00\n", "found 'some avg10=0.00', expected a line with total="),
        (pressure.parse, b"some total=" + b"9" * 400, "expected a line with total="),
        (schedstat.parse, b"cpu0 0 0 0 0 0 0 0 0 " + b"9" * 400, "expected cpu with its number"),
        (pressure.parse, b"some total=-1\n", "found 'some total=-1'"),
        (filefd.parse, b"1 2\n", "found '1 2\\n', expected three whole numbers"),
        (filefd.parse, b"1 0 many\n", "found '1 0 many\\n'"),
        (schedstat.parse, b"version 15\n", "expected a line for at least one processor"),
        (schedstat.parse, b"cpu0 1 2 3\n", "found 'cpu0 1 2 3', expected cpu with its number and nine counters"),
        (schedstat.parse, b"cpu0 0 0 0 0 0 0 0 0 -4\n", "expected cpu with its number"),
        (schedstat.parse, b"cpu 0 0 0 0 0 0 0 0 x\n", "expected cpu with its number"),
        (interrupts.parse, b"", "found '', expected a line that names the processors"),
        (interrupts.parse, b"CPU0 GPU1\n", "found 'CPU0 GPU1'"),
        (interrupts.parse, b"CPU0 CPU0\n", "found 'CPU0 CPU0'"),
        (interrupts.parse, b"CPU0 CPU1\n 0: 1 x timer\n", "found ' 0: 1 x timer', expected a count for each"),
        (interrupts.parse, b"CPU0\n 0: " + b"9" * 400 + b" timer\n", "expected a count for each processor"),
        (meminfo_numa.parse, b"MemTotal: 12 kB\n", "found 'MemTotal: 12 kB', expected Node, its number"),
        (meminfo_numa.parse, b"Node 0\n", "found 'Node 0', expected Node, its number"),
        (meminfo_numa.parse, b"Node 0 MemTotal: x kB\n", "found 'MemTotal: x kB'"),
        (meminfo_numa.parse_numastat, b"numa_hit\n", "found 'numa_hit\\n', expected lines of a name"),
        (meminfo_numa.parse_numastat, b"numa_hit -1\n", "found 'numa_hit -1\\n'"),
    ],
)
def test_the_error_says_what_was_found_and_expected(parse: Parse, content: bytes, said: str) -> None:
    with pytest.raises(Malformed) as raised:
        parse(content)
    assert said in str(raised.value)
