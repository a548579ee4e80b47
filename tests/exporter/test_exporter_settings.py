"""exporter.yml: what it may say, and that every fault is said at once."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.__main__ import load_plan, main
from exporter.choices import flag_of, key_of
from exporter.collectors import COLLECTORS
from exporter.collectors.filesystem import TYPES_EXCLUDED
from exporter.control import Refused
from exporter.duration import parse_timeout
from exporter.settings import KIND, Settings
from guard import configfile, flags

EXAMPLE = Path(__file__).parents[2] / "exporter" / "example" / "exporter.yml"
DEFAULT = tuple(collector.name for collector in COLLECTORS if collector.enabled)


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


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert read("") == Settings()
    assert replace(load_plan([written(tmp_path, "")], {}), file=None) == load_plan([], {})


def test_the_example_says_every_setting_and_its_default() -> None:
    said = yaml.safe_load(EXAMPLE.read_text())
    defaults = json.loads(msgspec.json.encode(Settings()))
    for collector in COLLECTORS:
        defaults["collectors"][collector.name]["enabled"] = collector.enabled
    assert said == defaults
    assert replace(load_plan([f"--config.file={EXAMPLE}"], {}), file=None) == load_plan([], {})


def test_every_fault_is_said_at_once_with_its_line() -> None:
    found = faults("timeout: soon\ncollectors:\n  cpuu: {enabled: true}\n  time: {enabled: maybe}\n")
    assert len(found) == 3
    assert [fault.split(": ")[0] for fault in found] == ["exporter.yml:1", "exporter.yml:3", "exporter.yml:4"]
    assert "expected a duration such as 8s" in found[0]
    assert "(did you mean 'cpu'?)" in found[1]


@pytest.mark.parametrize(
    "text", ["tmeout: 8s\n", "timeout: 8\n", "collectors: [cpu]\n", "collectors: {cpu: {enable: true}}\n", "- 1\n"]
)
def test_what_is_not_understood_is_not_ignored(text: str) -> None:
    assert len(faults(text)) == 1


def mapping(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.dictionaries(st.sampled_from(["timeout", "collectors", "filesystem", "fs_types_exclude"]), inner)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | mapping(inner)))
def test_any_document_is_settings_or_faults_that_say_what_is_expected(document: object) -> None:
    found: tuple[configfile.Fault, ...] = ()
    try:
        read(json.dumps(document))
    except configfile.InvalidConfig as invalid:
        found = invalid.faults
    assert all(fault.expected for fault in found)


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


def test_without_a_file_the_defaults_are_collected() -> None:
    plan = load_plan([], {})
    assert (plan.collectors, plan.timeout_seconds) == (DEFAULT, 8.0)
    assert plan.options["filesystem"]["fs-types-exclude"] == TYPES_EXCLUDED


def test_flags_outweigh_variables_and_variables_outweigh_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "timeout: 2s\ndisable_defaults: true\n"
        "collectors: {cpu: {enabled: true}, stat: {enabled: false}, time: {enabled: true}, uname: {enabled: true}}\n",
    )
    environ = {"TOCSIN_EXPORTER_COLLECTOR_STAT": "true", "TOCSIN_COLLECTOR_UNAME": "false"}
    plan = load_plan([file, "--collector.meminfo", "--no-collector.time"], environ)
    assert plan.collectors == ("cpu", "meminfo", "stat")
    assert plan.timeout_seconds == 2.0
    assert load_plan([file, "--collector.timeout=3s"], environ).timeout_seconds == 3.0


def test_an_option_is_taken_from_the_flag_else_the_variable_else_the_file(tmp_path: Path) -> None:
    keys = {"fs-types-include": "a", "fs-types-exclude": "a", "mount-points-include": "a", "mount-points-exclude": ""}
    inner = ", ".join(f"{name.replace('-', '_')}: '{value}'" for name, value in keys.items())
    file = written(tmp_path, f"collectors: {{filesystem: {{{inner}}}}}\n")
    environ = {
        "TOCSIN_EXPORTER_COLLECTOR_FILESYSTEM_FS_TYPES_INCLUDE": "b",
        "TOCSIN_COLLECTOR_FILESYSTEM_FS_TYPES_EXCLUDE": "b",
    }
    plan = load_plan([file, "--collector.filesystem.fs-types-include=c"], environ)
    assert plan.options["filesystem"] == {
        "fs-types-include": "c",
        "fs-types-exclude": "b",
        "mount-points-include": "a",
        "mount-points-exclude": "",
        "mount-timeout": "5s",
    }


def test_a_flag_that_may_be_given_several_times_is_one_text_with_commas(tmp_path: Path) -> None:
    typed = ["--collector.textfile.directory=/a", "--collector.textfile.directory=/b"]
    file = written(tmp_path, "collectors: {textfile: {directory: '/c, /d'}}\n")
    assert load_plan([file, *typed], {}).options["textfile"] == {"directory": "/a,/b"}
    assert load_plan([file], {}).options["textfile"] == {"directory": "/c,/d"}
    environ = {"TOCSIN_COLLECTOR_TEXTFILE_DIRECTORY": "/e,/f"}
    assert load_plan([file], environ).options["textfile"] == {"directory": "/e,/f"}


@pytest.mark.parametrize("typed", [[], ["--collector.time"]])
def test_with_the_defaults_disabled_only_what_is_named_runs(typed: list[str], tmp_path: Path) -> None:
    named = tuple(flag.rpartition(".")[2] for flag in typed)
    assert load_plan(["--collector.disable-defaults", *typed], {}).collectors == named
    assert load_plan(typed, {"TOCSIN_COLLECTOR_DISABLE_DEFAULTS": "true"}).collectors == named
    file = written(tmp_path, "disable_defaults: true\n")
    assert load_plan([file, *typed], {}).collectors == named
    assert load_plan([file, "--no-collector.disable-defaults"], {}).collectors == DEFAULT


def test_a_bad_pattern_is_said_with_its_line_and_path() -> None:
    (fault,) = faults("collectors:\n  filesystem:\n    fs_types_exclude: '('\n")
    assert fault.startswith("exporter.yml:3: collectors.filesystem.fs_types_exclude: found '(', expected a regular exp")


def test_every_setting_of_a_collector_has_a_flag_a_variable_and_a_key_of_its_own() -> None:
    declared: list[str] = []
    for collector in COLLECTORS:
        keys = ["enabled", *map(key_of, collector.options)]
        assert len({*keys}) == len(keys)
        names = [flag_of(collector.name), *(flag_of(collector.name, option) for option in collector.options)]
        declared += [flags.variables(name, "exporter")[0] for name in names]
    assert len({*declared}) == len(declared)


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
        "--collector.filesystem.fs-types-exclude=(",
        "--log.format=xml",
        "--web.listen",
        "surplus",
    ],
)
def test_a_wrong_command_line_is_status_2_and_names_the_flag(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([flag])
    assert ended.value.code == 2
    assert flag.partition("=")[0].lstrip("-") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listening_ports: {allowed: '22/tcp,foo'}", "listening_ports.allowed: found 'foo', expected ports such as 22"),
        ("watched_files: {files: etc/passwd}", "watched_files.files: found 'etc/passwd', expected a path that begins"),
    ],
)
def test_what_only_a_collector_understands_is_a_fault_of_the_file_too(text: str, said: str) -> None:
    (found,) = faults(f"timeout: 4s\ncollectors:\n  {text}\n")
    assert found.startswith(f"exporter.yml:3: collectors.{said}")


def test_a_check_and_a_start_refuse_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what only shows when a file that is named is used."""
    (tmp_path / "key").write_text("short")
    (tmp_path / "ca.pem").write_text("nothing")
    file = tmp_path / "exporter.yml"
    file.write_text(
        f"redaction: {{hash_key_file: {tmp_path}/key}}\n"
        f"findings: {{alertmanager_url: 'https://127.0.0.1:9093', ca_file: {tmp_path}/ca.pem}}\n"
    )
    said: list[list[str]] = []
    for more in (["--config.check"], ["--web.listen-address=127.0.0.1:0", "--statsd.listen-udp="]):
        assert main([f"--config.file={file}", *more]) == 1
        captured = capsys.readouterr()
        said.append([*captured.out.splitlines(), *captured.err.splitlines()])
    assert [fault.partition(":")[0] for fault in said[0]] == ["findings.ca_file", "redaction.hash_key_file"]
    assert said[0] == said[1]
