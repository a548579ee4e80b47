"""Several processes as one: started together, ended together, none left behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
_LOOK_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """The text is for the person who typed the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process. `ready` answers 200 when it can be used; what it prints goes to `log`, or to the terminal."""

    name: str
    command: tuple[str, ...]
    ready: str
    log: Path | None = None


async def together(parts: Sequence[Part], *, announce: Callable[[], None]) -> int:
    """Runs until a signal says stop (0) or one of the processes ends by itself (1)."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    running: list[tuple[Part, asyncio.subprocess.Process]] = []
    try:
        with ExitStack() as logs:
            for part in parts:
                process = await _start(part, logs)
                running.append((part, process))
        return await _watch(running, stop, announce)
    finally:
        await _end([process for _, process in running])


async def _start(part: Part, logs: ExitStack) -> asyncio.subprocess.Process:
    output = None
    if part.log is not None:
        part.log.parent.mkdir(parents=True, exist_ok=True)
        output = logs.enter_context(part.log.open("ab"))
    try:
        return await asyncio.create_subprocess_exec(
            *part.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise CannotStart(f"cannot start {part.name} ({part.command[0]}): {error.strerror}") from None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _watch(
    running: Sequence[tuple[Part, asyncio.subprocess.Process]], stop: asyncio.Event, announce: Callable[[], None]
) -> int:
    stopped = asyncio.create_task(stop.wait())
    ended = {asyncio.create_task(process.wait()): part for part, process in running}
    readiness = asyncio.create_task(_all_ready([part for part, _ in running]))  # noqa: RUF006 - kept, below
    watched: list[asyncio.Task[Any]] = [stopped, readiness, *ended]
    try:
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if readiness.done():
            slow = readiness.result()
            if slow:
                raise CannotStart(f"{', '.join(slow)} did not become readiness within {READY_SECONDS_MAX:g} seconds")
            announce()
            await asyncio.wait([stopped, *ended], return_when=asyncio.FIRST_COMPLETED)
        return 0 if stop.is_set() else _blame(ended)
    finally:
        for task in watched:
            task.cancel()


def _blame(ended: Mapping[asyncio.Task[int], Part]) -> int:
    for task, part in ended.items():
        if task.done():
            where = f"; see {part.log}" if part.log is not None else ""
            sys.stderr.write(f"tocsin up: {part.name} ended with status {task.result()}{where}\n")
    return 1


async def _all_ready(parts: Sequence[Part]) -> list[str]:
    """The names of those that are not ready in time."""
    deadline = asyncio.get_running_loop().time() + READY_SECONDS_MAX
    waiting = list(parts)
    while waiting and asyncio.get_running_loop().time() < deadline:
        answers = [await asyncio.to_thread(_is_ready, part.ready) for part in waiting]
        waiting = [part for part, ready in zip(waiting, answers, strict=True) if not ready]
        if waiting:
            await asyncio.sleep(_LOOK_SECONDS)
    return [part.name for part in waiting]


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


async def _end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Politely, all at once, and with a bound."""
    left = [process for process in processes if process.returncode is None]
    for process in left:
        with suppress(ProcessLookupError):
            process.terminate()
    waits = [asyncio.create_task(process.wait()) for process in left]
    if waits:
        _, late = await asyncio.wait(waits, timeout=STOP_SECONDS_MAX)
        for process in left:
            if process.returncode is None:
                sys.stderr.write(f"tocsin up: process {process.pid} did not stop and is killed\n")
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS_MAX)
