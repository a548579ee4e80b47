"""A cause that comes late: which open incidents are its symptoms, and why.

An incident is adopted as a whole or not at all: only if every alert in it is a symptom of that cause. What a person
took out of another incident is left where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from guard.matcher import matches_all
from receiver.correlation import key_of, values_of
from receiver.incident import AlertRecord, Incident, Status
from receiver.ledger import Ledger
from receiver.policy.policy import CauseAndSymptom, Downstream
from receiver.policy.topology import downstream


def symptoms(ledger: Ledger, alerts: Iterable[AlertRecord], home: str) -> Iterator[tuple[Incident, str]]:
    """Open incidents that came before their cause, which is among `alerts`: of each, why it is part of `home`. Each
    is looked for when it is asked for: what was said before may have been done."""
    asked: set[tuple[int, str, tuple[str, ...]]] = set()
    for alert in alerts:
        for index, rule in enumerate(ledger.policy.correlate):
            match rule:
                case CauseAndSymptom() if matches_all(rule.cause, alert.labels):
                    about = ""
                case Downstream() if alert.labels.get(rule.label) in ledger.policy.needed_by:
                    about = alert.labels[rule.label]
                case _:
                    continue
            equal = values_of(rule.equal, alert.labels)
            if (index, about, equal) in asked:
                continue
            asked.add((index, about, equal))
            name = alert.labels.get("alertname", "an alert")
            yield from _symptoms_by(ledger, rule, home, index, _roles_below(ledger, rule, about), equal, name)


def _symptoms_by(
    ledger: Ledger,
    rule: CauseAndSymptom | Downstream,
    home: str,
    index: int,
    roles: Iterable[str],
    equal: tuple[str, ...],
    cause: str,
) -> Iterator[tuple[Incident, str]]:
    keys = dict.fromkeys(key_of(rule, role, equal) for role in roles)
    for key in keys:
        for incident in reversed(ledger.found_by(key)):
            now = ledger.incident(incident.id)
            if now.id != home and _is_symptom(ledger, now, rule, index) and _all_under(ledger, now, rule, keys):
                yield now, f"rule {rule.name!r}: its cause {cause} came later"


def _roles_below(ledger: Ledger, rule: CauseAndSymptom | Downstream, service: str) -> Iterable[str]:
    if isinstance(rule, CauseAndSymptom):
        return ("symptom",)
    return (name for name, _ in downstream(ledger.policy.needed_by, service))


def _is_symptom(ledger: Ledger, incident: Incident, rule: CauseAndSymptom | Downstream, index: int) -> bool:
    if incident.status is Status.RESOLVED or incident.opened_at < ledger.at - rule.window:
        return False
    if incident.apart or incident.taken_back:
        return False
    # First match wins: it is where it is by a rule before this one.
    return all(incident.rule != earlier.name for earlier in ledger.policy.correlate[:index])


def _all_under(
    ledger: Ledger, incident: Incident, rule: CauseAndSymptom | Downstream, keys: Mapping[str, None]
) -> bool:
    """Whether nothing else is in it: an incident is adopted as a whole."""
    return all(_symptom_key(rule, alert.labels) in keys for alert in ledger.alerts_of(incident))


def _symptom_key(rule: CauseAndSymptom | Downstream, labels: Mapping[str, str]) -> str | None:
    equal = values_of(rule.equal, labels)
    if isinstance(rule, Downstream):
        return key_of(rule, labels.get(rule.label, ""), equal)
    is_symptom = matches_all(rule.symptom, labels) and not matches_all(rule.cause, labels)
    return key_of(rule, "symptom", equal) if is_symptom else None
