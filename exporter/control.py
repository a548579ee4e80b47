"""What is in force, and how something else comes into force without a restart.

A reload that fails changes nothing: the plan in force stays, the faults are returned to whoever asked, and
the exporter's own metrics tell Prometheus.
"""

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from exporter.collectors import Collector
from exporter.metrics import Tally
from exporter.registry import Registry

log = logging.getLogger("tocsin.exporter")


class Plan(msgspec.Struct, frozen=True):
    """What flags, environment and file together ask for."""

    collectors: tuple[str, ...]
    timeout_seconds: float


class Refused(Exception):
    """A configuration that cannot be put into force."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Control:
    """`load` reads everything anew and raises `Refused` with all that is wrong."""

    def __init__(
        self,
        plan: Plan,
        *,
        load: Callable[[], Plan],
        collectors: Mapping[str, Collector],
        registry: Registry,
        tally: Tally,
    ) -> None:
        self._load = load
        self._collectors = collectors
        self._registry = registry
        self._tally = tally
        self.plan = plan
        self._put_into_force(plan)

    def reload(self) -> tuple[str, ...]:
        """The faults for which the new configuration was refused; none if it is in force now."""
        try:
            plan = self._load()
        except Refused as refused:
            self._tally.reload_successful = False
            log.error("configuration refused, the old one stays", extra={"faults": refused.faults})
            return refused.faults
        self._put_into_force(plan)
        self._tally.reload_successful = True
        self._tally.reload_success_at = time.time()
        log.info("configuration loaded", extra={"collectors": plan.collectors})
        return ()

    def _put_into_force(self, plan: Plan) -> None:
        self.plan = plan
        self._registry.use([self._collectors[name] for name in plan.collectors])
