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

An incident that is resolved stays in memory for an hour, so that a firing that arrives late is recognised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_never

import msgspec
from msgspec.structs import replace

from receiver.alert import Alert, Notification, utc
from receiver.entry import AlertsReceived, Delivered, Entry, PolicyLoaded, TimePassed, Undeliverable
from receiver.incident import (
    KINDS_MAX,
    AlertRecord,
    Group,
    Incident,
    Status,
    Step,
    Trigger,
    highest_severity,
    next_status,
    severity_rank,
    shared_labels,
    title_of,
)
from receiver.message import ALERTS_MAX, Kind, Message, compose, message_id
from receiver.policy.policy import Policy
from receiver.state import (
    AlertChanged,
    Change,
    IncidentChanged,
    IncidentForgotten,
    MessageSettled,
    PolicyInForce,
    State,
    StepTaken,
)

REMEMBERED = timedelta(hours=1)
# With two Alertmanagers an older firing may arrive after the resolve that the other one sent. Within this time
# it is taken for that; later the same `startsAt` is an alert that came back, and a page is better than none.
LATE = timedelta(seconds=60)
LABELS_MAX = 128
CHARACTERS_MAX = 8192


class Decision(msgspec.Struct, frozen=True):
    """What follows from one entry. `counts` is for metrics; nothing is decided by it."""

    changes: tuple[Change, ...]
    messages: tuple[Message, ...]
    counts: dict[str, int]


def policy_for(state: State, entry: Entry) -> Policy:
    """The policy that decides about `entry`: the one in force, or the one that the entry brings."""
    return entry.fact.policy if isinstance(entry.fact, PolicyLoaded) else state.policy


def decide(state: State, entry: Entry, policy: Policy) -> Decision:
    """The only decision there is. Neither argument is changed."""
    draft = _Draft(state, entry, policy)
    match entry.fact:
        case AlertsReceived():
            _receive(draft, entry.fact)
        case TimePassed():
            _pass_time(draft)
        case PolicyLoaded():
            _load_policy(draft, entry.fact)
        case Delivered():
            _settle(draft, entry.fact, "delivered", f"{entry.fact.channel} took it: {entry.fact.answer}")
        case Undeliverable():
            _settle(
                draft,
                entry.fact,
                "not delivered",
                f"{entry.fact.channel} will not take it: {entry.fact.reason}",
            )
        case _:
            assert_never(entry.fact)
    return draft.finish()


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
    ended = alert.ended_at
    return "late" if ended is not None and ended < known.starts_at else "resolved"


def _receive(draft: _Draft, fact: AlertsReceived) -> None:
    notification = fact.notification
    group = Group(fact.source, notification.receiver_name, notification.group_key)
    joined: list[AlertRecord] = []
    gone: dict[str, list[AlertRecord]] = {}
    seen: set[str] = set()
    for alert in notification.alerts:
        if alert.identity in seen:
            draft.counts["duplicate"] += 1  # Alertmanager never does this; the first one counts
            continue
        seen.add(alert.identity)
        known = draft.state.alerts.get((fact.source, alert.identity))
        outcome = compare(known, alert, draft.at)
        draft.counts[outcome] += 1
        match outcome:
            case "new" | "refired":
                joined.append(draft.put_alert(_record(draft, fact.source, alert, incident="")))
            case "resolved" if known is not None:
                resolved = draft.put_alert(_record(draft, fact.source, alert, incident=known.incident))
                gone.setdefault(known.incident, []).append(resolved)
            case "repeated" if known is not None and known.firing and known.annotations != alert.annotations:
                # A description with a value in it changes all the time: worth showing, not worth a message.
                draft.put_alert(replace(known, annotations=_bounded(draft, alert.annotations)))
    if joined:
        _join(draft, group, notification, joined, gone)
    for identifier, alerts in gone.items():
        _update(draft, draft.incident(identifier), joined=[], gone=alerts)


def _record(draft: _Draft, source: str, alert: Alert, *, incident: str) -> AlertRecord:
    return AlertRecord(
        source=source,
        fingerprint=alert.identity,
        incident=incident,
        status=alert.status,
        labels=_bounded(draft, alert.labels),
        annotations=_bounded(draft, alert.annotations),
        generator_url=alert.generator_url[:CHARACTERS_MAX],
        starts_at=utc(alert.starts_at),
        ended_at=alert.ended_at if alert.status == "resolved" else None,
        changed_at=draft.at,
        changed=draft.position,
    )


def _bounded(draft: _Draft, texts: dict[str, str]) -> dict[str, str]:
    """The same map unless something in it is over a limit; then cut, and counted."""
    if len(texts) <= LABELS_MAX and all(len(value) <= CHARACTERS_MAX for value in texts.values()):
        return texts
    draft.counts["cut"] += 1
    return {name: value[:CHARACTERS_MAX] for name, value in list(texts.items())[:LABELS_MAX]}


# --- incidents ---------------------------------------------------------------------------------------------


def _join(
    draft: _Draft,
    group: Group,
    notification: Notification,
    joined: list[AlertRecord],
    gone: dict[str, list[AlertRecord]],
) -> None:
    incident = draft.state.open_incident_of(group)
    if incident is None:
        incident = _opened(draft, group, notification, joined)
        for alert in joined:
            draft.put_alert(replace(alert, incident=incident.id))
        draft.tell_stages(_routed(draft, incident))
        return
    for alert in joined:
        draft.put_alert(replace(alert, incident=incident.id))
    # What joins and what goes in one body is one update: an incident does not close and open in one breath.
    _update(draft, incident, joined=joined, gone=gone.pop(incident.id, []))


def _opened(draft: _Draft, group: Group, notification: Notification, joined: list[AlertRecord]) -> Incident:
    kinds = _kinds((), joined)
    why = (
        f"source {group.source!r}, Alertmanager's receiver {group.receiver!r}: "
        f"alerts of the group {group.key} began to fire and no incident was open for it"
    )
    incident = Incident(
        id=f"T-{draft.position}",
        position=draft.position,
        group=group,
        status=Status.OPEN,
        severity=highest_severity(alert.labels.get("severity", "none") for alert in joined),
        title=title_of(kinds, notification.group_labels),
        labels=shared_labels(alert.labels for alert in joined),
        group_labels=notification.group_labels,
        kinds=kinds,
        opened_at=draft.at,
        updated_at=draft.at,
        why=why[:CHARACTERS_MAX],
        firing=len(joined),
    )
    draft.counts["incidents_opened"] += 1
    return draft.step(incident, "opened", f"{incident.why}; it holds {_named(joined)}")


def _update(draft: _Draft, incident: Incident, *, joined: list[AlertRecord], gone: list[AlertRecord]) -> None:
    before = incident
    again = sum(1 for alert in joined if draft.was_resolved_in(incident, alert))
    kinds = _kinds(incident.kinds, joined)
    incident = replace(
        incident,
        firing=incident.firing + len(joined) - len(gone),
        resolved=incident.resolved + len(gone) - again,
        severity=highest_severity([incident.severity, *(alert.labels.get("severity", "none") for alert in joined)]),
        labels=shared_labels([incident.labels, *(alert.labels for alert in joined)]),
        kinds=kinds,
        title=incident.title if kinds == incident.kinds else title_of(kinds, incident.group_labels),
        updated_at=draft.at,
    )
    if joined:
        incident = draft.step(incident, "alerts joined", f"same Alertmanager group: {_named(joined)}")
    if gone:
        incident = draft.step(incident, "alerts resolved", f"Alertmanager said so: {_named(gone)}")
    if incident.firing == 0:
        _resolve(draft, incident)
        return
    if severity_rank(incident.severity) > severity_rank(before.severity):
        incident = draft.step(
            incident,
            "severity rose",
            f"from {before.severity} to {incident.severity}, the highest of its alerts",
        )
        incident = _routed(draft, incident)
    draft.tell_stages(incident)
    draft.tell_update(draft.incident(incident.id))


def _resolve(draft: _Draft, incident: Incident) -> None:
    draft.counts["incidents_resolved"] += 1
    incident = replace(
        incident,
        status=next_status(incident.status, Trigger.LAST_ALERT_RESOLVED),
        resolved_at=draft.at,
        due_at=draft.at + REMEMBERED,
        stale=(),
    )
    incident = draft.step(incident, "resolved", "none of its alerts fires any more")
    draft.tell(incident, Kind.RESOLVED, incident.told)


def _routed(draft: _Draft, incident: Incident) -> Incident:
    """The incident with the route that its labels take now. A route that stays keeps the stages already taken."""
    route = draft.policy.route({**incident.labels, "severity": incident.severity})
    if route is None:
        draft.counts["unrouted"] += 1
        incident = replace(incident, route=None, escalation=None, escalates_from=None, stage=0, due_at=None)
        return draft.step(incident, "not routed", "no route of the policy matches its labels: nobody is told")
    if incident.escalation == route.escalation and incident.route == str(route):
        return incident
    incident = replace(
        incident, route=str(route), escalation=route.escalation, escalates_from=draft.at, stage=0, due_at=None
    )
    way = f"to the escalation {route.escalation!r}" if route.escalation else "to nobody"
    return draft.step(incident, "routed", f"{way}: the first route that matches is {route}")


def _kinds(known: tuple[str, ...], alerts: Iterable[AlertRecord]) -> tuple[str, ...]:
    names = (alert.labels.get("alertname", "unnamed alert") for alert in alerts)
    return tuple(dict.fromkeys((*known, *names)))[:KINDS_MAX]


def _named(alerts: list[AlertRecord]) -> str:
    """`3 alerts (Down, Slow)`: enough for a line of the story; the alerts themselves are listed beside it."""
    names = ", ".join(_kinds((), alerts)[:5])
    return f"{len(alerts)} {'alert' if len(alerts) == 1 else 'alerts'} ({names})"


# --- time, policies, answers -------------------------------------------------------------------------------


def _pass_time(draft: _Draft) -> None:
    for identifier in draft.state.due(draft.at):
        incident = draft.incident(identifier)
        if incident.status is Status.OPEN:
            draft.tell_stages(incident)
        elif incident.owed:
            draft.put(replace(incident, due_at=draft.at + REMEMBERED))
        else:
            draft.forgotten.append(identifier)


def _load_policy(draft: _Draft, fact: PolicyLoaded) -> None:
    """Incidents that are open go on under the new policy: their stages are timed anew, a lost route is replaced."""
    draft.other.append(PolicyInForce(fact.policy))
    for incident in sorted(draft.state.incidents.values(), key=lambda each: each.position):
        if incident.status is not Status.OPEN:
            continue
        lost = incident.escalation not in draft.policy.escalations  # or it never had one
        draft.tell_stages(_routed(draft, incident) if lost else incident)


def _settle(draft: _Draft, fact: Delivered | Undeliverable, what: str, why: str) -> None:
    incident = draft.state.incidents.get(fact.incident)
    if incident is None or fact.message not in incident.owed:
        draft.counts["settled_twice"] += 1
        return
    draft.other.append(MessageSettled(fact.message))
    owed = {message: channel for message, channel in incident.owed.items() if message != fact.message}
    attempts = "" if fact.attempts == 1 else f", at attempt {fact.attempts}"
    incident = draft.step(replace(incident, owed=owed), what, f"{why}{attempts}")
    if fact.channel in incident.stale and fact.channel not in owed.values():
        incident = replace(incident, stale=tuple(name for name in incident.stale if name != fact.channel))
        draft.tell(incident, Kind.UPDATED, (fact.channel,))


# --- the draft ---------------------------------------------------------------------------------------------


class _Draft:
    """A decision while it is made: what it has changed so far, on top of a state that stays as it is."""

    def __init__(self, state: State, entry: Entry, policy: Policy) -> None:
        self.state = state
        self.policy = policy
        self.at = entry.at
        self.position = entry.position
        self.counts: Counter[str] = Counter()
        self.forgotten: list[str] = []
        self.other: list[Change] = []
        self._alerts: dict[tuple[str, str], AlertRecord] = {}
        self._incidents: dict[str, Incident] = {}
        self._steps: list[Step] = []
        self._told: dict[tuple[str, str], tuple[int, Kind]] = {}  # (incident, channel) -> step, kind

    def put_alert(self, alert: AlertRecord) -> AlertRecord:
        self._alerts[alert.source, alert.fingerprint] = alert
        return alert

    def was_resolved_in(self, incident: Incident, alert: AlertRecord) -> bool:
        """Whether this alert, which fires again, was counted among the incident's resolved ones."""
        known = self.state.alerts.get((alert.source, alert.fingerprint))
        return known is not None and known.incident == incident.id and not known.firing

    def incident(self, identifier: str) -> Incident:
        return self._incidents.get(identifier) or self.state.incidents[identifier]

    def put(self, incident: Incident) -> Incident:
        self._incidents[incident.id] = incident
        return incident

    def step(self, incident: Incident, what: str, why: str) -> Incident:
        number = incident.steps + 1
        self._steps.append(Step(incident=incident.id, number=number, at=self.at, what=what, why=why))
        return self.put(replace(incident, steps=number))

    def tell_stages(self, incident: Incident) -> None:
        """Takes every stage that is due, and notes when the next one is."""
        escalation = self.policy.escalations.get(incident.escalation or "")
        stages = escalation.stages if escalation is not None else ()
        while incident.stage < len(stages):
            stage = stages[incident.stage]
            due = (incident.escalates_from or incident.opened_at) + stage.delay
            if due > self.at:
                self.put(replace(incident, due_at=due))
                return
            kind = Kind.OPENED if incident.stage == 0 and not incident.told else Kind.ESCALATED
            incident = replace(incident, stage=incident.stage + 1, due_at=None)
            why = f"stage {incident.stage} of {len(stages)} of the escalation {incident.escalation!r} was due"
            incident = self.step(incident, f"told {', '.join(stage.notify)}", why)
            incident = self.tell(incident, kind, stage.notify)
        self.put(replace(incident, due_at=None))

    def tell_update(self, incident: Incident) -> None:
        channels = tuple(name for name in incident.told if (incident.id, name) not in self._told)
        waiting = [name for name in channels if name in incident.owed.values()]
        if waiting:
            incident = replace(incident, stale=tuple(sorted({*incident.stale, *waiting})))
        self.tell(incident, Kind.UPDATED, tuple(name for name in channels if name not in waiting))

    def tell(self, incident: Incident, kind: Kind, channels: Iterable[str]) -> Incident:
        """Owes each channel one message of the incident's latest step; one decision never tells a channel twice."""
        owed = dict(incident.owed)
        told = dict.fromkeys(incident.told)
        for channel in channels:
            if (incident.id, channel) in self._told:
                continue
            self._told[incident.id, channel] = (incident.steps, kind)
            identifier = message_id(
                journal=self.state.journal, incident=incident.id, step=incident.steps, channel=channel
            )
            owed[identifier] = channel
            told[channel] = None
        return self.put(replace(incident, owed=owed, told=tuple(told)))

    def finish(self) -> Decision:
        changes: list[Change] = [AlertChanged(alert) for alert in self._alerts.values()]
        changes += [IncidentChanged(incident) for incident in self._incidents.values()]
        changes += [StepTaken(step) for step in self._steps]
        changes += self.other
        changes += [IncidentForgotten(identifier) for identifier in self.forgotten]
        return Decision(changes=tuple(changes), messages=tuple(self._messages()), counts=dict(self.counts))

    def _messages(self) -> Iterable[Message]:
        """Composed last, so that every message shows the incident as the whole decision left it."""
        shown: dict[str, list[AlertRecord]] = {}
        for (identifier, channel), (step, kind) in self._told.items():
            incident = self.incident(identifier)
            if identifier not in shown:
                shown[identifier] = self._shown(incident)
            yield compose(
                journal=self.state.journal,
                incident=incident,
                step=step,
                channel=channel,
                kind=kind,
                alerts=shown[identifier],
                at=self.at,
            )

    def _shown(self, incident: Incident) -> list[AlertRecord]:
        """The first alerts as this decision leaves them: those that fire, then the others."""
        mine = [alert for alert in self._alerts.values() if alert.incident == incident.id]
        unchanged = [
            alert
            for alert in self.state.first_alerts_of(incident, ALERTS_MAX)
            if (alert.source, alert.fingerprint) not in self._alerts
        ]
        both = [*mine, *unchanged]
        return sorted(both, key=lambda alert: not alert.firing)[:ALERTS_MAX]
