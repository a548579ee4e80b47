"""Reads the alerts that a start needs: most of what it reads, so where its time goes.

Alerts of one incident, and of one installation, are much alike. Read one by one, each has texts of its own; here those
that are equal are in memory once.
"""

from __future__ import annotations

import sqlite3
from operator import itemgetter

import msgspec

from receiver.incident import AlertRecord


def alerts_in_memory(connection: sqlite3.Connection) -> list[AlertRecord]:
    """In the order in which they joined. By way of their incidents, which are few beside all that ever were."""
    decoder = msgspec.json.Decoder(AlertRecord)
    rows = connection.execute(
        "SELECT alerts.number, alerts.data FROM incidents CROSS JOIN alerts ON alerts.incident = incidents.id "
        "WHERE incidents.in_memory = 1"
    )
    numbered: list[tuple[int, AlertRecord]] = []
    texts: dict[str, str] = {}
    alert: AlertRecord | None = None
    for number, data in rows:
        alert = _compact(decoder.decode(data), alert, texts)
        numbered.append((number, alert))
    numbered.sort(key=itemgetter(0))
    return [alert for _, alert in numbered]


def _compact(alert: AlertRecord, before: AlertRecord | None, texts: dict[str, str]) -> AlertRecord:
    """The same, with what it shares with the alert before it, and with others, in memory once."""
    once = texts.setdefault
    for named in (alert.labels, alert.annotations):
        for name, value in named.items():
            named[name] = once(value, value)
    if before is None or before.group != alert.group:
        return alert
    return msgspec.structs.replace(
        alert,
        source=before.source if before.source == alert.source else alert.source,
        incident=before.incident if before.incident == alert.incident else alert.incident,
        status=before.status if before.status == alert.status else alert.status,
        generator_url=once(alert.generator_url, alert.generator_url),
        group=before.group,
    )
