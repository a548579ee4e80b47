"""The SQL of statistics: spells that began, and messages that channels took, between two moments.

SQLite counts, and lets go of the interpreter meanwhile; only the times are sorted here. All is asked in one read
transaction, on a connection of its own, and given up when it takes too long.
"""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from msgspec.structs import replace

from receiver.policy.actionnames import channel_named
from receiver.spell import ITSELF, MERGED, NOISE_WITHIN
from receiver.state import SpellChanged
from receiver.statistics import (
    ALERTS_SHOWN_MAX,
    PEOPLE_SHOWN_MAX,
    SEVERITIES_SHOWN_MAX,
    AlertSpells,
    Answered,
    Counted,
    Spells,
    Taken,
    Times,
)
from receiver.store.journal import micros

COUNTING_SECONDS_MAX = 10.0
_STEPS_BETWEEN_LOOKS = 50_000  # at the clock

_IN_TIME = "begun_at >= :begin AND begun_at < :end"
# Its first line is word for word what the index `pages_by_time` is of, or it would not be used. What a stage runs
# interrupts nobody.
_TAKEN = f"""outcome = 'delivered' AND kind IN ('opened', 'escalated', 'digest')
    AND settled_at >= :since AND settled_at < :until AND channel NOT GLOB '{channel_named("*")}'"""
_COUNTS = f"""count(*) FILTER (WHERE number = 1) AS incidents, count(*) FILTER (WHERE number > 1) AS reopened,
    count(acknowledged_at) AS acknowledged,
    count(*) FILTER (WHERE ended_at IS NOT NULL AND how != '{MERGED}') AS resolved,
    count(*) FILTER (WHERE how = '{MERGED}') AS merged,
    count(*) FILTER (WHERE how = '{ITSELF}' AND acknowledged_at IS NULL AND ended_at - begun_at <= :noise) AS noise,
    sum(flaps) AS flaps"""
# How long it took, or nothing where that is not known.
_TO_ACKNOWLEDGE = "CASE WHEN acknowledged_at >= paged_at THEN acknowledged_at - paged_at END"
_TO_RESOLVE = f"CASE WHEN how != '{MERGED}' THEN max(ended_at - begun_at, 0) END"


def spell_row(change: SpellChanged) -> tuple[object, ...]:
    """As the table has it."""
    spell = change.spell
    moments = [None if at is None else micros(at) for at in (spell.paged_at, spell.acknowledged_at, spell.ended_at)]
    paged_at, acknowledged_at, ended_at = moments
    return (
        micros(spell.begun_at), change.incident, spell.number, change.severity, change.name,
        paged_at, acknowledged_at, spell.acknowledged_by, ended_at, spell.end, spell.flaps,
    )  # fmt: skip


class Counting:
    """On the connection that is handed in, which nobody else uses meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def counted(self, cuts: Sequence[datetime], *, seconds_max: float = COUNTING_SECONDS_MAX) -> Counted:
        """From the first of `cuts` to the last; messages apart for each part between two of them."""
        begin, end = cuts[0], cuts[-1]
        until = time.monotonic() + seconds_max
        self._connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
        self._connection.execute("BEGIN")
        try:
            return self._counted(
                {
                    "begin": micros(begin),
                    "end": micros(end),
                    "since": begin.isoformat(),
                    "until": end.isoformat(),
                    "noise": int(NOISE_WITHIN.total_seconds() * 1_000_000),
                },
                cuts,
            )
        finally:
            self._connection.set_progress_handler(None, 0)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _counted(self, asked: Mapping[str, Any], cuts: Sequence[datetime]) -> Counted:
        severities, severities_count = self._severities(asked)
        alerts, alerts_count = self._alerts(asked)
        answered, answered_count = self._answered(asked)
        times = self._measured(asked, alerts={each.name for each in alerts}, people={each.person for each in answered})
        return Counted(
            severities=[replace(each, **_both(times.severities.get(each.name))) for each in severities],
            severities_count=severities_count,
            alerts=[replace(each, **_both(times.alerts.get(each.name))) for each in alerts],
            alerts_count=alerts_count,
            answered=[replace(each, time_to_acknowledge=_times(times.people.get(each.person))) for each in answered],
            answered_count=answered_count,
            taken=[each for begin, end in pairwise(cuts) for each in self._taken(begin, end)],
        )

    def _severities(self, asked: Mapping[str, Any]) -> tuple[list[Spells], int]:
        query = f"""SELECT severity, {_COUNTS}, count(*) OVER () FROM spells WHERE {_IN_TIME} GROUP BY severity
            ORDER BY incidents DESC, severity LIMIT {SEVERITIES_SHOWN_MAX}"""  # noqa: S608 - from the lines above
        rows = self._connection.execute(query, asked).fetchall()
        return [Spells(*row[:-1]) for row in rows], _how_many(rows)

    def _alerts(self, asked: Mapping[str, Any]) -> tuple[list[AlertSpells], int]:
        """Those that paged most. A page of an incident without a spell is of no alert that is known."""
        query = f"""SELECT name, sum(incidents), sum(reopened), sum(acknowledged), sum(resolved), sum(merged),
                sum(noise), sum(flaps), sum(pages), count(*) OVER ()
            FROM (SELECT name, {_COUNTS}, 0 AS pages FROM spells WHERE {_IN_TIME} GROUP BY name
                UNION ALL
                SELECT (SELECT name FROM spells WHERE spells.incident = deliveries.incident ORDER BY number LIMIT 1)
                    AS name, 0, 0, 0, 0, 0, 0, 0, count(*)
                FROM deliveries WHERE {_TAKEN} AND kind != 'digest' GROUP BY 1)
            WHERE name IS NOT NULL GROUP BY name
            ORDER BY sum(pages) DESC, sum(incidents) DESC, name LIMIT {ALERTS_SHOWN_MAX}"""  # noqa: S608 - likewise
        rows = self._connection.execute(query, asked).fetchall()
        return [replace(AlertSpells(*row[:-2]), pages=row[-2]) for row in rows], _how_many(rows)

    def _answered(self, asked: Mapping[str, Any]) -> tuple[list[Answered], int]:
        rows = self._connection.execute(
            "SELECT acknowledged_by, count(*) AS many, count(*) OVER () FROM spells "  # noqa: S608 - likewise
            f"WHERE {_IN_TIME} AND acknowledged_at IS NOT NULL GROUP BY acknowledged_by "
            f"ORDER BY many DESC, acknowledged_by LIMIT {PEOPLE_SHOWN_MAX}",
            asked,
        ).fetchall()
        return [Answered(name, many) for name, many, _ in rows], _how_many(rows)

    def _measured(self, asked: Mapping[str, Any], *, alerts: AbstractSet[str], people: AbstractSet[str]) -> _Measured:
        """Eight bytes for each of them: SQLite would sort once for each number that is wanted."""
        found = _Measured({}, {}, {})
        rows = self._connection.execute(
            f"SELECT severity, name, acknowledged_by, {_TO_ACKNOWLEDGE}, {_TO_RESOLVE} FROM spells "  # noqa: S608
            f"WHERE {_IN_TIME} AND (acknowledged_at IS NOT NULL OR ended_at IS NOT NULL)",
            asked,
        )
        for severity, name, person, to_acknowledge, to_resolve in rows:
            groups = [found.severities.setdefault(severity, (array("q"), array("q")))]
            if name in alerts:
                groups.append(found.alerts.setdefault(name, (array("q"), array("q"))))
            if to_acknowledge is not None:
                for acknowledged, _ in groups:
                    acknowledged.append(to_acknowledge)
                if person in people:
                    found.people.setdefault(person, array("q")).append(to_acknowledge)
            if to_resolve is not None:
                for _, resolved in groups:
                    resolved.append(to_resolve)
        return found

    def _taken(self, begin: datetime, end: datetime) -> list[Taken]:
        """By quarters of an hour: every time zone begins its hours at one of these."""
        rows = self._connection.execute(
            "SELECT channel, kind, substr(settled_at, 12, 2) * 4 + substr(settled_at, 15, 2) / 15, count(*) "  # noqa: S608
            f"FROM deliveries WHERE {_TAKEN} GROUP BY 1, 2, 3",
            {"since": begin.isoformat(), "until": end.isoformat()},
        )
        return [Taken(channel, kind, begin, quarter, count) for channel, kind, quarter, count in rows]


def _how_many(rows: Sequence[tuple[Any, ...]]) -> int:
    """There would be without a limit: that is the last column of each."""
    return int(rows[0][-1]) if rows else 0


class _Measured(NamedTuple):
    """Microseconds until they were acknowledged and until they were resolved, in no order."""

    severities: dict[str, tuple[array[int], array[int]]]
    alerts: dict[str, tuple[array[int], array[int]]]
    people: dict[str, array[int]]


def _both(measured: tuple[array[int], array[int]] | None) -> dict[str, Times]:
    acknowledged, resolved = measured or (None, None)
    return {"time_to_acknowledge": _times(acknowledged), "time_to_resolve": _times(resolved)}


def _times(micros: array[int] | None) -> Times:
    """The nearest ranks: of ten, the fifth and the ninth."""
    if not micros:
        return Times()
    ranked, many = sorted(micros), len(micros)
    half, most = (ranked[(many * percent + 99) // 100 - 1] / 1_000_000 for percent in (50, 90))
    return Times(many, half, most)
