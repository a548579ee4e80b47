"""The SQL that takes out what is too old: a little at a time, because it shares transactions with webhooks."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import msgspec

from receiver.incident import Incident, Status
from receiver.message import DIGEST_LANE
from receiver.store import Anchor
from receiver.store.journal import Journal, micros, moment

# So little takes a few milliseconds.
_ROWS_AT_ONCE = 200
_BYTES_AT_ONCE = 256 * 1024
_ENTRIES_AN_ANCHOR = 100_000
_encode = msgspec.json.Encoder(order="deterministic").encode


class Removal:
    """`trim` and `forget` are called inside a transaction of the writer; the others only read."""

    rows_at_once = _ROWS_AT_ONCE

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        self._run = connection.execute
        self._journal = journal

    def trim(self, anchor: Anchor) -> int:
        kept = self._journal.anchor()
        if kept is None or kept.position < anchor.position:
            decided = self._journal.decided()
            row = self._run("SELECT hash FROM journal WHERE position = ?", (anchor.position,)).fetchone()
            if row is None or row[0].hex() != anchor.hash or anchor.position > decided:
                raise ValueError(f"entry {anchor.position} with this hash is not there, or not decided")
            self._run("INSERT OR REPLACE INTO meta VALUES ('anchor', ?)", (_encode(anchor),))
        elif kept != anchor:
            raise ValueError(f"entry {kept.position} is where the journal begins")
        rows = self._run(
            "SELECT position, length(body) FROM journal WHERE position <= ? ORDER BY position LIMIT ?",
            (anchor.position, self.rows_at_once),
        ).fetchall()
        room, gone = _BYTES_AT_ONCE, 0
        for position, size in rows:
            if gone and size > room:
                break
            room, gone, last = room - size, gone + 1, position
        if gone:
            self._run("DELETE FROM journal WHERE position <= ?", (last,))
        return gone

    def forget(self, incident: str) -> int:
        tables = ("alerts", "steps", "spells", "deliveries")
        for table, key in (*((name, "number") for name in tables), ("incidents", "id")):
            which = "id" if table == "incidents" else "incident"
            gone = self._run(
                f"DELETE FROM {table} WHERE {which} = ? AND {key} IN "  # noqa: S608 - from the line above
                f"(SELECT {key} FROM {table} WHERE {which} = ? LIMIT ?)",
                (incident, incident, self.rows_at_once),
            ).rowcount
            if gone:
                return gone
        return 0

    def forget_digests(self, before: datetime) -> int:
        """They are about several incidents, so they go with none of them."""
        return self._run(
            "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries WHERE incident = ? "
            "AND coalesce(settled_at, created_at) < ? LIMIT ?)",
            (DIGEST_LANE, before.isoformat(), self.rows_at_once),
        ).rowcount

    def anchor(self) -> Anchor | None:
        return self._journal.anchor()

    def trimmable(self, before: datetime) -> Anchor | None:
        anchor = self._journal.anchor()
        begin = anchor.position if anchor else 0
        end = min(self._journal.decided(), begin + _ENTRIES_AN_ANCHOR)
        young = self._run(
            "SELECT position FROM journal WHERE position > ? AND position <= ? AND at >= ? ORDER BY position LIMIT 1",
            (begin, end, micros(before)),
        ).fetchone()
        end = young[0] - 1 if young else end
        row = self._run("SELECT hash, at FROM journal WHERE position = ? AND position > ?", (end, begin)).fetchone()
        return Anchor(end, row[0].hex(), end - begin, moment(row[1])) if row else None

    def forgettable(self, before: datetime, limit: int) -> list[str]:
        # In the order in which they were opened, and no further than `before`: what is younger cannot be over so long.
        found: list[str] = []
        rows = self._run(
            "SELECT data FROM incidents WHERE status = ? AND in_memory = 0 ORDER BY position", (Status.RESOLVED.value,)
        )
        for (data,) in rows:
            incident = msgspec.json.decode(data, type=Incident)
            if incident.opened_at >= before or len(found) == limit:
                break
            if incident.resolved_at is not None and incident.resolved_at < before:
                found.append(incident.id)
        return found
