"""The real logrotate rotates a log that a real program writes and the exporter follows: no line lost, none twice."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from pathlib import Path

import pytest

from tests.exporter.program import Program, started
from tests.exporter.test_log_program import LINES, number, wait_for
from tests.left_out import left_out

EVENT = {"event": "http_request", "method": "GET", "route": "/", "status": 200, "duration_seconds": 0.25}
ROTATIONS = 4
LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")


class Writer(threading.Thread):
    """Writes lines through the standard library's handlers, all the time."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler
        self._stopped = threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self._stopped.wait(0.001):
            # As in any log, no line is like the one before: else nobody could see that a file was filled again.
            self._handler.emit(logging.makeLogRecord({"msg": json.dumps({"number": self.written, **EVENT})}))
            self.written += 1
        self._handler.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@contextmanager
def writing(handler: logging.Handler) -> Iterator[Writer]:
    writer = Writer(handler)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def rotate(folder: Path, how: str) -> None:
    if LOGROTATE is None:
        left_out("logrotate is not installed")
    configuration = folder / "logrotate.conf"
    configuration.write_text(f"{folder}/app.log {{\n  rotate 20\n  size 1\n  nocompress\n  {how}\n}}\n")
    configuration.chmod(0o600)
    command = [LOGROTATE, "--force", f"--state={folder}/state", str(configuration)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def follow(folder: Path, paths: str) -> list[str]:
    """The flags of an exporter that does."""
    file = folder / "exporter.yml"
    file.write_text(f"logs: [{{name: app, paths: ['{paths}'], exclude: ['{folder}/*.conf'], read_from: beginning}}]\n")
    return [f"--config.file={file}", f"--logs.positions-file={folder}/positions.json"]


def counted(program: Program, written: int) -> int:
    """When everything that is on the disk was read."""
    wait_for(program, "tocsin_exporter_log_lag_bytes", 0)
    if number(program, LINES) < written:
        wait_for(program, LINES, written)
    return int(number(program, LINES))


@pytest.mark.parametrize("paths", ["app.log", "app.log*"])
def test_a_log_that_is_renamed(tmp_path: Path, paths: str) -> None:
    log = tmp_path / "app.log"
    log.touch()
    with started(*follow(tmp_path, f"{tmp_path}/{paths}")) as program:
        with writing(WatchedFileHandler(log)) as writer:
            for times in range(ROTATIONS):
                wait_for_more(program)
                rotate(tmp_path, "create")
                wait_for(program, "tocsin_exporter_log_rotations_total", times + 1)
        assert counted(program, writer.written) == writer.written
        assert writer.written == lines_on_disk(tmp_path)


@pytest.mark.parametrize("paths", ["app.log", "app.log*"])
def test_a_log_that_is_copied_and_emptied(tmp_path: Path, paths: str) -> None:
    """What is written between the copy and the emptying, logrotate loses; it may have been read before."""
    log = tmp_path / "app.log"
    log.touch()
    with started(*follow(tmp_path, f"{tmp_path}/{paths}")) as program:
        with writing(logging.FileHandler(log)) as writer:
            for times in range(ROTATIONS):
                wait_for_more(program)
                rotate(tmp_path, "copytruncate")
                wait_for(program, "tocsin_exporter_log_truncations_total", times + 1)
        there = lines_on_disk(tmp_path)
        wait_for(program, "tocsin_exporter_log_lag_bytes", 0)
        assert there <= counted(program, there) <= writer.written


def wait_for_more(program: Program) -> None:
    before = number(program, LINES)
    while number(program, LINES) < before + 50:
        assert program.process.poll() is None


def lines_on_disk(folder: Path) -> int:
    return sum(path.read_text().count("\n") for path in folder.glob("app.log*"))
