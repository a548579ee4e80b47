"""When nobody is told yet: maintenance windows, and alerts that fire again while they cool down.

An incident is quiet while each alert that fires in it is; one that is not is enough to tell people of all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from guard.matcher import matches_all
from receiver.incident import AlertRecord, Incident
from receiver.ledger import Ledger
from receiver.policy.duration import parse_duration
from receiver.policy.policy import Policy
from receiver.policy.windows import in_force

COOLDOWN_LABEL = "cooldown"
COOLDOWN_SECONDS_MAX = 7 * 24 * 3600


def quiet_until(ledger: Ledger, incident: Incident) -> tuple[datetime, str] | None:
    """Until when nobody is told of it, and why; None when people are to be told now."""
    ends: dict[str, datetime] = {}
    for alert in ledger.alerts_of(incident):
        if not alert.firing:
            continue
        reason = _reason(ledger, alert)
        if reason is None:
            return None
        until, why = reason
        ends[why] = until
    if not ends:
        return None
    until = min(ends.values())
    return until, "; ".join(list(ends)[:3])


def cooldown_of(policy: Policy, labels: dict[str, str]) -> timedelta | None:
    """The alert's own label, where it is a duration; else the first line of the policy that matches."""
    written = labels.get(COOLDOWN_LABEL)
    if written is not None:
        try:
            return min(parse_duration(written), timedelta(seconds=COOLDOWN_SECONDS_MAX))
        except ValueError:
            pass  # an alert with a label that we do not understand is still an alert
    for each in policy.cooldowns:
        if matches_all(each.matchers, labels):
            return each.duration
    return None


def may_be_quiet(ledger: Ledger, incident: Incident) -> bool:
    """Cheap: whether it is worth to look at each alert."""
    return bool(ledger.policy.maintenance) or incident.cooling


def _reason(ledger: Ledger, alert: AlertRecord) -> tuple[datetime, str] | None:
    found: list[tuple[datetime, str]] = []
    if alert.quiet_until is not None and alert.quiet_until > ledger.at:
        name = alert.labels.get("alertname", "an alert")
        found.append((alert.quiet_until, f"{name} cools down until {alert.quiet_until:%Y-%m-%d %H:%M:%S}Z"))
    for each in ledger.policy.maintenance:
        until = in_force(each.window, ledger.at)
        if until is not None and matches_all(each.matchers, alert.labels):
            found.append((until, f"maintenance {each.name!r} until {until:%Y-%m-%d %H:%M:%S}Z"))
    return max(found, default=None)
