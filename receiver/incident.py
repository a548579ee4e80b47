"""An incident and the alerts in it, as values."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

# From the least to the most severe. What is not listed counts as the least.
SEVERITIES: Mapping[str, int] = {
    "none": 0,
    "info": 1, "low": 1, "notice": 1, "p4": 1,
    "warning": 2, "warn": 2, "medium": 2, "minor": 2, "p3": 2,
    "error": 3, "high": 3, "major": 3, "p2": 3,
    "critical": 4, "page": 4, "p1": 4,
    "emergency": 5, "disaster": 5, "p0": 5,
}  # fmt: skip

TITLE_CHARACTERS_MAX = 300
KINDS_MAX = 20
KEYS_MAX = 256
MERGED_MAX = 100
RECEIPTS_MAX = 64


class Status(enum.StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Trigger(enum.StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    RESOLVE = "resolve"
    MERGE = "merge"
    SNOOZE_ENDED = "snooze ended"
    SEVERITY_ROSE = "severity rose"
    GREW = "grew"
    SEQUENCE_COMPLETE = "sequence complete"
    LAST_ALERT_RESOLVED = "last alert resolved"
    HEARD_NOTHING = "nothing heard"
    MUTED = "muted"
    SHOWN_AGAIN = "shown again"
    FIRED_AGAIN = "fired again"
    SPLIT_OFF = "split off again"
    ACKNOWLEDGEMENT_ENDED = "acknowledgement ended"


# What is not in the table cannot happen: `next_status` raises and names state and trigger.
TRANSITIONS: Mapping[tuple[Status, Trigger], Status] = {
    (Status.OPEN, Trigger.ACKNOWLEDGE): Status.ACKNOWLEDGED,
    (Status.OPEN, Trigger.SNOOZE): Status.SNOOZED,
    (Status.OPEN, Trigger.RESOLVE): Status.RESOLVED,
    (Status.OPEN, Trigger.MERGE): Status.RESOLVED,
    (Status.OPEN, Trigger.LAST_ALERT_RESOLVED): Status.RESOLVED,
    (Status.OPEN, Trigger.HEARD_NOTHING): Status.RESOLVED,
    (Status.OPEN, Trigger.MUTED): Status.SNOOZED,
    (Status.ACKNOWLEDGED, Trigger.ACKNOWLEDGE): Status.ACKNOWLEDGED,
    (Status.ACKNOWLEDGED, Trigger.SNOOZE): Status.SNOOZED,
    (Status.ACKNOWLEDGED, Trigger.RESOLVE): Status.RESOLVED,
    (Status.ACKNOWLEDGED, Trigger.MERGE): Status.RESOLVED,
    (Status.ACKNOWLEDGED, Trigger.SEVERITY_ROSE): Status.OPEN,
    (Status.ACKNOWLEDGED, Trigger.GREW): Status.OPEN,
    (Status.ACKNOWLEDGED, Trigger.SEQUENCE_COMPLETE): Status.OPEN,
    (Status.ACKNOWLEDGED, Trigger.ACKNOWLEDGEMENT_ENDED): Status.OPEN,
    (Status.ACKNOWLEDGED, Trigger.LAST_ALERT_RESOLVED): Status.RESOLVED,
    (Status.ACKNOWLEDGED, Trigger.HEARD_NOTHING): Status.RESOLVED,
    (Status.SNOOZED, Trigger.ACKNOWLEDGE): Status.ACKNOWLEDGED,
    (Status.SNOOZED, Trigger.SNOOZE): Status.SNOOZED,
    (Status.SNOOZED, Trigger.RESOLVE): Status.RESOLVED,
    (Status.SNOOZED, Trigger.MERGE): Status.RESOLVED,
    (Status.SNOOZED, Trigger.SNOOZE_ENDED): Status.OPEN,
    (Status.SNOOZED, Trigger.SEVERITY_ROSE): Status.OPEN,
    (Status.SNOOZED, Trigger.GREW): Status.OPEN,
    (Status.SNOOZED, Trigger.SEQUENCE_COMPLETE): Status.OPEN,
    (Status.SNOOZED, Trigger.LAST_ALERT_RESOLVED): Status.RESOLVED,
    (Status.SNOOZED, Trigger.HEARD_NOTHING): Status.RESOLVED,
    (Status.SNOOZED, Trigger.SHOWN_AGAIN): Status.OPEN,
    (Status.RESOLVED, Trigger.FIRED_AGAIN): Status.OPEN,
    (Status.RESOLVED, Trigger.SPLIT_OFF): Status.OPEN,
}


class NotInTable(ValueError):
    """This cannot happen to an incident in that state. The text names both, for the person who asked for it."""


def next_status(status: Status, trigger: Trigger) -> Status:
    try:
        return TRANSITIONS[status, trigger]
    except KeyError:
        raise NotInTable(f"an incident that is {status} does not know {str(trigger)!r}") from None


class Group(msgspec.Struct, frozen=True):
    """Alertmanager's group as one source sees it. A group key alone names neither receiver nor cluster."""

    source: str
    receiver: str
    key: str

    @property
    def index(self) -> str:
        """The key under which the incident of this group is found."""
        return "\x1f".join(("group", self.source, self.receiver, self.key))


class Hidden(enum.StrEnum):
    """Why Alertmanager does not show an alert that fires. UNKNOWN: it was in its group, and is not any more."""

    UNKNOWN = "unknown"
    SILENCED = "silenced"
    INHIBITED = "inhibited"


class AlertRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The current episode of an alert. Identity is source and fingerprint; an episode begins at `starts_at`."""

    source: str
    fingerprint: str
    incident: str
    episode: int  # counted while the alert is remembered
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    starts_at: datetime
    ended_at: datetime | None
    changed_at: datetime  # when the status last changed, by the journal's time
    changed: int  # the position of the entry that last changed it
    doubted_until: datetime | None = None  # it fired right after its resolve: then it came back, unless confirmed
    moved_on: bool = False  # this is what one incident keeps of it; since then it went to another
    group: Group | None = None  # of the last body that showed it; older versions did not write it down
    hidden: str = ""  # one of Hidden, or nothing: it is shown
    hidden_until: datetime | None = None  # the end of the silence, where one hides it
    unconfirmed: datetime | None = None  # a resolve that came while the source was silent says that it ended then
    cools_until: datetime | None = None  # if it begins to fire before that, nobody is told yet
    quiet_until: datetime | None = None  # it did

    @property
    def firing(self) -> bool:
        return self.status == "firing"


class Held(msgspec.Struct, frozen=True):
    """What a storm holds back from a channel, and since when."""

    since: datetime
    kind: str
    position: int = 0  # of the entry by which it was held back last


class Spell(msgspec.Struct, frozen=True, omit_defaults=True):
    """From the opening of an incident, or from when it was opened again, to its end. What follows of that: spell.py."""

    number: int
    begun_at: datetime
    paged_at: datetime | None = None  # somebody was told for the first time
    acknowledged_at: datetime | None = None  # likewise
    acknowledged_by: str = ""
    ended_at: datetime | None = None
    end: str = ""
    flaps: int = 0  # how often it came back


class Cause(NamedTuple):
    """By what the webhook is found again that something follows from: the identifiers that it came with."""

    correlation: str = ""
    traceparent: str = ""


NO_CAUSE = Cause()


class Incident(msgspec.Struct, frozen=True):
    """What one decision after the other made of a group. The story of it is in its steps."""

    id: str
    position: int  # of the entry that opened it
    group: Group
    status: Status
    severity: str
    title: str
    labels: dict[str, str]  # those that all its alerts share
    group_labels: dict[str, str]
    kinds: tuple[str, ...]  # the first few distinct names of its alerts
    opened_at: datetime
    updated_at: datetime
    why: str
    firing: int = 0
    resolved: int = 0
    resolved_at: datetime | None = None
    route: str | None = None
    escalation: str | None = None
    escalates_from: datetime | None = None  # what the delays of the stages count from
    stage: int = 0  # the next one to take
    due_at: datetime | None = None  # when that is, or when a resolved incident leaves memory
    doubted_until: datetime | None = None  # the earliest of its alerts'
    steps: int = 0  # how many are written
    told: tuple[str, ...] = ()  # channels that know of it
    owed: dict[str, str] = {}  # message id -> channel, neither taken nor refused yet
    stale: tuple[str, ...] = ()  # channels whose last message no longer tells the whole truth
    unaware: tuple[str, ...] = ()  # channels that were told it is over, and not yet that it was opened again
    acknowledged_by: str | None = None  # who has it in hand, or had when it was resolved
    snoozed_until: datetime | None = None
    resolved_by: str | None = None  # the person who resolved it; then alerts in it may still fire
    # What comes now came later: incidents that an older version wrote down do not have it.
    rule: str = ""  # the rule of the policy by which it was opened; none: one incident for each group
    keys: tuple[str, ...] = ()  # under which alerts find it (correlation.py); none: under its group's
    apart: bool = False  # a person split it off: nothing finds it, only its own alerts come back to it
    named: bool = False  # its title is a rule's and does not follow its alerts
    active_at: datetime | None = None  # when an alert last joined it or went
    announced: bool = False  # a stage told somebody since it was opened, or opened again
    reopened: int = 0  # how often: it flaps
    calm_at: datetime | None = None  # it flaps and nothing fires: over then, if it stays so
    awaits: Group | None = None  # nothing fires, but a body of this group left alerts out: not over yet
    stale_at: datetime | None = None  # when it is over, if nothing is heard of it until then
    muted: bool = False  # snoozed because Alertmanager hides all that fires in it
    quiet_until: datetime | None = None  # nobody is told before: maintenance, or cooldown
    cooling: bool = False  # one of its alerts fired again while it cooled down
    held: dict[str, Held] = {}  # by channel: it comes in the channel's next digest
    merged: tuple[str, ...] = ()  # the incidents whose alerts it took
    merged_into: str | None = None
    lent: tuple[str, ...] = ()  # the keys that the other one got with the alerts
    taken_back: bool = False  # a person took its alerts back out of another one: no rule merges it again
    assigned_to: str | None = None
    round: int = 0  # how often its escalation has begun anew by itself
    acknowledged_until: datetime | None = None  # while it is acknowledged: when that ends
    answered_firing: int | None = None  # how many fired when somebody acknowledged it, or put it off
    receipts: dict[str, str] = {}  # by channel: by what the other side knows the latest message about it again
    spell: Spell | None = None  # the latest; None: it was over before an older version was replaced by this one
    paged: dict[str, int] = {}  # by channel: the position of the entry by which it was paged last
    pages: dict[str, int] = {}  # likewise of each page that is owed, and that nobody was told instead
    withdrawn: dict[str, str] = {}  # by channel: the kind of a page that was not sent, until one calls it after all
    cause: Cause = NO_CAUSE  # of the webhook that opened it; nothing if that came without

    @property
    def deadline(self) -> datetime | None:
        """When time itself has something to say about it."""
        deadlines = (self.due_at, self.doubted_until, self.snoozed_until, self.calm_at, self.stale_at, self.answer_ends)
        return min((when for when in deadlines if when is not None), default=None)

    @property
    def answer_ends(self) -> datetime | None:
        """When whoever acknowledged it must say so again."""
        return self.acknowledged_until if self.status is Status.ACKNOWLEDGED else None

    @property
    def size(self) -> int:
        return self.firing + self.resolved

    @property
    def found_by(self) -> tuple[str, ...]:
        """All keys under which it is found."""
        return () if self.apart else self.keys or (self.group.index,)


class Step(msgspec.Struct, frozen=True):
    """One line of an incident's story: what happened, and the reason."""

    incident: str
    number: int
    at: datetime
    what: str
    why: str
    by: str = "tocsin"
    entry: int = 0  # the position in the journal
    seconds: float | None = None  # how long it took, where that is known
    via: str = ""  # by which way, where a person did it


def receipts_with(incident: Incident, channel: str, receipt: str) -> dict[str, str]:
    """The latest is the last of them; the oldest gives way."""
    others = [(name, each) for name, each in incident.receipts.items() if name != channel]
    return dict([*others, (channel, receipt)][-RECEIPTS_MAX:])


def highest_severity(severities: Iterable[str]) -> str:
    """The most severe; among equals the first. An alert without the label is `none`."""
    return max(severities, key=severity_rank, default="none")


def severity_rank(severity: str) -> int:
    return SEVERITIES.get(severity.lower(), 0)


def shared_labels(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The labels that every map has with the same value, in the order of the first map."""
    rest = iter(maps)
    shared = dict(next(rest, {}))
    for labels in rest:
        for name in [name for name, value in shared.items() if labels.get(name) != value]:
            del shared[name]
        if not shared:
            break
    return shared


def title_of(names: Iterable[str], group_labels: Mapping[str, str], summaries: Iterable[str]) -> str:
    """`DiskFull: The disk is full (cluster=eu1)` where all say the same, or `DiskFull and 2 more kinds of alert`."""
    distinct = list(dict.fromkeys(names)) or ["unnamed alert"]
    title = distinct[0]
    if len(distinct) > 1:
        title += f" and {len(distinct) - 1} more {'kind' if len(distinct) == 2 else 'kinds'} of alert"
    said = list(dict.fromkeys(summaries))
    if len(distinct) == len(said) == 1 and said[0]:
        title += f": {said[0]}"
    rest = ", ".join(f"{name}={value}" for name, value in sorted(group_labels.items()) if name != "alertname")
    if rest:
        title += f" ({rest})"
    return title if len(title) <= TITLE_CHARACTERS_MAX else title[: TITLE_CHARACTERS_MAX - 1] + "…"
