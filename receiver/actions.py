"""What a stage runs: owed like a message, to a channel of its own kind, and nobody is told by it.

An action is owed when its stage is taken and at no other time. It hears of no update and of no end, no storm holds it
back, and it is in no digest. Its answer is a line of the incident's story.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from receiver.entry import Delivered, Undeliverable, Withdrawn
from receiver.incident import Incident
from receiver.ledger import Ledger, Telling
from receiver.message import Kind, message_id
from receiver.policy.actionnames import action_named, channel_named


def run(ledger: Ledger, incident: Incident, kind: Kind, actions: Iterable[str]) -> Incident:
    """Owes each action of a stage that is taken, once for one decision."""
    for name in actions:
        channel = channel_named(name)
        if (incident.id, channel) in ledger.told or name not in ledger.policy.actions:
            continue
        ledger.told[incident.id, channel] = Telling(incident.steps, kind)
        identifier = message_id(
            journal=ledger.state.journal, incident=incident.id, step=incident.steps, channel=channel
        )
        incident = ledger.put(replace(incident, owed={**incident.owed, identifier: channel}))
    return incident


def in_story(fact: Delivered | Undeliverable | Withdrawn) -> tuple[str, str]:
    """What the story says of an answer, and why."""
    action = action_named(fact.channel)
    match fact:
        case Withdrawn(why=why):
            return "withdrawn", f"not sent to {fact.channel} any more: {why}"
        case Delivered(answer=answer):
            return ("delivered", f"{fact.channel} took it: {answer}") if action is None else (_step(action), answer)
        case Undeliverable(reason=reason) if action is None:
            return "not delivered", f"{fact.channel} will not take it: {reason}"
        case Undeliverable(reason=reason):
            return f"{_step(action)} not done", reason


def _step(action: str) -> str:
    return f"action {action}"
