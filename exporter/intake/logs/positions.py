"""How far each file was read, over restarts: one file of JSON, replaced as a whole. Holds nothing of what was read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

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
        with open(path, "rb") as file:
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
    data = msgspec.json.encode(Positions(VERSION, {name: list(each) for name, each in sorted(places.items())}))
    beside = f"{path}.new"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise
