"""Pages that are owed and call nobody any more: somebody has the incident by now, or it was put off.

The outbox looks right before each attempt, and reports what it does not send; that is decided here. The channel stays
among those who know of the incident, so it hears what became of it. What is open again calls it after all: an update
to it is a page then, unless the escalation begins anew and calls it in its time.
"""

from __future__ import annotations

from msgspec.structs import replace

from receiver.entry import Withdrawn
from receiver.incident import Incident, Status
from receiver.ledger import Ledger
from receiver.message import PAGES, Message
from receiver.policy.actionnames import action_named


def no_longer_calls(message: Message, incident: Incident | None) -> str | None:
    """Why nobody is to be called by this message, or None. What is over is told as it came: opened, then resolved.
    Actions have their own rule, and a digest tells of many."""
    if incident is None or message.kind not in PAGES or action_named(message.channel) is not None:
        return None
    match incident.status:
        case Status.ACKNOWLEDGED:
            return f"{incident.acknowledged_by} has it"
        case Status.SNOOZED if incident.muted:
            return "Alertmanager hides all that fires in it"
        case Status.SNOOZED:
            return "it was put off"
        case Status.OPEN | Status.RESOLVED:
            return None


def withdrawn(ledger: Ledger, incident: Incident, fact: Withdrawn) -> Incident:
    """It was not sent. Another page that is owed there calls by itself; else the channel is called when the incident is
    open again, which it may be already."""
    if any(incident.owed.get(message) == fact.channel for message in incident.pages if message != fact.message):
        return incident
    incident = replace(incident, withdrawn={**incident.withdrawn, fact.channel: fact.kind})
    if incident.status is Status.OPEN and fact.channel in incident.told:
        incident = replace(incident, stale=tuple(sorted({*incident.stale, fact.channel})))
    return ledger.put(incident)
