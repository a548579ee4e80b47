"""A program started as systemd starts one that has sockets: they are its descriptors from 3 on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# The program keeps the number of the process that begins here, which must be in its environment.
LAUNCHER = """
import fcntl, os, sys
count, *rest = sys.argv[1:]
given, command = rest[: int(count)], rest[int(count) :]
aside = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 100) for each in given]
for at, each in enumerate(aside):
    os.dup2(each, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="x")
os.environ.setdefault("LISTEN_FDS", count)
os.execv(sys.executable, [sys.executable, *command])
"""


def activated(
    sockets: Sequence[socket.socket], command: Sequence[str], *, environ: Mapping[str, str], **how: Any
) -> subprocess.Popen[str]:
    """`command` is what follows the name of the interpreter."""
    given = [str(each.fileno()) for each in sockets]
    whole = [sys.executable, "-c", LAUNCHER, str(len(given)), *given, *command]
    descriptors = [each.fileno() for each in sockets]
    return subprocess.Popen(whole, env=dict(environ), pass_fds=descriptors, text=True, **how)
