"""When a line says that it was written: from its text to a time with its zone, or seconds since 1970."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Read = Callable[[Any], Any]


def reader_of(layout: str) -> Read:
    """What cannot be read stays what it is, so that whoever checks events says so."""
    match layout:
        case "iso":
            read: Callable[[str], object] = _iso
        case "unix":
            read = float
        case "unix_ms":
            return _milliseconds
        case _:
            return lambda value: _kept(lambda text: _with_zone(datetime.strptime(text, layout)), value)  # noqa: DTZ007
    return lambda value: _kept(read, value)


def _kept(read: Callable[[str], object], value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return read(value) if value else None
    except ValueError:
        return value


def _iso(text: str) -> datetime:
    return _with_zone(datetime.fromisoformat(text))


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _milliseconds(value: object) -> object:
    number = _kept(float, value)
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        return value
    try:
        return number / 1000
    except OverflowError:
        return value
