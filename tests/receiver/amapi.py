"""A server that answers as Alertmanager's API does, or as it should not. tests/real/ shows what the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from guard.framework import listening
from guard.listen import parse_address
from receiver.entry import Suppressed
from receiver.incident import AlertRecord
from tests.receiver.builders import AT

UNTIL = AT + timedelta(hours=2)
SILENCED = Suppressed("a", "silenced", until=UNTIL, by="ana", comment="patching")


def known(
    name: str, *, hidden: str = "", until: datetime | None = None, status: str = "firing", source: str = "am"
) -> AlertRecord:
    """One alert of the state, whose fingerprint is its name."""
    return AlertRecord(
        source=source,
        fingerprint=name,
        incident="T-1",
        episode=1,
        status=status,
        labels={"alertname": name},
        annotations={},
        generator_url="",
        starts_at=AT,
        ended_at=None,
        changed_at=AT,
        changed=1,
        hidden=hidden,
        hidden_until=until,
    )


def theirs(name: str, *, silenced_by: tuple[str, ...] = (), inhibited_by: tuple[str, ...] = ()) -> dict[str, Any]:
    """One alert of the API, whose fingerprint is its name."""
    muted = bool(silenced_by or inhibited_by)
    return {
        "annotations": {"summary": name},
        "endsAt": "2999-01-01T00:00:00.000Z",
        "fingerprint": name,
        "receivers": [{"name": "team.a"}],
        "startsAt": "2026-03-01T08:00:00.000Z",
        "updatedAt": "2026-03-01T08:00:00.000Z",
        "status": {
            "inhibitedBy": list(inhibited_by),
            "silencedBy": list(silenced_by),
            "state": "suppressed" if muted else "active",
        },
        "labels": {"alertname": name},
    }


def silence(identifier: str, *, ends_at: str, by: str = "ana", comment: str = "patching") -> dict[str, Any]:
    return {
        "id": identifier,
        "status": {"state": "active"},
        "updatedAt": "2026-03-01T08:00:00.000Z",
        "comment": comment,
        "createdBy": by,
        "endsAt": ends_at,
        "matchers": [{"isEqual": True, "isRegex": False, "name": "alertname", "value": "A"}],
        "startsAt": "2026-03-01T08:00:00.000Z",
    }


def group(receiver: str, labels: dict[str, str], *alerts: dict[str, Any]) -> dict[str, Any]:
    return {"alerts": list(alerts), "labels": labels, "receiver": {"name": receiver}}


@dataclass
class Api:
    """What it has, and what it was asked. `answers` replace what is right, by the last part of the path."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    silences: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    started: str = "2026-03-01T07:00:00.000Z"
    answers: dict[str, web.Response] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    hangs: bool = False
    trickles: bool = False
    at_once: int = 0
    at_once_most: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.tokens.append(request.headers.get("Authorization"))
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        try:
            if self.hangs:
                await self.released.wait()
            if self.trickles:
                return await self._trickle(request)
            return self._answer(request.path.rpartition("/")[2])
        finally:
            self.at_once -= 1

    def _answer(self, what: str) -> web.Response:
        if what in self.answers:
            given = self.answers[what]
            return web.Response(status=given.status, body=given.body, headers=given.headers)
        if what == "status":
            return web.json_response({"uptime": self.started, "cluster": {"status": "disabled"}, "versionInfo": {}})
        known: dict[str, list[dict[str, Any]]] = {
            "alerts": self.alerts,
            "silences": self.silences,
            "groups": self.groups,
        }
        return web.json_response(known[what])

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"{")
        await self.released.wait()
        return answer


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    standing = Api()
    app = web.Application()
    app.router.add_get("/{any:.*}", standing.take)
    async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=0.1) as (url,):
        standing.url = url
        try:
            yield standing
        finally:
            standing.released.set()
