"""Logs in the program as people start it: lines in, series out; restarts, kills, reloads, and a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from exporter.intake.logs.settings import LOGS_MAX
from exporter.settings import KIND
from guard import configfile
from tests.exporter.builders import SURELY
from tests.exporter.program import Program, started
from tests.left_out import left_out

LINE = json.dumps({"event": "http_request", "method": "GET", "route": "/", "status": 200, "duration_seconds": 0.1})


def configured(folder: Path, text: str = "") -> str:
    path = folder / "exporter.yml"
    path.write_text(text or f"logs: [{{name: shop, paths: ['{folder}/*.log']}}]\n")
    return f"--config.file={path}"


def number(program: Program, name: str) -> float:
    page = program.get("/metrics/self")
    return sum(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name}{{"))


def wait_for(program: Program, name: str, value: float) -> None:
    last = time.monotonic() + SURELY
    while number(program, name) != value:
        assert time.monotonic() < last, f"{name} is {number(program, name)}, expected {value}"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


LINES = "tocsin_exporter_log_lines_total"


def test_lines_become_series_on_the_page_of_everything(tmp_path: Path) -> None:
    append(tmp_path / "a.log", LINE + "\n")
    with started(configured(tmp_path)) as program:
        wait_for(program, "tocsin_exporter_log_files", 1)
        append(tmp_path / "a.log", f"{LINE}\n{LINE}\nanna@example.org\n")
        wait_for(program, LINES, 3)
        assert number(program, "tocsin_exporter_log_faults_total") == 1
        assert number(program, "tocsin_exporter_log_lag_bytes") == 0
        page = program.get("/metrics/app")
        assert 'http_server_request_duration_seconds_count{http_request_method="GET"' in page
        said = program.said("not all of a log can be used")
        assert "anna" not in said
        assert json.loads(said)["log"] == "shop"


@pytest.mark.parametrize("number_of_signal", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_counts_what_was_written_meanwhile_and_nothing_twice(
    tmp_path: Path, number_of_signal: signal.Signals
) -> None:
    kept = tmp_path / "positions.json"
    flags = (configured(tmp_path), f"--logs.positions-file={kept}")
    append(tmp_path / "a.log", f"{LINE}\n")
    with started(*flags) as program:
        wait_for(program, "tocsin_exporter_log_files", 1)
        append(tmp_path / "a.log", f"{LINE}\n")
        wait_for(program, LINES, 1)
        last = time.monotonic() + SURELY
        size = (tmp_path / "a.log").stat().st_size
        while number_of_signal is signal.SIGKILL and f",{size}," not in (kept.read_text() if kept.exists() else ""):
            assert time.monotonic() < last
        program.stop(number_of_signal)
    append(tmp_path / "a.log", f"{LINE}\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    append(tmp_path / "a.log", f"{LINE}\n")
    with started(*flags) as program:
        wait_for(program, LINES, 2)
        wait_for(program, "tocsin_exporter_log_lag_bytes", 0)
        assert number(program, LINES) == 2


def test_a_reload_takes_logs_in_and_out_and_the_others_go_on(tmp_path: Path) -> None:
    one = f"{{name: one, paths: ['{tmp_path}/one.log']}}"
    two = f"{{name: two, paths: ['{tmp_path}/two.log'], read_from: beginning}}"
    append(tmp_path / "one.log", f"{LINE}\n")
    with started(configured(tmp_path, f"logs: [{one}]")) as program:
        wait_for(program, "tocsin_exporter_log_files", 1)
        append(tmp_path / "one.log", f"{LINE}\n")
        wait_for(program, LINES, 1)
        configured(tmp_path, f"logs: [{one}, {two}]")
        program.process.send_signal(signal.SIGHUP)
        append(tmp_path / "two.log", f"{LINE}\n")
        wait_for(program, LINES, 2)
        append(tmp_path / "one.log", f"{LINE}\n")
        wait_for(program, LINES, 3)
        configured(tmp_path, "logs: []")
        program.process.send_signal(signal.SIGHUP)
        wait_for(program, LINES, 0)


def test_positions_that_cannot_be_written_are_said_and_everything_goes_on(tmp_path: Path) -> None:
    append(tmp_path / "a.log", f"{LINE}\n")
    text = f"logs: [{{name: shop, paths: ['{tmp_path}/*.log'], read_from: beginning}}]"
    with started(configured(tmp_path, text), f"--logs.positions-file={tmp_path}/none/positions.json") as program:
        wait_for(program, LINES, 1)
        program.process.send_signal(signal.SIGTERM)
        said = json.loads(program.said("positions in logs could not be"))
        assert said["file"] == f"{tmp_path}/none/positions.json"


def test_positions_that_are_none_begin_at_the_end(tmp_path: Path) -> None:
    append(tmp_path / "a.log", f"{LINE}\n")
    kept = tmp_path / "positions.json"
    kept.write_text("{")
    text = f"logs: [{{name: shop, paths: ['{tmp_path}/*.log'], read_from: beginning}}]"
    with started(configured(tmp_path, text), f"--logs.positions-file={kept}") as program:
        assert "expected what Tocsin has written there" in program.said("positions in logs are lost")
        wait_for(program, "tocsin_exporter_log_files", 1)
        append(tmp_path / "a.log", f"{LINE}\n")
        wait_for(program, LINES, 1)


def like_nobody() -> tuple[str, ...]:
    """Root may read everything, unless it starts a program without that right."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        left_out("not installed: setpriv, without which root may read everything")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_permission_that_is_lost_and_regained(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{LINE}\n")
    (tmp_path / "a.log").chmod(0)
    with started(configured(tmp_path), below=like_nobody()) as program:
        wait_for(program, "tocsin_exporter_log_file_errors_total", 1)
        (tmp_path / "a.log").chmod(0o600)
        wait_for(program, LINES, 1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{name: a b, paths: [x]}", "logs[0].name"),
        ("{name: a, paths: []}", "at least 1 item"),
        ("{name: a, paths: [x], format: xml}", "one of: auth_log, json, logfmt, pattern"),
        ("{name: a, paths: [x]}, {name: a, paths: [y]}", "another name than that of logs[0]"),
        ("{name: a, paths: [x], format: pattern}", "at least one pattern"),
        ("{name: a, paths: [x], patterns: [y]}", "format: pattern, or no patterns"),
        ("{name: a, paths: [x], format: pattern, event: e, patterns: ['(']}", "logs[0].patterns[0]"),
        (
            "{name: a, paths: [x], format: pattern, event: e, patterns: [y, '(a+)+b']}",
            "logs[0].patterns[1]: found '(a+)+b', expected no repetition or choice inside of a repetition",
        ),
        (
            "{name: a, paths: [x], format: pattern, patterns: [{event: e, match: '(a|b)*c'}]}",
            "logs[0].patterns[0].match: found '(a|b)*c', expected no repetition",
        ),
        (
            "{name: a, paths: [x], format: pattern, event: e, patterns: [y], multiline: {starts: '(?:a*)*b'}}",
            "logs[0].multiline.starts: found '(?:a*)*b', expected no repetition",
        ),
        (
            "{name: a, paths: [x], format: pattern, event: e, patterns: ['(?x) a']}",
            "logs[0].patterns[0]: found '(?x) a', expected an expression without the flag x",
        ),
        ("{name: a, paths: [x], format: pattern, patterns: [y]}", "an event for the log, for the pattern"),
        ("{name: a, paths: [x], multiline: {starts: y}}", "logs[0].multiline"),
        ("{name: a, paths: [x], path: y}", "did you mean"),
        (
            "{name: a, paths: [x], time: {field: t, layout: '%Q'}}",
            "logs[0].time.layout: found '%Q', expected iso, unix",
        ),
        ("{name: a, paths: [x], time: {field: t, layout: '%d %d'}}", "logs[0].time.layout: found '%d %d'"),
        ("{name: a, paths: [x], time: {field: t, layout: ISO8601}}", "logs[0].time.layout: found 'ISO8601'"),
        (", ".join(f"{{name: a{count}, paths: [x]}}" for count in range(LOGS_MAX + 1)), f"at most {LOGS_MAX} items"),
    ],
)
def test_what_is_wrong_with_a_log_is_said(text: str, fault: str) -> None:
    with pytest.raises(configfile.InvalidConfig) as raised:
        configfile.read_text(f"logs: [{text}]", "exporter.yml", KIND, environ={})
    assert fault in str(raised.value)
