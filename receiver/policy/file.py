"""receiver.yml and topology.yml as people write them. checks.py has what their schemas cannot say; only a file without
a fault becomes a policy (freeze.py)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from receiver.policy.actionfile import ACTIONS_MAX, ActionFile
from receiver.policy.channelfile import ChannelFile
from receiver.policy.fields import Duration, MatcherText, Moment, Name, TimeZone, Title, Weekly
from receiver.policy.redaction import RULES_MAX as REDACT_RULES_MAX
from receiver.policy.redaction import RedactFile
from receiver.policy.schedulefile import PEOPLE_MAX, SCHEDULES_MAX, PersonFile, ScheduleFile

SERVICES_MAX = 5_000
SEQUENCE_STEPS_MAX = 10
STORM_LIMIT_MAX = 10_000
INCIDENT_ALERTS_MAX = 100_000
REPEATS_MAX = 100

LabelName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Service = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f]*$")]
Matchers = Annotated[list[MatcherText], Meta(min_length=1)]


class WatchdogFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The alert that this source always sends. When it is late, Tocsin says that the source is silent."""

    matchers: Annotated[tuple[MatcherText, ...], Meta(min_length=1, description="all must hold")] = (
        'alertname="Watchdog"',
    )
    late_after: Annotated[Duration, Meta(description="from 30s to 7d; longer than the Watchdog's repeat_interval")] = (
        "5m"
    )


class SourceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may post webhooks, at a door of its own: /webhook/NAME."""

    token_file: Annotated[
        str | None, Meta(description="file with the bearer token; without one loopback, or a token of web.yml")
    ] = None
    alertmanager_url: Annotated[
        str | None,
        Meta(description="where this Alertmanager's API is; http or https", extra_json_schema={"format": "url"}),
    ] = None
    alertmanager_token_file: Annotated[
        str | None, Meta(description="file with the bearer token for Alertmanager's API")
    ] = None
    gone_after: Annotated[
        Duration, Meta(description="an alert that Alertmanager has not had for so long is over; from 10s to 1d")
    ] = "5m"
    watchdog: WatchdogFile | None = None


class CorrelateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of which alerts belong together. Its keys tell its kind: `by`; `cause` and `symptom`;
    `depends_on_label`; or `sequence`."""

    name: Title
    window: Annotated[Duration, Meta(description="from 1s to 1d")]
    matchers: Annotated[list[MatcherText] | None, Meta(description="with by: all must hold; none: all alerts")] = None
    by: (
        Annotated[list[LabelName], Meta(min_length=1, description="one incident for all with the same values")] | None
    ) = None
    cause: Annotated[list[MatcherText], Meta(min_length=1, description="what a cause is")] | None = None
    symptom: Annotated[list[MatcherText], Meta(min_length=1, description="what follows from a cause")] | None = None
    depends_on_label: Annotated[
        LabelName | None, Meta(description="the label with the service's name, as in the topology")
    ] = None
    sequence: (
        Annotated[
            list[Matchers],
            Meta(min_length=2, max_length=SEQUENCE_STEPS_MAX, description="matchers of each step, in order"),
        ]
        | None
    ) = None
    equal: Annotated[list[LabelName] | None, Meta(description="labels that must have the same values")] = None
    severity: Annotated[str | None, Meta(description="of what a sequence makes (default: critical)")] = None
    title: Annotated[Title | None, Meta(description="of that incident; {label} is filled in from equal")] = None


class ServiceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service, and what it needs."""

    depends_on: Annotated[list[Service], Meta(description="names of services that it needs itself")] = msgspec.field(
        default_factory=list
    )


class TopologyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which service needs which."""

    services: Annotated[dict[Service, ServiceFile], Meta(max_length=SERVICES_MAX)] = msgspec.field(default_factory=dict)


class BudgetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many messages in so long."""

    limit: Annotated[int, Meta(ge=0, le=STORM_LIMIT_MAX, description="0: nothing is held")] = 10
    per: Annotated[Duration, Meta(description="from 1s to 1h")] = "1m"


class StormsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one channel is told at most; the rest is held for a digest."""

    per_channel: BudgetFile = BudgetFile()
    never_hold: Annotated[
        tuple[MatcherText, ...], Meta(description="any one of them suffices; an empty list: everything may be held")
    ] = ('severity="critical"',)


class MaintenanceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window in which nobody is told of alerts that match: weekly, or once with from and to."""

    name: Title
    matchers: Annotated[list[MatcherText], Meta(min_length=1, description="all must hold")]
    weekly: Weekly | None = None
    starts: Moment | None = msgspec.field(name="from", default=None)
    ends: Moment | None = msgspec.field(name="to", default=None)
    time_zone: TimeZone = "UTC"


class CooldownFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long an alert that matches is not told again after it began."""

    duration: Annotated[Duration, Meta(description="from 1s to 7d")]
    matchers: Annotated[list[MatcherText], Meta(description="all must hold; none: all alerts")] = msgspec.field(
        default_factory=list
    )


class FlappingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An incident that was opened again so often is over only when it was calm for so long."""

    after: Annotated[int, Meta(ge=0, le=1000, description="how often it was opened again; 0: never")] = 3
    calm: Annotated[Duration, Meta(description="from 1s to 1d")] = "10m"


class RetentionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long what is over is kept."""

    journal: Annotated[Duration, Meta(description="0s: for ever; otherwise at least 1h")] = "90d"
    incidents: Annotated[Duration, Meta(description="resolved ones; 0s: for ever; otherwise at least 1h")] = "365d"


class LinksFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The links in messages by which people answer."""

    valid_for: Annotated[Duration, Meta(description="counted from the message; from 5m to 30d")] = "24h"


class ConditionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a stage is taken; all of it must hold at the moment at which the stage is due."""

    matchers: Annotated[list[MatcherText], Meta(description="on the incident's labels and severity")] = msgspec.field(
        default_factory=list
    )
    firing_min: Annotated[int, Meta(ge=0, le=INCIDENT_ALERTS_MAX, description="so many of its alerts fire")] = 0
    weekly: Weekly | None = None
    time_zone: TimeZone = "UTC"


class CallFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever is on call in a schedule, a person, or an action that is run: exactly one of them."""

    schedule: Annotated[str | None, Meta(description="its name: whoever is on call when the stage is due")] = None
    person: Annotated[str | None, Meta(description="a name of `people`")] = None
    action: Annotated[str | None, Meta(description="a name of `actions`: it is run")] = None


class StageFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of an escalation."""

    notify: Annotated[
        list[str | CallFile], Meta(min_length=1, description="names of channels, schedules, people, actions")
    ]
    delay: Annotated[Duration, Meta(description="counted from the opening of the incident")] = "0s"
    when: ConditionFile | None = None


class RepeatFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All stages once more, until somebody answers."""

    every: Annotated[Duration, Meta(description="from the beginning of one round to the next; from 1m to 7d")]
    times: Annotated[int, Meta(ge=1, le=REPEATS_MAX, description="after the first round")]


class AgainFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When people are paged again about what they know."""

    firing_more: Annotated[
        int,
        Meta(ge=0, le=INCIDENT_ALERTS_MAX, description="more alerts than when it was acknowledged; 0: never"),
    ] = 0
    severity_rises: Annotated[bool, Meta(description="the severity rises")] = True


class EscalationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell, in order, until the incident is resolved."""

    stages: Annotated[list[StageFile], Meta(min_length=1)]
    repeat: RepeatFile | None = None
    acknowledged_for: Annotated[
        Duration | None, Meta(description="then an acknowledged incident is open again; from 10s to 30d")
    ] = None
    again: AgainFile = AgainFile()


class RouteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which incidents take which escalation."""

    escalation: Annotated[
        str | None, Meta(description="the name of an escalation; without one incidents are shown and nobody is told")
    ] = None
    matchers: Annotated[list[MatcherText], Meta(description="all must hold; none: everything matches")] = msgspec.field(
        default_factory=list
    )


class ReceiverFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The policy of Tocsin's receiver: who may post, who is told, and when."""

    sources: Annotated[
        dict[Name, SourceFile] | None,
        Meta(description="absent: any name, from loopback or with a token of web.yml"),
    ] = None
    routes: Annotated[list[RouteFile], Meta(description="first match wins")] = msgspec.field(default_factory=list)
    escalations: dict[Name, EscalationFile] = msgspec.field(default_factory=dict)
    channels: dict[Name, ChannelFile] = msgspec.field(default_factory=dict)
    actions: Annotated[dict[Name, ActionFile], Meta(max_length=ACTIONS_MAX, description="what stages may run")] = (
        msgspec.field(default_factory=dict)
    )
    correlate: Annotated[list[CorrelateFile], Meta(description="which alerts belong together; first match wins")] = (
        msgspec.field(default_factory=list)
    )
    topology: TopologyFile | None = None
    topology_file: Annotated[str | None, Meta(description="the topology in a file of its own")] = None
    storms: StormsFile = StormsFile()
    maintenance: list[MaintenanceFile] = msgspec.field(default_factory=list)
    cooldowns: Annotated[list[CooldownFile], Meta(description="first match wins")] = msgspec.field(default_factory=list)
    flapping: FlappingFile = FlappingFile()
    reopen_within: Annotated[
        Duration, Meta(description="what fires again so soon after it was over opens the same incident; up to 1d")
    ] = "5m"
    stale_after: Annotated[
        Duration, Meta(description="an incident of which nothing was heard for so long is over; 0s: never; up to 365d")
    ] = "24h"
    incident_alerts_max: Annotated[int, Meta(ge=1, le=INCIDENT_ALERTS_MAX, description="alerts in one incident")] = (
        25_000
    )
    retention: RetentionFile = RetentionFile()
    links: LinksFile = LinksFile()
    schedules: Annotated[dict[Name, ScheduleFile], Meta(max_length=SCHEDULES_MAX, description="who is on call")] = (
        msgspec.field(default_factory=dict)
    )
    people: Annotated[dict[Name, PersonFile], Meta(max_length=PEOPLE_MAX, description="who can be on call")] = (
        msgspec.field(default_factory=dict)
    )
    redact: Annotated[
        list[RedactFile],
        Meta(max_length=REDACT_RULES_MAX, description="what of labels and annotations leaves; first match wins"),
    ] = msgspec.field(default_factory=list)
