"""How far each file was read, over restarts: one file of JSON, replaced as a whole. Holds nothing of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from exporter import wholefile
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
        found = msgspec.json.decode(wholefile.read(path, most=BYTES_MAX), type=Positions)
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
    wholefile.replace(path, data)


def _plain(places: Sequence[Place]) -> list[Place]:
    """A name need not be text. What tells a file from others is its number; its path says where to look for it."""
    return [place._replace(path=place.path.encode(errors="backslashreplace").decode()) for place in places]
