"""What people do to incidents. What the table in incident.py does not have, or what cannot be, is refused: the
decision then changes nothing, and its `refused` is the reason, which the door answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from msgspec.structs import replace

from receiver.entry import Acknowledged, Act, Assigned, Merged, Noted, Resent, ResolvedByHand, Snoozed, Split
from receiver.incident import Incident, NotInTable, Status, Trigger, next_status
from receiver.ledger import Ledger
from receiver.lifecycle import again_of, in_hand, over
from receiver.merging import Impossible, holder_of, merge, split
from receiver.message import Kind
from receiver.policy.actionnames import action_named
from receiver.storm import kind_now, tell
from receiver.telling import tell_change, tell_now

_TRIGGERS: Mapping[type[Act], Trigger] = {
    Acknowledged: Trigger.ACKNOWLEDGE,
    ResolvedByHand: Trigger.RESOLVE,
    Snoozed: Trigger.SNOOZE,
    Merged: Trigger.MERGE,
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
        _do(ledger, incident, fact, status)
        ledger.counts["acts"] += 1
    except (NotInTable, Impossible) as error:
        ledger.counts["acts_refused"] += 1
        ledger.refused = f"{incident.id}: {error}"
        if incident.merged_into is not None and isinstance(error, NotInTable):
            ledger.refused = (
                f"{incident.id} was merged: its alerts are in {holder_of(ledger, incident)}, act on that one"
            )


def _do(ledger: Ledger, incident: Incident, fact: Act, status: Status) -> None:
    match fact:
        case Acknowledged():
            _acknowledge(ledger, incident, fact, status)
        case Snoozed():
            _snooze(ledger, incident, fact, status)
        case ResolvedByHand():
            _resolve(ledger, incident, fact, status)
        case Noted():
            ledger.step(replace(incident, updated_at=ledger.at), "note", fact.text, by=fact.by)
        case Assigned():
            _assign(ledger, incident, fact)
        case Merged():
            merge(ledger, incident, fact)
        case Split():
            split(ledger, incident, fact)
        case Resent():
            _resend(ledger, incident, fact)
        case _:
            assert_never(fact)


def _acknowledge(ledger: Ledger, incident: Incident, fact: Acknowledged, status: Status) -> None:
    if incident.status is Status.ACKNOWLEDGED:
        _keep(ledger, incident, fact)
        return
    incident = replace(
        in_hand(ledger, incident, status, by=fact.by),
        snoozed_until=None,
        muted=False,
        quiet_until=None,
        due_at=None,
        updated_at=ledger.at,
    )
    why = f"{fact.by} has it: no further stage is taken{_until(incident)}"
    tell_now(ledger, ledger.step(incident, "acknowledged", why, by=fact.by), Kind.ACKNOWLEDGED)


def _keep(ledger: Ledger, incident: Incident, fact: Acknowledged) -> None:
    """Somebody has it already, and the channels know who. Whoever says it again keeps it for longer, and knows how
    large it is by now."""
    assert incident.acknowledged_by is not None
    kept = in_hand(ledger, incident, incident.status, by=incident.acknowledged_by)
    grew = again_of(ledger.policy, kept).firing_more > 0 and kept.answered_firing != incident.answered_firing
    if kept.acknowledged_until != incident.acknowledged_until or grew:
        ledger.step(kept, "still acknowledged", f"{fact.by} says so{_until(kept)}", by=fact.by)
    else:
        ledger.put(kept)


def _until(incident: Incident) -> str:
    until = incident.acknowledged_until
    return "" if until is None else f" before {until:%Y-%m-%d %H:%M:%S}Z"


def _snooze(ledger: Ledger, incident: Incident, fact: Snoozed, status: Status) -> None:
    until = ledger.at + fact.duration
    incident = replace(
        incident,
        status=status,
        acknowledged_by=None,
        snoozed_until=until,
        answered_firing=incident.firing,
        muted=False,
        quiet_until=None,
        due_at=None,
        updated_at=ledger.at,
    )
    why = f"{fact.by} put it off until {until:%Y-%m-%d %H:%M:%S}Z: no stage is taken before"
    tell_change(ledger, ledger.step(incident, "snoozed", why, by=fact.by))


def _assign(ledger: Ledger, incident: Incident, fact: Assigned) -> None:
    if incident.status is Status.RESOLVED:
        raise Impossible("it is resolved: there is nobody to assign it to")
    if incident.assigned_to == fact.to:
        return
    incident = replace(incident, assigned_to=fact.to, updated_at=ledger.at)
    why = f"it is {fact.to}'s now; its escalation goes on until somebody acknowledges it"
    tell_change(ledger, ledger.step(incident, "assigned", why, by=fact.by))


def _resend(ledger: Ledger, incident: Incident, fact: Resent) -> None:
    """A new message, about the incident as it is now."""
    channel = fact.channel
    if action_named(channel) is not None:
        raise Impossible("an action is run by a stage of the policy, and by nobody else")
    if channel not in ledger.policy.channels:
        raise Impossible(f"the policy has no channel {channel!r} any more")
    if channel in incident.owed.values():
        raise Impossible(f"{channel} has not answered yet what it was sent about it since")
    if channel in incident.held:
        raise Impossible(f"{channel} hears of it in its next digest")
    why = f"{fact.by} wants {channel} to be told: it did not take {fact.message}"
    incident = ledger.step(incident, f"told {channel} again", why, by=fact.by)
    paged = incident.paged.get(channel)  # it stands for that one: if it is refused again, the fallback knows
    tell(ledger, incident, kind_now(incident, Kind(fact.kind)), (channel,), stands_for=paged)


def _resolve(ledger: Ledger, incident: Incident, fact: ResolvedByHand, status: Status) -> None:
    incident = replace(over(ledger, incident, status), resolved_by=fact.by)
    alerts = "1 alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
    why = (
        f"{fact.by} says so; {alerts}, and repeats of that do not open it again. "
        "An alert that begins to fire opens a new incident"
    )
    tell_now(ledger, ledger.step(incident, "resolved by hand", why, by=fact.by), Kind.RESOLVED)
