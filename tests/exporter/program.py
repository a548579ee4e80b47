"""The exporter as people start it: a process of its own, on a free port, found by its first line."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tests.exporter.builders import SURELY

LISTENING = "tocsin exporter: listening on "


@dataclass
class Program:
    process: subprocess.Popen[str]
    url: str

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=SURELY) as answer:
            return str(answer.read().decode())

    def said(self, text: str) -> str:
        """Waits for the log line that contains the text."""
        for line in stream(self.process.stderr):
            if text in line:
                return line
        raise AssertionError(f"the exporter ended and never said {text!r}")

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(SURELY)


def stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def started(*flags: str, below: Sequence[str] = ()) -> Iterator[Program]:
    """`below` is the command that starts it, if the shell's own way is not the one that matters.

    Many run at once, so the one port of StatsD is not asked for, unless a flag does.
    """
    own = ("--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=")
    command = [*below, sys.executable, "-m", "exporter", *own, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            first = stream(process.stdout).readline()
            if not first.startswith(LISTENING):
                process.kill()
                raise AssertionError(f"found {first!r} and {stream(process.stderr).read()!r}")
            yield Program(process, first.removeprefix(LISTENING).strip())
        finally:
            process.kill()
