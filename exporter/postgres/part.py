"""All PostgreSQL servers: a part of the exporter that follows the plan. Nothing is loaded before there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from exporter.control import Plan, Refused
from exporter.event import Memory, Redact
from exporter.family import Family

if TYPE_CHECKING:
    from exporter.postgres.server import Server
    from exporter.postgres.settings import Postgres

EXTRA_ABSENT = "postgres: found no asyncpg, expected it to be installed: pip install 'tocsin[postgres]'"


class Servers:
    """Belongs to one event loop. `redact` makes what removes personal data from names of theirs."""

    def __init__(self, *, redact: Callable[[str, str], Redact]) -> None:
        self._redact = redact
        self._wanted: Sequence[Postgres] = ()
        self._running = False
        self._tasks: dict[str, tuple[Server, asyncio.Task[None]]] = {}

    def prepare(self, plan: Plan) -> Callable[[], None]:
        wanted = () if plan.file is None else plan.file.postgres
        if wanted:
            try:
                from exporter.postgres import server as server  # with asyncpg, which is large
            except ModuleNotFoundError as error:
                if error.name != "asyncpg":
                    raise
                raise Refused((EXTRA_ABSENT,)) from None
        return lambda: self._use(wanted)

    async def __aenter__(self) -> Self:
        self._running = True
        self._use(self._wanted)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        left = [task for _, task in self._tasks.values()]
        self._use(())
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def servers(self) -> list[Server]:
        return [server for server, _ in self._tasks.values()]

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - each value has the time of its own
        if not self._tasks:
            return ()
        from exporter.postgres.about import families_of_servers

        return families_of_servers(self.servers)

    def _use(self, wanted: Sequence[Postgres]) -> None:
        """From now on these. Those that stay the same go on with their connection."""
        self._wanted = wanted
        if not self._running and not self._tasks:
            return
        before, self._tasks = self._tasks, {}
        said: Mapping[str, Postgres] = {each.name: each for each in wanted}
        for name, (server, task) in before.items():
            if said.get(name) == server.said:
                self._tasks[name] = server, task
            else:
                task.cancel()
        for name, each in said.items():
            if name not in self._tasks:
                self._tasks[name] = self._started(each)

    def _started(self, said: Postgres) -> tuple[Server, asyncio.Task[None]]:
        from exporter.postgres.server import Server

        names = Memory(self._redact("", "postgres"))
        server = Server(said, clean=lambda name: names[name] or "")
        return server, asyncio.create_task(server.run())
