"""exporter.yml: what it may say, and that every fault is said at once."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.__main__ import load_plan
from exporter.collectors import COLLECTORS
from exporter.control import Refused
from exporter.settings import KIND, Settings, is_enabled, parse_timeout, problems
from guard import configfile

EXAMPLE = Path(__file__).parents[2] / "exporter" / "example" / "exporter.yml"
ALL = tuple(collector.name for collector in COLLECTORS)


def read(text: str) -> Settings:
    return configfile.read_text(text, "exporter.yml", KIND, environ={})


def faults(text: str) -> list[str]:
    with pytest.raises(configfile.InvalidConfig) as raised:
        read(text)
    return [str(fault) for fault in raised.value.faults]


def written(folder: Path, text: str) -> str:
    path = folder / "exporter.yml"
    path.write_text(text)
    return f"--config.file={path}"


def test_an_empty_file_is_the_defaults() -> None:
    assert read("") == Settings()
    assert all(is_enabled(Settings(), name) for name in ALL)


def test_the_example_says_every_setting_and_its_default() -> None:
    settings = configfile.read(EXAMPLE, KIND, environ={})
    assert set(settings.collectors) == set(ALL)
    assert all(is_enabled(settings, name) for name in ALL)
    assert settings.timeout == Settings().timeout
    assert set(msgspec.to_builtins(settings)) == set(Settings.__struct_fields__)


def test_every_fault_is_said_at_once_with_its_line() -> None:
    found = faults("timeout: soon\ncollectors:\n  cpuu: {enabled: true}\n  time: {enabled: maybe}\n")
    assert len(found) == 3
    assert [fault.split(": ")[0] for fault in found] == ["exporter.yml:1", "exporter.yml:3", "exporter.yml:4"]
    assert "expected a duration such as 8s" in found[0]
    assert f"one of: {', '.join(ALL)}" in found[1]


@pytest.mark.parametrize(
    "text", ["tmeout: 8s\n", "timeout: 8\n", "collectors: [cpu]\n", "collectors: {cpu: {enable: true}}\n", "- 1\n"]
)
def test_what_is_not_understood_is_not_ignored(text: str) -> None:
    assert len(faults(text)) == 1


def mapping(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.dictionaries(st.sampled_from(["timeout", "collectors", "cpu"]), inner)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner) | mapping(inner)))
def test_the_checks_bear_any_shape(document: object) -> None:
    for problem in problems(document):
        assert problem.expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8s", 8.0), ("1m30s", 90.0), ("500ms", 0.5), ("1s500ms", 1.5), ("100ms", 0.1), ("10m", 600.0)],
)
def test_durations_are_prometheus(text: str, seconds: float) -> None:
    assert parse_timeout(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "8", "s", "8 s", "-8s", "1s1m", "99ms", "0s", "11m", "1h", "1e1s", "٣s", "9" * 5000 + "s"]
)
def test_what_is_not_a_usable_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_timeout(text)


def test_without_a_file_everything_is_collected() -> None:
    plan = load_plan([], {})
    assert (plan.collectors, plan.timeout_seconds) == (ALL, 8.0)


def test_flags_outweigh_variables_and_variables_outweigh_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "timeout: 2s\ncollectors: {cpu: {enabled: false}, stat: {enabled: false}, time: {enabled: false}}\n",
    )
    environ = {"TOCSIN_EXPORTER_COLLECTOR_STAT": "true", "TOCSIN_COLLECTOR_UNAME": "false"}
    plan = load_plan([file, "--collector.time", "--no-collector.meminfo"], environ)
    assert plan.collectors == ("filesystem", "loadavg", "stat", "time")
    assert plan.timeout_seconds == 2.0
    assert load_plan([file, "--collector.timeout=3s"], environ).timeout_seconds == 3.0


def test_a_faulty_file_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    with pytest.raises(Refused) as raised:
        load_plan([written(tmp_path, "timeout: 1\ncollectors: 2\n")], {})
    assert len(raised.value.faults) == 2


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere\.yml"):
        load_plan([f"--config.file={tmp_path}/nowhere.yml"], {})


@pytest.mark.parametrize(
    "flag",
    [
        "--collector.cpuu",
        "--web.listen-address=nowhere",
        "--web.max-requests=-1",
        "--timeout-offset=nan",
        "--collector.timeout=8",
        "--log.format=xml",
        "--web.listen",
        "surplus",
    ],
)
def test_a_wrong_command_line_is_status_2_and_no_traceback(flag: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "exporter", flag], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert flag.partition("=")[0].lstrip("-") in ended.stderr
