"""GET /stats/postgres: the statements that took longest, and the tables that waste most, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from exporter.event import Redact
from exporter.postgres.part import Servers
from guard.web.messages import Answer, Request, json_answer
from guard.web.routes import Route

if TYPE_CHECKING:
    from exporter.postgres.query import Row
    from exporter.postgres.server import Server


def route(servers: Servers, *, redact: Callable[[str, str], Redact]) -> Route:
    """`redact` makes what removes personal data from a statement."""

    async def answer(request: Request) -> Answer:  # noqa: ARG001
        clean = redact("postgres", "statement")
        return json_answer({"servers": [_said(server, clean) for server in servers.servers]})

    return Route("GET", "/stats/postgres", answer)


def _said(server: Server, redact: Redact) -> Mapping[str, object]:
    return {
        "name": server.said.name,
        "up": server.up,
        "error": server.error or None,
        "missing": {name: answer.error for name, answer in sorted(server.answers.items()) if answer.error},
        "statements": [_statement(row, redact) for row in server.rows.get("statements", ())],
        "bloat": _numbers(server.rows.get("bloat", ()), ("schemaname", "relname", "wasted", "ratio")),
    }


def _statement(row: Row, redact: Redact) -> Mapping[str, object]:
    return {
        "database": row["datname"],
        "queryid": row["queryid"],
        "query": redact(row["query"] or ""),
        "calls": row["calls"],
        "total_seconds": row["seconds"],
        "mean_seconds": row["seconds"] / row["calls"] if row["calls"] else None,
        "rows": row["rows"],
    }


def _numbers(rows: Sequence[Row], names: Sequence[str]) -> list[Mapping[str, object]]:
    return [{name: row[name] for name in names} for row in rows]
