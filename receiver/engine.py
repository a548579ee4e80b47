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
from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from receiver.alert import Alert, utc
from receiver.entry import (
    Acknowledged,
    AlertsReceived,
    Delivered,
    EntriesSetAside,
    Entry,
    Noted,
    PolicyLoaded,
    ResolvedByHand,
    Snoozed,
    TimePassed,
    Undeliverable,
    Unreadable,
)
from receiver.incident import (
    KINDS_MAX,
    AlertRecord,
    Group,
    Incident,
    Status,
    highest_severity,
    severity_rank,
    shared_labels,
    title_of,
)
from receiver.ledger import Decision, Ledger
from receiver.lifecycle import REMEMBERED, act, end_snooze, heard_again, resolve, rest
from receiver.message import Kind
from receiver.own import Undecidable, entries_set_aside
from receiver.policy.policy import Policy
from receiver.state import (
    MessageSettled,
    PolicyInForce,
    State,
)

# With two Alertmanagers an older firing may arrive after the resolve that the other one sent. Within LATE of the
# resolve it is doubted: that other one resolves too when it next looks at the group (5 minutes by default). When no
# resolve confirms the first one within DOUBTED, the alert came back, and a page is better than none.
LATE = timedelta(seconds=60)
DOUBTED = timedelta(minutes=5, seconds=30)
LABELS_MAX = 128
CHARACTERS_MAX = 8192


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
        case Delivered():
            _settle(ledger, entry.fact, "delivered", f"{entry.fact.channel} took it: {entry.fact.answer}")
        case Undeliverable():
            _settle(
                ledger,
                entry.fact,
                "not delivered",
                f"{entry.fact.channel} will not take it: {entry.fact.reason}",
            )
        case Acknowledged() | ResolvedByHand() | Snoozed() | Noted():
            act(ledger, entry.fact)
        case EntriesSetAside():
            _tell_own(ledger, entries_set_aside(ledger, entry.fact))
        case Unreadable():
            raise Undecidable(entry.fact.problem)
        case _:
            assert_never(entry.fact)
    return ledger.finish()


# --- alerts ------------------------------------------------------------------------------------------------


def compare(known: AlertRecord | None, alert: Alert, at: datetime) -> str:
    """What an alert of a body is, given what is known of it: one word, which is also the metric's label."""
    if known is None:
        return "new" if alert.status == "firing" else "resolved_unseen"
    if alert.status == "firing":
        if known.firing:
            return "repeated"
        begun_before = utc(alert.starts_at) <= known.starts_at
        return "late" if begun_before and at - known.changed_at < LATE else "refired"
    if not known.firing:
        return "repeated"
    # Older than this episode: news of the one before. In a first episode there is none, whatever the clocks say.
    ended = alert.ended_at
    return "late" if known.episode > 1 and ended is not None and ended < known.starts_at else "resolved"


def _receive(ledger: Ledger, fact: AlertsReceived) -> None:
    notification = fact.notification
    group = Group(fact.source, notification.receiver_name, notification.group_key)
    joined: list[AlertRecord] = []
    gone: dict[str, list[AlertRecord]] = {}
    seen: set[str] = set()
    for alert in notification.alerts:
        if alert.identity in seen:
            ledger.counts["duplicate"] += 1  # Alertmanager never does this; the first one counts
            continue
        seen.add(alert.identity)
        known = ledger.state.alerts.get((fact.source, alert.identity))
        outcome = compare(known, alert, ledger.at)
        ledger.counts[outcome] += 1
        match outcome:
            case "new" | "refired":
                joined.append(ledger.put_alert(_record(ledger, fact.source, alert, before=known)))
            case "resolved" if known is not None:
                resolved = replace(
                    known, status="resolved", ended_at=alert.ended_at, changed_at=ledger.at, changed=ledger.position
                )
                gone.setdefault(known.incident, []).append(ledger.put_alert(resolved))
            case "late" if known is not None and not known.firing and known.doubted_until is None:
                _doubt(ledger, known)
            case "repeated" if known is not None and known.doubted_until is not None:
                ledger.put_alert(replace(known, doubted_until=None))  # a second resolve confirms the first
            case "repeated" if known is not None and known.firing and known.annotations != alert.annotations:
                # A description with a value in it changes all the time: worth showing, not worth a message.
                ledger.put_alert(replace(known, annotations=_bounded(ledger, alert.annotations)))
    if joined:
        _join(ledger, group, notification.group_labels, joined, gone)
    for identifier, alerts in gone.items():
        _update(ledger, ledger.incident(identifier), joined=[], gone=alerts)


def _record(ledger: Ledger, source: str, alert: Alert, *, before: AlertRecord | None) -> AlertRecord:
    """A new episode; the incident that it joins is not known yet."""
    return AlertRecord(
        source=source,
        fingerprint=alert.identity,
        incident="",
        episode=1 if before is None else before.episode + 1,
        status=alert.status,
        labels=_bounded(ledger, alert.labels),
        annotations=_bounded(ledger, alert.annotations),
        generator_url=alert.generator_url[:CHARACTERS_MAX],
        starts_at=utc(alert.starts_at),
        ended_at=None,
        changed_at=ledger.at,
        changed=ledger.position,
    )


def _bounded(ledger: Ledger, texts: dict[str, str]) -> dict[str, str]:
    """The same map unless something in it is over a limit; then cut, and counted."""
    if len(texts) <= LABELS_MAX and all(len(value) <= CHARACTERS_MAX for value in texts.values()):
        return texts
    ledger.counts["cut"] += 1
    return {name: value[:CHARACTERS_MAX] for name, value in list(texts.items())[:LABELS_MAX]}


# --- incidents ---------------------------------------------------------------------------------------------


def _join(
    ledger: Ledger,
    group: Group,
    group_labels: dict[str, str],
    joined: list[AlertRecord],
    gone: dict[str, list[AlertRecord]],
) -> None:
    incident = ledger.open_incident_of(group)
    if incident is None:
        incident = _opened(ledger, group, group_labels, joined)
        for alert in joined:
            ledger.put_alert(replace(alert, incident=incident.id))
        ledger.tell_stages(_routed(ledger, incident))
        return
    for alert in joined:
        ledger.put_alert(replace(alert, incident=incident.id))
    # What joins and what goes in one body is one update: an incident does not close and open in one breath.
    _update(ledger, incident, joined=joined, gone=gone.pop(incident.id, []))


def _opened(ledger: Ledger, group: Group, group_labels: dict[str, str], joined: list[AlertRecord]) -> Incident:
    kinds = _kinds((), joined)
    why = (
        f"source {group.source!r}, Alertmanager's receiver {group.receiver!r}: "
        f"alerts of the group {group.key} began to fire and no incident was open for it"
    )
    incident = Incident(
        id=ledger.new_incident_id(),
        position=ledger.position,
        group=group,
        status=Status.OPEN,
        severity=highest_severity(alert.labels.get("severity", "none") for alert in joined),
        title=title_of(kinds, group_labels, (alert.annotations.get("summary", "") for alert in joined)),
        labels=shared_labels(alert.labels for alert in joined),
        group_labels=group_labels,
        kinds=kinds,
        opened_at=ledger.at,
        updated_at=ledger.at,
        why=why[:CHARACTERS_MAX],
        firing=len(joined),
    )
    ledger.counts["incidents_opened"] += 1
    return ledger.step(incident, "opened", f"{incident.why}; it holds {_named(joined)}")


def _update(ledger: Ledger, incident: Incident, *, joined: list[AlertRecord], gone: list[AlertRecord]) -> None:
    before = incident
    again = sum(1 for alert in joined if ledger.was_resolved_in(incident, alert))
    kinds = _kinds(incident.kinds, joined)
    incident = replace(
        incident,
        firing=incident.firing + len(joined) - len(gone),
        resolved=incident.resolved + len(gone) - again,
        severity=highest_severity([incident.severity, *(alert.labels.get("severity", "none") for alert in joined)]),
        labels=shared_labels([incident.labels, *(alert.labels for alert in joined)]),
        kinds=kinds,
        title=incident.title if kinds == incident.kinds else title_of(kinds, incident.group_labels, ()),
        updated_at=ledger.at,
    )
    if joined:
        incident = ledger.step(incident, "alerts joined", f"same Alertmanager group: {_named(joined)}")
    if gone:
        incident = ledger.step(incident, "alerts resolved", f"Alertmanager said so: {_named(gone)}")
    if incident.status is Status.RESOLVED:  # by hand: whom it concerns was told then
        ledger.put(replace(incident, due_at=ledger.at + REMEMBERED))
        return
    if incident.firing == 0:
        resolve(ledger, incident)
        return
    if severity_rank(incident.severity) > severity_rank(before.severity):
        incident = ledger.step(
            incident,
            "severity rose",
            f"from {before.severity} to {incident.severity}, the highest of its alerts",
        )
        incident = _routed(ledger, heard_again(ledger, incident))
    ledger.tell_stages(incident)
    ledger.tell_update(ledger.incident(incident.id))


def _routed(ledger: Ledger, incident: Incident) -> Incident:
    """The incident with the route that its labels take now. A route that stays keeps the stages already taken."""
    route = ledger.policy.route({**incident.labels, "severity": incident.severity})
    if route is None and incident.escalates_from is not None and incident.route is None:
        return incident  # as before
    if route is None:
        ledger.counts["unrouted"] += 1
        incident = replace(incident, route=None, escalation=None, escalates_from=ledger.at, stage=0, due_at=None)
        return ledger.step(incident, "not routed", "no route of the policy matches its labels: nobody is told")
    if incident.escalation == route.escalation and incident.route == str(route):
        return incident
    incident = replace(
        incident, route=str(route), escalation=route.escalation, escalates_from=ledger.at, stage=0, due_at=None
    )
    way = f"to the escalation {route.escalation!r}" if route.escalation else "to nobody"
    return ledger.step(incident, "routed", f"{way}: the first route that matches is {route}")


def _tell_own(ledger: Ledger, incident: Incident) -> None:
    """An incident of Tocsin's own is routed and told like any other."""
    ledger.tell_stages(_routed(ledger, incident) if incident.escalates_from is None else incident)
    ledger.tell_update(ledger.incident(incident.id))


def _kinds(known: tuple[str, ...], alerts: Iterable[AlertRecord]) -> tuple[str, ...]:
    names = (alert.labels.get("alertname", "unnamed alert") for alert in alerts)
    return tuple(dict.fromkeys((*known, *names)))[:KINDS_MAX]


def _named(alerts: list[AlertRecord]) -> str:
    """`3 alerts (Down, Slow)`: enough for a line of the story; the alerts themselves are listed beside it."""
    names = ", ".join(_kinds((), alerts)[:5])
    return f"{len(alerts)} {'alert' if len(alerts) == 1 else 'alerts'} ({names})"


# --- time, policies, answers -------------------------------------------------------------------------------


def _pass_time(ledger: Ledger) -> None:
    for identifier in ledger.state.due(ledger.at):
        incident = ledger.incident(identifier)
        if incident.doubted_until is not None and incident.doubted_until <= ledger.at:
            _end_doubts(ledger, incident)
        incident = ledger.incident(identifier)
        if incident.snoozed_until is not None and incident.snoozed_until <= ledger.at:
            end_snooze(ledger, incident)
        elif incident.due_at is None or incident.due_at > ledger.at:
            continue
        elif incident.status is Status.RESOLVED:
            rest(ledger, incident)
        else:
            ledger.tell_stages(incident)


def _doubt(ledger: Ledger, alert: AlertRecord) -> None:
    until = ledger.at + DOUBTED
    ledger.put_alert(replace(alert, doubted_until=until))
    incident = ledger.incident(alert.incident)
    incident = replace(incident, doubted_until=min(until, incident.doubted_until or until))
    why = f"{_named([alert])} was resolved a moment ago: it came back, unless a resolve confirms that"
    ledger.step(incident, "late firing", f"{why} by {until:%H:%M:%S}Z")


def _end_doubts(ledger: Ledger, incident: Incident) -> None:
    doubted = [alert for alert in ledger.state.alerts_of(incident) if alert.doubted_until is not None]
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
        ledger.step(incident, "came back", f"{_named(back)} fired after its resolve, and no second resolve came")
        _join(ledger, incident.group, incident.group_labels, back, {})


def _load_policy(ledger: Ledger, fact: PolicyLoaded) -> None:
    """Incidents that are open go on under the new policy: their stages are timed anew, a lost route is replaced,
    and channels that are gone are not told any more."""
    ledger.other.append(PolicyInForce(fact.policy))
    channels = frozenset(ledger.policy.channels)
    for incident in sorted(ledger.state.incidents.values(), key=lambda each: each.position):
        if incident.status is Status.RESOLVED:
            continue
        kept = replace(
            incident,
            told=tuple(name for name in incident.told if name in channels),
            stale=tuple(name for name in incident.stale if name in channels),
        )
        lost = incident.escalation not in ledger.policy.escalations  # or it never had one
        ledger.tell_stages(_routed(ledger, kept) if lost else kept)


def _settle(ledger: Ledger, fact: Delivered | Undeliverable, what: str, why: str) -> None:
    incident = ledger.state.incidents.get(fact.incident)
    if incident is None or fact.message not in incident.owed:
        ledger.counts["settled_twice"] += 1
        return
    ledger.other.append(MessageSettled(fact.message))
    owed = {message: channel for message, channel in incident.owed.items() if message != fact.message}
    attempts = "" if fact.attempts == 1 else f", at attempt {fact.attempts}"
    incident = ledger.step(replace(incident, owed=owed), what, f"{why}{attempts}")
    if fact.channel in incident.stale and fact.channel not in owed.values():
        incident = replace(incident, stale=tuple(name for name in incident.stale if name != fact.channel))
        ledger.tell(incident, Kind.UPDATED, (fact.channel,))
