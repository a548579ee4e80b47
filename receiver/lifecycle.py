"""What happens to an incident as a whole: people act on it, a snooze ends, it must be heard again, it is over.

Which of these is possible in which state is the table in incident.py. What a person wants and the table does not
have is refused: the decision then changes nothing, and its `refused` is the reason, which the door answers with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import assert_never

from msgspec.structs import replace

from receiver.entry import Acknowledged, Act, Noted, ResolvedByHand, Snoozed
from receiver.incident import Incident, NotInTable, Status, Trigger, next_status
from receiver.ledger import Ledger
from receiver.message import Kind

REMEMBERED = timedelta(hours=1)
_TRIGGERS: Mapping[type[Act], Trigger] = {
    Acknowledged: Trigger.ACKNOWLEDGE,
    ResolvedByHand: Trigger.RESOLVE,
    Snoozed: Trigger.SNOOZE,
}


def act(ledger: Ledger, fact: Act) -> None:
    """What a person does. A note is possible in every state."""
    incident = ledger.state.incidents.get(fact.incident)
    if incident is None:
        ledger.counts["acts_refused"] += 1
        ledger.refused = f"{fact.incident} is over and put away: nothing can be done to it any more"
        return
    try:
        trigger = _TRIGGERS.get(type(fact))
        status = incident.status if trigger is None else next_status(incident.status, trigger)
    except NotInTable as error:
        ledger.counts["acts_refused"] += 1
        ledger.refused = f"{incident.id}: {error}"
        return
    ledger.counts["acts"] += 1
    match fact:
        case Acknowledged():
            _acknowledge(ledger, incident, fact, status)
        case Snoozed():
            _snooze(ledger, incident, fact, status)
        case ResolvedByHand():
            _resolve_by_hand(ledger, incident, fact)
        case Noted():
            ledger.step(replace(incident, updated_at=ledger.at), "note", fact.text, by=fact.by)
        case _:
            assert_never(fact)


def _acknowledge(ledger: Ledger, incident: Incident, fact: Acknowledged, status: Status) -> None:
    if incident.status is Status.ACKNOWLEDGED:
        return  # somebody has it already, and the channels know who
    incident = replace(
        incident,
        status=status,
        acknowledged_by=fact.by,
        snoozed_until=None,
        due_at=None,
        updated_at=ledger.at,
    )
    incident = ledger.step(incident, "acknowledged", f"{fact.by} has it: no further stage is taken", by=fact.by)
    _tell_now(ledger, incident, Kind.ACKNOWLEDGED)


def _snooze(ledger: Ledger, incident: Incident, fact: Snoozed, status: Status) -> None:
    until = ledger.at + fact.duration
    incident = replace(
        incident, status=status, acknowledged_by=None, snoozed_until=until, due_at=None, updated_at=ledger.at
    )
    why = f"{fact.by} put it off until {until:%Y-%m-%d %H:%M:%S}Z: no stage is taken before"
    ledger.tell_update(ledger.step(incident, "snoozed", why, by=fact.by))


def end_snooze(ledger: Ledger, incident: Incident) -> None:
    """Stages that fell due meanwhile are taken now; who is told by none of them hears that it is open again."""
    incident = replace(
        incident, status=next_status(incident.status, Trigger.SNOOZE_ENDED), snoozed_until=None, updated_at=ledger.at
    )
    incident = ledger.step(incident, "snooze ended", "its time is over and alerts still fire: it is open again")
    ledger.tell_stages(incident)
    ledger.tell_update(ledger.incident(incident.id))


def heard_again(ledger: Ledger, incident: Incident) -> Incident:
    """The severity rose. Who acknowledged or snoozed it did so for something milder: everybody is told again."""
    if incident.status is Status.OPEN:
        return incident
    why = f"it was {incident.status} when it was milder: it is open again, and its escalation begins anew"
    incident = replace(
        incident,
        status=next_status(incident.status, Trigger.SEVERITY_ROSE),
        acknowledged_by=None,
        snoozed_until=None,
        escalates_from=ledger.at,
        stage=0,
    )
    return ledger.step(incident, "open again", why)


def resolve(ledger: Ledger, incident: Incident) -> None:
    status = next_status(incident.status, Trigger.LAST_ALERT_RESOLVED)
    incident = ledger.step(_over(ledger, incident, status), "resolved", "none of its alerts fires any more")
    _tell_now(ledger, incident, Kind.RESOLVED)


def _resolve_by_hand(ledger: Ledger, incident: Incident, fact: ResolvedByHand) -> None:
    status = next_status(incident.status, Trigger.RESOLVE)
    incident = replace(_over(ledger, incident, status), resolved_by=fact.by, updated_at=ledger.at)
    alerts = "1 alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
    why = (
        f"{fact.by} says so; {alerts}, and repeats of that do not open it again. "
        "An alert that begins to fire opens a new incident"
    )
    incident = ledger.step(incident, "resolved by hand", why, by=fact.by)
    _tell_now(ledger, incident, Kind.RESOLVED)


def _over(ledger: Ledger, incident: Incident, status: Status) -> Incident:
    ledger.counts["incidents_resolved"] += 1
    return replace(
        incident,
        status=status,
        resolved_at=ledger.at,
        snoozed_until=None,
        due_at=ledger.at + REMEMBERED,
        stale=(),
    )


def rest(ledger: Ledger, incident: Incident) -> None:
    """A resolved incident leaves memory when nothing about it is owed and, resolved by hand, nothing in it fires."""
    if incident.owed or incident.firing:
        ledger.put(replace(incident, due_at=ledger.at + REMEMBERED))
    else:
        ledger.forgotten.append(incident.id)


def _tell_now(ledger: Ledger, incident: Incident, kind: Kind) -> None:
    """Every channel that knows of it, even one that has not answered yet: this is not an update among others. It
    tells the whole truth, so nobody is stale after it."""
    ledger.tell(replace(incident, stale=()), kind, incident.told)
