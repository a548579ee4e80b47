"""A decision while it is made: what it has changed so far, on top of a state that stays as it is.

The engine says what happens; the ledger keeps the books: steps are numbered, a channel is told at most once in one
decision, and messages are composed last, so that each shows the incident as the whole decision left it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from receiver.entry import Entry
from receiver.incident import AlertRecord, Group, Incident, Status, Step
from receiver.message import ALERTS_MAX, Kind, Message, compose, message_id
from receiver.policy.policy import Policy
from receiver.state import AlertChanged, Change, IncidentChanged, IncidentForgotten, State, StepTaken


class Decision(msgspec.Struct, frozen=True):
    """What follows from one entry. `counts` is for metrics; nothing is decided by it."""

    changes: tuple[Change, ...]
    messages: tuple[Message, ...]
    counts: dict[str, int]
    refused: str | None = None  # why what a person wanted is not done; then nothing is changed


class Ledger:
    """A decision while it is made: what it has changed so far, on top of a state that stays as it is."""

    def __init__(self, state: State, entry: Entry, policy: Policy) -> None:
        self.state = state
        self.policy = policy
        self.at = entry.at
        self.position = entry.position
        self.counts: Counter[str] = Counter()
        self.forgotten: list[str] = []
        self.other: list[Change] = []
        self.refused: str | None = None
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

    def open_incident_of(self, group: Group) -> Incident | None:
        """Also one that this very decision opened: two doubts of one group may end at the same moment."""
        known = self.state.open_incident_of(group)
        candidates = [*self._incidents.values(), *([] if known is None else [self.incident(known.id)])]
        mine = (each for each in candidates if each.group == group and each.status is not Status.RESOLVED)
        return next(mine, None)

    def new_incident_id(self) -> str:
        """`T-7` for what entry 7 opens, and `T-7-2` for the second, where time opens several at once."""
        first = f"T-{self.position}"
        opened = sum(1 for each in self._incidents.values() if each.position == self.position)
        return first if opened == 0 else f"{first}-{opened + 1}"

    def put(self, incident: Incident) -> Incident:
        self._incidents[incident.id] = incident
        return incident

    def step(self, incident: Incident, what: str, why: str, *, by: str = "tocsin") -> Incident:
        number = incident.steps + 1
        self._steps.append(Step(incident=incident.id, number=number, at=self.at, what=what, why=why, by=by))
        return self.put(replace(incident, steps=number))

    def tell_stages(self, incident: Incident) -> None:
        """Takes every stage that is due, and notes when the next one is. Only what is open escalates: nobody is
        paged about what somebody has in hand, or has put off."""
        if incident.status is not Status.OPEN:
            self.put(incident)
            return
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
            if (incident.id, channel) in self._told or channel not in self.policy.channels:
                continue
            self._told[incident.id, channel] = (incident.steps, kind)
            identifier = message_id(
                journal=self.state.journal, incident=incident.id, step=incident.steps, channel=channel
            )
            owed[identifier] = channel
            told[channel] = None
        return self.put(replace(incident, owed=owed, told=tuple(told)))

    def finish(self) -> Decision:
        changes: list[Change] = [AlertChanged(alert) for alert in self._left_behind()]
        changes += [AlertChanged(alert) for alert in self._alerts.values()]
        changes += [IncidentChanged(incident) for incident in self._incidents.values()]
        changes += [StepTaken(step) for step in self._steps]
        changes += self.other
        changes += [IncidentForgotten(identifier) for identifier in self.forgotten]
        return Decision(
            changes=tuple(changes), messages=tuple(self._messages()), counts=dict(self.counts), refused=self.refused
        )

    def _left_behind(self) -> Iterable[AlertRecord]:
        """What older incidents keep of alerts that fire again elsewhere. An older incident may outlive the newer one:
        a start must not take what it keeps for the alert as it is."""
        for key, alert in self._alerts.items():
            known = self.state.alerts.get(key)
            if known is not None and known.incident != alert.incident and known.incident in self.state.incidents:
                yield replace(known, moved_on=True)

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
