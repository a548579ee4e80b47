"""How far each file was read, over restarts: one file of JSON, replaced as a whole. Holds nothing of what was read.

What is no regular file is neither read nor replaced: a device that was named by mistake would be gone, and a pipe never
answers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import EINVAL

import msgspec

from exporter.intake.logs.fingerprint import Place

VERSION = 1
# A larger file is none of ours.
BYTES_MAX = 67_108_864
Places = Mapping[str, Sequence[Place]]


class Positions(msgspec.Struct, frozen=True):
    version: int
    logs: dict[str, list[Place]]


class Unreadable(Exception):
    """There is a file, and it says nothing of use."""


def load(path: str) -> Places:
    """By log. A log that is there was followed before, if only without files."""
    try:
        with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
            data = file.read(BYTES_MAX + 1)
        found = msgspec.json.decode(data, type=Positions)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{path}: found no positions, expected what Tocsin has written there") from None
    if found.version != VERSION:
        raise Unreadable(f"{path}: found version {found.version}, expected {VERSION}")
    return found.logs


def save(path: str, places: Places) -> None:
    """All or nothing: whoever reads finds these or those before. Raises OSError."""
    data = msgspec.json.encode(Positions(VERSION, {name: _plain(each) for name, each in sorted(places.items())}))
    path = os.path.realpath(path)
    with suppress(FileNotFoundError):
        _refuse_irregular(os.stat(path), path)
    beside = f"{path}.new"
    descriptor = _opened(beside, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.truncate(0)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _plain(places: Sequence[Place]) -> list[Place]:
    """A name need not be text. What tells a file from others is its number; its path says where to look for it."""
    return [place._replace(path=place.path.encode(errors="backslashreplace").decode()) for place in places]


def _opened(path: str, flags: int) -> int:
    """Raises OSError, and never waits."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    try:
        _refuse_irregular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_irregular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(EINVAL, "found no regular file", path)
