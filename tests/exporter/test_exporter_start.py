"""How the exporter starts: quickly, with little, and where systemd says."""

from __future__ import annotations

import http.client
import os
import resource
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.exporter.builders import SURELY, sample
from tests.exporter.program import LISTENING, started
from tests.guard.activation import activated

# What a program without files must not pay for.
TOO_DEAR = ("aiohttp", "bcrypt", "importlib.metadata", "jinja2", "jsonschema", "prometheus_client", "psutil", "yaml")
IMPORTED = """
import sys
import urllib.request
from exporter.__main__ import main
try:
    main(["--help"])
except SystemExit:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def test_without_files_nothing_dear_is_imported() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=60, check=True)
    imported = ended.stderr.split()
    assert "exporter.doors" in imported
    assert [name for name in TOO_DEAR if name in imported] == []


def test_a_running_exporter_that_was_scraped_has_loaded_no_library_of_theirs() -> None:
    with started() as program:
        program.get("/metrics")
        program.get("/")
        program.get("/health/detailed")
        loaded = Path(f"/proc/{program.process.pid}/maps").read_text()
    assert "httptools" in loaded
    assert [name for name in TOO_DEAR if f"/{name}/" in loaded] == []


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with started() as program:
        assert sample(program.get("/metrics/self"), "process_max_fds") == most


def test_it_listens_at_each_address_that_is_given() -> None:
    with started("--web.listen-address=127.0.0.1:0") as program:
        assert program.process.stdout is not None
        second = program.process.stdout.readline().removeprefix(LISTENING).strip()
        assert second != program.url
        for url in (program.url, second):
            with urllib.request.urlopen(f"{url}/-/ready", timeout=SURELY) as answer:
                assert answer.status == 200


def test_the_flags_of_the_pages_are_obeyed() -> None:
    with started("--web.telemetry-path=/prom", "--web.disable-exporter-metrics") as program:
        page = program.get("/prom")
        assert "node_load1" in page
        assert "process_open_fds" not in page


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["port", "unix"])
def test_at_a_socket_of_systemd_who_waits_is_told_and_what_came_before_is_answered(
    tmp_path: Path, family: socket.AddressFamily
) -> None:
    with socket.socket(family) as listens, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(SURELY)
        listens.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "web.sock"))
        listens.listen()
        environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        command = ["-m", "exporter", "--web.systemd-socket"]
        quiet = subprocess.DEVNULL
        with (
            socket.socket(family) as early,
            activated([listens], command, environ=environ, stdout=quiet, stderr=quiet) as process,
        ):
            early.settimeout(SURELY)
            early.connect(listens.getsockname())
            early.sendall(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            assert notify.recv(100) == b"READY=1"
            answer = http.client.HTTPResponse(early)
            answer.begin()
            assert answer.status == 200
            process.terminate()
            assert notify.recv(100) == b"STOPPING=1"
            assert process.wait(SURELY) == 0


def test_without_sockets_of_systemd_it_does_not_start() -> None:
    command = [sys.executable, "-m", "exporter", "--web.systemd-socket"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot listen: found neither LISTEN_FDS nor LISTEN_PID, expected 1 to 64 sockets")
