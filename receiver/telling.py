"""Whom to tell now: the stages of an escalation, and updates to those who know already."""

from __future__ import annotations

from msgspec.structs import replace

from receiver.actions import run
from receiver.escalation import in_words, next_stage, told_by, why_not
from receiver.incident import Incident, Status
from receiver.ledger import Ledger
from receiver.message import Kind
from receiver.policy.policy import Policy
from receiver.quiet import may_be_quiet, quiet_until
from receiver.storm import kind_now, tell


def routed(ledger: Ledger, incident: Incident) -> Incident:
    """The incident with the route that its labels take now. A route that stays keeps the stages already taken."""
    route = ledger.policy.route({**incident.labels, "severity": incident.severity})
    if route is None and incident.escalates_from is not None and incident.route is None:
        return incident  # as before
    if route is None:
        ledger.counts["unrouted"] += 1
        incident = replace(
            incident, route=None, escalation=None, escalates_from=ledger.at, stage=0, round=0, due_at=None
        )
        return ledger.step(incident, "not routed", "no route of the policy matches its labels: nobody is told")
    name = str(route)
    if incident.escalation == route.escalation and incident.route == name:
        return incident
    incident = replace(
        incident, route=name, escalation=route.escalation, escalates_from=ledger.at, stage=0, round=0, due_at=None
    )
    way = f"to the escalation {route.escalation!r}" if route.escalation else "to nobody"
    return ledger.step(incident, "routed", f"{way}: the first route that matches is {name}")


def tell_stages(ledger: Ledger, incident: Incident) -> None:
    """Takes every stage that is due, and notes when the next one is. Only what is open escalates: nobody is paged
    about what somebody has in hand, or has put off. What flaps and is calm just now waits until it fires."""
    if incident.status is not Status.OPEN:
        ledger.put(incident)
        return
    if incident.calm_at is not None:
        ledger.put(replace(incident, due_at=None))
        return
    waiting = _waiting(ledger, incident)
    if waiting is not None:
        ledger.put(waiting)
        return
    was_quiet = incident.quiet_until is not None
    if was_quiet:
        incident = replace(incident, quiet_until=None, escalates_from=ledger.at)
        incident = ledger.step(incident, "no longer quiet", "the delays of its stages count from now on")
    incident = _take_stages(ledger, incident)
    if was_quiet:
        for channel in incident.stale:
            tell_stale(ledger, ledger.incident(incident.id), channel)


def _take_stages(ledger: Ledger, incident: Incident) -> Incident:
    escalation = ledger.policy.escalations.get(incident.escalation or "")
    while escalation is not None and (following := next_stage(escalation, incident, ledger.at)) is not None:
        if following.at > ledger.at:
            return ledger.put(replace(incident, due_at=following.at))
        stage = escalation.stages[following.number]
        left_out = why_not(stage, incident, ledger.at)
        kind = Kind.ESCALATED if incident.announced and incident.told else Kind.OPENED
        incident = replace(incident, round=following.round, stage=following.number + 1, due_at=None)
        name = in_words(escalation, following)
        if left_out is not None:
            incident = ledger.step(incident, f"{name} left out", left_out)
            continue
        told = told_by(ledger.policy, stage, ledger.at)
        if not told.channels and not stage.actions:
            ledger.counts["stages_unreached"] += 1
        tells = [f"tells {told.words}"] if told.words else []
        runs = [f"runs {', '.join(stage.actions)}"] if stage.actions else []
        why = f"it was due: the escalation {incident.escalation!r} now {' and '.join(tells + runs)}"
        incident = ledger.step(replace(incident, announced=incident.announced or bool(told.channels)), name, why)
        incident = run(ledger, incident, kind, stage.actions)
        incident = tell(ledger, incident, kind, told.channels)
    return ledger.put(replace(incident, due_at=None))


def tell_update(ledger: Ledger, incident: Incident) -> None:
    """Who knows of it hears what its alerts did. Of what flaps nobody hears each move."""
    if not flaps(ledger.policy, incident):
        tell_change(ledger, incident)


def tell_change(ledger: Ledger, incident: Incident) -> None:
    """Who knows of it hears what is new: at once, or when the channel has answered what it was sent before, or when
    it is not quiet any more. What a person did is told also of what flaps."""
    if incident.quiet_until is not None:
        ledger.put(replace(incident, stale=tuple(sorted({*incident.stale, *incident.told}))))
        return
    channels = tuple(name for name in incident.told if (incident.id, name) not in ledger.told)
    waiting = [name for name in channels if name in incident.owed.values()]
    if waiting:
        incident = replace(incident, stale=tuple(sorted({*incident.stale, *waiting})))
    tell(ledger, incident, Kind.UPDATED, tuple(name for name in channels if name not in waiting))


def tell_stale(ledger: Ledger, incident: Incident, channel: str) -> None:
    """What it has heard is not the whole truth any more, and nothing stands in the way of telling it."""
    if channel in incident.stale and channel not in incident.owed.values() and incident.quiet_until is None:
        stale = tuple(name for name in incident.stale if name != channel)
        tell(ledger, replace(incident, stale=stale), kind_now(incident, Kind.UPDATED), (channel,))


def tell_now(ledger: Ledger, incident: Incident, kind: Kind) -> None:
    """Every channel that knows of it, even one that has not answered yet: this is not an update among others. It
    tells the whole truth, so nobody is stale after it. What was over for a channel, and is over again before that
    channel heard otherwise, is nothing new to it."""
    channels = incident.told
    if kind is Kind.RESOLVED:
        channels = tuple(name for name in channels if name not in incident.unaware)
    tell(ledger, replace(incident, stale=()), kind, channels)


def flaps(policy: Policy, incident: Incident) -> bool:
    return 0 < policy.flapping.after <= incident.reopened


def _waiting(ledger: Ledger, incident: Incident) -> Incident | None:
    """The incident as it is while nobody is told of it yet, or None."""
    quiet = quiet_until(ledger, incident) if may_be_quiet(ledger, incident) else None
    if quiet is None:
        return None
    until, why = quiet
    if incident.quiet_until != until:
        incident = ledger.step(incident, "nobody is told yet", why)
    return replace(incident, quiet_until=until, due_at=until)
