"""The exporter as people start it, and packets over the loopback and over a Unix socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.intake.statsd.choices import DEFAULT_UDP
from tests.exporter.builders import SURELY
from tests.exporter.program import Program, started

ANY_PORT = "--statsd.listen-udp=127.0.0.1:0"


def address(program: Program) -> tuple[str, int]:
    host, _, port = json.loads(program.said("listening for StatsD"))["where"].rpartition(":")
    return host.strip("[]"), int(port)


def own(program: Program, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", program.get("/metrics/self"), re.MULTILINE)
    assert found, name
    return float(found[1])


def shows(program: Program, line: str) -> None:
    """Waits until the line is on the page of applications; packets arrive in their own time."""
    deadline = time.monotonic() + SURELY
    while line not in (page := program.get("/metrics/app")).splitlines():
        assert time.monotonic() < deadline, page


@contextmanager
def sender(family: socket.AddressFamily, to: object) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.connect(to)
        yield opened


def test_packets_over_udp_are_on_the_page_and_on_that_of_their_source() -> None:
    with started(ANY_PORT) as program, sender(socket.AF_INET, address(program)) as client:
        client.send(b"hits:1|c\nhits:2|c|#a:b")
        client.send(b"wrong")
        client.send(b"last:1|g")
        shows(program, "last 1.0")
        shows(program, 'hits_total{a="b"} 2.0')
        assert own(program, "tocsin_exporter_statsd_packets_total") == 3
        assert own(program, "tocsin_exporter_statsd_lines_total") == 4
        assert own(program, 'tocsin_exporter_statsd_faults_total{reason="malformed"}') == 1
        assert own(program, 'tocsin_exporter_statsd_listening{socket="udp"}') == 1
        assert own(program, 'tocsin_exporter_statsd_listening{socket="unixgram"}') == 0


def test_packets_over_ipv6() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with started("--statsd.listen-udp=[::1]:0") as program, sender(socket.AF_INET6, address(program)) as client:
        client.send(b"hits:1|c")
        shows(program, "hits_total 1.0")


def test_packets_at_a_unix_socket_with_its_permissions_which_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "statsd.sock"
    flags = (f"--statsd.listen-unixgram={path}", "--statsd.unixsocket-mode=700")
    with started(*flags) as program:
        program.said("listening for StatsD")
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with sender(socket.AF_UNIX, str(path)) as client:
            client.send(b"hits:1|c")
            # As large as one of UDP may be; and larger, where the last line that is read would be hits:1|
            client.send(b"\n".join([b"hits:1|c"] * 7_000))
            client.send(b"x:12|g\n" + b"hits:11|c\n" * 8_000)
        shows(program, "hits_total 79073.0")
        assert own(program, 'tocsin_exporter_statsd_faults_total{reason="too_long"}') == 1
        assert own(program, 'tocsin_exporter_statsd_listening{socket="unixgram"}') == 1
        assert program.stop(signal.SIGTERM) == 0
    assert not path.exists()


def test_a_unix_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "statsd.sock"
    flag = f"--statsd.listen-unixgram={path}"
    with started(flag) as program:
        program.said("listening for StatsD")
        assert "somebody listens there already" in refused(flag)
        program.stop(signal.SIGKILL)
    assert path.exists()
    with started(flag) as program, sender(socket.AF_UNIX, str(path)) as client:
        client.send(b"hits:1|c")
        shows(program, "hits_total 1.0")
    path.unlink(missing_ok=True)
    path.write_text("precious")
    assert "no socket" in refused(flag)
    assert path.read_text() == "precious"


def refused(*flags: str) -> str:
    """What an exporter says that does not start."""
    command = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SURELY, check=False)
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_an_address_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert f"cannot listen for StatsD on udp {taken}: Address already in use" in refused(
            f"--statsd.listen-udp={taken}"
        )


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--statsd.listen-udp=nowhere", "expected HOST:PORT"),
        ("--statsd.unixsocket-mode=999", "expected permissions such as 755"),
        ("--statsd.read-buffer=-1", "expected a number of bytes from 0 to 1073741824"),
        ("--statsd.listen-unixgram=/" + "x" * 200, "expected at most 107"),
        ("--statsd.listen-unixgram=/nowhere/at/all", "No such file or directory"),
        ("--statsd.listen-udp=no.such.host.invalid:1", "cannot listen for StatsD on udp no.such.host.invalid:1"),
    ],
)
def test_what_cannot_be_meant_is_said(flag: str, complaint: str) -> None:
    assert complaint in refused(flag)


def test_the_default_port_may_be_taken_and_everything_else_runs() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind((DEFAULT_UDP.host, DEFAULT_UDP.port))
        except OSError as error:
            # Another program has it, which is as good.
            assert error.errno is not None  # noqa: PT017
        with started(f"--statsd.listen-udp={DEFAULT_UDP}") as program:
            said = json.loads(program.said("not listening for StatsD, as its address is taken"))
            assert said["where"] == str(DEFAULT_UDP)
            assert own(program, 'tocsin_exporter_statsd_listening{socket="udp"}') == 0


def kernel_drops(port: int) -> int:
    """As the kernel lists it for everybody: the last column, by the port."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port:
            return int(words[-1])
    raise AssertionError(port)


@pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="the kernel tells it on Linux")
def test_what_the_kernel_drops_is_counted_and_the_others_count() -> None:
    with started(ANY_PORT, "--statsd.read-buffer=0") as program:
        to = address(program)
        with sender(socket.AF_INET, to) as client:
            assert own(program, 'tocsin_exporter_statsd_kernel_drops_total{socket="udp"}') == 0
            os.kill(program.process.pid, signal.SIGSTOP)
            for _ in range(500):
                client.send(b"hits:1|c")
            dropped = kernel_drops(to[1])
            os.kill(program.process.pid, signal.SIGCONT)
            shows(program, f"hits_total {500.0 - dropped}")
        assert 0 < dropped < 500
        assert own(program, 'tocsin_exporter_statsd_kernel_drops_total{socket="udp"}') == dropped
        assert 0 < own(program, 'tocsin_exporter_statsd_receive_buffer_bytes{socket="udp"}') < 10_000


FLOOD = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(('127.0.0.1', int(sys.argv[1])))
number = 0
while True:
    number += 1
    client.send(b'flood.%d:%d|ms|#a:%d' % (number % 50, number, number % 20))
"""


def test_a_flood_holds_nobody_up() -> None:
    with started(ANY_PORT) as program, sender(socket.AF_INET, address(program)) as client:
        command = [sys.executable, "-c", FLOOD, str(client.getpeername()[1])]
        flood = subprocess.Popen(command)
        try:
            deadline = time.monotonic() + SURELY
            answers = 0
            while answers < 20 or "flood_" not in program.get("/metrics/app"):
                assert "healthy" in program.get("/-/healthy")
                assert time.monotonic() < deadline
                answers += 1
        finally:
            flood.kill()
            flood.wait(SURELY)


def test_what_the_file_says_and_a_flag_outweighs(tmp_path: Path) -> None:
    file = tmp_path / "exporter.yml"
    file.write_text("statsd: {listen_udp: '127.0.0.1:0', parse_librato_tags: false}\n")
    command = [f"--config.file={file}", ANY_PORT, "--no-statsd.parse-dogstatsd-tags"]
    with started(*command) as program, sender(socket.AF_INET, address(program)) as client:
        client.send(b"n#a=b:1|g|#c:d")
        shows(program, "n_a_b 1.0")
    file.write_text("statsd: {listen_udp: nowhere, unixsocket_mode: '9', read_buffer: -1}\n")
    said = refused(f"--config.file={file}")
    assert said.count("exporter.yml:1") == 3
    assert "HOST:PORT" in said
