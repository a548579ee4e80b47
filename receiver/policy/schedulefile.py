"""`schedules` and `people` of receiver.yml as people write them, and what they become in the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from receiver.policy.duration import parse_duration
from receiver.policy.fields import Duration, Moment, Name, TimeZone, Title, Weekly
from receiver.policy.policy import Contact, Override, Rotation, Schedule
from receiver.policy.windows import first_moment, parse_moment, parse_weekly, zone

SCHEDULES_MAX = 500
ROTATIONS_MAX = 20
TURNS_MAX = 1_000
OVERRIDES_MAX = 1_000
PEOPLE_MAX = 5_000

Together = Annotated[list[Name], Meta(min_length=1, max_length=TURNS_MAX)]


class RotationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """People who take turns, one shift each. It lies over the rotations before it."""

    people: Annotated[
        list[Name | Together],
        Meta(min_length=1, max_length=TURNS_MAX, description="in their order; a list inside it is on call together"),
    ]
    shift: Annotated[Duration, Meta(description="whole hours or days, from 1h to 365d")]
    starts: Annotated[Moment, Meta(description="when the first shift begins; all others begin by the same clock")]
    name: Title | None = None
    only: Annotated[list[Weekly], Meta(description="none: at any time")] = msgspec.field(default_factory=list)


class OverrideFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person, and nobody else, for a time. No two overrides overlap."""

    person: Name
    starts: Moment = msgspec.field(name="from")
    ends: Moment = msgspec.field(name="to")


class ScheduleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is on call, and when."""

    rotations: Annotated[
        list[RotationFile],
        Meta(min_length=1, max_length=ROTATIONS_MAX, description="later ones lie over earlier ones"),
    ]
    time_zone: TimeZone = "UTC"
    overrides: Annotated[list[OverrideFile], Meta(max_length=OVERRIDES_MAX, description="they lie over all")] = (
        msgspec.field(default_factory=list)
    )


class ContactFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to a person: exactly one of these keys."""

    email: (
        Annotated[str, Meta(max_length=254, pattern=r"^[^\s@]+@[^\s@]+$", description="such as ana@example.org")] | None
    ) = None
    slack: Annotated[str, Meta(pattern=r"^[UW][A-Z0-9]{2,63}$", description="member ID, such as U024BE7LH")] | None = (
        None
    )
    channel: Annotated[Name | None, Meta(description="the name of a channel that reaches nobody else")] = None

    def written(self) -> list[Contact]:
        """What is there, in the order of the keys."""
        return [Contact(method, to) for method, to in msgspec.structs.asdict(self).items() if to is not None]


class PersonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who can be on call."""

    notify: Annotated[list[ContactFile], Meta(min_length=1, description="ways to this person; all are used")]


def schedules_of(files: Mapping[str, ScheduleFile]) -> dict[str, Schedule]:
    return {name: _schedule(name, files[name]) for name in sorted(files)}


def people_of(files: Mapping[str, PersonFile]) -> dict[str, tuple[Contact, ...]]:
    return {name: tuple(contact for way in files[name].notify for contact in way.written()) for name in sorted(files)}


def moment_of(text: str, *, time_zone: str) -> datetime:
    """A moment in UTC. Without an offset it is the first one at which the clock on the wall reads it, as for all that
    changes hands. Raises ValueError."""
    moment = parse_moment(text)
    return moment.astimezone(UTC) if moment.tzinfo else first_moment(moment, zone(time_zone))


def _schedule(name: str, file: ScheduleFile) -> Schedule:
    return Schedule(
        name=name,
        time_zone=file.time_zone,
        rotations=tuple(_rotations(file)),
        overrides=tuple(
            Override(
                person=each.person,
                starts=moment_of(each.starts, time_zone=file.time_zone),
                ends=moment_of(each.ends, time_zone=file.time_zone),
            )
            for each in file.overrides
        ),
    )


def _rotations(file: ScheduleFile) -> Iterator[Rotation]:
    for number, rotation in enumerate(file.rotations, start=1):
        starts = parse_moment(rotation.starts)
        if starts.tzinfo is not None:
            starts = starts.astimezone(zone(file.time_zone)).replace(tzinfo=None)
        windows = (parse_weekly(text, time_zone=file.time_zone) for text in rotation.only)
        yield Rotation(
            name=rotation.name or f"rotation {number}",
            people=tuple((turn,) if isinstance(turn, str) else tuple(dict.fromkeys(turn)) for turn in rotation.people),
            shift=parse_duration(rotation.shift),
            starts=starts,
            only=tuple(window for each in windows for window in each),
        )
