"""Prometheus' conventions, and plain ones for load balancers: alive, ready, how well, and read the policy again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from guard.configfile import InvalidConfig
from receiver.doors.answers import answer, refuse
from receiver.metrics import Metrics
from receiver.outbox import Outbox
from receiver.policy.actionnames import action_named
from receiver.runner import Overloaded, Runner
from receiver.store import Store, StoreFailed


class Health:
    def __init__(
        self,
        *,
        runner: Runner,
        outbox: Outbox,
        store: Store,
        metrics: Metrics,
        reload: Callable[[], Awaitable[str]],
    ) -> None:
        self._runner = runner
        self._outbox = outbox
        self._store = store
        self._metrics = metrics
        self._reload = reload

    async def healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="Tocsin's receiver is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        """Whether a webhook sent now would be taken."""
        try:
            self._runner.check_load()
        except Overloaded as error:
            return web.Response(text=f"Not ready: {error}.\n", status=503)
        if self._runner.failing:
            return web.Response(text=f"Not ready: the store cannot be written: {self._runner.failing}.\n", status=503)
        return web.Response(text="Tocsin's receiver is ready.\n")

    async def reload(self, _: web.Request) -> web.Response:
        try:
            digest = await self._reload()
        except InvalidConfig as error:
            return answer({"error": "the old policy stays in force", "faults": error.faults}, status=500)
        except StoreFailed as error:
            refuse(503, f"the old policy stays in force: the new one could not be written to disk ({error})")
        return answer({"policy": digest})

    async def health(self, _: web.Request) -> web.Response:
        status = self._status()
        return answer({"status": status}, status=503 if status == "unhealthy" else 200)

    async def detailed(self, _: web.Request) -> web.Response:
        status = self._status()
        channels = {
            name: {
                "status": "degraded" if watcher.last_error else "healthy",
                "owed": owed,
                "error": watcher.last_error,
            }
            for name, (owed, _, watcher) in self._outbox.by_channel().items()
        }
        store = {"status": "unhealthy" if self._runner.failing else "healthy", "error": self._runner.failing}
        return answer(
            {
                "status": status,
                "store": store,
                "journal_lag": self._runner.lag,
                "audit": self._runner.audit,
                "channels": channels,
            },
            status=503 if status == "unhealthy" else 200,
        )

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    def _status(self) -> str:
        """Unhealthy: webhooks are refused. Degraded: they are taken, and somebody is not told. What an action says of
        itself is about the world outside."""
        if self._runner.failing:
            return "unhealthy"
        if not self._runner.audit.goes_on:
            return "degraded"
        channels = self._outbox.by_channel().items()
        if any(watcher.last_error for name, (_, _, watcher) in channels if action_named(name) is None):
            return "degraded"
        return "healthy"
