"""What sysfs knows of the hardware: frequencies, firmware, memory errors, energy, watchdogs."""

import os
from pathlib import Path

import pytest

from exporter.collectors.cpufreq import Cpufreq
from exporter.collectors.dmi import Dmi
from exporter.collectors.edac import Edac
from exporter.collectors.files import Malformed, Paths
from exporter.collectors.options import Chosen
from exporter.collectors.rapl import Rapl
from exporter.collectors.watchdog import Watchdog
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, FIXTURES, collected

NOWHERE = Paths("/nonexistent", "/nonexistent", "/nonexistent")
POWERCAP = f"{FIXTURES}/sys/class/powercap"


def sysfs(folder: Path, files: dict[str, str]) -> Paths:
    """A sysfs that has these files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return Paths(sysfs=str(folder))


# --- frequencies ------------------------------------------------------------------------------------------------

CPU = "devices/system/cpu"


def test_frequencies_are_told_in_hertz_as_far_as_they_are_known() -> None:
    assert collected(Cpufreq(FIXTURE_PATHS)) == {
        "node_cpu_frequency_hertz": {("0",): 1_250_000_000},
        "node_cpu_frequency_min_hertz": {("0",): 800_000_000, ("1",): 800_000_000},
        "node_cpu_frequency_max_hertz": {("0",): 3_600_000_000, ("1",): 3_600_000_000},
        "node_cpu_scaling_frequency_hertz": {("0",): 1_200_000_000, ("1",): 1_200_001_000},
        "node_cpu_scaling_frequency_min_hertz": {("0",): 800_000_000, ("1",): 800_000_000},
        "node_cpu_scaling_frequency_max_hertz": {("0",): 2_400_000_000, ("1",): 2_400_000_000},
        "node_cpu_scaling_governor": {
            ("0", "performance"): 0,
            ("0", "powersave"): 1,
            ("1", "performance"): 0,
            ("1", "powersave"): 1,
        },
    }


def test_a_frequency_that_changes_is_seen_and_one_that_is_none_is_an_error(tmp_path: Path) -> None:
    current = f"{CPU}/cpu3/cpufreq/scaling_cur_freq"
    collector = Cpufreq(sysfs(tmp_path, {current: "1000\n"}))
    assert collected(collector) == {"node_cpu_scaling_frequency_hertz": {("3",): 1_000_000}}
    sysfs(tmp_path, {current: "2000\n"})
    assert collected(collector) == {"node_cpu_scaling_frequency_hertz": {("3",): 2_000_000}}
    sysfs(tmp_path, {current: "fast\n"})
    with pytest.raises(Malformed, match="cpu3/cpufreq/scaling_cur_freq: found 'fast', expected a whole number of kHz"):
        collected(collector)


def test_the_highest_frequency_changes_when_boosts_are_forbidden(tmp_path: Path) -> None:
    highest = f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq"
    collector = Cpufreq(sysfs(tmp_path, {highest: "3400\n"}))
    assert collected(collector) == {"node_cpu_frequency_max_hertz": {("0",): 3_400_000}}
    sysfs(tmp_path, {highest: "2100\n"})
    assert collected(collector) == {"node_cpu_frequency_max_hertz": {("0",): 2_100_000}}


def test_a_frequency_that_cannot_be_read_at_first_is_seen_later(tmp_path: Path) -> None:
    current = f"{CPU}/cpu0/cpufreq/cpuinfo_cur_freq"
    collector = Cpufreq(sysfs(tmp_path, {current: ""}))
    file = tmp_path / current
    file.unlink()
    # Where nothing is mapped the kernel answers EIO, as drivers do that are busy.
    file.symlink_to("/proc/self/mem")
    assert collected(collector) == {}
    file.unlink()
    sysfs(tmp_path, {current: "1000\n"})
    assert collected(collector) == {"node_cpu_frequency_hertz": {("0",): 1_000_000}}


def test_a_governor_changes_and_may_be_one_that_was_not_offered(tmp_path: Path) -> None:
    governor = f"{CPU}/cpu0/cpufreq/scaling_governor"
    offered = {f"{CPU}/cpu0/cpufreq/scaling_available_governors": "ondemand powersave \n"}
    collector = Cpufreq(sysfs(tmp_path, {governor: "ondemand\n", **offered}))
    assert collected(collector)["node_cpu_scaling_governor"] == {("0", "ondemand"): 1, ("0", "powersave"): 0}
    sysfs(tmp_path, {governor: "powersave\n"})
    assert collected(collector)["node_cpu_scaling_governor"] == {("0", "ondemand"): 0, ("0", "powersave"): 1}
    sysfs(tmp_path, {governor: 'odd "one"\n'})
    assert collected(collector)["node_cpu_scaling_governor"] == {
        ("0", 'odd "one"'): 1,
        ("0", "ondemand"): 0,
        ("0", "powersave"): 0,
    }


def test_processors_and_drivers_that_come_are_looked_up(tmp_path: Path) -> None:
    collector = Cpufreq(sysfs(tmp_path, {f"{CPU}/online": "0\n"}))
    assert collected(collector) == {}
    sysfs(tmp_path, {f"{CPU}/cpu0/cpufreq/scaling_min_freq": "7\n", f"{CPU}/cpufreq/policy0/affected_cpus": "0\n"})
    assert collected(collector)["node_cpu_scaling_frequency_min_hertz"] == {("0",): 7000}
    sysfs(tmp_path, {f"{CPU}/cpu1/cpufreq/scaling_min_freq": "8\n", f"{CPU}/online": "0-1\n"})
    assert collected(collector)["node_cpu_scaling_frequency_min_hertz"] == {("0",): 7000, ("1",): 8000}


# --- firmware ---------------------------------------------------------------------------------------------------


def test_the_firmware_is_described_by_what_can_be_read() -> None:
    (family,) = Dmi(FIXTURE_PATHS).collect(1.0)
    ((values, number),) = family.samples
    assert number == 1
    assert dict(zip(family.labels, values, strict=True)) == {
        "bios_date": "05/17/2025",
        "bios_release": "2.4",
        "bios_vendor": "Rookery Ltd.",
        "bios_version": "2.4.1",
        "board_name": "NEST-01",
        "board_vendor": "Rookery Ltd.",
        "chassis_asset_tag": "",
        "chassis_vendor": "Rookery Ltd.",
        "product_family": "Crow",
        "product_name": 'Crow "Seven"',
        "system_vendor": "Rookery Ltd.",
    }


def test_the_firmware_is_asked_once_and_need_not_speak_utf_8(tmp_path: Path) -> None:
    paths = sysfs(tmp_path, {"class/dmi/id/modalias": "dmi:\n"})
    (tmp_path / "class/dmi/id/product_name").write_bytes(b"Cr\xf6w\n")
    collector = Dmi(paths)
    assert collected(collector) == {"node_dmi_info": {("Cr\\xf6w",): 1}}
    assert collector.collect(1.0) is collector.collect(1.0)
    with pytest.raises(Absent):
        collected(Dmi(NOWHERE))


# --- memory errors ----------------------------------------------------------------------------------------------


def test_memory_errors_by_controller_and_row() -> None:
    assert collected(Edac(FIXTURE_PATHS)) == {
        "node_edac_correctable_errors_total": {("0",): 5},
        "node_edac_uncorrectable_errors_total": {("0",): 1},
        "node_edac_csrow_correctable_errors_total": {("0", "unknown"): 2, ("0", "0"): 3, ("0", "1"): 0},
        "node_edac_csrow_uncorrectable_errors_total": {("0", "unknown"): 0, ("0", "0"): 0, ("0", "1"): 1},
    }
    assert collected(Edac(NOWHERE)) == {}


def test_a_controller_whose_driver_comes_later_is_found_and_garbage_is_an_error(tmp_path: Path) -> None:
    mc = "devices/system/edac/mc"
    collector = Edac(sysfs(tmp_path, {f"{mc}/power/control": "auto\n"}))
    assert collected(collector) == {}
    sysfs(tmp_path, {f"{mc}/mc1/ce_count": "7\n"})
    assert collected(collector) == {"node_edac_correctable_errors_total": {("1",): 7}}
    sysfs(tmp_path, {f"{mc}/mc1/ce_count": "-1\n"})
    with pytest.raises(Malformed, match="mc1/ce_count: found '-1\\\\n', expected a whole number"):
        collected(collector)


# --- energy -----------------------------------------------------------------------------------------------------


def test_energy_is_told_in_joules_and_zones_of_one_name_are_numbered() -> None:
    assert collected(Rapl(FIXTURE_PATHS)) == {
        "node_rapl_package_joules_total": {
            ("0", f"{POWERCAP}/intel-rapl:0"): 240.422366,
            ("1", f"{POWERCAP}/intel-rapl:1"): 1.0,
        },
        "node_rapl_dram_joules_total": {
            ("0", f"{POWERCAP}/intel-rapl:0:0"): 118.821284,
            ("1", f"{POWERCAP}/intel-rapl:1:0"): 2.5,
        },
        "node_rapl_psys_x_y_joules_total": {("0", f"{POWERCAP}/intel-rapl:2"): 0.000005},
    }


def test_the_zone_can_be_a_label() -> None:
    found = collected(Rapl(FIXTURE_PATHS, Chosen(Rapl.options, {"enable-zone-label": "true"})))
    assert set(found) == {"node_rapl_joules_total"}
    assert found["node_rapl_joules_total"]["1", f"{POWERCAP}/intel-rapl:1", "package"] == 1.0
    assert found["node_rapl_joules_total"]["0", f"{POWERCAP}/intel-rapl:2", "psys-x y"] == 0.000005


def test_a_zone_that_comes_is_found_and_garbage_is_an_error(tmp_path: Path) -> None:
    collector = Rapl(sysfs(tmp_path, {"class/powercap/a/name": "core\n", "class/powercap/a/energy_uj": "1000000\n"}))
    assert collected(collector) == {"node_rapl_core_joules_total": {("0", f"{tmp_path}/class/powercap/a"): 1}}
    # One that has a name and no counter.
    sysfs(tmp_path, {"class/powercap/b/name": "uncore\n"})
    assert set(collected(collector)) == {"node_rapl_core_joules_total"}
    sysfs(tmp_path, {"class/powercap/a/energy_uj": "much\n"})
    with pytest.raises(Malformed, match="a/energy_uj: found 'much"):
        collected(collector)


def test_without_energy_counters_nothing_has_failed() -> None:
    with pytest.raises(Absent):
        collected(Rapl(NOWHERE))


def test_who_may_not_read_the_energy_has_not_failed(tmp_path: Path) -> None:
    paths = sysfs(tmp_path, {"class/powercap/a/name": "core\n"})
    # A file of the kernel's that not even root may read.
    (tmp_path / "class/powercap/a/energy_uj").symlink_to("/proc/sys/vm/drop_caches")
    with pytest.raises(Absent, match="only root"):
        collected(Rapl(paths))


# --- watchdogs --------------------------------------------------------------------------------------------------


def test_watchdogs_with_what_each_of_them_says() -> None:
    one = ("watchdog0",)
    assert collected(Watchdog(FIXTURE_PATHS)) == {
        "node_watchdog_bootstatus": {one: 0},
        "node_watchdog_fw_version": {one: 1},
        "node_watchdog_nowayout": {one: 0},
        "node_watchdog_timeleft_seconds": {one: 55},
        "node_watchdog_timeout_seconds": {one: 60},
        "node_watchdog_pretimeout_seconds": {one: 5},
        "node_watchdog_access_cs0": {one: 0},
        "node_watchdog_info": {
            ("watchdog0", "0x8380", "Heron watchdog", "active", "0x8000", "panic"): 1,
            ("watchdog1", "", "Second", "", "", ""): 1,
        },
    }


def test_a_watchdog_may_have_a_strange_name_and_no_watchdog_is_no_failure(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b'/class/watchdog/dog "\xff"'
    os.makedirs(folder)
    assert collected(Watchdog(Paths(sysfs=str(tmp_path)))) == {
        "node_watchdog_info": {('dog "\\xff"', "", "", "", "", ""): 1}
    }
    with pytest.raises(Absent):
        collected(Watchdog(NOWHERE))


@pytest.mark.parametrize("content", ["", "-", "--1", "1 2", "soon"])
def test_a_number_of_a_watchdog_that_is_none_is_an_error(content: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"watchdog0/timeout: found .*, expected a whole number"):
        collected(Watchdog(sysfs(tmp_path, {"class/watchdog/watchdog0/timeout": content})))
