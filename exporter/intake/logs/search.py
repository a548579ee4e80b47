"""Which files there are now, and where one has gone that had another name before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from glob import iglob
from itertools import islice

from exporter.intake.logs.file import File, resumed
from exporter.intake.logs.fingerprint import Place
from exporter.intake.logs.settings import Log

COMPRESSED = ".gz"
# Paths that are looked at for one log, before those that lead to the same file are put together.
PATHS_SEEN_MAX = 10_000
# Files beside an emptied one that are looked at for being its copy, the newest first.
COPIES_SEEN_MAX = 10
# A file with less than this at its beginning could be anything.
HEAD_BYTES_MIN = 16


def paths_of(log: Log) -> list[str]:
    """In a stated order, each once."""
    found = dict.fromkeys(path for pattern in log.paths for path in _matching(pattern))
    if log.exclude:
        left_out = {path for pattern in log.exclude for path in _matching(pattern)}
        found = dict.fromkeys(path for path in found if path not in left_out)
    return sorted(found)


def copy_of(place: Place, path: str) -> File | None:
    """Where what stood in an emptied file was copied to: beside it, and it goes on there as it did."""
    if place.head.size < HEAD_BYTES_MIN:
        return None
    beside: list[tuple[float, str]] = []
    stem = os.path.splitext(os.path.basename(path))[0]
    with suppress(OSError), os.scandir(os.path.dirname(path) or ".") as entries:
        for entry in entries:
            named = entry.name.startswith(stem) and not entry.name.endswith(COMPRESSED)
            if named and entry.inode() != place.inode and entry.is_file(follow_symlinks=False):
                beside.append((entry.stat().st_mtime, entry.path))
    for _, other in sorted(beside, reverse=True)[:COPIES_SEEN_MAX]:
        with suppress(OSError):
            if (file := resumed(other, place)) is not None:
                return file
    return None


def renamed(place: Place) -> File | None:
    """A file that was read to this place, under whatever name it has in its folder now."""
    with suppress(OSError), os.scandir(os.path.dirname(place.path) or ".") as entries:
        for path in [entry.path for entry in entries if entry.inode() == place.inode]:
            file = resumed(path, place)
            if file is not None and file.identity == place.identity:
                return file
            if file is not None:
                file.close()
    return None


def _matching(pattern: str) -> Iterator[str]:
    return islice(iglob(pattern, recursive=True), PATHS_SEEN_MAX)
