"""Which stage of an escalation comes next, and when: from the policy, the incident and a moment, nothing else.

An escalation goes through its stages, and begins anew as often as the policy says, until somebody answers. A round that
went by while nobody could be told is not made up for.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import NamedTuple

from guard.matcher import matches_all
from receiver.incident import Incident, Status
from receiver.policy.policy import Condition, Escalation, Policy, Stage
from receiver.policy.schedule import on_call
from receiver.policy.windows import in_force


class Next(NamedTuple):
    """The stage `number` of the round `round`, both counted from 0."""

    round: int
    number: int
    at: datetime


def next_stage(escalation: Escalation, incident: Incident, at: datetime) -> Next | None:
    """None: there is none left."""
    begun = incident.escalates_from or incident.opened_at
    stages, repeat = escalation.stages, escalation.repeat
    if incident.stage < len(stages):
        past = incident.round * repeat.every if repeat is not None else timedelta()
        return Next(incident.round, incident.stage, begun + past + stages[incident.stage].delay)
    if repeat is None or _is_exhausted(escalation, incident):
        return None
    went_by = max(at - begun, timedelta()) // repeat.every
    number = min(max(incident.round + 1, went_by), repeat.times)
    return Next(number, 0, begun + number * repeat.every + stages[0].delay)


def _is_exhausted(escalation: Escalation, incident: Incident) -> bool:
    """All stages of all rounds were taken, or left out."""
    rounds = 0 if escalation.repeat is None else escalation.repeat.times
    return incident.stage >= len(escalation.stages) and incident.round >= rounds


class Idle(enum.StrEnum):
    """Why an incident that is not over waits for no time, no person and no Alertmanager."""

    EXHAUSTED = "exhausted"  # it went on until nobody was left to tell, and nobody answered
    UNKNOWN = "unknown"  # a stage is left, or a snooze has no end: nothing will take it up again


def idle(policy: Policy, incident: Incident) -> Idle | None:
    """None: it waits for something that comes, or its route tells nobody anything more. One stage without rounds is
    told once and waits for no answer, so that is not exhausted."""
    if incident.due_at is not None or incident.calm_at is not None or incident.awaits is not None:
        return None
    if incident.status is Status.SNOOZED:
        return None if incident.muted or incident.snoozed_until is not None else Idle.UNKNOWN
    if incident.status is not Status.OPEN:
        return None
    escalation = policy.escalations.get(incident.escalation or "")
    if escalation is None:
        return None
    if not _is_exhausted(escalation, incident):
        return Idle.UNKNOWN
    return Idle.EXHAUSTED if len(escalation.stages) > 1 or escalation.repeat is not None else None


def in_words(escalation: Escalation, following: Next) -> str:
    """`stage 1 of 2`, and which round it is where there are several."""
    stage = f"stage {following.number + 1} of {len(escalation.stages)}"
    if escalation.repeat is None:
        return stage
    return f"{stage}, round {following.round + 1} of {escalation.repeat.times + 1}"


class Told(NamedTuple):
    """The channels that a stage tells, each once, and in words who that is."""

    channels: tuple[str, ...]
    words: str


def told_by(policy: Policy, stage: Stage, at: datetime) -> Told:
    """Channels, and whoever is on call at this moment."""
    channels = dict.fromkeys(stage.notify)
    words = list(stage.notify)
    for call in stage.calls:
        people = on_call(policy.schedules[call.schedule], at) if call.schedule in policy.schedules else ()
        if call.person is not None:
            people = (call.person,)
        role = f", on call for {call.schedule}" if call.schedule is not None else ""
        for person in people:
            ways = policy.reach.get(person, ())
            channels.update(dict.fromkeys(ways))
            words.append(f"{person} ({', '.join(ways) or 'no way to reach'}{role})")
        if not people:
            words.append(f"nobody, as nobody is on call for {call.schedule}")
    return Told(tuple(channels), ", ".join(words))


def why_not(stage: Stage, incident: Incident, at: datetime) -> str | None:
    """Why the stage is left out now; None when it is taken."""
    condition: Condition | None = stage.condition
    if condition is None:
        return None
    labels = {**incident.labels, "severity": incident.severity}
    if not matches_all(condition.matchers, labels):
        return "the incident does not match " + ", ".join(str(each) for each in condition.matchers)
    if incident.firing < condition.firing_min:
        return f"{incident.firing} of its alerts fire, and the stage is for {condition.firing_min} or more"
    if condition.windows and all(in_force(window, at) is None for window in condition.windows):
        return f"it is for {condition.weekly}"
    return None
