"""The SQL by which doors ask: incidents, alerts, stories, deliveries, and what was set aside."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from receiver.entry import EntrySetAside
from receiver.incident import AlertRecord, Incident, Status, Step
from receiver.store import Delivery, SetAside

T = TypeVar("T")


class Reading:
    """What is committed, on the connection that is handed in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def deliveries(self, limit: int, channel: str, incident: str, outcome: str) -> list[Delivery]:
        """Newest first. An empty text is every one; `outcome` is owed, delivered, refused or withdrawn."""
        where = "(:channel = '' OR channel = :channel) AND (:incident = '' OR incident = :incident)"
        values = {"channel": channel, "incident": incident, "outcome": outcome, "limit": limit}
        return self._deliveries(where, values)

    def delivery(self, message: str) -> Delivery | None:
        found = self._deliveries("id = :id", {"id": message, "outcome": "", "limit": 1})
        return found[0] if found else None

    def _deliveries(self, where: str, values: Mapping[str, object]) -> list[Delivery]:
        columns = "number, id, channel, incident, kind, created_at"
        rows = self._connection.execute(
            f"SELECT {columns}, NULL, 'owed', NULL, NULL, '' FROM outbox "  # noqa: S608 - from the lines above
            f"WHERE {where} AND :outcome IN ('', 'owed') UNION ALL "
            f"SELECT {columns}, settled_at, outcome, attempts, seconds, answer FROM deliveries "
            f"WHERE {where} AND :outcome IN ('', outcome) ORDER BY number DESC LIMIT :limit",
            values,
        )
        return [
            Delivery(
                message=message,
                channel=to,
                incident=about,
                kind=kind,
                created_at=datetime.fromisoformat(created_at),
                settled_at=datetime.fromisoformat(settled_at) if settled_at else None,
                outcome=became,
                attempts=attempts,
                seconds=seconds,
                answer=answer,
            )
            for _, message, to, about, kind, created_at, settled_at, became, attempts, seconds, answer in rows
        ]

    def incidents(self, status: str, text: str, limit: int) -> list[Incident]:
        """Newest first. `status` is one of Status, `active` (all but resolved) or `all`."""
        where = {"all": "1", "active": f"status != '{Status.RESOLVED}'"}.get(status, "status = :status")
        return structs(
            self._connection,
            Incident,
            f"SELECT data FROM incidents WHERE {where} AND (:text = '' OR instr(text, :text)) "  # noqa: S608 - from the table above
            "ORDER BY position DESC, id DESC LIMIT :limit",
            {"status": status, "text": text.lower(), "limit": limit},
        )

    def incident(self, identifier: str) -> Incident | None:
        found = structs(self._connection, Incident, "SELECT data FROM incidents WHERE id = ?", (identifier,))
        return found[0] if found else None

    def alerts(self, limit: int, incident: str | None) -> list[AlertRecord]:
        """Those of one incident in the order in which they joined, or of all incidents in memory, newest first:
        these without what older incidents keep of alerts that moved on."""
        if incident is not None:
            return structs(
                self._connection,
                AlertRecord,
                "SELECT data FROM alerts WHERE incident = ? ORDER BY number LIMIT ?",
                (incident, limit),
            )
        return structs(
            self._connection,
            AlertRecord,
            "SELECT alerts.data FROM alerts JOIN incidents ON incidents.id = alerts.incident "
            "WHERE incidents.in_memory = 1 AND json_extract(CAST(alerts.data AS TEXT), '$.moved_on') IS NOT 1 "
            "ORDER BY alerts.number DESC LIMIT ?",
            (limit,),
        )

    def steps(self, incident: str, limit: int) -> list[Step]:
        newest = structs(
            self._connection,
            Step,
            "SELECT data FROM steps WHERE incident = ? ORDER BY number DESC LIMIT ?",
            (incident, limit),
        )
        return newest[::-1]

    def last_set_aside(self, limit: int) -> list[SetAside]:
        return structs(self._connection, SetAside, "SELECT data FROM set_aside ORDER BY number DESC LIMIT ?", (limit,))

    def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        return structs(
            self._connection,
            EntrySetAside,
            "SELECT data FROM entries_set_aside ORDER BY position DESC LIMIT ?",
            (limit,),
        )

    def untold(self) -> list[EntrySetAside]:
        return structs(
            self._connection, EntrySetAside, "SELECT data FROM entries_set_aside WHERE told = 0 ORDER BY position"
        )


def structs(connection: sqlite3.Connection, kind: type[T], query: str, values: Any = ()) -> list[T]:
    """What the query finds, each decoded."""
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(data) for (data,) in connection.execute(query, values)]
