"""The place of probes in the program: nothing of them is loaded before somebody asks for one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from exporter.probes import Probed
from exporter.probes.aside import Aside
from exporter.probes.attempt import Attempt, Failed
from exporter.probes.counts import ProbeCounts

if TYPE_CHECKING:
    from exporter.control import Plan
    from exporter.probes.ground import Ground
    from exporter.probes.settings import Module, ProbesSettings

log = logging.getLogger("tocsin.exporter")


class UnknownModule(LookupError):
    """The message names those that there are."""


class Probes:
    """The `Prober` of the program. Belongs to one event loop."""

    def __init__(self, counts: ProbeCounts, *, procfs: str = "/proc") -> None:
        self.counts = counts
        self._procfs = procfs
        self._aside = Aside()
        self._settings: ProbesSettings | None = None
        self._ground: Ground | None = None
        counts.threads_held = lambda: self._aside.held

    def prepare(self, plan: Plan) -> Callable[[], None]:
        settings = None if plan.file is None else plan.file.probes

        def put_into_force() -> None:
            self._settings, self._ground = settings, None

        return put_into_force

    def modules(self) -> Mapping[str, Module]:
        from exporter.probes.settings import BUNDLED

        return BUNDLED if self._settings is None else self._settings.all_modules

    def module(self, name: str) -> Module:
        """Raises UnknownModule."""
        modules = self.modules()
        if name not in modules:
            raise UnknownModule(f"no module of that name; these are: {', '.join(sorted(modules))}")
        return modules[name]

    async def probe(self, module: str, target: str, *, seconds: float) -> Probed:
        """By the name of a module, which is there."""
        return await self.ask(self.module(module), target, seconds=seconds)

    async def ask(self, module: Module, target: str, *, seconds: float, hostname: str = "") -> Probed:
        """Never raises, and never takes longer."""
        attempt = Attempt(seconds=seconds, hostname=hostname)
        attempt.note(f"prober {module.prober}, at most {seconds:g} s")
        reason = ""
        try:
            async with asyncio.timeout(seconds):
                await self._ask(attempt, target, module)
        except Failed as failed:
            reason = failed.reason
            attempt.note(f"failed ({reason}): {failed}")
        except TimeoutError:
            reason = "timeout"
            attempt.note("failed (timeout): not done in time")
        except Exception:
            reason = "error"
            attempt.note("failed (error): by a mistake of ours, which is in the log")
            log.exception("a probe failed by a mistake of ours", extra={"prober": module.prober})
        if reason not in ("target", "not_allowed"):
            self.counts.probes[module.prober] += 1
        if reason:
            self.counts.failures[reason] += 1
        return Probed(not reason, attempt.elapsed, reason, attempt.families, attempt.notes)

    async def _ask(self, attempt: Attempt, target: str, module: Module) -> None:
        from exporter.probes.probers import PROBERS
        from exporter.probes.targets import TARGET_CHARACTERS_MAX, WrongTarget

        if len(target) > TARGET_CHARACTERS_MAX:
            raise Failed("target", f"the target has more than {TARGET_CHARACTERS_MAX} characters")
        try:
            await PROBERS[module.prober](attempt, target, module, self._standing())
        except WrongTarget as wrong:
            raise Failed("target", str(wrong)) from None

    def _standing(self) -> Ground:
        if self._ground is None:
            from exporter.probes.allow import Allowed
            from exporter.probes.ground import Ground

            texts = () if self._settings is None else self._settings.allow
            self._ground = Ground(Allowed.of(texts), self._aside, procfs=self._procfs)
        return self._ground
