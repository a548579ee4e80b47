"""Sockets that systemd hands over, and what it hears: by a shell that does what systemd does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from guard.listen import CannotListen
from guard.systemd import READY, inherited_sockets, tell
from tests.guard.activation import activated

PROGRAM = """
import json, os
from guard.listen import CannotListen
from guard.systemd import inherited_sockets
try:
    found = [each.getsockname() for each in inherited_sockets(os.environ)]
except CannotListen as error:
    found = str(error)
print(json.dumps([found, sorted(name for name in os.environ if name.startswith("LISTEN_"))]))
"""


def handed(*sockets: socket.socket, count: int | None = None) -> tuple[object, list[str]]:
    """What a program finds that is started with these sockets, from the descriptor 3 on."""
    environ = os.environ | ({} if count is None else {"LISTEN_FDS": str(count)})
    with activated(sockets, ["-c", PROGRAM], environ=environ, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=60)
    found, left = json.loads(said)
    return found, left


def test_sockets_are_taken_over_and_nobody_else_is_told_of_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.socket(socket.AF_UNIX) as second:
        second.bind(str(tmp_path / "x.sock"))
        second.listen()
        found, left = handed(first, second)
        assert found == [list(first.getsockname()), str(tmp_path / "x.sock")]
        assert left == []


def test_a_socket_that_does_not_listen_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as idle:
        for each in (datagrams, idle):
            found, _ = handed(each)
            assert found == "cannot listen at the descriptor 3 of systemd: expected ListenStream= and no Accept="


def test_a_descriptor_that_is_not_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as only:
        found, _ = handed(only, count=40)
    assert isinstance(found, str)
    assert found.startswith("cannot listen at the descriptor ")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "65", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_not_meant_for_us_is_not_taken(environ: dict[str, str]) -> None:
    with pytest.raises(CannotListen, match=r"expected 1 to 64 sockets of systemd for the process \d+"):
        inherited_sockets(environ)
    assert environ == {}


@pytest.mark.parametrize("abstract", [False, True])
def test_who_waits_to_hear_that_it_serves_is_told(tmp_path: Path, abstract: bool) -> None:
    name = f"tocsin-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}" if abstract else str(tmp_path / "notify"))
        listener.settimeout(30)
        tell(READY, {"NOTIFY_SOCKET": f"@{name}" if abstract else str(tmp_path / "notify")})
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/x"}, {"NOTIFY_SOCKET": "vsock:1"}]
)
def test_where_nobody_waits_nothing_happens(environ: dict[str, str]) -> None:
    tell(READY, environ)
