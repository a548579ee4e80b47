"""The place of logs in the program: nothing of them is loaded before somebody asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from exporter.control import Plan
from exporter.intake.logs.counts import LogCounts
from exporter.pipeline import Pipeline

if TYPE_CHECKING:
    from exporter.intake.logs.settings import Log
    from exporter.intake.logs.tailer import Tailer


class Logs:
    def __init__(self, pipeline: Pipeline, *, told: LogCounts, positions_file: str = "") -> None:
        self._pipeline = pipeline
        self._told = told
        self._positions_file = positions_file
        self._logs: Sequence[Log] = ()
        self._running = False
        self._tailer: Tailer | None = None
        self._task: asyncio.Task[None] | None = None

    def prepare(self, plan: Plan) -> Callable[[], None]:
        logs = () if plan.file is None else plan.file.logs
        return lambda: self._use(logs)

    async def __aenter__(self) -> Self:
        self._running = True
        self._use(self._logs)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        if self._tailer is not None and self._task is not None:
            self._tailer.stop()
            await self._task

    def _use(self, logs: Sequence[Log]) -> None:
        self._logs = logs
        if self._tailer is None and self._running and logs:
            from exporter.intake.logs.tailer import Tailer  # with all that reads and parses

            self._tailer = Tailer(self._pipeline, told=self._told, positions_file=self._positions_file)
            self._task = asyncio.create_task(self._tailer.run())
        if self._tailer is not None:
            self._tailer.use(logs)
