"""`tocsin job NAME -- COMMAND`: runs a command, and tells the exporter how it ended and how long it took.

The command's input, output and exit status are its own, and signals are passed on to it. An exporter that is away
costs a few seconds after the command has ended, and changes nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from guard import flags
from guard.printable import printable
from tocsin.destination import DEFAULT_URL
from tocsin.jobs import FAILURE, SUCCESS, Job
from tocsin.telling import Client

# How long the exporter is waited for when the command has ended.
TELL_SECONDS_MAX = 5.0
# As shells have it.
NOT_FOUND = 127
NOT_EXECUTABLE = 126
KILLED = 128
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    command = flags.command("tocsin job", "Run a command, and tell the exporter how it ended and how long it took.")
    command.usage = "tocsin job [flags] NAME -- COMMAND [ARGUMENT ...]"
    for name, text, default in (
        ("--events.url", "where the exporter takes events", DEFAULT_URL),
        ("--events.source", "who says it; the exporter has a page for each", None),
        ("--events.token-file", "file with a bearer token for the exporter", None),
        ("--events.ca-file", "authorities that the exporter's certificate is checked against", None),
    ):
        flags.flag(command, name, help=text, default=default, environ=environ)
    command.add_argument("name", metavar="NAME", help="what the job is called in metrics")
    ours, mark, theirs = _parted(arguments)
    chosen = command.parse_args(ours)
    if not mark or not theirs:
        command.error("a command is missing: tocsin job NAME -- COMMAND")
    client = Client(environ)
    try:
        client.configure(
            url=chosen.events_url,
            source=chosen.events_source,
            token_file=chosen.events_token_file,
            ca_file=chosen.events_ca_file,
        )
    except ValueError as error:
        command.error(printable(str(error)))
    with Job(chosen.name, tell=client.event) as job:
        status = run(theirs)
        job.outcome = FAILURE if status else SUCCESS
    if not client.flush(TELL_SECONDS_MAX) or client.dropped():
        sys.stderr.write(f"tocsin job: {chosen.events_url} was not told that {printable(chosen.name)} has ended\n")
    return status


def run(command: Sequence[str]) -> int:
    """Its exit status; of a command that a signal has ended, 128 and the signal's number, as shells have it."""
    with _passing_on() as signals:
        try:
            process = subprocess.Popen(command)  # noqa: S603 - it is what was asked for
        except FileNotFoundError:
            sys.stderr.write(f"tocsin job: {printable(command[0])}: not found\n")
            return NOT_FOUND
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            sys.stderr.write(f"tocsin job: {printable(command[0])}: {reason}\n")
            return NOT_EXECUTABLE
        signals.to(process)
        status = process.wait()
    return KILLED - status if status < 0 else status


class _Signals:
    """To us, and so to the command; those that came before it was there wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def pass_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # The terminal has sent these to both of us.
        if number in (signal.SIGINT, signal.SIGQUIT) and _is_in_front():
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


@contextmanager
def _passing_on() -> Iterator[_Signals]:
    signals = _Signals()
    before = {}
    for name in PASSED_ON:
        number = getattr(signal, name, None)
        # What whoever started us has ignored, as nohup does, stays ignored, here and there.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, signals.pass_on)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_front() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _parted(arguments: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    """What is ours, whether there is a mark between, and what is the command's."""
    given = list(arguments)
    if "--" not in given:
        return given, False, []
    at = given.index("--")
    return given[:at], True, given[at + 1 :]
