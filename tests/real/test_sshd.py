"""A real sshd and real clients: what it writes becomes events, and what those become is on the exporter's page."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.exporter.program import Program
from tests.exporter.program import started as exporter_started
from tests.left_out import left_out
from tests.real.servers import SURELY, free_port, started, until

OURSELVES = "root"


def has_banner(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"


@contextmanager
def sshd(folder: Path, program: str) -> Iterator[int]:
    """Writes into ssh.log, and takes the key `good`."""
    if os.geteuid() != 0:
        left_out("sshd asks for passwords only as root")
    # Where it locks up what talks to strangers; Debian makes it when the service starts.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "good", "bad"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True, timeout=SURELY)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/good.pub\nPasswordAuthentication yes\nPermitRootLogin yes\n"
    )
    command = [program, "-D", "-f", f"{folder}/sshd_config", "-E", f"{folder}/ssh.log"]
    with started(command, url="", log=folder / "sshd.out", ready=None):
        until(lambda: has_banner(port), what="sshd listens")
        yield port


def log_in(folder: Path, port: int, user: str, *options: str, password: str = "") -> int:
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho '{password}'\n")
    ask.chmod(0o700)
    alone = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", str(port)]
    return subprocess.run(
        ["ssh", *alone, *options, "-l", user, "127.0.0.1", "true"],
        env={**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SURELY,
        check=False,
    ).returncode


def by_key(folder: Path, name: str) -> tuple[str, ...]:
    return ("-i", str(folder / name), "-o", "IdentitiesOnly=yes", "-o", "PreferredAuthentications=publickey")


def by_password(tries: int) -> tuple[str, ...]:
    return ("-o", "PreferredAuthentications=password", "-o", f"NumberOfPasswordPrompts={tries}")


def wait_for(program: Program, *lines: str) -> None:
    until(lambda: set(lines) <= set(program.get("/metrics/app").splitlines()), what=f"the page has {lines}")


def test_what_a_real_sshd_writes_is_counted_attempt_by_attempt(tmp_path: Path, needs: Callable[[str], str]) -> None:
    configuration = tmp_path / "exporter.yml"
    configuration.write_text(
        f"logs: [{{name: ssh, paths: ['{tmp_path}/ssh.log'], format: auth_log, read_from: beginning}}]\n"
        "detectors: {brute_force_address: {threshold: 2}}\n"
    )
    with sshd(tmp_path, needs("sshd")) as port, exporter_started(f"--config.file={configuration}") as program:
        assert log_in(tmp_path, port, OURSELVES, *by_key(tmp_path, "good")) == 0
        assert log_in(tmp_path, port, OURSELVES, *by_key(tmp_path, "bad")) != 0
        assert log_in(tmp_path, port, "mallory", *by_key(tmp_path, "bad")) != 0
        assert log_in(tmp_path, port, OURSELVES, *by_password(2), password="guess") != 0
        assert log_in(tmp_path, port, "a from 198.51.100.1 port 1 ssh2", *by_password(3), password="guess") != 0
        wait_for(
            program,
            'auth_attempts_total{method="ssh"} 8.0',
            'auth_failures_total{method="ssh",reason="preauth"} 1.0',
            'auth_failures_total{method="ssh",reason="password"} 2.0',
            'auth_failures_total{method="ssh",reason="invalid_user"} 4.0',
            'security_ssh_logins_total{method="publickey"} 1.0',
        )
        found = 'security_findings_total{detector="brute_force_address",severity="high"} 1'
        until(lambda: found in program.get("/metrics/security"), what="whoever guessed is found")
        page = program.get("/metrics")
    assert "mallory" not in page
    assert "198.51.100" not in page
