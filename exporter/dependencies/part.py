"""Dependencies in the program: asks them in the background, and follows the plan.

One timer for all, a task for each question. What does not answer costs its time-out and keeps nobody else waiting.
Nothing of this is loaded before somebody has a dependency.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from exporter.control import Plan
from exporter.family import Family
from exporter.probes import Prober

if TYPE_CHECKING:
    from exporter.dependencies.settings import DependencySettings
    from exporter.dependencies.status import Answer, Change, Dependencies, Dependency, Known

log = logging.getLogger("tocsin.exporter")

# A probe keeps to its time-out. One that does not is given up after this.
LATE_SECONDS_MAX = 2.0


class Background:
    """Belongs to one event loop."""

    def __init__(
        self,
        prober: Prober,
        *,
        reasons: Sequence[str],
        seed: bytes,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        """`reasons` are those for which a probe fails; `clock` is one that nobody can set."""
        self._prober = prober
        self._reasons = reasons
        self._seed = seed
        self._clock = clock
        self._time_of_day = time_of_day
        self._dependencies: Dependencies | None = None
        self._changed = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def prepare(self, plan: Plan) -> Callable[[], None]:
        if plan.file is None:
            return lambda: self._use([])
        modules = plan.file.probes.all_modules
        wanted = [
            _dependency(name, each, module_seconds=modules[each.probe.module].seconds)
            for name, each in plan.file.health.dependencies.items()
        ]
        return lambda: self._use(wanted)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._asking, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - what is known has times of its own
        if self._dependencies is None:
            return ()
        from exporter.dependencies import report

        return report.families(self._dependencies, reasons=self._reasons)

    def verdict(self) -> str:
        if self._dependencies is None:
            return "healthy"
        from exporter.dependencies import report

        return report.verdict(self._dependencies)

    def sick(self) -> dict[str, str]:
        """Why, by name: of all that are not well."""
        if self._dependencies is None:
            return {}
        from exporter.dependencies import report

        return report.sick(self._dependencies)

    def root_causes(self) -> list[str]:
        if self._dependencies is None:
            return []
        from exporter.dependencies import report

        return report.root_causes(self._dependencies)

    def details(self) -> Mapping[str, Mapping[str, Any]]:
        if self._dependencies is None:
            return {}
        from exporter.dependencies import report

        return report.details(self._dependencies, now=self._clock(), at=self._time_of_day())

    def _use(self, wanted: Sequence[Dependency]) -> None:
        if self._dependencies is None:
            if not wanted:
                return
            from exporter.dependencies.status import Dependencies

            self._dependencies = Dependencies(seed=self._seed)
        self._dependencies.use(wanted, now=self._clock(), at=self._time_of_day())
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            seconds: float | None = None
            if self._dependencies is not None:
                now = self._clock()
                for known in self._dependencies.due(now=now):
                    self._start(known)
                seconds = self._dependencies.next_at() - now
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if seconds == float("inf") else seconds)

    def _start(self, known: Known) -> None:
        task = asyncio.create_task(self._ask(known))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, known: Known) -> None:
        answer = await self._answer(known.dependency)
        assert self._dependencies is not None
        change = self._dependencies.answered(known, answer, now=self._clock(), at=self._time_of_day())
        self._changed.set()
        if change is not None:
            _tell(change)

    async def _answer(self, dependency: Dependency) -> Answer:
        from exporter.dependencies.status import Answer

        seconds = dependency.timeout_seconds
        began = self._clock()
        try:
            async with asyncio.timeout(seconds + LATE_SECONDS_MAX):
                probed = await self._prober.probe(dependency.module, dependency.target, seconds=seconds)
        except TimeoutError:
            return Answer(self._clock() - began, "timeout")
        except Exception:
            log.exception("a probe broke off", extra={"dependency": dependency.name})
            return Answer(self._clock() - began, "error")
        return Answer(probed.seconds, "" if probed.success else probed.reason or "error")


def _dependency(name: str, said: DependencySettings, *, module_seconds: float) -> Dependency:
    from exporter.dependencies.status import Dependency
    from exporter.duration import parse

    return Dependency(
        name,
        module=said.probe.module,
        target=said.probe.target,
        critical=said.critical,
        needs=said.needs,
        every_seconds=said.every_seconds,
        timeout_seconds=module_seconds if said.timeout is None else parse(said.timeout),
        slow_seconds=said.slow_seconds,
        patience=said.patience,
    )


def _tell(change: Change) -> None:
    level = logging.WARNING if change.after.is_sick else logging.INFO
    extra = {"dependency": change.name, "status": change.after.value, "before": change.before.value}
    if change.reason:
        extra["reason"] = change.reason
    if len(change.cause) > 1:
        extra["because_of"] = change.cause[-1]
    log.log(level, "dependency is %s", change.after.value, extra=extra)
