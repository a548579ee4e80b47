"""Looking into a document of any shape: what is not there, or is something else, is nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from receiver.policy.duration import parse_duration

NAMES_SHOWN_MAX = 20

Path = tuple[str | int, ...]
Told = tuple[Path, str, str]  # where, what was found, what was expected


def one_of(known: Collection[str]) -> str:
    """What was expected instead of a name that leads nowhere."""
    if len(known) > NAMES_SHOWN_MAX:
        return f"one of the {len(known)} names that are defined"
    shown = ", ".join(sorted(known))
    return f"one of: {shown}" if shown else "a name that is defined (none is)"


def names(value: object) -> list[str]:
    return [name for name, _ in items(value)]


def items(value: object) -> list[tuple[str, object]]:
    return [(name, item) for name, item in value.items() if isinstance(name, str)] if isinstance(value, dict) else []


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def duration_in(text: object) -> timedelta | None:
    """Nothing where it is a fault of its own, found by the schema."""
    try:
        return parse_duration(text) if isinstance(text, str) else None
    except ValueError:
        return None
