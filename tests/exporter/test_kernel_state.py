"""What the kernel counts of itself: memory, pressure, files, entropy, scheduling, its clock; and which system it is."""

import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors import Collector, filefd, pressure, selinux
from exporter.collectors import os as os_release
from exporter.collectors.entropy import Entropy
from exporter.collectors.filefd import Filefd
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from exporter.collectors.os import Os
from exporter.collectors.pressure import Pressure
from exporter.collectors.schedstat import Schedstat
from exporter.collectors.selinux import Selinux
from exporter.collectors.timex import STATUS_NANOSECONDS, TIME_ERROR, Reading, Timex
from exporter.collectors.vmstat import Vmstat
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_ROOT_PATHS, collected

NOWHERE = Paths("/nonexistent", "/nonexistent", "/nonexistent")


def singles(collector: Collector) -> dict[str, float]:
    return {name: samples[()] for name, samples in collected(collector).items()}


def procfs(folder: Path, path: str, content: bytes) -> Paths:
    """A procfs that has this file."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return Paths(procfs=str(folder), sysfs=str(folder), rootfs=str(folder))


def test_of_vmstat_the_fields_are_shown_that_were_chosen() -> None:
    assert singles(Vmstat(FIXTURE_ROOT_PATHS)) == {
        "node_vmstat_pgpgin": 734128,
        "node_vmstat_pgpgout": 5120937,
        "node_vmstat_pswpin": 12,
        "node_vmstat_pswpout": 340,
        "node_vmstat_pgfault": 90817263,
        "node_vmstat_pgmajfault": 2718,
        "node_vmstat_oom_kill": 1,
    }
    assert singles(Vmstat(FIXTURE_ROOT_PATHS, Chosen(Vmstat.options, {"fields": "^nr_"}))) == {
        "node_vmstat_nr_dirty": 77
    }
    assert singles(Vmstat(FIXTURE_ROOT_PATHS, Chosen(Vmstat.options, {"fields": ""}))) == {}
    assert {family.type for family in Vmstat(FIXTURE_ROOT_PATHS).collect(1.0)} == {"unknown"}


def test_a_field_of_vmstat_that_moves_is_found_again(tmp_path: Path) -> None:
    collector = Vmstat(procfs(tmp_path, "vmstat", b"nr_dirty 7\npgpgin 1\noom_kill 2\noom_kill 3\n"))
    assert singles(collector) == {"node_vmstat_pgpgin": 1, "node_vmstat_oom_kill": 2}
    procfs(tmp_path, "vmstat", b"pgpgin 5\nnr_dirty 7\nswpin 1\npswpin 4\n")
    assert singles(collector) == {"node_vmstat_pgpgin": 5, "node_vmstat_pswpin": 4}
    procfs(tmp_path, "vmstat", b"pgpgin 5\nnr_dirty 7\nswpin 1\npswpin x\n")
    with pytest.raises(Malformed, match="vmstat: found 'pswpin x', expected a name and a whole number"):
        collected(collector)


def test_what_a_newer_kernel_says_besides_is_left_out() -> None:
    assert pressure.parse(b"some avg10=0.00 total=815 worst=3\nnone total=0\n") == {b"some": 815, b"none": 0}
    assert filefd.parse(b"1024 0 1631329 7\n") == (1024, 1631329)


def test_pressure_is_told_in_seconds() -> None:
    assert singles(Pressure(FIXTURE_ROOT_PATHS)) == {
        "node_pressure_cpu_waiting_seconds_total": 1.5,
        "node_pressure_io_waiting_seconds_total": 2.75,
        "node_pressure_io_stalled_seconds_total": 1.25,
        "node_pressure_memory_waiting_seconds_total": 0.0005,
        "node_pressure_memory_stalled_seconds_total": 0.000125,
        "node_pressure_irq_stalled_seconds_total": 0.000008,
    }


def test_an_older_kernel_counts_less_pressure_or_none(tmp_path: Path) -> None:
    found = singles(Pressure(procfs(tmp_path, "pressure/cpu", b"some avg10=0.00 total=1000000\n")))
    assert found == {"node_pressure_cpu_waiting_seconds_total": 1}
    with pytest.raises(Absent):
        collected(Pressure(NOWHERE))


def test_a_pressure_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pressure" / "cpu").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        collected(Pressure(Paths(procfs=str(tmp_path))))


def test_open_files_and_entropy() -> None:
    assert singles(Filefd(FIXTURE_ROOT_PATHS)) == {"node_filefd_allocated": 1312, "node_filefd_maximum": 811296}
    assert singles(Entropy(FIXTURE_ROOT_PATHS)) == {
        "node_entropy_available_bits": 256,
        "node_entropy_pool_size_bits": 4096,
    }


def test_what_tasks_had_of_each_processor() -> None:
    assert collected(Schedstat(FIXTURE_ROOT_PATHS)) == {
        "node_schedstat_running_seconds_total": {("0",): 1.5, ("1",): 2.75},
        "node_schedstat_waiting_seconds_total": {("0",): 0.25, ("1",): 0.125},
        "node_schedstat_timeslices_total": {("0",): 4210, ("1",): 3120},
    }


def test_a_processor_that_comes_has_its_label(tmp_path: Path) -> None:
    line = b" 0 0 0 0 0 0 1 2 3\n"
    collector = Schedstat(procfs(tmp_path, "schedstat", b"cpu0" + line))
    assert list(collected(collector)["node_schedstat_timeslices_total"]) == [("0",)]
    procfs(tmp_path, "schedstat", b"cpu0" + line + b"cpu12" + line)
    assert list(collected(collector)["node_schedstat_timeslices_total"]) == [("0",), ("12",)]


def test_without_scheduler_statistics_nothing_has_failed() -> None:
    with pytest.raises(Absent):
        collected(Schedstat(NOWHERE))


def test_selinux_as_it_is_and_as_it_was_configured(tmp_path: Path) -> None:
    assert singles(Selinux(FIXTURE_ROOT_PATHS)) == {
        "node_selinux_enabled": 1,
        "node_selinux_config_mode": 0,
        "node_selinux_current_mode": 1,
    }
    assert singles(Selinux(NOWHERE)) == {"node_selinux_enabled": 0}
    unconfigured = Selinux(procfs(tmp_path, "fs/selinux/enforce", b"0"))
    assert singles(unconfigured)["node_selinux_config_mode"] == -1
    assert singles(unconfigured)["node_selinux_current_mode"] == 0


@pytest.mark.parametrize(
    ("content", "mode"),
    [(b"", -1), (b"SELINUX=enforcing\n", 1), (b" SELINUX = Permissive \n", 0), (b"SELINUX=disabled", -1)],
)
def test_the_mode_that_is_configured(content: bytes, mode: int) -> None:
    assert selinux.configured_mode(b"#SELINUX=enforcing\nSELINUXTYPE=targeted\n" + content) == mode


# --- the clock --------------------------------------------------------------------------------------------------


def clock(state: int = 0, **fields: int) -> Timex:
    def ask(reading: Reading) -> int:
        assert reading.modes == 0
        for field, value in fields.items():
            setattr(reading, field, value)
        return state

    return Timex(Paths(), ask=ask)


def test_a_clock_that_counts_in_nanoseconds() -> None:
    found = singles(
        clock(
            status=STATUS_NANOSECONDS | 1,
            offset=-250_000_000,
            jitter=1_000_000,
            freq=65536,
            maxerror=500_000,
            tick=10_000,
            tai=37,
            jitcnt=3,
            ppsfreq=-6_553_600_000,
        )
    )
    assert found["node_timex_sync_status"] == 1
    assert found["node_timex_offset_seconds"] == -0.25
    assert found["node_timex_pps_jitter_seconds"] == 0.001
    assert found["node_timex_frequency_adjustment_ratio"] == 1.000001
    assert found["node_timex_maxerror_seconds"] == 0.5
    assert found["node_timex_tick_seconds"] == 0.01
    assert found["node_timex_tai_offset_seconds"] == 37
    assert found["node_timex_pps_jitter_total"] == 3
    assert found["node_timex_pps_frequency_hertz"] == -0.1
    assert found["node_timex_status"] == 8193


def test_a_clock_that_counts_in_microseconds_and_follows_nobody() -> None:
    found = singles(clock(TIME_ERROR, status=64, offset=2_000_000))
    assert (found["node_timex_sync_status"], found["node_timex_offset_seconds"]) == (0, 2)


def test_the_kernel_answers_about_its_clock() -> None:
    found = singles(Timex(Paths()))
    assert len(found) == 17
    assert 0.009 <= found["node_timex_tick_seconds"] <= 0.011
    assert found["node_timex_status"] == int(found["node_timex_status"])


def test_where_nobody_may_ask_about_the_clock_nothing_has_failed() -> None:
    def refused(reading: Reading) -> int:
        raise PermissionError(errno.EPERM, "adjtimex")

    with pytest.raises(Absent):
        collected(Timex(Paths(), ask=refused))


# --- the operating system ---------------------------------------------------------------------------------------


def rootfs(folder: Path, content: str, *, path: str = "etc/os-release") -> Paths:
    return procfs(folder, path, content.encode())


def test_the_operating_system_as_labels() -> None:
    found = collected(Os(FIXTURE_ROOT_PATHS))
    (labels,) = found["node_os_info"]
    assert dict(zip(os_release.INFO_LABELS, labels, strict=True)) == {
        "build_id": "2026-05-01",
        "id": "crow",
        "id_like": "rook jackdaw",
        "image_id": "",
        "image_version": "",
        "name": "Crow Linux",
        "pretty_name": 'Crow Linux 7.2 "Nest"',
        "variant": "Server",
        "variant_id": "server",
        "version": "7.2.1 (Nest)",
        "version_codename": "nest",
        "version_id": "7.2.1",
    }
    assert found["node_os_version"] == {("crow", "rook jackdaw", "Crow Linux"): 7.2}
    assert found["node_os_support_end_timestamp_seconds"] == {(): 1937952000}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        ('"two words"', "two words"),
        ("'it costs $5'", "it costs $5"),
        (r'"it costs \$5, \"really\" \\ \`x\`"', 'it costs $5, "really" \\ `x`'),
        (r'"a \n stays"', r"a \n stays"),
        (r"'no \$ here'", r"no \$ here"),
        (r"two\ words", "two words"),
        ("\"it's\"' and 'more", "it's and more"),
        ("first second", "first"),
        ('"never closed', "never closed"),
        ("", ""),
    ],
)
def test_values_are_read_as_a_shell_reads_them(written: str, meant: str) -> None:
    assert os_release.parse(f" NAME={written} \n".encode()) == {"NAME": meant}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30))
def test_what_a_shell_would_quote_comes_back(value: str) -> None:
    assert os_release.parse(f"NAME={shlex.quote(value)}\nID=crow\n".encode()) == {"NAME": value, "ID": "crow"}


@pytest.mark.parametrize("version", ["", "VERSION_ID=rolling\n", "VERSION_ID=0\n"])
def test_a_system_without_a_number_has_no_version(version: str, tmp_path: Path) -> None:
    assert set(collected(Os(rootfs(tmp_path, f"NAME=Rolling\n{version}")))) == {"node_os_info"}


def test_the_file_is_read_again_when_another_is_there(tmp_path: Path) -> None:
    collector = Os(rootfs(tmp_path, "VERSION_ID=7\nID=crow\n"))
    assert collected(collector)["node_os_version"] == {("crow", "", ""): 7}
    assert collector.collect(1.0) is collector.collect(1.0)
    (tmp_path / "new").write_text("VERSION_ID=8\nID=crow\n")
    os.replace(tmp_path / "new", tmp_path / "etc" / "os-release")
    assert collected(collector)["node_os_version"] == {("crow", "", ""): 8}


def test_the_vendors_file_counts_where_the_machine_has_none(tmp_path: Path) -> None:
    paths = rootfs(tmp_path, "ID=image\n", path="usr/lib/os-release")
    assert "image" in next(iter(collected(Os(paths))["node_os_info"]))
    assert "machine" in next(iter(collected(Os(rootfs(tmp_path, "ID=machine\n")))["node_os_info"]))
    with pytest.raises(Absent):
        collected(Os(NOWHERE))


@pytest.mark.parametrize(
    ("end", "said"),
    [("soon", "SUPPORT_END=soon"), ("2028-13-01", "SUPPORT_END=2028-13-01")],
)
def test_a_day_that_is_none_is_an_error_that_says_where(end: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=f"os-release: found '{said}', expected a day such as"):
        collected(Os(rootfs(tmp_path, f"SUPPORT_END={end}\n")))


def test_bytes_that_are_no_text_stay_visible(tmp_path: Path) -> None:
    paths = procfs(tmp_path, "etc/os-release", b'NAME="Cr\xf6w"\n')
    labels: Mapping[tuple[str, ...], float] = collected(Os(paths))["node_os_info"]
    assert "Cr\\xf6w" in next(iter(labels))
