"""Which files a collector reads, as the interpreter itself tells it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.collectors import COLLECTORS, BuiltIn, build
from exporter.collectors.files import Paths
from exporter.registry import attempt

# An audit hook is there for ever, so it is one for all, and hears only while somebody watches.
_watching: list[set[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open" and isinstance(arguments[0], str | bytes):
        _watching[-1].add(os.path.realpath(os.fsdecode(arguments[0])))


sys.addaudithook(_hear)


@contextmanager
def opened() -> Iterator[set[str]]:
    """The real paths of what is opened meanwhile."""
    found: set[str] = set()
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.remove(found)


def readers(paths: Paths, root: str) -> dict[str, list[type[BuiltIn]]]:
    """For each file below the root the collectors that read it there."""
    found: dict[str, list[type[BuiltIn]]] = {}
    for kind in COLLECTORS:
        with opened() as files:
            attempt(build(kind, paths), float("inf"))
        for file in sorted(files):
            if file.startswith(f"{root}/") and os.path.isfile(file):
                found.setdefault(file, []).append(kind)
    return found
