"""Which alert a line of a body is, and which episode of it: told by source, fingerprint, and what is known.

An alert fires again and again under one fingerprint; each time is an episode. HA pairs say things twice and late,
Alertmanager repeats what still fires, and a resolve may come for an alert of which nothing was heard.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from receiver.alert import Alert, utc
from receiver.incident import AlertRecord, Group
from receiver.ledger import Ledger
from receiver.quiet import cooldown_of
from receiver.texts import CHARACTERS_MAX, TooLong, cut

# With two Alertmanagers an older firing may arrive after the resolve that the other one sent. Within LATE of the
# resolve it is doubted: that other one resolves too when it next looks at the group (5 minutes by default). When no
# resolve confirms the first one within DOUBTED, the alert came back, and a page is better than none.
LATE = timedelta(seconds=60)
DOUBTED = timedelta(minutes=5, seconds=30)
LABELS_MAX = 128


def compare(known: AlertRecord | None, alert: Alert, at: datetime) -> str:
    """What an alert of a body is, given what is known of it: one word, which is also the metric's label."""
    if known is None:
        return "new" if alert.status == "firing" else "resolved_unseen"
    if alert.status == "firing":
        if known.firing:
            return "repeated"
        begun_before = utc(alert.starts_at) <= known.starts_at
        return "late" if begun_before and at - known.changed_at < LATE else "refired"
    if not known.firing:
        return "repeated"
    # Older than this episode: news of the one before. In a first episode there is none, whatever the clocks say.
    ended = alert.ended_at
    return "late" if known.episode > 1 and ended is not None and ended < known.starts_at else "resolved"


def begun(ledger: Ledger, source: str, alert: Alert, group: Group, *, before: AlertRecord | None) -> AlertRecord:
    """A new episode; the incident that it joins is not known yet."""
    labels = bounded(ledger, alert.labels)
    cools_until = None if before is None else before.cools_until
    cooling = cools_until is not None and cools_until > ledger.at
    cooldown = None if cooling else cooldown_of(ledger.policy, labels)
    return AlertRecord(
        source=source,
        fingerprint=alert.identity,
        incident="",
        episode=1 if before is None else before.episode + 1,
        status=alert.status,
        labels=labels,
        annotations=bounded(ledger, alert.annotations),
        generator_url=ledger.texts[alert.generator_url[:CHARACTERS_MAX]],
        starts_at=utc(alert.starts_at),
        ended_at=None,
        changed_at=ledger.at,
        changed=ledger.position,
        group=group,
        cools_until=cools_until if cooling else None if cooldown is None else ledger.at + cooldown,
        quiet_until=cools_until if cooling else None,
    )


def ended(ledger: Ledger, known: AlertRecord, ended_at: datetime | None) -> AlertRecord:
    """It does not fire any more."""
    return replace(
        known,
        status="resolved",
        ended_at=ended_at,
        changed_at=ledger.at,
        changed=ledger.position,
        hidden="",
        hidden_until=None,
        unconfirmed=None,
        doubted_until=None,
    )


def bounded(ledger: Ledger, texts: dict[str, str]) -> dict[str, str]:
    """An equal map unless something in it is over a limit; then cut, and counted."""
    if len(texts) <= LABELS_MAX:
        once = ledger.texts
        try:
            return {name: once[text] for name, text in texts.items()}
        except TooLong:
            pass
    ledger.counts["cut"] += 1
    return {name: cut(value) for name, value in list(texts.items())[:LABELS_MAX]}
