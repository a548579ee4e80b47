"""What the engine knows: active alerts, incidents that are not yet done with, the policy in force, and how sources,
groups and channels are.

`State.apply` is the only way it moves. Everything else here is an index that follows from the values, kept so
that a decision costs what it touches and not what there is.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import TypeVar

import msgspec

from receiver.entry import Delivered, EntrySetAside, Undeliverable, Withdrawn
from receiver.escalation import Idle, idle
from receiver.incident import AlertRecord, Group, Incident, Spell, Step
from receiver.known import ChainKnown, ChannelKnown, Cut, Known, SourceKnown, name_of
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


class SpellChanged(msgspec.Struct, frozen=True):
    """For statistics: what is known of a spell of an incident. `name` is that of its first alert."""

    incident: str
    severity: str
    name: str
    spell: Spell


class MessageSettled(msgspec.Struct, frozen=True):
    """Taken, refused or withdrawn: the outbox owes it no longer. The rest is for whoever asks what was sent."""

    message: str
    outcome: str = "delivered"  # or refused, or withdrawn
    attempts: int | None = None
    seconds: float | None = None
    answer: str = ""
    at: datetime | None = None

    @classmethod
    def by(cls, fact: Delivered | Undeliverable | Withdrawn, at: datetime) -> MessageSettled:
        match fact:
            case Delivered():
                return cls(fact.message, "delivered", fact.attempts, fact.seconds, fact.answer, at)
            case Undeliverable():
                return cls(fact.message, "refused", fact.attempts, None, fact.reason, at)
            case Withdrawn():
                return cls(fact.message, "withdrawn", fact.attempts, None, fact.why, at)


class PolicyInForce(msgspec.Struct, frozen=True):
    policy: Policy


class SetAsideTold(msgspec.Struct, frozen=True):
    """Of these entries, which were set aside, people are told."""

    positions: tuple[int, ...]


class KnownChanged(msgspec.Struct, frozen=True):
    """A source, a group that was cut, a channel, or the chain of the journal."""

    known: Known


class CutMended(msgspec.Struct, frozen=True):
    """The group is known whole again."""

    group: Group


class SourceForgotten(msgspec.Struct, frozen=True):
    """The policy has no watchdog for it any more."""

    name: str


Change = (
    IncidentChanged
    | IncidentForgotten
    | AlertChanged
    | StepTaken
    | SpellChanged
    | MessageSettled
    | PolicyInForce
    | EntrySetAside
    | SetAsideTold
    | KnownChanged
    | CutMended
    | SourceForgotten
)


class Waiting(msgspec.Struct, frozen=True):
    """So many incidents are held back from a channel, the first one since then."""

    incidents: int
    since: datetime


class State:
    """The values, and the indexes over them. Read it freely; only `apply` may change it."""

    def __init__(self, *, journal: str, hash_key: bytes = b"") -> None:
        self.journal = journal  # the name of the journal, drawn once when it began
        self.hash_key = hash_key  # for hashes of what is not shown; drawn once by the store, and nowhere else
        self.policy: Policy = NO_POLICY
        self.incidents: dict[str, Incident] = {}
        self.alerts: dict[tuple[str, str], AlertRecord] = {}
        self.sources: dict[str, SourceKnown] = {}
        self.channels: dict[str, ChannelKnown] = {}
        self.cut: dict[Group, Cut] = {}
        self.chain: ChainKnown | None = None
        self._found_by: dict[str, dict[str, None]] = {}  # key -> incidents
        self._members: dict[str, dict[tuple[str, str], None]] = {}
        self._firing_of: dict[Group, dict[tuple[str, str], None]] = {}
        self._awaiting: dict[Group, dict[str, None]] = {}
        self._held_on: dict[str, dict[str, None]] = {}  # channel -> incidents
        self._idle: dict[Idle, dict[str, None]] = {each: {} for each in Idle}  # -> incidents
        self._idle_of: dict[str, Idle] = {}
        self._deadlines = Deadlines()

    @classmethod
    def restored(
        cls,
        *,
        journal: str,
        hash_key: bytes = b"",
        policy: Policy,
        incidents: Iterable[Incident],
        alerts: Iterable[AlertRecord],
        known: Iterable[Known] = (),
    ) -> State:
        """The state that a store kept. `alerts` come in the order in which they joined their incidents."""
        state = cls(journal=journal, hash_key=hash_key)
        state.policy = policy
        for incident in incidents:
            state._put(incident)
        latest: dict[tuple[str, str], AlertRecord] = {}
        for alert in alerts:
            key = (alert.source, alert.fingerprint)
            before = latest.get(key)
            state._members.setdefault(alert.incident, {})[key] = None
            if alert.moved_on:
                continue
            if before is None or before.changed <= alert.changed:  # what moved on has a row in each incident
                latest[key] = alert
        state.alerts = latest
        for key, alert in latest.items():
            if alert.group is not None and alert.firing:
                state._firing_of.setdefault(alert.group, {})[key] = None
        for each in known:
            state._put_known(each)
        return state

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case AlertChanged(alert):
                    if alert.moved_on:
                        self._members.setdefault(alert.incident, {})[alert.source, alert.fingerprint] = None
                    else:
                        self._put_alert(alert)
                case IncidentChanged(incident):
                    self._put(incident)
                case StepTaken() | SpellChanged() | MessageSettled() | EntrySetAside() | SetAsideTold():
                    pass  # the store keeps these; no decision looks back at them
                case IncidentForgotten(identifier):
                    self._forget(identifier)
                case PolicyInForce(policy):
                    self.policy = policy
                    for incident in self.incidents.values():
                        self._note_idle(incident)
                case KnownChanged(known):
                    self._put_known(known)
                case CutMended(group):
                    self.cut.pop(group, None)
                case SourceForgotten(name):
                    self.sources.pop(name, None)
                    self._deadlines.set(f"source {name}", None)

    def found_by(self, key: str) -> Iterable[str]:
        """The incidents under a key, in no order that means anything."""
        return self._found_by.get(key, ())

    def alerts_of(self, incident: Incident) -> Iterator[AlertRecord]:
        """In the order in which they joined. An alert that has since joined another incident is not among them."""
        for key in self._members.get(incident.id, ()):
            alert = self.alerts.get(key)
            if alert is not None and alert.incident == incident.id:
                yield alert

    def ever_in(self, incident: Incident) -> Iterator[AlertRecord]:
        """Also those that have since gone to another one, as they are now."""
        for key in self._members.get(incident.id, ()):
            alert = self.alerts.get(key)
            if alert is not None:
                yield alert

    def first_alerts_of(self, incident: Incident, limit: int) -> list[AlertRecord]:
        """Those that fire, then the others, at most `limit`."""
        firing = (alert for alert in self.alerts_of(incident) if alert.firing)
        others = (alert for alert in self.alerts_of(incident) if not alert.firing)
        return list(islice(chain(firing, others), limit))

    def firing_of(self, group: Group) -> Iterator[AlertRecord]:
        """Those that fire, and that a body of this group showed last. Sorted: a start must not change the order."""
        return (self.alerts[key] for key in sorted(self._firing_of.get(group, ())))

    def awaiting(self, group: Group) -> list[str]:
        """The incidents that are over unless this group, when it is known whole, has more."""
        return sorted(self._awaiting.get(group, ()))

    def held_on(self, channel: str) -> list[str]:
        """The incidents of which a channel will hear in its digest."""
        return sorted(self._held_on.get(channel, ()))

    def holds(self, channel: str) -> Iterable[str]:
        """The same in no order."""
        return self._held_on.get(channel, ())

    def held(self) -> dict[str, Waiting]:
        """What waits for the digest of each channel."""
        return {
            channel: Waiting(len(names), min(self.incidents[name].held[channel].since for name in names))
            for channel, names in sorted(self._held_on.items())
        }

    def idle(self, why: Idle) -> Collection[str]:
        """The incidents that are not over and for which nothing comes, in no order that means anything."""
        return self._idle[why].keys()

    def next_due(self) -> datetime | None:
        return self._deadlines.next()

    def due(self, at: datetime) -> list[str]:
        """For whom something is due, the longest overdue first: incidents, sources, channels."""
        return self._deadlines.due(at)

    def _put(self, incident: Incident) -> None:
        before = self.incidents.get(incident.id)
        self.incidents[incident.id] = incident
        self._deadlines.set(incident.id, incident.deadline)
        self._note_idle(incident)
        if before is None or before.found_by != incident.found_by:
            self._unindex(before)
            for key in incident.found_by:
                self._found_by.setdefault(key, {})[incident.id] = None
        if before is not None:
            if before.awaits is not None:
                _drop(self._awaiting, before.awaits, before.id)
            for channel in before.held:
                _drop(self._held_on, channel, before.id)
        if incident.awaits is not None:
            self._awaiting.setdefault(incident.awaits, {})[incident.id] = None
        for channel in incident.held:
            self._held_on.setdefault(channel, {})[incident.id] = None

    def _note_idle(self, incident: Incident) -> None:
        before, now = self._idle_of.get(incident.id), idle(self.policy, incident)
        if before is now:
            return
        if before is not None:
            del self._idle[before][incident.id], self._idle_of[incident.id]
        if now is not None:
            self._idle_of[incident.id] = now
            self._idle[now][incident.id] = None

    def _put_alert(self, alert: AlertRecord) -> None:
        key = (alert.source, alert.fingerprint)
        before = self.alerts.get(key)
        self.alerts[key] = alert
        if before is None or before.incident != alert.incident:
            self._members.setdefault(alert.incident, {})[key] = None
        if before is not None and before.group is not None and before.firing:
            if before.group == alert.group and alert.firing:
                return
            _drop(self._firing_of, before.group, key)
        if alert.group is not None and alert.firing:
            self._firing_of.setdefault(alert.group, {})[key] = None

    def _put_known(self, known: Known) -> None:
        match known:
            case SourceKnown():
                self.sources[known.name] = known
                self._deadlines.set(name_of(known), known.deadline)
            case ChannelKnown():
                self.channels[known.name] = known
                self._deadlines.set(name_of(known), known.deadline)
            case ChainKnown():
                self.chain = known
            case Cut():
                self.cut[known.group] = known

    def _forget(self, identifier: str) -> None:
        incident = self.incidents.pop(identifier)
        for key in self._members.pop(identifier, ()):
            known = self.alerts.get(key)
            if known is not None and known.incident == identifier:
                del self.alerts[key]
                if known.firing and known.group is not None:
                    _drop(self._firing_of, known.group, key)
        self._unindex(incident)
        why = self._idle_of.pop(identifier, None)
        if why is not None:
            del self._idle[why][identifier]
        self._deadlines.set(identifier, None)

    def _unindex(self, incident: Incident | None) -> None:
        if incident is not None:
            for key in incident.found_by:
                _drop(self._found_by, key, incident.id)


_Key = TypeVar("_Key")
_Member = TypeVar("_Member")


def _drop(index: dict[_Key, dict[_Member, None]], key: _Key, member: _Member) -> None:
    members = index.get(key)
    if members is not None:
        members.pop(member, None)
        if not members:
            del index[key]


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
