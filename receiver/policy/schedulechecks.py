"""What no single place of `schedules` and `people` shows: faults, as checks.py tells them; and what is valid, and
leaves somebody uncalled one night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from receiver.policy.duration import parse_duration
from receiver.policy.policy import Window
from receiver.policy.schedule import OVERRIDE
from receiver.policy.schedulefile import (
    ContactFile,
    OverrideFile,
    PersonFile,
    RotationFile,
    ScheduleFile,
    moment_of,
    people_of,
    schedules_of,
)
from receiver.policy.shapes import Path, Told, items, one_of
from receiver.policy.windows import WEEKDAYS

T = TypeVar("T")

_WEEK_MINUTES = 7 * 24 * 60
_HOUR = timedelta(hours=1)
_LONGEST = timedelta(days=365)


def schedule_faults(schedules: object, people: object, channels: object) -> Iterator[Told]:
    """Each is given as it was written, whatever its shape is."""
    known = [name for name, _ in items(people)]
    for name, schedule in items(schedules):
        written = dict(items(schedule))
        path = ("schedules", name)
        yield from _rotations((*path, "rotations"), written.get("rotations"), known)
        yield from _overrides((*path, "overrides"), written.get("overrides"), known, written.get("time_zone", "UTC"))
    ways = [name for name, _ in items(channels)]
    for name, person in items(people):
        for index, contact in _numbered(dict(items(person)).get("notify"), ContactFile):
            yield from _contact(("people", name, "notify", index), contact, ways)


def schedule_warnings(
    schedules: Mapping[str, ScheduleFile], people: Mapping[str, PersonFile], types: Sequence[str]
) -> Iterator[Told]:
    """Of a file without a fault; `types` are those of its channels."""
    named: dict[str, str] = {}
    for name, schedule in schedules_of(schedules).items():
        for person in (each for rotation in schedule.rotations for turn in rotation.people for each in turn):
            named.setdefault(person, name)
        for override in schedule.overrides:
            named.setdefault(override.person, name)
        if not all(rotation.only for rotation in schedule.rotations):
            continue
        gaps = uncovered([window for rotation in schedule.rotations for window in rotation.only])
        if gaps:
            yield (
                ("schedules", name, "rotations"),
                in_words(gaps),
                "somebody at any time, such as a rotation without `only`",
            )
    for person, ways in people_of(people).items():
        if person in named and not any(way.method == "channel" or way.method in types for way in ways):
            methods = " or ".join(dict.fromkeys(way.method for way in ways))
            found = f"no way to {person}, who is in schedules.{named[person]}: there is no channel of type {methods}"
            yield ("people", person, "notify"), found, "such a channel, or a `channel` of their own"


def uncovered(windows: Sequence[Window]) -> list[tuple[int, int]]:
    """The stretches of any week in which no weekly window is, in minutes since Monday; the last may end in the next."""
    covered = bytearray(_WEEK_MINUTES)
    for window in windows:
        begin = window.weekday * 24 * 60 + window.from_minute
        for minute in range(begin, begin + window.minutes):
            covered[minute % _WEEK_MINUTES] = 1
    found = []
    for begin in range(_WEEK_MINUTES):
        if covered[begin - 1] and not covered[begin]:
            end = next(minute for minute in range(begin, 2 * _WEEK_MINUTES) if covered[minute % _WEEK_MINUTES])
            found.append((begin, end))
    return found


def in_words(gaps: Sequence[tuple[int, int]]) -> str:
    (begin, end), more = gaps[0], len(gaps) - 1
    others = f", and {more} more {'time' if more == 1 else 'times'} a week" if more else ""
    return f"nobody on call from {_minute(begin)} to {_minute(end)}{others}"


def _minute(number: int) -> str:
    day, minute = divmod(number % _WEEK_MINUTES, 24 * 60)
    return f"{WEEKDAYS[day]} {minute // 60:02}:{minute % 60:02}"


# --- faults --------------------------------------------------------------------------------------------------------


def _rotations(path: Path, written: object, people: Sequence[str]) -> Iterator[Told]:
    seen: dict[str, int] = {}
    for index, rotation in _numbered(written, RotationFile):
        if rotation.name == OVERRIDE:
            yield (*path, index, "name"), f"{rotation.name!r}, which is what overrides are called", "another name"
        elif rotation.name is not None and seen.setdefault(rotation.name, index) != index:
            found = f"{rotation.name!r}, the name of rotations[{seen[rotation.name]}]"
            yield (*path, index, "name"), found, "a name of its own"
        for place, turn in enumerate(rotation.people):
            if isinstance(turn, str):
                yield from _person((*path, index, "people", place), turn, people)
            else:
                for inside, person in enumerate(turn):
                    yield from _person((*path, index, "people", place, inside), person, people)
        try:
            shift = parse_duration(rotation.shift)
        except ValueError:
            continue  # a fault of its own, found by the schema
        if shift % _HOUR and _HOUR < shift < _LONGEST:  # what is out of bounds is one fault, told with all durations
            yield (*path, index, "shift"), f"{rotation.shift!r}", "whole hours or days, such as 12h, 1d or 7d"


def _overrides(path: Path, written: object, people: Sequence[str], time_zone: object) -> Iterator[Told]:
    spans: list[tuple[datetime, datetime, int]] = []
    for index, override in _numbered(written, OverrideFile):
        yield from _person((*path, index, "person"), override.person, people)
        try:
            begin, end = (moment_of(text, time_zone=str(time_zone)) for text in (override.starts, override.ends))
        except ValueError:
            continue  # likewise
        if begin < end:
            spans.append((begin, end, index))
        else:
            found = f"{override.ends!r}, not after {override.starts!r}"
            yield (*path, index, "to"), found, "a moment after `from`"
    latest: tuple[datetime, int] | None = None
    for begin, end, index in sorted(spans):
        if latest is not None and begin < latest[0]:
            yield (*path, index), f"an override that overlaps overrides[{latest[1]}]", "one person at a time"
        if latest is None or end > latest[0]:
            latest = end, index


def _contact(path: Path, contact: ContactFile, channels: Sequence[str]) -> Iterator[Told]:
    methods = [way.method for way in contact.written()]
    if len(methods) != 1:
        found = " and ".join(f"`{method}`" for method in methods) or "no way to this person"
        yield path, found, "exactly one of: " + ", ".join(ContactFile.__struct_fields__)
    if contact.channel is not None and contact.channel not in channels:
        yield (*path, "channel"), f"{contact.channel!r}", one_of(channels)


def _person(path: Path, name: str, people: Sequence[str]) -> Iterator[Told]:
    if name not in people:
        yield path, f"{name!r}", one_of(people)


# --- shapes --------------------------------------------------------------------------------------------------------


def _numbered(value: object, kind: type[T]) -> Iterator[tuple[int, T]]:
    """What has the right shape; of all else the schema finds the fault."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        try:
            yield index, msgspec.convert(item, kind)
        except msgspec.ValidationError:
            continue
