"""Does a program run on this machine, and as often as it should? By its name, which is the target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground
from exporter.probes.modules import Process
from exporter.probes.settings import Module
from exporter.probes.targets import WrongTarget, not_allowed

NAME_CHARACTERS_MAX = 255
# Of a command line, and of a file with a number.
READ_BYTES_MAX = 16_384
_DEAD = ("Z", "X")


class Found(NamedTuple):
    """`started` is in ticks after the machine did."""

    pid: int
    started: int


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    name = target.removeprefix("process:")
    if not name or len(name) > NAME_CHARACTERS_MAX or "/" in name or not name.isprintable():
        raise WrongTarget("the target is no name of a process")
    if not ground.allowed.path("process", name):
        raise not_allowed()
    settings = module.process
    look = partial(_look, ground.procfs, name, settings)
    found, booted = await ground.aside.run(("process", name, settings), look)
    count = len(found)
    attempt.gauge("probe_processes", "How many such processes there are.", count)
    if found:
        oldest = booted + min(each.started for each in found) / os.sysconf("SC_CLK_TCK")
        attempt.gauge(
            "probe_process_start_time_seconds", "When the oldest of them was started, in seconds since 1970.", oldest
        )
    attempt.note(f"{count} processes")
    if not count and settings.min:
        raise Failed("missing", "there is no such process")
    if count < settings.min:
        raise Failed("count", f"there are {count}, expected at least {settings.min}")
    if settings.max is not None and count > settings.max:
        raise Failed("count", f"there are {count}, expected at most {settings.max}")


def _look(procfs: str, name: str, settings: Process) -> tuple[list[Found], float]:
    """In a thread. Raises Failed."""
    try:
        pids = [_pid_in(settings.pid_path)] if settings.pid_path else _pids(procfs)
        found = [each for pid in pids if (each := _fitting(procfs, pid, name, settings)) is not None]
        return found, _booted(procfs)
    except OSError as error:
        raise Failed("missing", f"the processes cannot be read: {error.strerror}") from None


def _pids(procfs: str) -> Iterator[int]:
    return (int(entry) for entry in os.listdir(procfs) if entry.isdecimal())


def _pid_in(path: str) -> int:
    """Raises Failed."""
    try:
        text = _read(path).strip()
    except OSError as error:
        raise Failed("missing", f"pid_path cannot be read: {error.strerror}") from None
    if not text.isdigit() or len(text) > 10:
        raise Failed("content", "pid_path holds no number")
    return int(text)


def _fitting(procfs: str, pid: int, name: str, settings: Process) -> Found | None:
    try:
        stat = _read(f"{procfs}/{pid}/stat").decode("utf-8", "replace")
        comm, _, rest = stat.partition("(")[2].rpartition(")")
        fields = rest.split()
        if len(fields) < 20 or fields[0] in _DEAD:
            return None
        words = []
        if settings.cmdline or comm != name:
            words = _read(f"{procfs}/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    except OSError:  # it has ended since
        return None
    named = name in (comm, _program(words))
    line = " ".join(words)
    if not named and not settings.pid_path:
        return None
    return Found(pid, int(fields[19])) if all(text in line for text in settings.cmdline) else None


def _program(words: list[str]) -> str:
    """As `nginx: master process` and `/usr/sbin/nginx` both mean nginx."""
    return os.path.basename(words[0].partition(": ")[0]) if words else ""


def _booted(procfs: str) -> float:
    for line in _read(f"{procfs}/stat", 1_048_576).splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return 0.0


def _read(path: str, size: int = READ_BYTES_MAX) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)
