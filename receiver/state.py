"""What the engine knows: active alerts, incidents that are not yet done with, the policy in force.

`State.apply` is the only way it moves. Everything else here is an index that follows from the values, kept so
that a decision costs what it touches and not what there is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice

import msgspec

from receiver.entry import EntrySetAside
from receiver.incident import AlertRecord, Group, Incident, Status, Step
from receiver.policy.policy import NO_POLICY, Policy


class IncidentChanged(msgspec.Struct, frozen=True):
    incident: Incident


class IncidentForgotten(msgspec.Struct, frozen=True):
    """It is resolved and nothing about it is owed: it leaves memory and stays in the store."""

    incident: str


class AlertChanged(msgspec.Struct, frozen=True):
    alert: AlertRecord


class StepTaken(msgspec.Struct, frozen=True):
    step: Step


class MessageSettled(msgspec.Struct, frozen=True):
    """Taken or refused: the outbox owes it no longer."""

    message: str


class PolicyInForce(msgspec.Struct, frozen=True):
    policy: Policy


class SetAsideTold(msgspec.Struct, frozen=True):
    """Of these entries, which were set aside, people are told."""

    positions: tuple[int, ...]


Change = (
    IncidentChanged
    | IncidentForgotten
    | AlertChanged
    | StepTaken
    | MessageSettled
    | PolicyInForce
    | EntrySetAside
    | SetAsideTold
)


class State:
    """The values, and the indexes over them. Read it freely; only `apply` may change it."""

    def __init__(self, *, journal: str) -> None:
        self.journal = journal  # the name of the journal, drawn once when it began
        self.policy: Policy = NO_POLICY
        self.incidents: dict[str, Incident] = {}
        self.alerts: dict[tuple[str, str], AlertRecord] = {}
        self._open: dict[Group, str] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._deadlines = Deadlines()

    @classmethod
    def restored(
        cls, *, journal: str, policy: Policy, incidents: Iterable[Incident], alerts: Iterable[AlertRecord]
    ) -> State:
        """The state that a store kept. `alerts` come in the order in which they joined their incidents."""
        state = cls(journal=journal)
        state.policy = policy
        for alert in alerts:
            state._members.setdefault(alert.incident, {})[alert.fingerprint] = None
            if alert.moved_on:
                continue
            key = (alert.source, alert.fingerprint)
            known = state.alerts.get(key)
            if known is None or known.changed <= alert.changed:  # an alert that moved on has a row in each incident
                state.alerts[key] = alert
        for incident in incidents:
            state._put(incident)
        return state

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case AlertChanged(alert):
                    if not alert.moved_on:
                        self.alerts[alert.source, alert.fingerprint] = alert
                    self._members.setdefault(alert.incident, {})[alert.fingerprint] = None
                case IncidentChanged(incident):
                    self._put(incident)
                case IncidentForgotten(identifier):
                    self._forget(identifier)
                case PolicyInForce(policy):
                    self.policy = policy
                case StepTaken() | MessageSettled() | EntrySetAside() | SetAsideTold():
                    pass  # the store keeps these; no decision looks back at them

    def open_incident_of(self, group: Group) -> Incident | None:
        identifier = self._open.get(group)
        return None if identifier is None else self.incidents[identifier]

    def alerts_of(self, incident: Incident) -> Iterator[AlertRecord]:
        """In the order in which they joined. An alert that has since joined another incident is not among them."""
        for fingerprint in self._members.get(incident.id, ()):
            alert = self.alerts.get((incident.group.source, fingerprint))
            if alert is not None and alert.incident == incident.id:
                yield alert

    def first_alerts_of(self, incident: Incident, limit: int) -> list[AlertRecord]:
        """Those that fire, then the others, at most `limit`."""
        firing = (alert for alert in self.alerts_of(incident) if alert.firing)
        others = (alert for alert in self.alerts_of(incident) if not alert.firing)
        return list(islice(chain(firing, others), limit))

    def next_due(self) -> datetime | None:
        return self._deadlines.next()

    def due(self, at: datetime) -> list[str]:
        """The incidents for which something is due, the longest overdue first."""
        return self._deadlines.due(at)

    def _put(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident
        self._deadlines.set(incident.id, incident.deadline)
        if incident.status is Status.RESOLVED:
            if self._open.get(incident.group) == incident.id:
                del self._open[incident.group]
        else:
            self._open[incident.group] = incident.id

    def _forget(self, identifier: str) -> None:
        incident = self.incidents[identifier]
        for fingerprint in self._members.pop(identifier, ()):
            key = (incident.group.source, fingerprint)
            known = self.alerts.get(key)
            if known is not None and known.incident == identifier:
                del self.alerts[key]
        del self.incidents[identifier]
        self._deadlines.set(identifier, None)


class Deadlines:
    """Who is due when. A heap with entries that may be outdated; the map says which are not."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []
        self._when: dict[str, datetime] = {}

    def set(self, who: str, when: datetime | None) -> None:
        if self._when.get(who) == when:
            return
        if when is None:
            del self._when[who]
        else:
            self._when[who] = when
            heapq.heappush(self._heap, (when, who))
        if len(self._heap) > 64 + 2 * len(self._when):
            self._heap = [(when, who) for who, when in self._when.items()]
            heapq.heapify(self._heap)

    def next(self) -> datetime | None:
        while self._heap:
            when, who = self._heap[0]
            if self._when.get(who) == when:
                return when
            heapq.heappop(self._heap)
        return None

    def due(self, at: datetime) -> list[str]:
        # Walks only the part of the heap that is due: below a node that is not, nothing is.
        found = set()
        places = [0]
        while places:
            place = places.pop()
            if place < len(self._heap) and self._heap[place][0] <= at:
                when, who = self._heap[place]
                if self._when.get(who) == when:
                    found.add((when, who))
                places += (2 * place + 1, 2 * place + 2)
        return [who for _, who in sorted(found)]
