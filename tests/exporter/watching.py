"""Collectors asked one by one: what each says, and which files it reads, as the interpreter itself tells it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from exporter.collectors import COLLECTORS, SECURITY, BuiltIn, Collector, build
from exporter.collectors.files import Paths
from exporter.family import Family
from exporter.outcome import Absent
from tests.exporter.machine import ON_FILES

# An audit hook is there for ever, so it is one for all, and hears only while somebody watches.
_watching: list[set[str]] = []


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event == "open" and isinstance(arguments[0], str | bytes):
        _watching[-1].add(os.path.realpath(os.fsdecode(arguments[0])))


sys.addaudithook(_hear)


class Said(NamedTuple):
    """What a collector said, or why it said nothing."""

    families: tuple[Family, ...] = ()
    error: Exception | None = None

    @property
    def ended(self) -> type[Exception] | None:
        """None for a success, and otherwise the kind of its error."""
        return None if self.error is None else type(self.error)

    @property
    def is_absent(self) -> bool:
        return isinstance(self.error, Absent)


def asked(collector: Collector) -> Said:
    try:
        return Said(tuple(collector.collect(float("inf"))))
    except Exception as error:  # noqa: BLE001 - whatever it is, a test will look at it
        return Said(error=error)


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
    """For each file below the root the collectors of the system that read it there."""
    found: dict[str, list[type[BuiltIn]]] = {}
    for kind in (kind for kind in COLLECTORS if kind.name not in SECURITY):
        with opened() as files:
            asked(build(kind, paths))
        for file in sorted(files):
            if file.startswith(f"{root}/") and os.path.isfile(file):
                found.setdefault(file, []).append(kind)
    return found


def own_files(paths: Paths, root: Path) -> dict[str, str]:
    """For each collector that is on by default a file that no other reads."""
    alone = {who[0].name: file for file, who in readers(paths, str(root)).items() if len(who) == 1 and who[0].enabled}
    return dict(sorted(alone.items()))


def samples_by_collector(paths: Paths) -> dict[str, int]:
    answers = {kind.name: asked(build(kind, paths)) for kind in ON_FILES}
    return {
        name: sum(len(family.samples) for family in said.families)
        for name, said in answers.items()
        if said.error is None
    }
