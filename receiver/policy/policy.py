"""The frozen policy that `decide` is given. It is an entry of the journal, so it never holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from guard.matcher import Matcher, matches_all
from receiver.policy.redaction import Redact


class Condition(msgspec.Struct, frozen=True):
    """When a stage is taken. `weekly` is how the windows were written."""

    matchers: tuple[Matcher, ...] = ()
    firing_min: int = 0
    windows: tuple[Window, ...] = ()
    weekly: str = ""


class Call(msgspec.Struct, frozen=True):
    """Whoever is on call in a schedule, or a person: exactly one of them."""

    schedule: str | None = None
    person: str | None = None


class Stage(msgspec.Struct, frozen=True):
    """Whom to tell, so long after the opening of the incident: channels, and people by theirs; and what to run."""

    delay: timedelta
    notify: tuple[str, ...]
    condition: Condition | None = None
    calls: tuple[Call, ...] = ()
    actions: tuple[str, ...] = ()


class Repeat(msgspec.Struct, frozen=True):
    """All stages once more, so long after they began the last time, so often."""

    every: timedelta
    times: int


class Again(msgspec.Struct, frozen=True):
    """When what somebody acknowledged or put off is open again: so many more alerts fire (0: never), or the severity
    rises. What is open begins anew when the severity rises."""

    firing_more: int = 0
    severity_rises: bool = True


class Escalation(msgspec.Struct, frozen=True):
    name: str
    stages: tuple[Stage, ...]
    repeat: Repeat | None = None
    acknowledged_for: timedelta | None = None  # then it is open again
    again: Again = Again()


class Route(msgspec.Struct, frozen=True):
    """Which incidents take which escalation. No matchers: all of them. No escalation: nobody is told."""

    matchers: tuple[Matcher, ...]
    escalation: str | None

    def __str__(self) -> str:
        return ", ".join(str(matcher) for matcher in self.matchers) or "everything"


class ByLabels(msgspec.Struct, frozen=True, tag="by_labels"):
    """One incident for all alerts with the same values of `by`, while it was active within the window."""

    name: str
    matchers: tuple[Matcher, ...]
    by: tuple[str, ...]
    window: timedelta


class CauseAndSymptom(msgspec.Struct, frozen=True, tag="cause_and_symptom"):
    """A symptom joins the incident of a cause with the same `equal`; a late cause adopts the symptoms before it."""

    name: str
    cause: tuple[Matcher, ...]
    symptom: tuple[Matcher, ...]
    equal: tuple[str, ...]
    window: timedelta


class Downstream(msgspec.Struct, frozen=True, tag="downstream"):
    """An alert of a service joins the incident of a service that it depends on. `label` holds the service's name."""

    name: str
    label: str
    equal: tuple[str, ...]
    window: timedelta


class Sequence(msgspec.Struct, frozen=True, tag="sequence"):
    """Alerts that are harmless alone and an attack in this order, with the same `equal`, within the time."""

    name: str
    steps: tuple[tuple[Matcher, ...], ...]
    equal: tuple[str, ...]
    window: timedelta
    severity: str = "critical"
    title: str = ""  # {label} is filled in from `equal`


Rule = ByLabels | CauseAndSymptom | Downstream | Sequence


class Storms(msgspec.Struct, frozen=True):
    """So many messages to one channel in so long; the rest is held for a digest. A limit of 0 holds nothing.
    What matches any of `never_hold` is not held."""

    limit: int = 10
    per: timedelta = timedelta(minutes=1)
    never_hold: tuple[Matcher, ...] = (Matcher("severity", "=", "critical"),)


class Window(msgspec.Struct, frozen=True):
    """When: once, from one moment to another, or weekly by the clock on the wall of a time zone."""

    starts: datetime | None = None
    ends: datetime | None = None
    weekday: int = 0  # Monday is 0
    from_minute: int = 0  # of the day
    minutes: int = 0  # how long, by the clock on the wall
    time_zone: str = "UTC"


class Maintenance(msgspec.Struct, frozen=True):
    """Alerts that match are shown, and nobody is told before the window ends."""

    name: str
    matchers: tuple[Matcher, ...]
    window: Window


class Cooldown(msgspec.Struct, frozen=True):
    """An alert that matches and fires again so soon after it began is not told again before that."""

    matchers: tuple[Matcher, ...]
    duration: timedelta


class Watchdog(msgspec.Struct, frozen=True):
    """The alert that always fires. A source that does not send it for so long is silent."""

    matchers: tuple[Matcher, ...]
    late_after: timedelta


class Flapping(msgspec.Struct, frozen=True):
    """An incident that was opened again so often is over only when nothing of it has fired for `calm`. 0: never."""

    after: int = 3
    calm: timedelta = timedelta(minutes=10)


class Rotation(msgspec.Struct, frozen=True):
    """One layer of a schedule: its people take turns from `starts` on, which the clock on the wall reads."""

    name: str
    people: tuple[tuple[str, ...], ...]  # each turn; several people at once are on call together
    shift: timedelta
    starts: datetime  # without a zone: that of the schedule is meant
    only: tuple[Window, ...] = ()  # weekly; none: at any time


class Override(msgspec.Struct, frozen=True):
    """This person, and nobody else, between two moments."""

    person: str
    starts: datetime
    ends: datetime


class Schedule(msgspec.Struct, frozen=True):
    """Later rotations lie over earlier ones, overrides over all. No two overrides overlap."""

    name: str
    time_zone: str
    rotations: tuple[Rotation, ...]
    overrides: tuple[Override, ...] = ()


class Contact(msgspec.Struct, frozen=True):
    """One way to a person: `email`, `slack`, or a `channel` of their own; and the address there, or its name."""

    method: str
    to: str


class Fallback(msgspec.Struct, frozen=True):
    """The channel that is told what another one refuses, or has not taken so long after it was decided."""

    channel: str
    after: timedelta


class Policy(msgspec.Struct, frozen=True):
    """`digest` is that of the whole file, so that a change of a channel's address is a new policy as well. What came
    later has a default: the journal keeps policies that older versions wrote."""

    digest: str
    routes: tuple[Route, ...]
    escalations: dict[str, Escalation]
    channels: tuple[str, ...]
    correlate: tuple[Rule, ...] = ()
    depends_on: dict[str, tuple[str, ...]] = {}  # service -> what it needs itself
    needed_by: dict[str, tuple[str, ...]] = {}  # the same the other way
    storms: Storms = Storms()
    maintenance: tuple[Maintenance, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    watchdogs: dict[str, Watchdog] = {}  # source -> the alert that it always sends
    flapping: Flapping = Flapping()
    reopen_within: timedelta = timedelta(minutes=5)  # what fires again so soon after its resolve opens nothing new
    stale_after: timedelta = timedelta(hours=24)  # an incident of which nothing was heard for so long is over; 0: never
    incident_alerts_max: int = 25_000
    schedules: dict[str, Schedule] = {}
    people: dict[str, tuple[Contact, ...]] = {}  # all ways are used
    reach: dict[str, tuple[str, ...]] = {}  # the channels of each person
    redact: tuple[Redact, ...] = ()
    fallbacks: dict[str, Fallback] = {}  # by channel
    actions: tuple[str, ...] = ()  # what stages may run
    commands: tuple[str, ...] = ()  # those of them that run here: what they are handed does not leave

    def route(self, labels: Mapping[str, str]) -> Route | None:
        """The first route whose matchers all hold."""
        return next((route for route in self.routes if matches_all(route.matchers, labels)), None)


NO_POLICY = Policy(digest="", routes=(), escalations={}, channels=())
