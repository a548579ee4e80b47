"""What is in force, and how something else comes into force without a restart.

A reload that fails changes nothing: the plan in force stays, the faults are returned to whoever asked, and
the exporter's own metrics tell Prometheus.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from exporter.collectors import Collector
from exporter.intake.events import BODY_BYTES_MAX
from exporter.intake.statsd.choices import Chosen
from exporter.metrics import Tally
from exporter.registry import Registry

if TYPE_CHECKING:  # what reads the file is large, and there may be none
    from exporter.settings import Settings

log = logging.getLogger("tocsin.exporter")


class Plan(msgspec.Struct, frozen=True):
    """What flags, environment and file together ask for; `options` are those of each collector, as texts."""

    collectors: tuple[str, ...]
    timeout_seconds: float
    options: Mapping[str, Mapping[str, str]] = {}
    events_body_bytes_max: int = BODY_BYTES_MAX
    alertmanager_urls: tuple[str, ...] = ()
    statsd: Chosen = Chosen()
    # What only the file can say. None without a file.
    file: Settings | None = None


class Refused(Exception):
    """A configuration that cannot be put into force."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


# A part of the exporter that follows the plan, at the start and at each reload. It looks at a plan, changes nothing and
# gives back what puts that plan into force; or raises `Refused` with all that is wrong with it. What it gives back is
# called only when no part has refused, and cannot fail.
Prepare = Callable[[Plan], Callable[[], None]]
# Makes the collector of that name with these options, or raises `Refused` with what is wrong with them.
Build = Callable[[str, Mapping[str, str]], Collector]


class Control:
    """`load` reads everything anew and raises `Refused` with all that is wrong.

    A collector whose options stay the same stays the same, with what it remembers and the files that it keeps open.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        load: Callable[[], Plan],
        build: Build,
        registry: Registry,
        tally: Tally,
        parts: Sequence[Prepare] = (),
    ) -> None:
        """`parts` come in an order in which each can rely on those before it. Raises `Refused`."""
        self._load = load
        self._build = build
        self._parts = parts
        self._built: dict[str, tuple[Mapping[str, str], Collector]] = {}
        self._registry = registry
        self._tally = tally
        self.plan = plan
        self._ready(plan)()

    def reload(self) -> tuple[str, ...]:
        """The faults for which the new configuration was refused; none if it is in force now."""
        try:
            plan = self._load()
            put_into_force = self._ready(plan)
        except Refused as refused:
            self._tally.reload_successful = False
            log.error("configuration refused, the old one stays", extra={"faults": refused.faults})
            return refused.faults
        put_into_force()
        self._tally.reload_successful = True
        self._tally.reload_success_at = time.time()
        log.info("configuration loaded", extra={"collectors": plan.collectors})
        return ()

    def _ready(self, plan: Plan) -> Callable[[], None]:
        """Everything looked at, so that all faults are told at once and one of them changes nothing."""
        faults: list[str] = []
        steps: list[Callable[[], None]] = []
        built: dict[str, tuple[Mapping[str, str], Collector]] = {}
        try:
            built = self._built_for(plan)
        except Refused as refused:
            faults += refused.faults
        for prepare in self._parts:
            try:
                steps.append(prepare(plan))
            except Refused as refused:
                faults += refused.faults
        if faults:
            raise Refused(tuple(faults))

        def put_into_force() -> None:
            self.plan, self._built = plan, built
            self._registry.use([collector for _, collector in built.values()])
            for step in steps:
                step()

        return put_into_force

    def _built_for(self, plan: Plan) -> dict[str, tuple[Mapping[str, str], Collector]]:
        built: dict[str, tuple[Mapping[str, str], Collector]] = {}
        faults: list[str] = []
        for name in plan.collectors:
            options = plan.options.get(name, {})
            before = self._built.get(name)
            if before is not None and before[0] == options:
                built[name] = before
                continue
            try:
                built[name] = options, self._build(name, options)
            except Refused as refused:
                faults += refused.faults
        if faults:
            raise Refused(tuple(faults))
        return built
