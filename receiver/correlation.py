"""Which incident an alert belongs to, and the reason.

Each alert has keys: the labels that a rule goes by, the role that it has in a rule (cause, symptom, a step of a
sequence), the service that it is about, and the group in which Alertmanager sent it. An incident is found under the
keys of its alerts. The first rule that finds an incident, or that says that there shall be one, decides; without one
it is the alert's group. The roles in later rules are kept as keys too: so a cause that comes late finds its symptoms.

A key says where to look, never that it is so: the alert that makes an incident a cause, or a step, is looked at. What
was looked at once in a decision is remembered for the rest of it, so that a large body costs no more an alert than a
small one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain

import msgspec

from guard.matcher import matches_all
from receiver.incident import AlertRecord, Group, Incident, Status
from receiver.ledger import Ledger
from receiver.policy.policy import ByLabels, CauseAndSymptom, Downstream, Policy, Rule, Sequence
from receiver.policy.topology import upstream

NOWHERE = 1_000_000  # in a rule that has nothing to do with an alert
Test = Callable[[Mapping[str, str]], bool]


class Place(msgspec.Struct, frozen=True):
    """Where an alert belongs. `incident`: to one that is there; none: to a new one, which is found under `keys`."""

    incident: Incident | None
    why: str
    rule: str
    keys: tuple[str, ...] = ()
    completes: Sequence | None = None  # with it, every step of this sequence was seen
    about: dict[str, str] = {}  # the labels that a new incident is about
    full: str = ""  # which incident took no more alerts


class Seen(msgspec.Struct, frozen=True, order=True):
    """An alert that was a step of a sequence."""

    at: datetime
    incident: str
    source: str
    fingerprint: str
    name: str


class Part(msgspec.Struct, frozen=True):
    """What the rules have to do with alerts of the same labels, as far as the rules look at labels."""

    rules: tuple[Rule, ...]
    depth: tuple[int, ...]


class Finder:
    """Looks for the incidents of alerts, over one decision."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._names = _names(ledger.policy.correlate)  # of all labels that rules look at
        self._parts: dict[tuple[str | None, ...], Part] = {}
        self._added: dict[str, int] = {}  # how many alerts this decision adds to incidents
        self._full = ""  # the newest incident that took no more alerts
        self._holders: dict[tuple[str, str], str | None] = {}  # (incident, key) -> the alert that makes it so
        self._upstream: dict[str, tuple[tuple[str, int], ...]] = {}
        self._steps: dict[str, list[Seen]] = {}  # key of a step -> alerts, by their beginning

    def in_order(self, alerts: Iterable[AlertRecord]) -> list[tuple[AlertRecord, tuple[Rule, ...]]]:
        """With the rules that have to do with each. Causes before symptoms, services before those that depend on them,
        steps in their order."""
        if not self._ledger.policy.correlate:
            return [(alert, ()) for alert in alerts]
        parts = [(alert, self._part(alert.labels)) for alert in alerts]
        parts.sort(key=lambda each: each[1].depth)
        return [(alert, part.rules) for alert, part in parts]

    def place(self, alert: AlertRecord, group: Group, rules: tuple[Rule, ...]) -> Place:
        self._full = ""
        keys: dict[str, None] = {}
        found: Place | None = None
        for rule in rules:
            if found is not None and isinstance(rule, ByLabels):
                continue
            mine, placed = self._by_rule(rule, alert)
            keys.update(dict.fromkeys(mine))
            if found is None:
                found = placed
        if found is None:
            keys[group.index] = None
            found = Place(self._open(group.index), "same Alertmanager group", "")
        full = f"; {self._full} takes no more alerts" if self._full else ""
        return msgspec.structs.replace(found, keys=tuple(keys), full=full)

    def has_room(self, incident: Incident) -> bool:
        if incident.size + self._added.get(incident.id, 0) < self._ledger.policy.incident_alerts_max:
            return True
        self._full = self._full or incident.id
        return False

    def joined(self, alert: AlertRecord, keys: Iterable[str], *, new: int) -> None:
        """`alert` is in its incident now; `new` counts 1 if it was not before."""
        self._added[alert.incident] = self._added.get(alert.incident, 0) + new
        if not self._ledger.policy.correlate:
            return
        for key in keys:
            if self._holders.get((alert.incident, key), "") is None:
                del self._holders[alert.incident, key]
            if key in self._steps:
                insort(self._steps[key], _seen(alert))

    # --- one rule ------------------------------------------------------------------------------------------

    def _by_rule(self, rule: Rule, alert: AlertRecord) -> tuple[list[str], Place | None]:
        match rule:
            case ByLabels():
                return self._by_labels(rule, alert.labels)
            case CauseAndSymptom():
                return self._by_cause(rule, alert.labels)
            case Downstream():
                return self._by_service(rule, alert.labels)
            case Sequence():
                return self._by_step(rule, alert)

    def _by_labels(self, rule: ByLabels, labels: Mapping[str, str]) -> tuple[list[str], Place | None]:
        if not matches_all(rule.matchers, labels):
            return [], None
        same = values_of(rule.by, labels)
        key = key_of(rule, "", same)
        since = self._ledger.at - rule.window
        incident = self._open(key, lambda each: (each.active_at or each.opened_at) >= since)
        about = {name: value for name, value in zip(rule.by, same, strict=True) if value}
        return [key], Place(incident, f"rule {rule.name!r}: same {_in_words(rule.by, labels)}", rule.name, about=about)

    def _by_cause(self, rule: CauseAndSymptom, labels: Mapping[str, str]) -> tuple[list[str], Place | None]:
        equal = values_of(rule.equal, labels)
        if matches_all(rule.cause, labels):
            return [key_of(rule, "cause", equal)], None
        if not matches_all(rule.symptom, labels):
            return [], None
        found = self._holding(key_of(rule, "cause", equal), rule, _is_cause(rule, equal))
        mine = [key_of(rule, "symptom", equal)]
        if found is None:
            return mine, None
        incident, cause = found
        return mine, Place(incident, f"rule {rule.name!r}: a symptom of {cause}{_of(rule.equal, labels)}", rule.name)

    def _by_service(self, rule: Downstream, labels: Mapping[str, str]) -> tuple[list[str], Place | None]:
        service = labels.get(rule.label, "")
        if not service:
            return [], None
        equal = values_of(rule.equal, labels)
        mine = [key_of(rule, service, equal)]
        for name, distance in self._upstream_of(service):
            found = self._holding(key_of(rule, name, equal), rule, _is_about(rule, name, equal))
            if found is not None:
                incident, trouble = found
                way = "depends on" if distance == 1 else "depends in the end on"
                why = f"rule {rule.name!r}: {service} {way} {name}, see {trouble}{_of(rule.equal, labels)}"
                return mine, Place(incident, why, rule.name)
        return mine, None

    def _by_step(self, rule: Sequence, alert: AlertRecord) -> tuple[list[str], Place | None]:
        """The order is that in which the alerts began, not that in which they were heard of."""
        steps = [number for number, matchers in enumerate(rule.steps) if matches_all(matchers, alert.labels)]
        if not steps:
            return [], None
        equal = values_of(rule.equal, alert.labels)
        mine = [_step_key(rule, number, equal) for number in steps]
        ways = [self._way(rule, number, equal, alert) for number in reversed(steps)]
        way = max(ways, key=len)
        if len(way) == 1:
            return mine, None
        last = len(way) == len(rule.steps)
        seen = ", ".join(f"{each.name} at {each.at:%H:%M:%S}Z{_where(each)}" for each in way)
        count = f"all {len(rule.steps)} steps" if last else f"{len(way)} of {len(rule.steps)} steps"
        why = f"rule {rule.name!r}: {count}{_of(rule.equal, alert.labels)}: {seen}"
        incident = next((each for each in map(self._joinable, way) if each is not None), None)
        if incident is None and not last:
            return mine, None
        about = {name: value for name, value in zip(rule.equal, equal, strict=True) if value}
        return mine, Place(incident, why, rule.name, completes=rule if last else None, about=about)

    # --- what is there -------------------------------------------------------------------------------------

    def _open(self, key: str, allowed: Callable[[Incident], bool] = lambda _: True) -> Incident | None:
        """The newest that is open; else one that was over only a moment ago."""
        found = self._ledger.found_by(key)
        for each in found:
            if each.status is not Status.RESOLVED and allowed(each) and self.has_room(each):
                return each
        for each in found:
            if may_reopen(self._ledger, each) and allowed(each) and self.has_room(each):
                return each
        return None

    def _holding(self, key: str, rule: CauseAndSymptom | Downstream, is_it: Test) -> tuple[Incident, str] | None:
        """The incident with an alert that fires, or did within the rule's window, and the name of that alert."""
        incident = self._open(key, lambda each: self._holder(each, key, rule, is_it) is not None)
        if incident is None:
            return None
        return incident, self._holders[incident.id, key] or ""

    def _holder(self, incident: Incident, key: str, rule: CauseAndSymptom | Downstream, is_it: Test) -> str | None:
        known = self._holders.get((incident.id, key), "")
        if known != "":
            return known
        since = self._ledger.at - rule.window
        holders = (
            alert.labels.get("alertname", "an alert")
            for alert in self._ledger.alerts_of(incident)
            if (alert.firing or alert.changed_at >= since) and is_it(alert.labels)
        )
        found = self._holders[incident.id, key] = next(holders, None)
        return found

    def _way(self, rule: Sequence, number: int, equal: tuple[str, ...], alert: AlertRecord) -> list[Seen]:
        """The steps that were seen without a gap, with this alert as step `number`, within the rule's time."""
        way = [_seen(alert)]
        for before in range(number - 1, -1, -1):
            seen = self._seen_as(rule, before, equal)
            place = bisect_right(seen, way[0].at, key=lambda each: each.at)
            found = next((each for each in reversed(seen[max(0, place - 2) : place]) if not _same(each, alert)), None)
            if found is None or way[-1].at - found.at > rule.window:
                break
            way.insert(0, found)
        for after in range(number + 1, len(rule.steps)):
            seen = self._seen_as(rule, after, equal)
            place = bisect_left(seen, way[-1].at, key=lambda each: each.at)
            found = next((each for each in seen[place : place + 2] if not _same(each, alert)), None)
            if found is None or found.at - way[0].at > rule.window:
                break
            way.append(found)
        return way

    def _seen_as(self, rule: Sequence, number: int, equal: tuple[str, ...]) -> list[Seen]:
        """All alerts that were this step, also those that are over, by their beginning."""
        key = _step_key(rule, number, equal)
        if key not in self._steps:
            self._steps[key] = sorted(
                _seen(alert)
                for incident in self._ledger.found_by(key)
                for alert in self._ledger.alerts_of(incident)
                if matches_all(rule.steps[number], alert.labels) and values_of(rule.equal, alert.labels) == equal
            )
        return self._steps[key]

    def _joinable(self, seen: Seen) -> Incident | None:
        """The incident of a step, if it takes another alert: also one that is over, unless a person said so."""
        incident = self._ledger.known_incident(seen.incident)
        if incident is None or incident.merged_into is not None or incident.resolved_by is not None:
            return None
        return incident if self.has_room(incident) else None

    def _upstream_of(self, service: str) -> tuple[tuple[str, int], ...]:
        known = self._upstream.get(service)
        if known is None:
            known = self._upstream[service] = tuple(upstream(self._ledger.policy.depends_on, service))
        return known

    def _part(self, labels: Mapping[str, str]) -> Part:
        values = tuple([labels.get(name) for name in self._names])
        known = self._parts.get(values)
        if known is None:
            correlate = self._ledger.policy.correlate
            stands = [self._stand(rule, labels) for rule in correlate]
            rules = tuple([rule for rule, stand in zip(correlate, stands, strict=True) if stand != NOWHERE])
            known = self._parts[values] = Part(rules, tuple(stands))
        return known

    def _stand(self, rule: Rule, labels: Mapping[str, str]) -> int:
        """Where an alert stands in a rule; what others follow comes first."""
        match rule:
            case ByLabels():
                return 0 if matches_all(rule.matchers, labels) else NOWHERE
            case CauseAndSymptom():
                if matches_all(rule.cause, labels):
                    return 0
                return 1 if matches_all(rule.symptom, labels) else NOWHERE
            case Downstream():
                service = labels.get(rule.label)
                return len(self._upstream_of(service)) if service else NOWHERE
            case Sequence():
                for number, matchers in enumerate(rule.steps):
                    if matches_all(matchers, labels):
                        return number
                return NOWHERE


def may_reopen(ledger: Ledger, incident: Incident) -> bool:
    """Whether what fires now opens it again: its alerts ended a moment ago, and no person had a hand in that."""
    if incident.status is not Status.RESOLVED or incident.resolved_at is None:
        return False
    by_hand = incident.resolved_by is not None or incident.merged_into is not None
    return not by_hand and ledger.at - incident.resolved_at < ledger.policy.reopen_within


def home_key(policy: Policy, alert: AlertRecord) -> str | None:
    """The key that decides where it belongs as long as no cause and no sequence takes it."""
    for rule in policy.correlate:
        if isinstance(rule, ByLabels) and matches_all(rule.matchers, alert.labels):
            return key_of(rule, "", values_of(rule.by, alert.labels))
    return None if alert.group is None else alert.group.index


def _names(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The labels that say which of the rules have to do with an alert."""
    names: dict[str, None] = {}
    for rule in rules:
        match rule:
            case ByLabels():
                matchers = rule.matchers
            case CauseAndSymptom():
                matchers = (*rule.cause, *rule.symptom)
            case Downstream():
                matchers = ()
                names[rule.label] = None
            case Sequence():
                matchers = tuple(chain.from_iterable(rule.steps))
        names.update(dict.fromkeys([matcher.name for matcher in matchers]))
    return tuple(names)


def _is_cause(rule: CauseAndSymptom, equal: tuple[str, ...]) -> Test:
    return lambda labels: matches_all(rule.cause, labels) and values_of(rule.equal, labels) == equal


def _is_about(rule: Downstream, service: str, equal: tuple[str, ...]) -> Test:
    return lambda labels: labels.get(rule.label) == service and values_of(rule.equal, labels) == equal


# --- keys and words ----------------------------------------------------------------------------------------


def key_of(rule: Rule, role: str, values: tuple[str, ...]) -> str:
    """Different for different values. A label may hold the separator itself: then lengths say where each value ends."""
    # Every alert that begins comes by here: two joins and a look cost what one join of all parts does.
    if values and "\x1f" not in role and "\x1f" not in "".join(values):
        joined = "\x1f".join(values)
        return f"rule\x1f{rule.name}\x1f{role}\x1f{joined}"
    parts = (role, *values)
    key = "\x1f".join(("rule", rule.name, *parts))
    if key.count("\x1f") == len(parts) + 1 + rule.name.count("\x1f"):
        return key
    return f"{key}\x1f{','.join([str(len(each)) for each in parts])}"


def _step_key(rule: Sequence, number: int, values: tuple[str, ...]) -> str:
    return key_of(rule, f"step {number}", values)


def values_of(names: tuple[str, ...], labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple([labels.get(name, "") for name in names])


def _seen(alert: AlertRecord) -> Seen:
    name = alert.labels.get("alertname", "an alert")
    return Seen(alert.starts_at, alert.incident, alert.source, alert.fingerprint, name)


def _same(seen: Seen, alert: AlertRecord) -> bool:
    return seen.fingerprint == alert.fingerprint and seen.source == alert.source


def _where(seen: Seen) -> str:
    return f" ({seen.incident})" if seen.incident else ""


def _in_words(names: tuple[str, ...], labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={labels[name]}" if labels.get(name) else f"no {name}" for name in names)


def _of(names: tuple[str, ...], labels: Mapping[str, str]) -> str:
    return f" ({_in_words(names, labels)})" if names else ""
