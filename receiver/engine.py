"""The one place where anything is decided.

Theory of operation
-------------------
The journal is a sequence of entries: webhooks, time that passed, policies that were loaded, answers of
providers. `decide` is given what is known (State), the next entry and the policy in force, and returns what
follows from it: changes of the state, messages to send, and counts for whoever watches. It has no clock (the
entry says when), draws nothing (identifiers follow from positions), does no I/O, and iterates only in stated
orders; so the same journal decides the same in every process, and history can be replayed.

From a webhook each alert is told apart first (`compare`): new, a repeat, a new episode, resolved, or late.
Alerts that begin to fire join the open incident of their Alertmanager group, or open one. The incident takes
a route by its labels, and the route's escalation names stages; a stage that is due is taken here, whether
its delay was zero (within the webhook's own decision) or not (when TimePassed says so).

A message's identity is journal, incident, step and channel. To a channel that has not yet answered the
last message about an incident no further `updated` is written: the channel is marked stale and told once,
with everything, when the answer is there. So a channel that is down owes the past, not a pile.

A firing that arrives right after the resolve of the same episode is doubted: it may be late news from the other
Alertmanager of a pair. A second resolve confirms that; without one the alert came back. An incident that is
resolved stays in memory for an hour for that.

People act on incidents through the journal as well (lifecycle.py). Only an open incident escalates. One that was
resolved by hand stays in memory while its alerts fire: so their repeats are known for what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from receiver.acting import act
from receiver.actions import in_story
from receiver.alert import Alert
from receiver.entry import (
    Accessed,
    Acknowledged,
    AlertsFetched,
    AlertsReceived,
    Assigned,
    ChainBroken,
    Delivered,
    EntriesSetAside,
    Entry,
    JournalTrimmed,
    Looked,
    Merged,
    Noted,
    NotTaken,
    PolicyLoaded,
    Resent,
    ResolvedByHand,
    Snoozed,
    Split,
    TimePassed,
    Undeliverable,
    Unreadable,
    Withdrawn,
)
from receiver.episode import DOUBTED, begun, bounded, compare, ended
from receiver.fallback import fall_back, held_too_long, not_taken
from receiver.incident import KEYS_MAX, AlertRecord, Group, Incident, Status, Trigger, receipts_with
from receiver.joining import Moves, named, stale_at
from receiver.known import Cut
from receiver.ledger import Decision, Ledger
from receiver.lifecycle import end_acknowledgement, end_snooze, grown, open_again, resolve, rest
from receiver.own import Undecidable, tell_broken, tell_set_aside
from receiver.policy.duration import format_duration
from receiver.policy.policy import Policy
from receiver.state import MessageSettled, PolicyInForce, State
from receiver.storm import let_go, limits_changed, settled, tell_held
from receiver.telling import flaps, routed, tell_change, tell_stages, tell_stale
from receiver.watch import hear, hide_absent, is_silent, looked, show, source_due, watchdogs_changed
from receiver.withdrawal import withdrawn

# How exactly it is written down when something was heard of an incident: a part of the policy's `stale_after`.
HEARD_PARTS = 24


def policy_for(state: State, entry: Entry) -> Policy:
    """The policy that decides about `entry`: the one in force, or the one that the entry brings."""
    return entry.fact.policy if isinstance(entry.fact, PolicyLoaded) else state.policy


def decide(state: State, entry: Entry, policy: Policy) -> Decision:
    """The only decision there is. Neither argument is changed."""
    ledger = Ledger(state, entry, policy)
    match entry.fact:
        case AlertsReceived():
            _receive(ledger, entry.fact)
        case TimePassed():
            _pass_time(ledger)
        case PolicyLoaded():
            _load_policy(ledger, entry.fact)
        case Delivered(seconds=seconds):
            _settle(ledger, entry.fact, seconds=seconds)
        case Undeliverable() | Withdrawn():
            _settle(ledger, entry.fact)
        case NotTaken():
            not_taken(ledger, entry.fact)
        case Acknowledged() | ResolvedByHand() | Snoozed() | Noted() | Assigned() | Merged() | Split() | Resent():
            act(ledger, entry.fact)
        case AlertsFetched():
            _fetch(ledger, entry.fact)
        case Looked():
            looked(ledger, entry.fact)
        case EntriesSetAside():
            tell_set_aside(ledger, entry.fact)
        case ChainBroken():
            tell_broken(ledger, entry.fact)
        case JournalTrimmed() | Accessed():
            pass  # facts for who reads the journal
        case Unreadable():
            raise Undecidable(entry.fact.problem)
        case _:
            assert_never(entry.fact)
    return ledger.finish()


# --- alerts ------------------------------------------------------------------------------------------------


def _receive(ledger: Ledger, fact: AlertsReceived) -> None:
    notification = fact.notification
    group = Group(fact.source, notification.receiver_name, notification.group_key)
    hear(ledger, fact.source, notification.alerts)
    moves = Moves(ledger)
    seen = _take(ledger, moves, group, notification.group_labels, notification.alerts)
    if notification.truncated_alerts:
        left_out = notification.truncated_alerts
        ledger.put_known(Cut(group, notification.group_labels, at=ledger.at, left_out=left_out))
        ledger.counts["left_out"] += left_out
    else:
        _known_whole(ledger, moves, group)
        hide_absent(ledger, group, seen)
    moves.finish()


def _fetch(ledger: Ledger, fact: AlertsFetched) -> None:
    """What a body left out. Alertmanager's API shows what fires; what it hides, or does not have, is another fact."""
    group = Group(fact.source, fact.receiver, fact.group_key)
    known = ledger.state.cut.get(group)
    moves = Moves(ledger)
    _take(ledger, moves, group, {} if known is None else known.group_labels, fact.alerts)
    _known_whole(ledger, moves, group)
    moves.finish()


def _known_whole(ledger: Ledger, moves: Moves, group: Group) -> None:
    ledger.mend(group)
    for identifier in ledger.state.awaiting(group):
        moves.touch(identifier)


def _take(
    ledger: Ledger, moves: Moves, group: Group, group_labels: dict[str, str], alerts: Iterable[Alert]
) -> dict[tuple[str, str], None]:
    """Tells each alert apart, and hands on what began and what ended. Returns which alerts there were."""
    joined: list[AlertRecord] = []
    seen: dict[tuple[str, str], None] = {}
    heard: dict[str, None] = {}
    silent = is_silent(ledger, group.source)
    for alert in alerts:
        key = (group.source, alert.identity)
        if key in seen:
            ledger.counts["duplicate"] += 1  # Alertmanager never does this; the first one counts
            continue
        seen[key] = None
        known = ledger.state.alerts.get(key)
        outcome = compare(known, alert, ledger.at)
        match outcome:
            case "new" | "refired":
                joined.append(begun(ledger, group.source, alert, group, before=known))
            case "resolved" if known is not None and silent:
                outcome = "unconfirmed"
                ledger.put_alert(replace(known, unconfirmed=alert.ended_at or ledger.at))
            case "resolved" if known is not None:
                moves.go(ended(ledger, known, alert.ended_at), "Alertmanager said so")
            case "late" if known is not None and not known.firing and known.doubted_until is None:
                _doubt(ledger, known)
            case "repeated" if known is not None and known.firing:
                heard[known.incident] = None
                _repeat(ledger, known, alert, group)
            case "repeated" if known is not None and known.doubted_until is not None:
                ledger.put_alert(replace(known, doubted_until=None))  # a second resolve confirms the first
        ledger.counts[outcome] += 1
    for identifier in heard:
        _hear_of(ledger, ledger.incident(identifier))
    if joined:
        moves.join(group, group_labels, joined)
    return seen


def _repeat(ledger: Ledger, known: AlertRecord, alert: Alert, group: Group) -> None:
    """It still fires. What changed about it is worth keeping, and not worth a message: a description with a value in
    it changes all the time."""
    if known.hidden or known.unconfirmed is not None:
        known = show(ledger, known)
    if known.annotations != alert.annotations:
        known = ledger.put_alert(replace(known, annotations=bounded(ledger, alert.annotations)))
    if known.group != group:  # Alertmanager was configured anew, or sends it to two groups
        ledger.put_alert(replace(known, group=group))
        incident = ledger.incident(known.incident)
        if incident.rule == "" and not incident.apart and group.index not in incident.found_by:
            ledger.put(replace(incident, keys=(*incident.found_by, group.index)[-KEYS_MAX:]))


def _hear_of(ledger: Ledger, incident: Incident) -> None:
    """It is not stale. Not each time that something is heard is written down."""
    until = stale_at(ledger)
    before = incident.stale_at
    if until is None or (before is not None and until - before <= ledger.policy.stale_after / HEARD_PARTS):
        return
    ledger.put(replace(incident, stale_at=until))


def _doubt(ledger: Ledger, alert: AlertRecord) -> None:
    until = ledger.at + DOUBTED
    ledger.put_alert(replace(alert, doubted_until=until))
    incident = ledger.incident(alert.incident)
    incident = replace(incident, doubted_until=min(until, incident.doubted_until or until))
    why = f"{named([alert])} was resolved a moment ago: it came back, unless a resolve confirms that"
    ledger.step(incident, "late firing", f"{why} by {until:%H:%M:%S}Z")


# --- time --------------------------------------------------------------------------------------------------


def _pass_time(ledger: Ledger) -> None:
    due = ledger.state.due(ledger.at)
    _end_doubts(ledger, [incident for who in due if (incident := ledger.state.incidents.get(who)) is not None])
    for who in due:
        kind, _, name = who.partition(" ")
        match kind:
            case "source":
                source_due(ledger, name)
            case "channel":
                _channel_due(ledger, name)
            case _:
                _incident_due(ledger, who)


def _channel_due(ledger: Ledger, name: str) -> None:
    known = ledger.channel(name)
    if known.due_at is not None and known.due_at <= ledger.at:
        tell_held(ledger, name)
    if known.late_at is not None and known.late_at <= ledger.at:
        held_too_long(ledger, name)


def _incident_due(ledger: Ledger, identifier: str) -> None:
    at = ledger.at
    incident = ledger.incident(identifier)
    if incident.stale_at is not None and incident.stale_at <= at:
        _go_stale(ledger, incident)
        incident = ledger.incident(identifier)
    if incident.snoozed_until is not None and incident.snoozed_until <= at:
        end_snooze(ledger, incident)
    elif incident.answer_ends is not None and incident.answer_ends <= at:
        end_acknowledgement(ledger, incident)
    elif incident.calm_at is not None and incident.calm_at <= at:
        resolve(ledger, incident, Trigger.LAST_ALERT_RESOLVED, "it flapped, and nothing of it fired for long enough")
    elif incident.due_at is None or incident.due_at > at:
        return
    elif incident.status is Status.RESOLVED:
        rest(ledger, incident)
    else:
        tell_stages(ledger, incident)


def _end_doubts(ledger: Ledger, incidents: Iterable[Incident]) -> None:
    """First what was never over is open again; then the alerts that came back find their places."""
    back: list[tuple[Incident, list[AlertRecord]]] = []
    for each in incidents:
        if each.doubted_until is not None and each.doubted_until <= ledger.at:
            alerts = _come_back(ledger, each)
            if alerts:
                back.append((each, alerts))
    moves = Moves(ledger)
    for incident, alerts in back:
        for alert in alerts:
            moves.join(alert.group or incident.group, incident.group_labels, [alert])
    moves.finish()


def _come_back(ledger: Ledger, incident: Incident) -> list[AlertRecord]:
    doubted = [alert for alert in ledger.alerts_of(incident) if alert.doubted_until is not None]
    later = [alert.doubted_until for alert in doubted if alert.doubted_until and alert.doubted_until > ledger.at]
    incident = ledger.put(replace(incident, doubted_until=min(later, default=None)))
    back = [
        replace(
            alert, status="firing", ended_at=None, doubted_until=None, changed_at=ledger.at, changed=ledger.position
        )
        for alert in doubted
        if alert.doubted_until not in later
    ]
    if back:
        ledger.counts["came_back"] += len(back)
        why = f"{named(back)} fired after its resolve, and no second resolve came"
        incident = ledger.step(incident, "came back", why)
        if incident.status is Status.RESOLVED and incident.resolved_by is None and incident.merged_into is None:
            ledger.put(open_again(ledger, incident))
    return back


def _go_stale(ledger: Ledger, incident: Incident) -> None:
    """Nothing was heard of it: no resolve will come any more."""
    after = format_duration(ledger.policy.stale_after)
    alerts = [alert for alert in ledger.alerts_of(incident) if alert.firing]
    for alert in alerts:
        ledger.put_alert(ended(ledger, alert, None))
    ledger.counts["stale"] += len(alerts)
    why = f"nothing was heard of {named(alerts)} for {after}"
    resolved = incident.resolved + len(alerts)
    incident = replace(incident, firing=0, resolved=resolved, stale_at=None, awaits=None, calm_at=None)
    if incident.status is Status.RESOLVED:
        ledger.step(incident, "stale", why)
    else:
        resolve(ledger, incident, Trigger.HEARD_NOTHING, f"stale: {why}")


# --- policies, answers -------------------------------------------------------------------------------------


def _load_policy(ledger: Ledger, fact: PolicyLoaded) -> None:
    """Incidents that are open go on under the new policy: their stages are timed anew, a lost route is replaced,
    and channels that are gone are not told any more."""
    ledger.other.append(PolicyInForce(fact.policy))
    watchdogs_changed(ledger)
    limits_changed(ledger)
    for known in sorted(ledger.state.incidents.values(), key=lambda each: (each.position, len(each.id), each.id)):
        incident = ledger.incident(known.id)
        kept = let_go(ledger, incident)
        if kept.status is Status.RESOLVED:
            if kept.held != incident.held:
                ledger.put(kept)
            continue
        if kept.firing:
            kept = replace(kept, stale_at=_stale_anew(ledger, kept))
        lost = incident.escalation not in ledger.policy.escalations  # or it never had one
        anew = grown(ledger, routed(ledger, kept) if lost else kept)
        tell_stages(ledger, anew)
        held_off = flaps(ledger.state.policy, kept) and not flaps(ledger.policy, kept)  # under the policy before
        if held_off or anew.status is not kept.status:
            tell_change(ledger, ledger.incident(kept.id))


def _stale_anew(ledger: Ledger, incident: Incident) -> datetime | None:
    until = stale_at(ledger)
    return until if until is None or incident.stale_at is None else min(until, incident.stale_at)


def _settle(ledger: Ledger, fact: Delivered | Undeliverable | Withdrawn, *, seconds: float | None = None) -> None:
    """A channel answered about a message, which is about one incident or, a digest, about several; or it is not asked
    any more."""
    what, why = in_story(fact)
    channel = ledger.channel(fact.channel)
    identifiers = channel.digests.get(fact.message, (fact.incident,))
    incidents = [ledger.state.incidents.get(identifier) for identifier in identifiers]
    owing = [incident for incident in incidents if incident is not None and fact.message in incident.owed]
    if not owing:
        ledger.counts["settled_twice"] += 1
        return
    ledger.other.append(MessageSettled.by(fact, ledger.at))
    receipt = fact.receipt if isinstance(fact, Delivered) and fact.message not in channel.digests else ""
    if fact.message in channel.digests:
        digests = {name: each for name, each in channel.digests.items() if name != fact.message}
        ledger.put_known(replace(channel, digests=digests))
    attempts = "" if fact.attempts <= 1 or isinstance(fact, Withdrawn) else f", at attempt {fact.attempts}"
    for each in owing:
        owed = {message: name for message, name in each.owed.items() if message != fact.message}
        receipts = receipts_with(each, fact.channel, receipt) if receipt else each.receipts
        incident = ledger.step(replace(each, owed=owed, receipts=receipts), what, f"{why}{attempts}", seconds=seconds)
        if isinstance(fact, Undeliverable):
            incident = fall_back(ledger, incident, fact, why)
        elif isinstance(fact, Withdrawn):
            incident = withdrawn(ledger, incident, fact)
        if fact.message in incident.pages:
            pages = {message: position for message, position in incident.pages.items() if message != fact.message}
            incident = ledger.put(replace(incident, pages=pages))
        tell_stale(ledger, incident, fact.channel)
    settled(ledger, fact.channel)
