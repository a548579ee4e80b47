"""What happens to an incident as a whole: it is snoozed or muted and comes back, is heard again, is over, rests.

Which of these is possible in which state is the table in incident.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from receiver.incident import Incident, Status, Trigger, next_status
from receiver.ledger import Ledger
from receiver.message import Kind
from receiver.policy.duration import format_duration
from receiver.policy.policy import Again, Policy, Sequence
from receiver.telling import flaps, routed, tell_change, tell_now, tell_stages, tell_update

REMEMBERED = timedelta(hours=1)
# After the end of a silence Alertmanager shows the alert again, or the next look at its API says what became of it.
AFTER_SILENCE = timedelta(minutes=2)


def end_snooze(ledger: Ledger, incident: Incident) -> None:
    """Stages that fell due meanwhile are taken now; who is told by none of them hears that it is open again."""
    status = next_status(incident.status, Trigger.SNOOZE_ENDED)
    why = "its time is over and alerts still fire: it is open again"
    if incident.muted:
        why = "the silence in Alertmanager is over, and nothing was heard of its end: it is open again"
    incident = replace(incident, status=status, snoozed_until=None, muted=False, updated_at=ledger.at)
    incident = ledger.step(incident, "snooze ended", why)
    tell_stages(ledger, incident)
    tell_change(ledger, ledger.incident(incident.id))


def in_hand(ledger: Ledger, incident: Incident, status: Status, *, by: str) -> Incident:
    """Somebody has it, for as long as its escalation believes that."""
    escalation = ledger.policy.escalations.get(incident.escalation or "")
    lasts = None if escalation is None else escalation.acknowledged_for
    until = None if lasts is None else ledger.at + lasts
    return replace(
        incident, status=status, acknowledged_by=by, acknowledged_until=until, answered_firing=incident.firing
    )


def end_acknowledgement(ledger: Ledger, incident: Incident) -> None:
    """Nobody said again that it is in hand: its escalation begins anew."""
    why = f"{incident.acknowledged_by} has had it for long, and alerts still fire: acknowledge it again to keep it"
    incident = replace(
        incident,
        status=next_status(incident.status, Trigger.ACKNOWLEDGEMENT_ENDED),
        acknowledged_by=None,
        updated_at=ledger.at,
    )
    tell_stages(ledger, ledger.step(_from_the_first_stage(ledger, incident), "acknowledgement ended", why))
    tell_change(ledger, ledger.incident(incident.id))


def mute(ledger: Ledger, incident: Incident, *, until: datetime | None, why: str, by: str) -> Incident:
    """Alertmanager hides all that fires in it: somebody silenced it there, or another alert inhibits it."""
    snoozed_until = None if until is None else until + AFTER_SILENCE
    if incident.muted:
        return ledger.put(replace(incident, snoozed_until=snoozed_until))
    status = next_status(incident.status, Trigger.MUTED)
    incident = replace(
        incident, status=status, muted=True, snoozed_until=snoozed_until, due_at=None, updated_at=ledger.at
    )
    return ledger.step(incident, "muted", f"{why}: no stage is taken before Alertmanager shows it again", by=by)


def shown_again(ledger: Ledger, incident: Incident, why: str) -> Incident:
    status = next_status(incident.status, Trigger.SHOWN_AGAIN)
    incident = replace(incident, status=status, muted=False, snoozed_until=None, updated_at=ledger.at)
    return ledger.step(incident, "no longer muted", f"{why}: it is open again")


def again_of(policy: Policy, incident: Incident) -> Again:
    """What its escalation says of when people are paged again; an incident without one has the defaults."""
    escalation = policy.escalations.get(incident.escalation or "")
    return Again() if escalation is None else escalation.again


def risen(ledger: Ledger, incident: Incident, *, before: str) -> Incident:
    """The severity rose: it is routed again. Who acknowledged or snoozed it did so for something milder, and who was
    told of it was told of that; the escalation that it has now says whether they are paged again."""
    why = f"from {before} to {incident.severity}, the highest of its alerts"
    incident = routed(ledger, ledger.step(incident, "severity rose", why))
    if not again_of(ledger.policy, incident).severity_rises:
        return incident
    if incident.status is Status.OPEN and (incident.stage or incident.round):
        return ledger.step(_from_the_first_stage(ledger, incident), "escalated anew", "it was milder when it was told")
    return heard_again(ledger, incident, Trigger.SEVERITY_ROSE, "it was {status} when it was milder")


def grown(ledger: Ledger, incident: Incident) -> Incident:
    """Somebody acknowledged or snoozed it, and by now so many more alerts fire that they are told again."""
    before, more = incident.answered_firing, again_of(ledger.policy, incident).firing_more
    answered = incident.status in (Status.ACKNOWLEDGED, Status.SNOOZED) and not incident.muted
    if not answered or before is None or not more or incident.firing < before + more:
        return incident
    why = f"{incident.firing} of its alerts fire, and {before} did when it was {incident.status}"
    incident = ledger.step(incident, "grew", f"{why}: that is {more} more, or above")
    return heard_again(ledger, incident, Trigger.GREW, "it was {status} when it was smaller")


def heard_again(ledger: Ledger, incident: Incident, trigger: Trigger, why: str) -> Incident:
    """It is not what somebody acknowledged or snoozed: everybody is told again. `{status}` in `why` is filled in."""
    if incident.status is Status.OPEN:
        return incident
    why = f"{why.format(status=incident.status)}: it is open again, and its escalation begins anew"
    status = next_status(incident.status, trigger)
    incident = replace(incident, status=status, acknowledged_by=None, snoozed_until=None, muted=False)
    return ledger.step(_from_the_first_stage(ledger, incident), "open again", why)


def _from_the_first_stage(ledger: Ledger, incident: Incident) -> Incident:
    return replace(incident, escalates_from=ledger.at, stage=0, round=0, withdrawn={})


def open_again(ledger: Ledger, incident: Incident) -> Incident:
    """Something of it fires again a moment after it was over. Its escalation begins anew."""
    ledger.counts["incidents_reopened"] += 1
    # What left it while it was over, or leaves it now, is still counted in it: from now on it counts what it has.
    resolved = sum(
        1
        for alert in ledger.state.alerts_of(incident)
        if not alert.firing and ledger.latest(alert).incident == incident.id
    )
    incident = replace(
        incident,
        status=next_status(incident.status, Trigger.FIRED_AGAIN),
        resolved=resolved,
        resolved_at=None,
        acknowledged_by=None,
        escalates_from=None,
        route=None,
        escalation=None,
        announced=False,
        stage=0,
        round=0,
        due_at=None,
        reopened=incident.reopened + 1,
        unaware=incident.told,
        withdrawn={},
    )
    within = format_duration(ledger.policy.reopen_within)
    why = f"it fires again within {within} of its end ({times(incident.reopened)} now)"
    if flaps(ledger.policy, incident):
        why += ": it flaps, and updates are held off until it is calm"
    return ledger.step(incident, "reopened", why)


def fires_again(ledger: Ledger, incident: Incident) -> Incident:
    """It flaps, and was calm for a while, but not for long enough. It never was over."""
    incident = replace(incident, calm_at=None, reopened=incident.reopened + 1)
    return ledger.step(incident, "fires again", f"it flaps ({times(incident.reopened)} now), and is not over")


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def wind_down(ledger: Ledger, incident: Incident, *, why: str) -> None:
    """Nothing fires in it. It is over, unless a body left alerts out, or it flaps and may fire again any moment."""
    cut = ledger.cut_group_in(incident)
    if cut is not None:
        if incident.awaits is None:
            cut_off = "the last body of its group left alerts out: they may fire"
            incident = ledger.step(replace(incident, awaits=cut), "not over yet", cut_off)
        elif incident.awaits != cut:  # that one is whole now, and another of its groups is not
            incident = ledger.put(replace(incident, awaits=cut))
        tell_update(ledger, incident)
    elif flaps(ledger.policy, incident):
        calm = ledger.policy.flapping.calm
        if incident.calm_at is None:
            came_back = f"it came back {times(incident.reopened)}: over when nothing fires for {format_duration(calm)}"
            incident = ledger.step(incident, "flapping", came_back)
            incident = ledger.put(replace(incident, calm_at=ledger.at + calm, due_at=None, awaits=None))
    else:
        resolve(ledger, incident, Trigger.LAST_ALERT_RESOLVED, why)


def resolve(ledger: Ledger, incident: Incident, trigger: Trigger, why: str) -> None:
    """It is over; everybody who knows of it hears that."""
    status = next_status(incident.status, trigger)
    tell_now(ledger, ledger.step(over(ledger, incident, status), "resolved", why), Kind.RESOLVED)


def over(ledger: Ledger, incident: Incident, status: Status) -> Incident:
    """Resolved, for whatever reason."""
    ledger.counts["incidents_resolved"] += 1
    return replace(
        incident,
        status=status,
        resolved_at=ledger.at,
        updated_at=ledger.at,
        snoozed_until=None,
        muted=False,
        calm_at=None,
        awaits=None,
        quiet_until=None,
        stale_at=incident.stale_at if incident.firing else None,
        due_at=ledger.at + max(REMEMBERED, ledger.policy.reopen_within),
        stale=(),
    )


def rest(ledger: Ledger, incident: Incident) -> None:
    """A resolved incident leaves memory when nothing about it is owed or held, nothing in it fires, and nothing that
    may come can still have to do with it."""
    merged_into = incident.merged_into
    awaited = merged_into is not None and merged_into in ledger.state.incidents
    if incident.owed or incident.held or incident.firing or awaited:
        ledger.put(replace(incident, due_at=ledger.at + REMEMBERED))
        return
    needed = _needed_until(ledger, incident)
    if needed is not None and needed > ledger.at:
        ledger.put(replace(incident, due_at=needed))
    else:
        ledger.forgotten.append(incident.id)


def _needed_until(ledger: Ledger, incident: Incident) -> datetime | None:
    """The cooldown of an alert, the time in which it may be opened again, or in which a sequence may go on."""
    windows = [each.window for each in ledger.policy.correlate if isinstance(each, Sequence)]
    until = [alert.cools_until for alert in ledger.alerts_of(incident) if alert.cools_until is not None]
    if incident.resolved_at is not None and incident.resolved_by is None and incident.merged_into is None:
        until.append(incident.resolved_at + ledger.policy.reopen_within)
    if windows and incident.resolved_at is not None and any("step " in key for key in incident.keys):
        until.append(incident.resolved_at + max(windows))
    return max(until, default=None)
