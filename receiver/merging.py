"""Two incidents become one, and one becomes two: by a rule that finds the cause, or by a person who knows better.

The alerts go over; the incident that they leave is resolved and says where they went. It stays in memory as long as
the one that took them, so that a person can take the merger back: then it is again what it was, also in the hands of
who had it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from guard.matcher import matches_all
from receiver.correlation import home_key
from receiver.entry import Merged, Split
from receiver.escalation import told_by
from receiver.incident import (
    KEYS_MAX,
    KINDS_MAX,
    MERGED_MAX,
    AlertRecord,
    Hidden,
    Incident,
    Status,
    Trigger,
    highest_severity,
    next_status,
    severity_rank,
    shared_labels,
    title_of,
)
from receiver.ledger import Ledger
from receiver.lifecycle import in_hand, mute, over, risen, shown_again, wind_down
from receiver.message import Kind
from receiver.policy.policy import Sequence
from receiver.telling import flaps, routed, tell_now, tell_stages, tell_update

SHOWN_CHARACTERS_MAX = 80


class Impossible(Exception):
    """It cannot be done. The text is for the person who asked for it."""


def take_over(ledger: Ledger, incident: Incident, into: Incident, *, why: str, by: str) -> Incident:
    """All alerts of `incident` go to `into`. Whom `into` tells of that is the caller's to say."""
    ledger.counts["incidents_merged"] += 1
    for alert in list(ledger.alerts_of(incident)):
        ledger.put_alert(replace(alert, incident=into.id))
    own = set(into.found_by)
    lent = tuple(key for key in incident.found_by if key not in own)[: KEYS_MAX - len(own)]
    moved = in_words(incident.size, "alert")
    left = replace(
        over(ledger, replace(incident, firing=0, resolved=0), next_status(incident.status, Trigger.MERGE)),
        merged_into=into.id,
        lent=lent,
        doubted_until=None,
    )
    left = ledger.step(left, "merged", f"{why}: {moved} went to {into.id}", by=by)
    tell_now(ledger, left, Kind.RESOLVED)
    kinds = tuple(dict.fromkeys((*into.kinds, *incident.kinds)))[:KINDS_MAX]
    firing = into.firing + incident.firing
    into = replace(
        into,
        firing=firing,
        resolved=into.resolved + incident.resolved,
        severity=highest_severity([into.severity, incident.severity]),
        labels=shared_labels([into.labels, incident.labels]),
        kinds=kinds,
        title=into.title if into.named or kinds == into.kinds else title_of(kinds, into.group_labels, ()),
        keys=(*into.found_by, *lent) if lent else into.keys,
        apart=into.apart and not lent,
        merged=(*into.merged, incident.id)[-MERGED_MAX:],
        cooling=into.cooling or incident.cooling,
        doubted_until=_earliest(into.doubted_until, incident.doubted_until),
        stale_at=_latest(into.stale_at, incident.stale_at),
        calm_at=None if firing else into.calm_at,
        awaits=None if firing else into.awaits,
        updated_at=ledger.at,
        active_at=ledger.at,
    )
    into = ledger.step(into, "took over", f"{why}: {moved} of {incident.id}", by=by)
    if into.muted and incident.firing and not incident.muted:
        into = shown_again(ledger, into, f"Alertmanager shows what came from {incident.id}")
    return into


def holder_of(ledger: Ledger, incident: Incident) -> str:
    """The incident that has the alerts of a merged one now: what took them may have been merged as well."""
    into = incident
    while into.merged_into is not None:
        following = ledger.known_incident(into.merged_into)
        if following is None:
            return into.merged_into
        into = following
    return into.id


def merge(ledger: Ledger, incident: Incident, fact: Merged) -> None:
    """A person says that two are one."""
    name = _shown(fact.into)
    into = ledger.known_incident(fact.into)
    if into is None:
        raise Impossible(f"{name} is over and put away: it takes no alerts any more")
    if into.id == incident.id:
        raise Impossible("an incident cannot be merged into itself")
    if into.status is Status.RESOLVED:
        where = f" (its alerts are in {holder_of(ledger, into)})" if into.merged_into else ""
        raise Impossible(f"{name} is resolved{where}: only one that is not takes the alerts of another")
    for each in (incident, into):
        if not each.size:
            raise Impossible(f"{each.id} is about Tocsin itself and has no alerts: it is not merged")
    together, most = incident.size + into.size, ledger.policy.incident_alerts_max
    if together > most:
        raise Impossible(f"together they have {together} alerts; at most {most} are possible (incident_alerts_max)")
    before = into.severity
    if into.answered_firing is not None:  # what a person brings is known
        into = replace(into, answered_firing=into.answered_firing + incident.firing)
    into = take_over(ledger, incident, into, why=f"{fact.by} says that it is the same", by=fact.by)
    if severity_rank(into.severity) > severity_rank(before):
        into = risen(ledger, into, before=before)
    tell_stages(ledger, into)
    into = ledger.incident(into.id)
    if flaps(ledger.policy, into) and into.quiet_until is None:
        tell_now(ledger, into, Kind.UPDATED)  # of what flaps no move is told, but this is no move of its alerts
    else:
        tell_update(ledger, into)


def split(ledger: Ledger, incident: Incident, fact: Split) -> None:
    """A person says that alerts are something else: an incident of their own, or the one that they came from."""
    if incident.status is Status.RESOLVED:
        where = f", and its alerts are in {holder_of(ledger, incident)}" if incident.merged_into else ""
        raise Impossible(f"it is resolved{where}: there is nothing to split off")
    if not incident.size:
        raise Impossible("it is about Tocsin itself and has no alerts: there is nothing to split off")
    if fact.merged is not None:
        _take_back(ledger, incident, fact.merged, by=fact.by)
        return
    mine = list(ledger.alerts_of(incident))
    wanted = dict.fromkeys(fact.alerts)
    taken = [alert for alert in mine if alert.fingerprint in wanted]
    there = {alert.fingerprint for alert in taken}
    missing = [each for each in wanted if each not in there]
    if missing:
        raise Impossible(f"it has no alert with the fingerprint {_shown(missing[0])!r}")
    if not any(alert.firing for alert in taken):
        raise Impossible("none of these alerts fires: there is nothing to tell anybody of")
    if len(taken) == len(mine):
        raise Impossible("these are all of its alerts: nothing would be left in it")
    ledger.counts["incidents_opened"] += 1
    fresh = Incident(
        id=ledger.new_incident_id(),
        position=ledger.position,
        group=incident.group,
        status=Status.OPEN,
        severity="none",
        title="",
        labels={},
        group_labels=incident.group_labels,
        kinds=(),
        opened_at=ledger.at,
        updated_at=ledger.at,
        why=f"{fact.by} split it off from {incident.id}",
        apart=True,
    )
    _hand_over(ledger, incident, _by_alerts(ledger, fresh, taken, before=taken), taken, by=fact.by)


def _take_back(ledger: Ledger, incident: Incident, name: str, *, by: str) -> None:
    left = ledger.known_incident(name)
    if left is None or left.merged_into is None:
        raise Impossible(f"it did not take the alerts of {_shown(name)}")
    if left.merged_into != incident.id:
        raise Impossible(f"not this incident took the alerts of {left.id}, but {left.merged_into}")
    taken = _came_with(ledger, left, incident)
    if not any(alert.firing for alert in taken):
        raise Impossible(f"none of the alerts that came from {left.id} fires any more")
    if len(taken) == incident.size:
        raise Impossible(f"all alerts that are left in it came from {left.id}: it would be empty")
    lent = frozenset(left.lent)
    remaining = tuple(key for key in incident.found_by if key not in lent)
    incident = replace(
        incident,
        keys=remaining if lent else incident.keys,
        apart=incident.apart or not remaining,
        merged=tuple(each for each in incident.merged if each != left.id),
    )
    back = replace(
        left,
        status=next_status(left.status, Trigger.SPLIT_OFF),
        resolved_at=None,
        acknowledged_by=None,
        merged_into=None,
        lent=(),
        taken_back=True,
        due_at=None,
        escalates_from=None,
        route=None,
        escalation=None,
        announced=False,
        stage=0,
        round=0,
        unaware=left.told,
    )
    back = _by_alerts(ledger, back, taken, before=[*ledger.state.ever_in(left), *taken])
    if set(back.kinds) == set(left.kinds) and back.named == left.named:
        back = replace(back, kinds=left.kinds, title=left.title)
    milder = severity_rank(left.severity) < severity_rank(back.severity)  # when somebody took it in hand
    acknowledged_by = None if milder else left.acknowledged_by
    _hand_over(ledger, incident, back, taken, by=by, before=left, acknowledged_by=acknowledged_by)


def _came_with(ledger: Ledger, left: Incident, incident: Incident) -> list[AlertRecord]:
    """The alerts that were in it, and those that came since then and would have found it."""
    theirs = {(alert.source, alert.fingerprint) for alert in ledger.state.ever_in(left)}
    lent = frozenset(left.lent)
    return [
        alert
        for alert in ledger.alerts_of(incident)
        if (alert.source, alert.fingerprint) in theirs or home_key(ledger.policy, alert) in lent
    ]


def _hand_over(
    ledger: Ledger,
    incident: Incident,
    to: Incident,
    taken: list[AlertRecord],
    *,
    by: str,
    before: Incident | None = None,
    acknowledged_by: str | None = None,
) -> None:
    """What becomes of both, and who is told. `before` is what `to` was, if it is not new."""
    for alert in taken:
        ledger.put_alert(replace(alert, incident=to.id))
    firing = sum(1 for alert in taken if alert.firing)
    moved = in_words(len(taken), "alert")
    to = replace(
        to,
        firing=firing,
        resolved=len(taken) - firing,
        cooling=any(alert.quiet_until is not None for alert in taken),
        doubted_until=_doubted_until(taken),
        stale_at=incident.stale_at,
        updated_at=ledger.at,
        active_at=ledger.at,
    )
    to = ledger.step(to, "split off", f"{by} says that it is not {incident.id}: {moved} came from there", by=by)
    if before is not None:
        to = _renamed(ledger, to, before=before.title)
        if to.severity != before.severity:
            rank, of_before = severity_rank(to.severity), severity_rank(before.severity)
            what = "severity rose" if rank > of_before else "severity fell"
            why = f"from {before.severity} to {to.severity}, the highest of the alerts that it has now"
            to = ledger.step(to, what, why)
    _tell_of(ledger, to, taken, by=by, acknowledged_by=acknowledged_by)
    whole = incident
    incident = _without(ledger, incident, taken, firing=firing)
    incident = ledger.step(incident, "alerts taken out", f"{by} split them off: {moved} went to {to.id}", by=by)
    incident = _renamed(ledger, incident, before=whole.title)
    if incident.firing == 0:
        wind_down(ledger, incident, why="none of the alerts that are left in it fires")
        return
    if severity_rank(incident.severity) < severity_rank(whole.severity):
        incident = _fallen(ledger, incident, before=whole.severity, went_to=to.id)
    tell_stages(ledger, incident)
    tell_update(ledger, ledger.incident(incident.id))


def _tell_of(ledger: Ledger, to: Incident, taken: list[AlertRecord], *, by: str, acknowledged_by: str | None) -> None:
    """It is open, and who is on call hears of it; unless somebody had it, or Alertmanager hides all that fires."""
    to = routed(ledger, to)
    fires = [alert for alert in taken if alert.firing]
    if acknowledged_by is not None:
        to = in_hand(ledger, to, next_status(to.status, Trigger.ACKNOWLEDGE), by=acknowledged_by)
        to = ledger.step(to, "acknowledged", f"{acknowledged_by} had it before it was merged, and has it again")
        tell_now(ledger, to, Kind.ACKNOWLEDGED)
    elif all(alert.hidden in (Hidden.SILENCED, Hidden.INHIBITED) for alert in fires):
        until = min((alert.hidden_until for alert in fires if alert.hidden_until is not None), default=None)
        mute(ledger, to, until=until, why="Alertmanager hides all that fires in it", by=by)
    else:
        tell_stages(ledger, to)
        tell_update(ledger, ledger.incident(to.id))


def _without(ledger: Ledger, incident: Incident, taken: list[AlertRecord], *, firing: int) -> Incident:
    """What the incident is by the alerts that are left in it; `firing` of those that are taken out fire."""
    remaining = list(ledger.alerts_of(incident))
    answered = incident.answered_firing
    incident = replace(
        incident,
        firing=incident.firing - firing,
        answered_firing=None if answered is None else max(0, answered - firing),
        resolved=incident.resolved - (len(taken) - firing),
        cooling=any(alert.quiet_until is not None for alert in remaining),
        doubted_until=_doubted_until(remaining),
        updated_at=ledger.at,
    )
    return _by_alerts(ledger, incident, remaining, before=[*remaining, *taken])


def _by_alerts(ledger: Ledger, incident: Incident, alerts: list[AlertRecord], *, before: list[AlertRecord]) -> Incident:
    """Labels, kinds, severity and title by the alerts that it has now. What a sequence named is that until one of its
    steps is not in it any more; `before` are the alerts that it had."""
    incident = replace(incident, labels=shared_labels(alert.labels for alert in alerts), kinds=_kinds(alerts))
    severities = [alert.labels.get("severity", "none") for alert in alerts]
    if incident.named:
        complete = _complete(ledger, alerts)
        if complete:
            return replace(incident, severity=highest_severity([*severities, *(rule.severity for rule in complete)]))
        if not _complete(ledger, before):
            return incident  # the policy does not have the sequence any more
    severity = highest_severity(severities)
    return replace(incident, named=False, severity=severity, title=_title(incident, alerts))


def _complete(ledger: Ledger, alerts: list[AlertRecord]) -> list[Sequence]:
    """The sequences of which every step is among these alerts."""
    return [
        rule
        for rule in ledger.policy.correlate
        if isinstance(rule, Sequence)
        and all(any(matches_all(step, alert.labels) for alert in alerts) for step in rule.steps)
    ]


def _renamed(ledger: Ledger, incident: Incident, *, before: str) -> Incident:
    if incident.title == before:
        return incident
    return ledger.step(
        incident, "title changed", f"from {before!r} to {incident.title!r}, by the alerts that it has now"
    )


def _fallen(ledger: Ledger, incident: Incident, *, before: str, went_to: str) -> Incident:
    """What made it so severe is told of by the other incident. A milder route is taken from where everybody who was
    told is an update away."""
    why = f"from {before} to {incident.severity}: what made it so severe is in {went_to} now"
    incident = ledger.step(incident, "severity fell", why)
    route = incident.route
    incident = routed(ledger, incident)
    escalation = ledger.policy.escalations.get(incident.escalation or "")
    if escalation is None or incident.route == route:
        return incident
    told = set(incident.told)
    stage = 0
    while stage < len(escalation.stages):
        each = escalation.stages[stage]
        if each.delay or not told.issuperset(told_by(ledger.policy, each, ledger.at).channels):
            break
        stage += 1
    return ledger.put(replace(incident, stage=stage))


def in_words(count: int, what: str) -> str:
    """`1 alert`, `2 alerts`."""
    return f"{count} {what if count == 1 else f'{what}s'}"


def _kinds(alerts: Iterable[AlertRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(alert.labels.get("alertname", "unnamed alert") for alert in alerts))[:KINDS_MAX]


def _title(incident: Incident, alerts: Iterable[AlertRecord]) -> str:
    return title_of(incident.kinds, incident.group_labels, [each.annotations.get("summary", "") for each in alerts])


def _doubted_until(alerts: Iterable[AlertRecord]) -> datetime | None:
    return _earliest(*(alert.doubted_until for alert in alerts))


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)


def _latest(*moments: datetime | None) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)


def _shown(text: str) -> str:
    return text[:SHOWN_CHARACTERS_MAX]
