"""Runs one program: never a shell, with the arguments exactly as they are, and ends it with everything that it started.

It has a session of its own, standard input is closed, the environment is clean, and it stands in the root folder. What
it writes to both outputs is read; the beginning is kept. Whoever of its process group is left when it ends, or when its
time is over, is killed; only what puts itself into another session can escape that, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from receiver import message as messages
from receiver.channels import Refused
from receiver.channels.output import readable
from receiver.message import Message
from receiver.policy.arguments import Unfit, filled

OUTPUT_BYTES_MAX = 4_096
OUTPUT_READ_BYTES_MAX = 1_048_576
# From the polite signal to the other one.
TERMINATE_SECONDS_MAX = 2.0
# A program that became another user cannot be killed.
KILLED_SECONDS_MAX = 1.0
# What was written last is read for so long, if somebody who escaped still holds the pipe.
LAST_WORDS_SECONDS_MAX = 1.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ended(NamedTuple):
    """How a program ended. `late`: its time was over; `too_much`: it wrote more than anybody reads. Without a status it
    could not be ended."""

    status: int | None
    output: str
    seconds: float
    late: bool
    too_much: bool


class Command:
    """One command line of the policy."""

    def __init__(
        self, *, command: Sequence[str], patterns: Mapping[str, str], timeout_seconds: float, home: str
    ) -> None:
        self._command = tuple(command)
        self._patterns = dict(patterns)
        self._timeout_seconds = timeout_seconds
        self._home = home

    def shown(self, message: Message) -> str:
        """As one would type it. Raises Refused when a label does not fit."""
        return shlex.join(self._arguments(message))

    def unfilled(self) -> str:
        """The same as it stands in the policy, for whoever has no such labels."""
        return shlex.join(self._command)

    async def run(self, message: Message) -> str:
        """What is worth telling of it, if it was successful. Raises Refused with the same if it was not."""
        arguments = self._arguments(message)
        environment = {
            "PATH": _PATH,
            "HOME": self._home,
            "LANG": "C.UTF-8",
            "TOCSIN_INCIDENT": message.incident,
            "TOCSIN_MESSAGE_ID": message.id,
        }
        try:
            ended = await run(arguments, environment=environment, seconds_max=self._timeout_seconds)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise Refused(f"{arguments[0]} cannot be started ({reason})") from None
        took = f"{ended.seconds:.1f} s"
        said = f": {ended.output}" if ended.output else ""
        if ended.status is None:
            raise Refused(f"could not be ended after {took}, as it became another user, and may still run{said}")
        if ended.too_much:
            raise Refused(f"ended after {took}, as it wrote more than {OUTPUT_READ_BYTES_MAX} bytes{said}")
        if ended.late:
            raise Refused(f"ended after {took}, as its time was over{said}")
        if ended.status:
            how = f"signal {-ended.status}" if ended.status < 0 else f"status {ended.status}"
            raise Refused(f"failed with {how} after {took}{said}")
        return f"done in {took}{said}"

    async def close(self) -> None:
        """What runs is ended by whoever cancels the attempt."""

    def _arguments(self, message: Message) -> list[str]:
        try:
            return filled(self._command, self._patterns, messages.read(message).incident.labels)
        except Unfit as error:
            raise Refused(f"not run: {error}") from None


# What ends a process group, as far as that is possible: by the process that leads it.
Kill = Callable[[int, signal.Signals], None]


def _signal(leader: int, which: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left, or somebody who became another user
        os.killpg(leader, which)


async def run(
    arguments: Sequence[str], *, environment: Mapping[str, str], seconds_max: float, kill: Kill = _signal
) -> Ended:
    """Raises OSError or ValueError when it cannot be started."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader, transport, write_end = await _pipe(loop)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd="/",
                env=dict(environment),
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        kept = bytearray()
        reading = asyncio.create_task(_read(reader, kept, process.pid, kill))
        try:
            status, late = await _wait(process, seconds_max, kill)
            seconds = loop.time() - began
            await asyncio.wait([reading], timeout=LAST_WORDS_SECONDS_MAX)
            too_much = reading.done() and not reading.result()
        finally:
            reading.cancel()
        return Ended(status, readable(bytes(kept)), seconds, late=late, too_much=too_much)
    finally:
        transport.close()


async def _wait(process: asyncio.subprocess.Process, seconds_max: float, kill: Kill) -> tuple[int | None, bool]:
    """Its status, and whether its time was over. Nobody of its group lives on, also when we are told to stop."""
    exited = asyncio.create_task(process.wait())
    try:
        done, _ = await asyncio.wait([exited], timeout=seconds_max)
        if not done:
            kill(process.pid, signal.SIGTERM)
            await asyncio.wait([exited], timeout=TERMINATE_SECONDS_MAX)
    finally:
        kill(process.pid, signal.SIGKILL)
        await asyncio.wait([exited], timeout=KILLED_SECONDS_MAX)
    return process.returncode, not done


async def _pipe(loop: asyncio.AbstractEventLoop) -> tuple[asyncio.StreamReader, asyncio.ReadTransport, int]:
    """A pipe of our own: nobody who still holds the other end can keep us from closing it."""
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    return reader, transport, write_end


async def _read(reader: asyncio.StreamReader, kept: bytearray, process: int, kill: Kill) -> bool:
    """All of it, of which the beginning is kept. Whoever writes without end is killed, and the answer is False."""
    read = 0
    while part := await reader.read(65_536):
        read += len(part)
        kept += part[: OUTPUT_BYTES_MAX - len(kept)]
        if read > OUTPUT_READ_BYTES_MAX:
            kill(process, signal.SIGKILL)
            return False
    return True
