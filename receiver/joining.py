"""Alerts join incidents and go: an incident opens, grows, opens again, is over, or waits before it is.

First every alert finds its place and what it changes is written into the books; then late causes adopt their
symptoms; then, incident by incident, people are told. So what joins and what goes in one body is one update, and an
incident does not close and open in one breath.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from receiver.adoption import symptoms
from receiver.correlation import Finder, Place, may_reopen
from receiver.incident import (
    KEYS_MAX,
    KINDS_MAX,
    TITLE_CHARACTERS_MAX,
    AlertRecord,
    Group,
    Incident,
    Status,
    Trigger,
    highest_severity,
    severity_rank,
    shared_labels,
    title_of,
)
from receiver.ledger import Ledger
from receiver.lifecycle import (
    REMEMBERED,
    fires_again,
    grown,
    heard_again,
    open_again,
    risen,
    shown_again,
    wind_down,
)
from receiver.merging import in_words, take_over
from receiver.policy.policy import Rule, Sequence
from receiver.telling import routed, tell_change, tell_stages, tell_update
from receiver.texts import CHARACTERS_MAX


class Arrival(msgspec.Struct):
    """What one decision brings to one incident."""

    severity: str  # before
    alerts: list[AlertRecord] = []
    ruled: list[AlertRecord] = []  # those of them with which a rule has to do
    again: int = 0  # those of them that were resolved in it
    gone: list[AlertRecord] = []
    whys: dict[str, None] = {}
    whys_gone: dict[str, None] = {}
    completes: Sequence | None = None
    completed: bool = False  # by this, for the first time


class Moves:
    """What joins and what goes, gathered over one decision; `finish` tells of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._finder = Finder(ledger)
        self._arrivals: dict[str, Arrival] = {}
        self._keys: dict[str, set[str]] = {}  # of the incidents that alerts joined
        self._default: dict[Group, Place] = {}

    def go(self, alert: AlertRecord, why: str) -> None:
        """It does not fire any more; the record says so already."""
        arrival = self._arrival(self._ledger.incident(alert.incident))
        arrival.gone.append(self._ledger.put_alert(alert))
        arrival.whys_gone[why] = None

    def touch(self, identifier: str) -> None:
        """Something else about it changed; what follows from that is seen to at the end."""
        self._arrival(self._ledger.incident(identifier))

    def join(self, group: Group, group_labels: dict[str, str], alerts: Iterable[AlertRecord]) -> None:
        """Alerts that began to fire, without an incident as yet."""
        before = self._ledger.state.alerts
        last: Place | None = None
        for alert, rules in self._finder.in_order(alerts):
            known = before.get((alert.source, alert.fingerprint))
            place = self._place(alert, group, known, rules)
            if place is not last:  # most alerts of a body go where the one before went
                last, incident = place, place.incident or _opened(self._ledger, group, group_labels, place)
                arrival = self._arrival(incident)
                self._keep_keys(incident.id, place.keys)
            here = self._ledger.put_alert(replace(alert, incident=incident.id))
            arrival.alerts.append(here)
            if rules:
                arrival.ruled.append(here)
            arrival.whys[place.why] = None
            arrival.completes = arrival.completes or place.completes
            if known is None:
                self._finder.joined(here, place.keys, new=1)
            elif known.incident == incident.id:
                arrival.again += not known.firing
                self._finder.joined(here, place.keys, new=0)
            else:
                self._leave(known)
                self._finder.joined(here, place.keys, new=1)

    def finish(self) -> None:
        for identifier, arrival in self._arrivals.items():
            _take_in(self._ledger, self._ledger.incident(identifier), arrival)
        if self._ledger.policy.correlate:
            self._adopt()
        for identifier, arrival in self._arrivals.items():
            conclude(self._ledger, self._ledger.incident(identifier), arrival)

    def _arrival(self, incident: Incident) -> Arrival:
        arrival = self._arrivals.get(incident.id)
        if arrival is None:
            arrival = self._arrivals[incident.id] = Arrival(incident.severity)
        return arrival

    def _place(self, alert: AlertRecord, group: Group, known: AlertRecord | None, rules: tuple[Rule, ...]) -> Place:
        """By the rules, unless the alert was in an incident that goes on: then back to that one. Only what makes a
        sequence complete goes there all the same."""
        home = None if known is None else self._home(known)
        place = None if rules else self._default.get(group)
        if place is None or place.incident is None or not self._finder.has_room(place.incident):
            place = self._finder.place(alert, group, rules)
            if place.incident is not None and not rules:
                self._default[group] = place
        if home is None or place.completes is not None:
            return place
        keys = tuple(key for key in place.keys if key != group.index or home.rule == "")
        return Place(home, "it was in this incident before", home.rule, keys)

    def _home(self, known: AlertRecord) -> Incident | None:
        home = self._ledger.known_incident(known.incident)
        if home is None or (home.status is Status.RESOLVED and not may_reopen(self._ledger, home)):
            return None
        return home

    def _leave(self, known: AlertRecord) -> None:
        """It was counted among the resolved ones of an incident that goes on without it."""
        before = self._ledger.known_incident(known.incident)
        if before is not None and before.status is not Status.RESOLVED and not known.firing:
            self._ledger.put(replace(before, resolved=before.resolved - 1))

    def _keep_keys(self, identifier: str, keys: tuple[str, ...]) -> None:
        kept = self._keys.get(identifier)
        if kept is None:
            kept = self._keys[identifier] = set(self._ledger.incident(identifier).found_by)
        if kept.issuperset(keys):
            return
        fresh = tuple(key for key in keys if key not in kept)
        incident = self._ledger.incident(identifier)
        if incident.apart:
            return
        kept.update(fresh)
        together = (*incident.found_by, *fresh)
        if len(together) > KEYS_MAX:
            self._ledger.counts["keys_left_out"] += len(together) - KEYS_MAX
        self._ledger.put(replace(incident, keys=together[:KEYS_MAX]))

    def _adopt(self) -> None:
        for identifier, arrival in list(self._arrivals.items()):
            home = self._ledger.incident(identifier)
            if not arrival.ruled or home.status is Status.RESOLVED or home.apart:
                continue
            too_large: list[Incident] = []
            for symptom, why in symptoms(self._ledger, arrival.ruled, identifier):
                home = self._ledger.incident(identifier)
                if home.size + symptom.size > self._ledger.policy.incident_alerts_max:
                    too_large.append(symptom)
                else:
                    take_over(self._ledger, symptom, home, why=why, by="tocsin")
            if too_large:
                most = self._ledger.policy.incident_alerts_max
                names = ", ".join(each.id for each in too_large[:5])
                why = f"{in_words(len(too_large), 'symptom')} ({names}): together they have more than {most} alerts"
                self._ledger.step(self._ledger.incident(identifier), "not adopted", why)


def conclude(ledger: Ledger, incident: Incident, arrival: Arrival) -> None:
    """What follows for the incident as a whole, and who is told."""
    if incident.status is Status.RESOLVED:  # by hand, or by another incident: whom it concerns was told then
        ledger.put(replace(incident, due_at=ledger.at + REMEMBERED))
        return
    if incident.firing == 0:
        wind_down(ledger, incident, why="none of its alerts fires any more")
        return
    rose = severity_rank(incident.severity) > severity_rank(arrival.severity)
    answered = incident.status is not Status.OPEN
    if incident.escalates_from is None:
        incident = routed(ledger, incident)
    elif rose:
        incident = risen(ledger, incident, before=arrival.severity)
    elif arrival.completed:
        why = "it was {status} before the sequence was complete"
        incident = heard_again(ledger, incident, Trigger.SEQUENCE_COMPLETE, why)
    tell_stages(ledger, grown(ledger, incident))
    incident = ledger.incident(incident.id)
    if rose or (answered and incident.status is Status.OPEN):
        tell_change(ledger, incident)  # also of what flaps: that it comes and goes is known, this is not
    else:
        tell_update(ledger, incident)


def stale_at(ledger: Ledger) -> datetime | None:
    """When an incident of which something is heard now is over, if nothing more is heard."""
    after = ledger.policy.stale_after
    return ledger.at + after if after else None


def named(alerts: list[AlertRecord]) -> str:
    """`3 alerts (Down, Slow)`: enough for a line of the story; the alerts themselves are listed beside it."""
    names = ", ".join(_kinds((), alerts)[:5])
    return f"{in_words(len(alerts), 'alert')} ({names})"


def _opened(ledger: Ledger, group: Group, group_labels: dict[str, str], place: Place) -> Incident:
    """Found by what comes after it in the same decision; what is in it is written when all is in."""
    ledger.counts["incidents_opened"] += 1
    if place.rule:
        why = f"{place.why}; no incident was there that it may join"
    else:
        why = f"alerts of the group {group.key} began to fire and no incident was open for it"
    why = f"source {group.source!r}, Alertmanager's receiver {group.receiver!r}: {why}{place.full}"
    return ledger.put(
        Incident(
            id=ledger.new_incident_id(),
            position=ledger.position,
            group=group,
            status=Status.OPEN,
            severity="none",
            title="",
            labels={},
            group_labels=place.about if place.rule else group_labels,
            kinds=(),
            opened_at=ledger.at,
            updated_at=ledger.at,
            why=why[:CHARACTERS_MAX],
            rule=place.rule,
            keys=place.keys,
            cause=ledger.brought,
        )
    )


def _take_in(ledger: Ledger, incident: Incident, arrival: Arrival) -> None:
    joined, gone = arrival.alerts, arrival.gone
    if not joined and not gone:
        return
    fresh = incident.steps == 0
    if joined and not fresh:
        incident = _awake(ledger, incident)
    kinds = _kinds(incident.kinds, joined)
    severities = dict.fromkeys([alert.labels.get("severity", "none") for alert in joined])
    incident = replace(
        incident,
        firing=incident.firing + len(joined) - len(gone),
        resolved=incident.resolved + len(gone) - arrival.again,
        severity=highest_severity(severities if fresh else [incident.severity, *severities]),
        labels=shared_labels([*([] if fresh else [incident.labels]), *(alert.labels for alert in joined)]),
        kinds=kinds,
        title=_title(incident, kinds, joined),
        updated_at=ledger.at,
        active_at=ledger.at,
        stale_at=stale_at(ledger),
        awaits=None if joined else incident.awaits,
        cooling=incident.cooling or any(alert.quiet_until is not None for alert in joined),
    )
    whys = "; ".join(list(arrival.whys)[:3])
    if fresh:
        incident = ledger.step(incident, "opened", f"{incident.why}; it holds {named(joined)}")
    elif joined:
        incident = ledger.step(incident, "alerts joined", f"{whys}: {named(joined)}")
    if gone:
        incident = ledger.step(incident, "alerts resolved", f"{'; '.join(arrival.whys_gone)}: {named(gone)}")
    if arrival.completes is not None:
        arrival.completed = not incident.named
        incident = _complete(ledger, incident, arrival.completes, joined)
    ledger.put(incident)


def _awake(ledger: Ledger, incident: Incident) -> Incident:
    """Something fires in it that did not a moment ago."""
    if incident.status is Status.RESOLVED:
        return open_again(ledger, incident)
    if incident.calm_at is not None:
        return fires_again(ledger, incident)
    if incident.muted:
        return shown_again(ledger, incident, "an alert that Alertmanager shows joined it")
    return incident


def _complete(ledger: Ledger, incident: Incident, rule: Sequence, joined: list[AlertRecord]) -> Incident:
    labels = joined[-1].labels
    title = rule.title or rule.name
    for name in rule.equal:
        title = title.replace(f"{{{name}}}", labels.get(name, ""))
    incident = replace(
        incident,
        title=title[:TITLE_CHARACTERS_MAX],
        named=True,
        severity=highest_severity([incident.severity, rule.severity]),
    )
    return ledger.step(incident, "sequence complete", f"rule {rule.name!r}: all {len(rule.steps)} steps were seen")


def _title(incident: Incident, kinds: tuple[str, ...], joined: list[AlertRecord]) -> str:
    if incident.named or kinds == incident.kinds:
        return incident.title
    summaries = [alert.annotations.get("summary", "") for alert in joined] if not incident.kinds else []
    about: Mapping[str, str] = incident.group_labels
    return title_of(kinds, about, summaries)


def _kinds(known: tuple[str, ...], alerts: Iterable[AlertRecord]) -> tuple[str, ...]:
    names = (alert.labels.get("alertname", "unnamed alert") for alert in alerts)
    return tuple(dict.fromkeys((*known, *names)))[:KINDS_MAX]
