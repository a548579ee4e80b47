"""`sessions`: who is logged in, as a number: at this machine, or from elsewhere.

systemd's files are asked where there are any, and otherwise utmp, which newer systems do not have any more.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from exporter.collectors.files import Malformed, Paths, read
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

SESSIONS = Shape("security_sessions", "gauge", "Sessions of people who are logged in, by where from.", ("kind",))
KINDS = ("local", "remote")
# Further ones are not looked at.
SESSIONS_MAX = 10_000
SYSTEMD = "run/systemd/sessions"
UTMP = ("run/utmp", "var/run/utmp")
# From utmp(5), of 64 bits and of 32: type, process, terminal, id, user, host, and what is not needed here.
RECORD = struct.Struct("=hxxi32s4s32s256s52x")
USER_PROCESS = 7
# Of systemd's classes of sessions, those of people.
PEOPLE = (b"user", b"user-early", b"user-light")


class Sessions:
    name = "sessions"
    help = "Sessions of people who are logged in."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._root = paths.rootfs.rstrip("/")
        self._procfs = paths.procfs

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        folder = f"{self._root}/{SYSTEMD}"
        found = list(_by_systemd(folder)) if os.path.isdir(folder) else list(self._by_utmp())
        yield SESSIONS.of([((kind,), found.count(kind)) for kind in KINDS])

    def _by_utmp(self) -> Iterator[str]:
        for each in UTMP:
            path = f"{self._root}/{each}"
            try:
                content = read(path)
            except FileNotFoundError:
                continue
            for kind, process in islice(of_utmp(content, path), SESSIONS_MAX):
                # Whoever is gone without a word is still written there.
                if os.path.exists(f"{self._procfs}/{process}"):
                    yield kind
            return
        raise Absent("there is neither utmp nor systemd to say who is logged in")


def of_utmp(content: bytes, where: str = "utmp") -> Iterator[tuple[str, int]]:
    """Of each session where it is from, and its process."""
    if len(content) % RECORD.size:
        raise Malformed(where, found=f"{len(content)} bytes", expected=f"records of {RECORD.size} bytes")
    for kind, process, _, _, _, host in RECORD.iter_unpack(content):
        if kind == USER_PROCESS:
            # A graphical session has the name of its display there, and those within another what runs them.
            name = host.partition(b"\0")[0]
            is_local = not name or name.startswith((b":", b"tmux(", b"screen", b"login screen"))
            yield KINDS[not is_local], process


def _by_systemd(folder: str) -> Iterator[str]:
    """Of each session a file of `KEY=value`; beside them are pipes, which nobody reads from here."""
    with os.scandir(folder) as entries:
        files = [entry.path for entry in entries if entry.is_file(follow_symlinks=False)]
    for path in sorted(files)[:SESSIONS_MAX]:
        try:
            said = dict(line.partition(b"=")[::2] for line in read(path).splitlines())
        except FileNotFoundError:
            continue  # it has just ended
        if said.get(b"CLASS") in PEOPLE and said.get(b"STATE") != b"closing":
            yield KINDS[said.get(b"REMOTE") == b"1"]
