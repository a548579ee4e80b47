"""A decision while it is made: what it has changed so far, on top of a state that stays as it is.

The engine says what happens; the ledger keeps the books: steps are numbered, what this decision opened is found by
what comes after it in the same decision, and what was put last is what counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec
from msgspec.structs import replace

from receiver.entry import Act, AlertsReceived, Entry
from receiver.incident import NO_CAUSE, AlertRecord, Cause, Group, Incident, Status, Step
from receiver.known import ChannelKnown, Cut, Known, SourceKnown, name_of
from receiver.message import ALERTS_MAX, PAGES, Kind, Message, compose, compose_digest, entry_named
from receiver.policy.actionnames import action_named
from receiver.policy.policy import Policy
from receiver.policy.redaction import Redact, rules_for
from receiver.redaction import Hiding
from receiver.spell import Timed, Told, spell_after, times_of
from receiver.state import (
    AlertChanged,
    Change,
    CutMended,
    IncidentChanged,
    IncidentForgotten,
    KnownChanged,
    SpellChanged,
    State,
    StepTaken,
)
from receiver.texts import Texts


class Decision(msgspec.Struct, frozen=True):
    """What follows from one entry. `counts` and `timed` are for metrics; nothing is decided by them."""

    changes: tuple[Change, ...]
    messages: tuple[Message, ...]
    counts: dict[str, int]
    refused: str | None = None  # why what a person wanted is not done; then nothing is changed
    timed: tuple[Timed, ...] = ()


class Telling(msgspec.Struct, frozen=True):
    """A channel is told of a step of an incident."""

    step: int
    kind: Kind


class Digest(msgspec.Struct, frozen=True):
    """A channel is told of several incidents, the most severe first."""

    incidents: tuple[str, ...]
    left_out: int


class Ledger:
    """A decision while it is made: what it has changed so far, on top of a state that stays as it is."""

    def __init__(self, state: State, entry: Entry, policy: Policy) -> None:
        self.state = state
        self.policy = policy
        self.at = entry.at
        self.position = entry.position
        self._webhook = entry.fact if isinstance(entry.fact, AlertsReceived) else None
        self._via = entry.fact.via if isinstance(entry.fact, Act) else ""  # by which way a person acts
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.forgotten: list[str] = []
        self.other: list[Change] = []
        self.texts = Texts()  # of the alerts that began
        self.refused: str | None = None
        self.told: dict[tuple[str, str], Telling] = {}  # (incident, channel)
        self.digests: dict[str, Digest] = {}  # by channel
        self._alerts: dict[tuple[str, str], AlertRecord] = {}
        self._put_into: dict[str, list[tuple[str, str]]] = {}  # incident -> alerts that this decision put into it
        self._incidents: dict[str, Incident] = {}
        self._newly_under: dict[str, dict[str, None]] = {}  # key -> incidents that got it in this decision
        self._opened = 0
        self._known: dict[str, Known] = {}
        self._mended: dict[Group, None] = {}
        self._steps: list[Step] = []

    # --- alerts --------------------------------------------------------------------------------------------

    def alert(self, key: tuple[str, str]) -> AlertRecord | None:
        """As this decision has it so far."""
        return self._alerts.get(key) or self.state.alerts.get(key)

    def latest(self, alert: AlertRecord) -> AlertRecord:
        """As this decision leaves it so far."""
        return self._alerts.get((alert.source, alert.fingerprint), alert)

    def put_alert(self, alert: AlertRecord) -> AlertRecord:
        key = (alert.source, alert.fingerprint)
        before = self._alerts.get(key)
        if before is None or before.incident != alert.incident:
            self._put_into.setdefault(alert.incident, []).append(key)
        self._alerts[key] = alert
        return alert

    def alerts_of(self, incident: Incident) -> Iterator[AlertRecord]:
        """As this decision leaves them so far, in the order in which they joined."""
        for alert in self.state.alerts_of(incident):
            now = self.latest(alert)
            if now.incident == incident.id:
                yield now
        for alert in self._put_in(incident):
            before = self.state.alerts.get((alert.source, alert.fingerprint))
            if before is None or before.incident != incident.id:
                yield alert

    def _put_in(self, incident: Incident) -> list[AlertRecord]:
        """What this decision put into it and is still there, in that order."""
        keys = dict.fromkeys(self._put_into.get(incident.id, ()))
        return [alert for key in keys if (alert := self._alerts[key]).incident == incident.id]

    # --- incidents -----------------------------------------------------------------------------------------

    def incident(self, identifier: str) -> Incident:
        return self._incidents.get(identifier) or self.state.incidents[identifier]

    def known_incident(self, identifier: str) -> Incident | None:
        return self._incidents.get(identifier) or self.state.incidents.get(identifier)

    def found_by(self, key: str) -> list[Incident]:
        """The incidents under a key, the newest first; also those that this very decision opened."""
        identifiers = dict.fromkeys((*self.state.found_by(key), *self._newly_under.get(key, ())))
        found = [each for each in map(self.incident, identifiers) if key in each.found_by]
        if len(found) < 2:
            return found
        return sorted(found, key=lambda each: (each.position, len(each.id), each.id), reverse=True)

    def open_under(self, key: str) -> Incident | None:
        return next((each for each in self.found_by(key) if each.status is not Status.RESOLVED), None)

    @property
    def brought(self) -> Cause:
        """What came with the webhook that is decided about; nothing if none is."""
        return NO_CAUSE if self._webhook is None else Cause(self._webhook.correlation, self._webhook.traceparent)

    def new_incident_id(self) -> str:
        """`T-7` for what entry 7 opens, and `T-7-2` for the second."""
        self._opened += 1
        return f"T-{self.position}" if self._opened == 1 else f"T-{self.position}-{self._opened}"

    def held_on(self, channel: str) -> list[Incident]:
        identifiers = dict.fromkeys((*self.state.held_on(channel), *sorted(self._incidents)))
        return [each for each in map(self.incident, identifiers) if channel in each.held]

    def holds(self, channel: str) -> Iterator[Incident]:
        """The same in no order, one by one, for those who need not see them all."""
        for identifier in self.state.holds(channel):
            incident = self.incident(identifier)
            if channel in incident.held:
                yield incident
        yield from (each for each in self._incidents.values() if channel in each.held)

    def put(self, incident: Incident) -> Incident:
        before = self._incidents.get(incident.id) or self.state.incidents.get(incident.id)
        self._incidents[incident.id] = incident
        if before is None or before.keys is not incident.keys or before.apart != incident.apart:
            for key in incident.found_by:
                self._newly_under.setdefault(key, {})[incident.id] = None
        return incident

    def step(
        self, incident: Incident, what: str, why: str, *, by: str = "tocsin", seconds: float | None = None
    ) -> Incident:
        number = incident.steps + 1
        self._steps.append(
            Step(
                incident=incident.id,
                number=number,
                at=self.at,
                what=what,
                why=why,
                by=by,
                entry=self.position,
                seconds=seconds,
                via="" if by == "tocsin" else self._via,
            )
        )
        return self.put(replace(incident, steps=number))

    # --- what else is known --------------------------------------------------------------------------------

    def put_known(self, known: Known) -> None:
        self._known[name_of(known)] = known

    def channel(self, name: str) -> ChannelKnown:
        known = self._known.get(f"channel {name}")
        return known if isinstance(known, ChannelKnown) else self.state.channels.get(name) or ChannelKnown(name)

    def source(self, name: str) -> SourceKnown | None:
        known = self._known.get(f"source {name}")
        return known if isinstance(known, SourceKnown) else self.state.sources.get(name)

    def mend(self, group: Group) -> None:
        """It is known whole again."""
        self._known.pop(f"cut {group.index}", None)
        if group in self.state.cut:
            self._mended[group] = None

    def cut_group_in(self, incident: Incident) -> Group | None:
        """One of its alerts' groups that is not known whole."""
        if not self.state.cut and not any(isinstance(known, Cut) for known in self._known.values()):
            return None
        return next((alert.group for alert in self.alerts_of(incident) if self._is_cut(alert.group)), None)

    def _is_cut(self, group: Group | None) -> bool:
        if group is None or group in self._mended:
            return False
        return group in self.state.cut or f"cut {group.index}" in self._known

    # --- the end -------------------------------------------------------------------------------------------

    def finish(self) -> Decision:
        if self.refused is not None:
            return Decision(changes=(), messages=(), counts=dict(self.counts), refused=self.refused)
        messages = tuple(self._messages())
        spells, timed = self._spells()
        changes: list[Change] = [AlertChanged(alert) for alert in self._left_behind()]
        changes += [AlertChanged(alert) for alert in self._alerts.values()]
        changes += [IncidentChanged(incident) for incident in self._incidents.values()]
        changes += [StepTaken(step) for step in self._steps]
        changes += spells
        changes += [KnownChanged(known) for known in self._known.values()]
        changes += [CutMended(group) for group in self._mended]
        changes += self.other
        changes += [IncidentForgotten(identifier) for identifier in self.forgotten]
        return Decision(changes=tuple(changes), messages=messages, counts=dict(self.counts), timed=tuple(timed))

    def _spells(self) -> tuple[list[SpellChanged], list[Timed]]:
        """What this decision means to the spells of the incidents that it changes; they are put into these."""
        told = {
            identifier for (identifier, channel), telling in self.told.items()
            if telling.kind in PAGES and action_named(channel) is None
        }  # fmt: skip
        told.update(identifier for digest in self.digests.values() for identifier in digest.incidents)
        changed: list[SpellChanged] = []
        timed: list[Timed] = []
        for incident in self._incidents.values():
            before = self.state.incidents.get(incident.id)
            spell = spell_after(before, incident, Told(self.at, incident.id in told))
            known = None if before is None else before.spell
            name = next(iter(incident.kinds), "")
            if spell is None or (before is not None and spell == known and before.severity == incident.severity):
                continue
            changed.append(SpellChanged(incident.id, incident.severity, name, spell))
            timed += times_of(known, spell, incident.severity, name)
            self._incidents[incident.id] = replace(incident, spell=spell)
        return changed, timed

    def _left_behind(self) -> Iterable[AlertRecord]:
        """What older incidents keep of alerts that went to another one. An older incident may outlive the newer one:
        a start must not take what it keeps for the alert as it is."""
        for key, alert in self._alerts.items():
            known = self.state.alerts.get(key)
            if known is not None and known.incident != alert.incident and known.incident in self.state.incidents:
                yield replace(known, moved_on=True)

    def _messages(self) -> Iterable[Message]:
        """Composed last, so that every message shows the incident as the whole decision left it."""
        shown: dict[str, list[AlertRecord]] = {}
        hiding: dict[tuple[str, tuple[Redact, ...]], Hiding] = {}
        for (identifier, channel), telling in self.told.items():
            incident = self.incident(identifier)
            if identifier not in shown:
                shown[identifier] = self._shown(incident)
            rules = self._rules(channel)
            if rules and (identifier, rules) not in hiding:
                hiding[identifier, rules] = self._hiding(incident, rules)
            yield compose(
                journal=self.state.journal,
                incident=incident,
                step=telling.step,
                channel=channel,
                kind=telling.kind,
                alerts=shown[identifier],
                at=self.at,
                hiding=hiding.get((identifier, rules)),
                cause=self._cause(incident),
            )
        for channel, digest in self.digests.items():
            incidents = [self.incident(identifier) for identifier in digest.incidents]
            rules = self._rules(channel)
            yield compose_digest(
                journal=self.state.journal,
                channel=channel,
                incidents=incidents,
                left_out=digest.left_out,
                position=self.position,
                at=self.at,
                hiding=[self._hiding(incident, rules) for incident in incidents] if rules else (),
                cause=self._cause(incidents[0]),
            )

    def _cause(self, incident: Incident) -> Cause:
        """The webhook that is decided about; of what time or a person brings, the one that opened the incident."""
        came, position = (incident.cause, incident.position) if self._webhook is None else (self.brought, self.position)
        return Cause(came.correlation or entry_named(self.state.journal, position), came.traceparent)

    def _rules(self, channel: str) -> tuple[Redact, ...]:
        """Of what leaves. A program of ours is handed what is true, or it would do something to somebody else."""
        return () if action_named(channel) in self.policy.commands else rules_for(self.policy.redact, channel)

    def _hiding(self, incident: Incident, rules: tuple[Redact, ...]) -> Hiding:
        """What its texts speak of are the alerts that it has, and those that it had."""
        keys = dict.fromkeys(self._put_into.get(incident.id, ()))
        alerts = [
            *(self._alerts[key] for key in keys),
            *islice(self.state.ever_in(incident), ALERTS_MAX),
            *self.state.first_alerts_of(incident, ALERTS_MAX),
        ]
        return Hiding(rules, key=self.state.hash_key, incident=incident, alerts=alerts)

    def _shown(self, incident: Incident) -> list[AlertRecord]:
        """The first alerts as this decision leaves them: those that fire, then the others."""
        mine = self._put_in(incident)
        unchanged = [
            alert
            for alert in self.state.first_alerts_of(incident, ALERTS_MAX)
            if (alert.source, alert.fingerprint) not in self._alerts
        ]
        both = [*mine, *unchanged]
        return sorted(both, key=lambda alert: not alert.firing)[:ALERTS_MAX]
