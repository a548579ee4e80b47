"""Sensors and power supplies: by what the kernel calls their files, whatever comes and goes."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.hwmon import Hwmon, metric
from exporter.collectors.options import Chosen
from exporter.collectors.powersupplyclass import PowerSupplyClass
from exporter.collectors.thermal_zone import ThermalZone
from exporter.family import Family
from exporter.outcome import Absent
from tests.exporter.builders import FIXTURE_PATHS, FIXTURES

Found = dict[str, dict[tuple[str, ...], float]]
CORE = "platform_coretemp_0"
BOARD = "platform_nct6775_656"


def collected(families: Iterable[Family]) -> Found:
    return {family.name: dict(family.samples) for family in families}


def sensors(paths: Paths = FIXTURE_PATHS, **said: str) -> Found:
    chosen = Chosen(Hwmon.options, {name.replace("_", "-"): text for name, text in said.items()})
    return collected(Hwmon(paths, chosen).collect(0.0))


def chip(folder: Path, number: int = 0, **files: str) -> Paths:
    (folder / f"class/hwmon/hwmon{number}").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"class/hwmon/hwmon{number}" / name).write_text(content)
    return Paths(sysfs=str(folder))


def test_what_sensors_measure_is_in_the_unit_of_the_name() -> None:
    found = sensors()
    assert found["node_hwmon_temp_celsius"] == {
        (CORE, "temp1"): 55,
        (CORE, "temp2"): 54,
        (CORE, "temp3"): 54,
        (BOARD, "temp1"): -5,
        ("hwmon3", "temp1"): 30,
    }
    assert found["node_hwmon_temp_crit_alarm_celsius"] == {(CORE, "temp1"): 0}
    assert found["node_hwmon_temp_type"] == {(CORE, "temp1"): 1}
    assert found["node_hwmon_in_volts"] == {(BOARD, "in0"): 1.792, (BOARD, "in1"): 5}
    assert found["node_hwmon_in_alarm"] == {(BOARD, "in0"): 1}
    assert found["node_hwmon_in_beep_enabled"] == {(BOARD, "in0"): 0}
    assert found["node_hwmon_fan_rpm"] == {("platform_applesmc_768", "fan1"): 2100, (BOARD, "fan2"): 1098}
    assert found["node_hwmon_pwm"] == {(BOARD, "pwm1"): 31}
    assert found["node_hwmon_curr_amps"] == {(BOARD, "curr1"): 1.5}
    assert found["node_hwmon_power_average_watt"] == {(BOARD, "power1"): 17}
    assert found["node_hwmon_power_average_interval_seconds"] == {(BOARD, "power1"): 1}
    assert found["node_hwmon_power_accuracy"] == {(BOARD, "power1"): 0.005}
    assert found["node_hwmon_energy_joule_total"] == {(BOARD, "energy1"): 123.456789}
    assert found["node_hwmon_humidity"] == {(BOARD, "humidity1"): 0.045}
    assert found["node_hwmon_update_interval_seconds"] == {(BOARD, "update_interval0"): 2}
    assert found["node_hwmon_beep_enabled"] == {(BOARD, "beep_enable0"): 1}
    assert found["node_hwmon_voltage_regulator_version"] == {(BOARD, "vrm0"): 82}
    assert found["node_hwmon_freq_freq_mhz"] == {(BOARD, "sclk"): 1000}


def test_a_sensor_that_says_no_number_is_missing_by_itself() -> None:
    found = sensors()
    assert found["node_hwmon_temp_offset_celsius"] == {}
    assert (BOARD, "fan3") not in found["node_hwmon_fan_rpm"]


def test_chips_and_sensors_have_their_own_names_too() -> None:
    found = sensors()
    assert found["node_hwmon_chip_names"] == {(CORE, "coretemp"): 1, (BOARD, "nct6779"): 1}
    assert found["node_hwmon_sensor_label"] == {
        (CORE, "Physical id 0", "temp1"): 1,
        (CORE, "Core 0", "temp2"): 1,
        (CORE, "Core 0", "temp3"): 1,
        (BOARD, "+5 V (a)", "in1"): 1,
        (BOARD, "sclk", "freq1"): 1,
        ("platform_applesmc_768", "Left side  ", "fan1"): 1,
    }


def test_chips_and_sensors_can_be_left_out() -> None:
    assert set(sensors(chip_include="^hwmon3$")["node_hwmon_temp_celsius"]) == {("hwmon3", "temp1")}
    assert (CORE, "temp1") not in sensors(chip_exclude="coretemp")["node_hwmon_temp_celsius"]
    without = sensors(sensor_exclude=f"^{CORE};temp[12]$")
    assert set(without["node_hwmon_temp_celsius"]) & {(CORE, "temp1"), (CORE, "temp2"), (CORE, "temp3")} == {
        (CORE, "temp3")
    }


def test_the_energy_is_a_counter_and_never_negative(tmp_path: Path) -> None:
    paths = chip(tmp_path, energy1_input="-1\n", energy2_input="2000000\n")
    (*_, energy) = Hwmon(paths).collect(0.0)
    assert (energy.name, energy.type) == ("node_hwmon_energy_joule_total", "counter")
    assert energy.samples == [(("hwmon0", "energy2"), 2)]


def test_a_chip_that_goes_and_another_that_comes_by_its_number(tmp_path: Path) -> None:
    paths = chip(tmp_path, name="nvme\n", temp1_input="40000\n", temp1_label="Composite\n")
    collector = Hwmon(paths)
    assert collected(collector.collect(0.0))["node_hwmon_temp_celsius"] == {("nvme", "temp1"): 40}
    shutil.rmtree(tmp_path / "class/hwmon/hwmon0")
    assert collected(collector.collect(0.0)) == {"node_hwmon_chip_names": {}, "node_hwmon_sensor_label": {}}
    chip(tmp_path, name="acpitz\n", temp1_input="20000\n")
    chip(tmp_path, 1, name="acpitz\n", temp1_input="30000\n")
    again = collected(collector.collect(0.0))
    assert again["node_hwmon_temp_celsius"] == {("acpitz", "temp1"): 20}
    assert again["node_hwmon_sensor_label"] == {}


def test_a_value_that_changes_is_read_anew(tmp_path: Path) -> None:
    collector = Hwmon(chip(tmp_path, temp1_input="40000\n"))
    assert collected(collector.collect(0.0))["node_hwmon_temp_celsius"] == {("hwmon0", "temp1"): 40}
    chip(tmp_path, temp1_input="41000\n")
    assert collected(collector.collect(0.0))["node_hwmon_temp_celsius"] == {("hwmon0", "temp1"): 41}


def test_strange_names_and_bytes_are_shown_or_passed_over(tmp_path: Path) -> None:
    paths = chip(tmp_path, name='"Odd" chip\n', fan1_count="3\n", temp99999999999_input="1\n", x="1\n", temp="\n")
    (tmp_path / "class/hwmon/hwmon0/temp1_label").write_bytes(b'\xff "a"\n')
    (tmp_path / "class/hwmon/hwmon0/temp1_input").write_bytes(b"\xff\x00")
    (tmp_path / "class/hwmon/hwmon0/temp2_input").mkdir()
    (tmp_path / "class/hwmon/loop").symlink_to("loop")
    found = sensors(paths)
    assert found["node_hwmon_fan_count"] == {("odd__chip", "fan1"): 3}
    assert found["node_hwmon_sensor_label"] == {("odd__chip", '\\xff "a"', "temp1"): 1}
    assert found["node_hwmon_temp_celsius"] == {}


def test_a_machine_without_sensors_has_not_failed(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="class/hwmon"):
        sensors(Paths(sysfs=str(tmp_path)))
    with pytest.raises(Absent, match="class/power_supply"):
        collected(PowerSupplyClass(Paths(sysfs=str(tmp_path))).collect(0.0))


@pytest.mark.parametrize(
    ("kind", "element", "name", "divisor"),
    [
        ("cpu", "vid", "node_hwmon_cpu_vid_volts", 1000),
        ("fan", "target", "node_hwmon_fan_target_rpm", 1),
        ("fan", "div", "node_hwmon_fan_div", 1),
        ("temp", "fault", "node_hwmon_temp_fault", 1),
        ("temp", "Max Hyst", "node_hwmon_temp_max_hyst_celsius", 1000),
        ("intrusion", "alarm", "node_hwmon_intrusion_alarm", 1),
        ("power", "cap", "node_hwmon_power_cap_watt", 1e6),
        ("freq", "max", "node_hwmon_freq_max", 1),
    ],
)
def test_names_are_those_of_node_exporter(kind: str, element: str, name: str, divisor: float) -> None:
    assert metric(kind, element, has_plain=False) == (name, divisor)


def test_a_number_beside_the_sensors_own_is_called_input() -> None:
    assert metric("pwm", "input", has_plain=True) == ("node_hwmon_pwm_input", 1)


def zones(paths: Paths = FIXTURE_PATHS) -> Found:
    return collected(ThermalZone(paths).collect(0.0))


def test_zones_and_cooling_devices_are_numbered_and_typed() -> None:
    assert zones() == {
        "node_thermal_zone_temp": {("x86_pkg_temp", "0"): 49.925, ("off", "1"): 49.925, ("cold", "2"): -44},
        "node_cooling_device_cur_state": {("0", "Processor"): 0, ("1", "intel_powerclamp"): -1},
        "node_cooling_device_max_state": {("0", "Processor"): 50, ("1", "intel_powerclamp"): 27},
    }


def test_a_zone_that_goes_is_missing_by_itself(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "sys/class/thermal", tmp_path / "class/thermal")
    collector = ThermalZone(Paths(sysfs=str(tmp_path)))
    assert len(collected(collector.collect(0.0))["node_thermal_zone_temp"]) == 3
    shutil.rmtree(tmp_path / "class/thermal/thermal_zone0")
    (tmp_path / "class/thermal/thermal_zone1/temp").unlink()
    (tmp_path / "class/thermal/thermal_zone12x").mkdir()
    fresh = ThermalZone(Paths(sysfs=str(tmp_path)))
    assert collected(fresh.collect(0.0))["node_thermal_zone_temp"] == {("cold", "2"): -44}
    assert zones(Paths(sysfs="/nonexistent"))["node_thermal_zone_temp"] == {}


@pytest.mark.parametrize("content", ["", "warm\n", "1 2\n", "1.5\n", "--1\n", "9" * 5000])
def test_a_temperature_that_is_no_number_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("x\n")
    (zone / "temp").write_text(content)
    with pytest.raises(Malformed, match=r"thermal_zone0/temp: found .*, expected a whole number"):
        zones(Paths(sysfs=str(tmp_path)))


def supplies(paths: Paths = FIXTURE_PATHS, **said: str) -> Found:
    chosen = Chosen(PowerSupplyClass.options, {name.replace("_", "-"): text for name, text in said.items()})
    return collected(PowerSupplyClass(paths, chosen).collect(0.0))


def test_supplies_are_measured_in_whole_units() -> None:
    found = supplies()
    battery = ("BAT0",)
    assert found["node_power_supply_online"] == {("AC",): 1}
    assert found["node_power_supply_capacity"] == {battery: 98}
    assert found["node_power_supply_cyclecount"] == {battery: 7}
    assert found["node_power_supply_energy_watthour"] == {battery: 49.45}
    assert found["node_power_supply_voltage_volt"] == {battery: 12.229}
    assert found["node_power_supply_current_ampere"] == {battery: -0.5}
    assert found["node_power_supply_temp_celsius"] == {battery: 30.5}
    assert found["node_power_supply_time_to_empty_seconds"] == {battery: 3600}
    assert found["node_power_supply_charge_full"] == {battery: 4}


def test_what_a_supply_is_stands_in_labels() -> None:
    (info, *_) = PowerSupplyClass(FIXTURE_PATHS).collect(0.0)
    shown = {values[0]: dict(zip(info.labels[1:], values[1:], strict=True)) for values, _ in info.samples}
    assert {name: text for name, text in shown["AC"].items() if text} == {"type": "Mains"}
    assert {name: text for name, text in shown["BAT 1"].items() if text} == {"type": "Battery"}
    assert shown["BAT0"]["status"] == "Discharging"
    assert shown["BAT0"]["model_name"] == "LNV-45N1"


def test_supplies_can_be_left_out() -> None:
    assert "node_power_supply_online" not in supplies(ignored_supplies="^AC$")


def test_an_attribute_that_is_no_number_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "class/power_supply/BAT0").mkdir(parents=True)
    (tmp_path / "class/power_supply/BAT0/capacity").write_text("full\n")
    (tmp_path / "class/power_supply/gone").symlink_to("nowhere")
    with pytest.raises(Malformed, match="BAT0/capacity: found 'full"):
        supplies(Paths(sysfs=str(tmp_path)))
