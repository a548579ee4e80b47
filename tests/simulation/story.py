"""A decision in a few lines, for a person who wants to know what a seed did."""

from __future__ import annotations

from receiver.entry import (
    Act,
    AlertsFetched,
    AlertsReceived,
    ChainBroken,
    Delivered,
    Fact,
    Looked,
    NotTaken,
    PolicyLoaded,
    Undeliverable,
    Withdrawn,
)
from receiver.message import read as read_message
from receiver.state import StepTaken
from tests.simulation.evidence import Moment


def told(moment: Moment) -> str:
    """The entry, the steps that follow from it, and the messages."""
    lines = [f"{moment.entry.at:%d %H:%M:%S} {moment.entry.position:>5}  {_in_words(moment.entry.fact)}"]
    if moment.decision.refused is not None:
        lines.append(f"{'':>19}! refused: {moment.decision.refused}")
    steps = [change.step for change in moment.decision.changes if isinstance(change, StepTaken)]
    lines += [f"{'':>19}{step.incident}  {step.what}: {step.why}" for step in steps]
    for message in moment.decision.messages:
        document = read_message(message)
        about = f"{len(document.incidents)} incidents" if document.incidents else document.incident.title
        lines.append(f"{'':>19}-> {message.channel} {message.kind} {message.incident}  {about}")
    return "\n".join(lines)


def _in_words(fact: Fact) -> str:
    match fact:
        case AlertsReceived(source, _, notification):
            left_out = f", {notification.truncated_alerts} left out" if notification.truncated_alerts else ""
            alerts = " ".join(
                f"{each.labels['alertname']}/{each.status[0]}/{each.identity[:4]}" for each in notification.alerts
            )
            return f"{source} posts {notification.group_key}: {alerts}{left_out}"
        case PolicyLoaded(policy):
            return f"the policy {policy.digest!r} is loaded"
        case Delivered() | Undeliverable():
            return f"{fact.channel} {'took' if isinstance(fact, Delivered) else 'refused'} {fact.message}"
        case Withdrawn():
            return f"{fact.channel} is not sent {fact.message}: {fact.why}"
        case NotTaken():
            return f"{fact.channel} has not taken {fact.message} since {fact.since:%H:%M:%S}: {fact.why}"
        case AlertsFetched():
            return f"{fact.source} has {len(fact.alerts)} alerts in {fact.group_key}"
        case Looked():
            gone = [each.fingerprint[:4] for each in fact.gone]
            suppressed = [each.fingerprint[:4] for each in fact.suppressed]
            return f"{fact.source} says: silenced {suppressed}, shown {[e[:4] for e in fact.shown]}, gone {gone}"
        case ChainBroken(position):
            return f"the journal holds up to {position} only"
        case _ if isinstance(fact, Act):
            return f"{fact.by}: {fact}"
        case _:
            return type(fact).__name__
