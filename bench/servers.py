"""Starts what is measured, on free ports of this machine, and ends it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

READY_SECONDS_MAX = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], *, ready: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers at `ready`; its output goes to a file in `folder`."""
    with (folder / "output.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _wait_until_ready(process, ready, folder)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def receiver(folder: Path, policy: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    (folder / "receiver.yml").write_text(policy)
    command = [
        sys.executable, "-m", "tocsin.cli", "receiver", "--config.file=receiver.yml", "--log.level=warning",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.url=sqlite:///{folder}/receiver.db",
    ]  # fmt: skip
    with running(command, ready=f"http://127.0.0.1:{port}/-/ready", folder=folder) as process:
        yield port, process


@contextmanager
def alertmanager(folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Alertmanager as it is installed, with a receiver that sends nothing: only its intake is at work."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        sys.exit("alertmanager is not installed: `make servers` as root installs it")
    port = free_port()
    (folder / "alertmanager.yml").write_text("route: {receiver: none, group_by: [group]}\nreceivers: [{name: none}]\n")
    command = [
        program, "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with running(command, ready=f"http://127.0.0.1:{port}/-/ready", folder=folder) as process:
        yield port, process


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"it ended with status {process.returncode}: {(folder / 'output.log').read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.005)
    sys.exit(f"{url} did not answer")


def metric(port: int, name: str) -> float:
    """The sum of a metric of the receiver, over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def until_decided(port: int) -> None:
    while metric(port, "tocsin_receiver_journal_lag_entries"):
        time.sleep(0.005)


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    fields = Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """The most that was resident since it started, by the kernel's own count."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say VmHWM")
