"""Findings as alerts of Alertmanager: one for each detector, severity and source, for as long as it goes on. Pure.

What changes from finding to finding is in annotations, as labels are the identity of an alert; and who it was is in
neither. There is no queue: each Alertmanager is told what holds now, so that what was not told when it was away is told
when it is back, once, however much happened in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.finding import Finding, Severity
from exporter.identity import Address, network_of

# Alerts at a time. Detectors, their severities and sources are bounded already; this is for all of them together.
ALERTS_MAX = 500
# Different addresses of one alert that are counted; more are "at least".
ADDRESSES_MAX = 1_000
NETWORKS_MAX = 5
WHY_CHARACTERS_MAX = 500
# What an Alertmanager has not taken so long after the end of an alert, it is not told any more.
OWED_SECONDS_MAX = 3_600.0

ALERT_NAME = "SecurityFinding"
RUNBOOK = "docs/runbooks/tocsin.md#securityfinding"
# Alertmanager's usual words.
SEVERITIES: Mapping[Severity, str] = {
    "critical": "critical",
    "high": "critical",
    "medium": "warning",
    "low": "info",
    "info": "info",
}

# Detector, severity in Alertmanager's words, source.
Key = tuple[str, str, str]


class Choice(NamedTuple):
    """What the configuration says about alerts."""

    resolve_after_seconds: float = 900.0
    labels: Mapping[str, str] = {}
    external_url: str = ""
    networks: bool = False


class Alert:
    """One that goes on, or has ended and is still owed to somebody."""

    __slots__ = ("addresses", "ends_at", "findings", "last", "networks", "starts_at", "told")

    def __init__(self, finding: Finding) -> None:
        self.starts_at = finding.at
        self.ends_at = finding.at
        self.findings = 0
        self.last = finding
        self.addresses: set[Address] = set()
        self.networks: dict[str, None] = {}
        # The Alertmanagers that have taken it.
        self.told: set[str] = set()

    def take(self, finding: Finding) -> None:
        self.findings += 1
        self.last = finding
        if finding.address is not None:
            if len(self.addresses) <= ADDRESSES_MAX:
                self.addresses.add(finding.address)
            if len(self.networks) < NETWORKS_MAX:
                self.networks[network_of(finding.address)] = None


class Alerts:
    """`targets` are the names of Alertmanagers. `dropped` is told whom an alert is not told to, and never will be."""

    def __init__(self, *, dropped: Callable[[str], None]) -> None:
        self._dropped = dropped
        self._alerts: dict[Key, Alert] = {}
        self._choice = Choice()
        self._targets: tuple[str, ...] = ()

    def use(self, choice: Choice, targets: Sequence[str]) -> None:
        self._choice, self._targets = choice, tuple(targets)
        if not targets:
            self._alerts.clear()

    def take(self, found: Sequence[Finding]) -> bool:
        """Whether something began, so that it is to be told at once."""
        began = False
        for finding in found:
            if finding.dry_run or not self._targets:
                continue
            key = finding.detector, SEVERITIES[finding.severity], finding.source
            alert = self._alerts.get(key)
            if alert is None or (alert.ends_at <= finding.at and not self._owed(alert)):
                if alert is None and not self._has_room(finding.at):
                    for target in self._targets:
                        self._dropped(target)
                    continue
                alert = self._alerts[key] = Alert(finding)
                began = True
            alert.take(finding)
            alert.ends_at = max(alert.ends_at, finding.at + self._choice.resolve_after_seconds)
        return began

    def active(self, now: float) -> int:
        return sum(now < alert.ends_at for alert in self._alerts.values())

    def owed(self, target: str) -> int:
        """How many this one has not taken yet."""
        return sum(target not in alert.told for alert in self._alerts.values())

    def to_tell(self, target: str, now: float) -> list[Key]:
        """What holds now, and what has ended before this one took it."""
        self._forget(now)
        return [key for key, alert in sorted(self._alerts.items()) if now < alert.ends_at or target not in alert.told]

    def written(self, keys: Sequence[Key], now: float) -> list[dict[str, object]]:
        """As Alertmanager's API takes them."""
        return [self._written(key, self._alerts[key], now) for key in keys]

    def taken(self, target: str, keys: Sequence[Key]) -> None:
        for key in keys:
            if key in self._alerts:
                self._alerts[key].told.add(target)

    def _owed(self, alert: Alert) -> bool:
        return not alert.told.issuperset(self._targets)

    def _has_room(self, now: float) -> bool:
        if len(self._alerts) >= ALERTS_MAX:
            self._forget(now)
        return len(self._alerts) < ALERTS_MAX

    def _forget(self, now: float) -> None:
        """What has ended and was told to everybody, or is owed for too long."""
        for key, alert in list(self._alerts.items()):
            # Where the clock was ahead and was set back, it would go on for as long, and begin after its end.
            alert.starts_at = min(alert.starts_at, now)
            alert.ends_at = min(alert.ends_at, now + self._choice.resolve_after_seconds)
            if now < alert.ends_at:
                continue
            if self._owed(alert):
                if now < alert.ends_at + OWED_SECONDS_MAX:
                    continue
                for target in self._targets:
                    if target not in alert.told:
                        self._dropped(target)
            del self._alerts[key]

    def _written(self, key: Key, alert: Alert, now: float) -> dict[str, object]:
        detector, severity, source = key
        annotations = {
            "summary": f"{detector}: {_number(alert.findings, 'finding')}{_about(alert)}",
            "description": f"The last of them: {alert.last.why[:WHY_CHARACTERS_MAX]}. Severity: {alert.last.severity}.",
            "runbook_url": RUNBOOK,
        }
        if self._choice.networks and alert.networks:
            annotations["networks"] = ", ".join(alert.networks)
        # What has ended before somebody took it goes on for a moment, as nobody is told of what has ended.
        ends_at = (
            max(alert.ends_at, now + self._choice.resolve_after_seconds) if now >= alert.ends_at else alert.ends_at
        )
        return {
            "labels": {
                **self._choice.labels,
                "alertname": ALERT_NAME,
                "detector": detector,
                "severity": severity,
                **({"source": source} if source else {}),
            },
            "annotations": annotations,
            "startsAt": _moment(alert.starts_at),
            "endsAt": _moment(ends_at),
            "generatorURL": (
                f"{self._choice.external_url.rstrip('/')}/findings?detector={detector}"
                if self._choice.external_url
                else ""
            ),
        }


def _about(alert: Alert) -> str:
    if not alert.addresses:
        return ""
    least = "at least " if len(alert.addresses) > ADDRESSES_MAX else ""
    return f", {least}{_number(min(len(alert.addresses), ADDRESSES_MAX), 'address', 'addresses')}"


def _number(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
