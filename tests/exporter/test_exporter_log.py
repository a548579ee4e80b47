"""The exporter's own log: where the flag sends it, and how many lines there were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.exporter.builders import SURELY
from tests.exporter.program import started, stream
from tests.real.servers import until


def test_the_log_goes_into_a_file_that_may_be_moved_away(tmp_path: Path) -> None:
    path, old = tmp_path / "exporter.log", tmp_path / "exporter.log.1"
    with started(f"--log.output={path}") as program:
        path.rename(old)
        program.process.send_signal(signal.SIGHUP)
        until(lambda: path.exists() and "configuration loaded" in path.read_text(), what="the line about the reload")
        assert program.stop(signal.SIGTERM) == 0
        assert stream(program.process.stderr).read() == ""
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["message"] for event in events] == ["configuration loaded", "stopping"]
    assert old.read_text() == ""


def test_what_was_logged_is_counted_by_level() -> None:
    with started() as program:
        page = program.get("/metrics/self")
        assert 'tocsin_exporter_log_messages_total{level="info"} 0\n' in page
        assert 'tocsin_exporter_log_messages_total{level="critical"} 0\n' in page
        assert "tocsin_exporter_log_lines_dropped_total 0\n" in page
        program.process.send_signal(signal.SIGHUP)
        program.said("configuration loaded")
        assert 'tocsin_exporter_log_messages_total{level="info"} 1\n' in program.get("/metrics/self")


def test_lines_that_nobody_takes_are_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reads = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with started(f"--log.output={tmp_path}/log") as program:
        os.close(reads)
        program.process.send_signal(signal.SIGHUP)
        until(
            lambda: "tocsin_exporter_log_lines_dropped_total 1\n" in program.get("/metrics/self"),
            what="the line that was dropped",
        )


def test_a_file_that_cannot_be_written_is_told_and_ends_the_program(tmp_path: Path) -> None:
    for program in ("exporter", "receiver"):
        command = [sys.executable, "-m", program, f"--log.output={tmp_path}/none/tocsin.log"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SURELY, cwd=tmp_path)
        assert ended.returncode == 1
        assert f"cannot log to {tmp_path}/none/tocsin.log: No such file or directory" in ended.stderr
        assert "Traceback" not in ended.stderr
