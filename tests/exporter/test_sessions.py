"""Who is logged in: from files as systemd and the real `login` tools write them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.files import Malformed, Paths
from exporter.collectors.sessions import RECORD, SESSIONS_MAX, Sessions, of_utmp
from exporter.outcome import Absent
from tests.exporter.builders import SURELY, collected
from tests.left_out import left_out

USER, LOGIN, DEAD = 7, 6, 8


def record(host: str, *, kind: int = USER, process: int = 0) -> bytes:
    return RECORD.pack(kind, process or os.getpid(), b"pts/0", b"ts/0", b"ana", host.encode())


def machine(root: Path, *records: bytes) -> Paths:
    (root / "run").mkdir()
    (root / "run/utmp").write_bytes(b"".join(records))
    return Paths(rootfs=str(root))


def session(root: Path, name: str, text: str) -> Paths:
    folder = root / "run/systemd/sessions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return Paths(rootfs=str(root))


def counted(paths: Paths) -> tuple[float, float]:
    found = collected(Sessions(paths))["security_sessions"]
    return found["local",], found["remote",]


def test_utmp_says_who_is_logged_in_and_where_from(tmp_path: Path) -> None:
    hosts = ("", ":0", "tmux(42).%0", "192.0.2.7", "crow.example", "2001:db8::7")
    others = (record("", kind=LOGIN), record("192.0.2.7", kind=DEAD), record("192.0.2.7", process=2**31 - 1))
    assert counted(machine(tmp_path, *map(record, hosts), *others)) == (3, 3)


def test_utmp_is_looked_for_where_it_was_once(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    paths = machine(tmp_path / "var", record("192.0.2.7"))._replace(rootfs=str(tmp_path))
    assert counted(paths) == (0, 1)


def test_utmp_that_is_empty_has_nobody(tmp_path: Path) -> None:
    assert counted(machine(tmp_path)) == (0, 0)


def test_more_sessions_than_there_can_be_are_not_counted(tmp_path: Path) -> None:
    assert counted(machine(tmp_path, record("") * (SESSIONS_MAX + 1))) == (SESSIONS_MAX, 0)


def test_utmp_of_another_layout_is_said(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="found '383 bytes', expected records of 384 bytes"):
        counted(machine(tmp_path, record("")[:-1]))


@given(content=st.binary(min_size=384, max_size=384))
def test_whatever_stands_in_utmp_is_a_session_or_none(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        list(of_utmp(content))


def test_utmp_is_read_as_the_real_who_reads_it(tmp_path: Path) -> None:
    who = shutil.which("who")
    if who is None:
        left_out("who is not installed (Debian's package coreutils)")
    hosts = ("", ":0", "192.0.2.7", "crow.example")
    machine(tmp_path, *map(record, hosts), record("x", kind=LOGIN))
    command = [who, str(tmp_path / "run/utmp")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SURELY).stdout.splitlines()
    assert len(said) == sum(counted(Paths(rootfs=str(tmp_path)))) == 4


def test_systemd_outweighs_utmp(tmp_path: Path) -> None:
    machine(tmp_path, record("192.0.2.7"))
    session(tmp_path, "1", "UID=1000\nUSER=ana\nACTIVE=1\nSTATE=active\nREMOTE=0\nTYPE=tty\nCLASS=user\n")
    session(tmp_path, "2", "UID=1000\nUSER=ana\nSTATE=online\nREMOTE=1\nREMOTE_HOST=192.0.2.7\nCLASS=user\n")
    session(tmp_path, "3", "UID=0\nUSER=root\nSTATE=closing\nREMOTE=1\nCLASS=user\n")
    session(tmp_path, "c1", "UID=104\nUSER=gdm\nSTATE=active\nREMOTE=0\nCLASS=greeter\n")
    os.mkfifo(tmp_path / "run/systemd/sessions/1.ref")
    assert counted(Paths(rootfs=str(tmp_path))) == (1, 1)


def test_a_machine_that_says_nothing_of_it_has_no_sessions(tmp_path: Path) -> None:
    with pytest.raises(Absent):
        counted(Paths(rootfs=str(tmp_path)))
