"""Machines of our own making: each is one text file under machines/, unpacked into a small /proc, /sys and the rest.

The text begins with what kind of machine it is. Then come its files:

    === proc/loadavg                    the lines that follow are the file
    === sys/class/net/                  each line is a file in this folder: its name, a blank, its one line
    lo -> ../../devices/virtual/net/lo  … or a link; a name alone is an empty file, a name with a slash an empty folder
    === sys/devices/system/cpu/cpu{0..3}/     four folders, and in them
    topology/core_id {0..1,0..1}              four files, each with its own value
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from exporter.collectors import COLLECTORS, SECURITY
from exporter.collectors.files import Paths

MACHINES = Path(__file__).parent / "machines"
NAMES = tuple(sorted(path.stem for path in MACHINES.glob("*.txt")))
# The collectors of the system that are on by default and ask no other source than files; systemd is asked over D-Bus.
ON_FILES = tuple(kind for kind in COLLECTORS if kind.enabled and kind.name not in ("systemd", *SECURITY))
BRACES = re.compile(r"\{(-?\d[\d.,-]*)\}")


class Entry(NamedTuple):
    """One file, link or folder of a machine. A folder has neither content nor target."""

    path: str
    content: bytes | None = None
    target: str | None = None


@cache
def entries(name: str) -> tuple[Entry, ...]:
    """All of the machine, in the order of its text."""
    _, *sections = re.split(r"^=== ", (MACHINES / f"{name}.txt").read_text(), flags=re.MULTILINE)
    found = []
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading.endswith("/"):
            for index, folder in enumerate(spelled_out(heading)):
                found += [Entry(folder), *folder_entries(folder, body, index)]
        else:
            found.append(Entry(heading, body.encode()))
    files = Counter(entry.path for entry in found if not entry.path.endswith("/"))
    twice = [path for path, times in files.items() if times > 1]
    assert not twice, f"{name}: twice: {twice}"
    return tuple(found)


def folder_entries(folder: str, body: str, index: int) -> Iterator[Entry]:
    for line in body.splitlines():
        name, blank, value = line.partition(" ")
        if value.startswith("-> "):
            yield Entry(folder + name, target=value.removeprefix("-> "))
        elif name.endswith("/"):
            yield Entry(folder + name)
        else:
            if BRACES.search(value):
                value = spelled_out(value)[index]
            yield Entry(folder + name, f"{value}\n".encode() if blank else b"")


def spelled_out(text: str) -> list[str]:
    """`cpu{0..1,4}` is cpu0, cpu1 and cpu4."""
    braces = BRACES.search(text)
    if braces is None:
        return [text]
    numbers: list[int] = []
    for part in braces[1].split(","):
        first, _, last = part.partition("..")
        numbers.extend(range(int(first), int(last or first) + 1))
    return [f"{text[: braces.start()]}{number}{text[braces.end() :]}" for number in numbers]


def unpack(name: str, root: Path) -> Paths:
    """Makes the machine in this folder, and says where a collector finds it."""
    for entry in entries(name):
        path = root / entry.path
        if entry.content is None and entry.target is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.content is not None:
            path.write_bytes(entry.content)
        else:
            path.symlink_to(str(entry.target))
    return paths(root)


def paths(root: Path) -> Paths:
    return Paths(f"{root}/proc", f"{root}/sys", str(root), f"{root}/run/udev/data")


def flags(root: Path) -> list[str]:
    """The same for the program, and for node_exporter."""
    names = ("procfs", "sysfs", "rootfs", "udev.data")
    return [f"--path.{name}={path}" for name, path in zip(names, paths(root), strict=True)]
