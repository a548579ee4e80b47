"""Disks that are full or cannot be written, ports that are taken: said clearly, and nothing accepted is lost."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.left_out import left_out
from tests.real.servers import (
    Server,
    alert,
    environment,
    free_port,
    receiver,
    receiver_command,
    sink,
    until,
    webhook,
    webhook_policy,
)

pytestmark = pytest.mark.real

POLICY = "channels: {chat: {type: terminal}}\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, in memory; only an administrator can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        reason = f"a small file system cannot be mounted here: {mounted.stderr.strip()}"
        left_out(reason)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def refused(server: Server, name: str) -> bool:
    """Whether a webhook is answered 503 now."""
    return server.post(webhook(alert(name), group=name))[0] == 503


def check_recovery(server: Server, accepted: list[str]) -> None:
    """Without a restart: webhooks are taken, everything that was accepted is there, and the story is told."""
    until(lambda: not refused(server, "After"), what="webhooks are taken again", seconds=10)
    until(lambda: server.ask("/-/ready")[0] == 200, what="it is ready again", seconds=10)
    until(lambda: server.get("/api/v1/status")["lag"] == 0, what="all is decided")
    shown = {each["labels"]["alertname"] for each in server.get("/api/v1/alerts?limit=10000")["alerts"]}
    assert {*accepted, "After"} <= shown
    status = server.get("/api/v1/status")
    assert (status["journal"]["writable"], status["journal"]["error"]) == (True, None)


def check_trouble(server: Server) -> None:
    """Alive, not ready, and everything that can be read can still be read."""
    assert server.ask("/-/healthy")[0] == 200
    status, said = server.ask("/-/ready")
    assert status == 503
    assert b"the store cannot be written" in said
    assert server.ask("/health")[0] == 503
    assert server.get("/api/v1/status")["journal"]["writable"] is False
    assert server.ask("/webhook/am", b"garbage")[0] == 400
    assert server.ask("/")[0] == 200
    assert "tocsin_receiver_store_writable 0.0" in server.text("/metrics")


def fire_until_refused(server: Server) -> list[str]:
    accepted: list[str] = []
    for number in range(5000):
        name = f"A{number}"
        if refused(server, name):
            return accepted
        accepted.append(name)
    raise AssertionError("the disk never filled up")


def test_a_full_disk_is_503_and_free_space_is_200_again_without_a_restart(tmp_path: Path, small_disk: Path) -> None:
    with sink() as standing:
        policy = webhook_policy(standing.url)
        with receiver(tmp_path, policy=policy, data=small_disk) as server:
            assert not refused(server, "Before")
            until(lambda: standing.of_kind("opened", "Before"), what="the first message arrives")
            filler = fill(small_disk)
            accepted = ["Before", *fire_until_refused(server)]
            check_trouble(server)
            filler.unlink()
            check_recovery(server, accepted)
            for name in (*accepted, "After"):
                until(lambda name=name: standing.of_kind("opened", name), what=f"{name} is told")  # type: ignore[misc]
        with receiver(tmp_path, policy=policy, data=small_disk) as server:
            assert len(server.incidents()) >= len(accepted) + 1
            assert "tocsin_receiver_journal_chain_intact 1.0" in server.text("/metrics")


def test_a_file_that_may_not_grow_is_503_and_200_again_without_a_restart(tmp_path: Path) -> None:
    """The same for whoever is not an administrator: the kernel refuses to let the process' files grow."""
    with receiver(tmp_path, policy=POLICY) as server:
        assert not refused(server, "Before")
        process, size = server.process.pid, resource.RLIMIT_FSIZE
        _, hard = resource.prlimit(process, size)
        journal = (tmp_path / "data" / "receiver.db-wal").stat().st_size
        resource.prlimit(process, size, (journal + 100_000, hard))
        accepted = ["Before", *fire_until_refused(server)]
        assert len(accepted) > 1
        # What is smaller than the webhook that was refused may still have fitted: from here on nothing does.
        resource.prlimit(process, size, (journal, hard))
        until(lambda: refused(server, "More") and server.ask("/-/ready")[0] == 503, what="it is not ready")
        check_trouble(server)
        resource.prlimit(process, size, (hard, hard))
        check_recovery(server, accepted)
        assert server.ended(signal.SIGTERM) == 0


@pytest.fixture
def unwritable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written: for an administrator, who may write everywhere, a read-only file system."""
    if os.geteuid() == 0:
        disk: Path = request.getfixturevalue("small_disk")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk
        return
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


def refusal_to_start(folder: Path, *, data: Path | None = None, port: int | None = None) -> str:
    """What it says on its one line before it ends with status 1."""
    command = receiver_command(folder, policy=POLICY, port=port or free_port(), data=data)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment())
    assert ended.returncode == 1, (ended.stdout, ended.stderr)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("tocsin receiver: ")]
    assert "Traceback" not in ended.stderr
    return line.removeprefix("tocsin receiver: ")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, unwritable: Path) -> None:
    said = refusal_to_start(tmp_path, data=unwritable)
    assert said in (f"cannot write in {unwritable}: {why}" for why in ("Permission denied", "Read-only file system"))


def test_a_disk_that_is_full_at_the_start_is_said(tmp_path: Path, small_disk: Path) -> None:
    filler = fill(small_disk)
    said = refusal_to_start(tmp_path, data=small_disk)
    assert str(small_disk) in said
    assert "full" in said or "No space left" in said
    filler.unlink()
    with receiver(tmp_path, policy=POLICY, data=small_disk) as server:
        assert not refused(server, "After")


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert refusal_to_start(tmp_path).startswith(f"cannot write in {tmp_path}/data: ")


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal_to_start(tmp_path, port=port)
    assert said == f"cannot listen on 127.0.0.1:{port}: the port is taken (by another tocsin, or by what it replaces?)"


def test_a_second_receiver_on_the_same_data_is_told_who_was_first(tmp_path: Path) -> None:
    with receiver(tmp_path, policy=POLICY) as first:
        said = refusal_to_start(tmp_path)
        assert said == f"{tmp_path}/data is in use by another receiver (process {first.process.pid})"
        assert not refused(first, "StillTaken")
        assert first.ended(signal.SIGKILL) == -signal.SIGKILL
    with receiver(tmp_path, policy=POLICY) as second:
        assert [each["title"] for each in second.incidents()] == ["StillTaken"]


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with receiver(tmp_path, policy=POLICY) as server:
        assert not refused(server, "Kept")
    database = tmp_path / "data" / "receiver.db"
    with closing(sqlite3.connect(database)) as connection:
        (written,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 99")
    said = refusal_to_start(tmp_path)
    assert said.startswith(f"{database} was written by a newer Tocsin (schema 99; this one knows ")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {written}")
    with receiver(tmp_path, policy=POLICY) as server:
        assert [each["title"] for each in server.incidents()] == ["Kept"]


def test_a_file_that_is_no_store_is_said_and_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "data" / "receiver.db"
    database.parent.mkdir()
    database.write_text("my diary, not a database\n" * 100)
    assert refusal_to_start(tmp_path) == f"cannot use {database} as a store: file is not a database"
    assert database.read_text() == "my diary, not a database\n" * 100
