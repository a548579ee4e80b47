"""The program: its groups, the roles that they fill, the doors in front of all; how it starts, and how it ends."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from exporter.collectors import COLLECTORS, SECURITY, Collector, build
from exporter.collectors.files import Paths
from exporter.commandline import path_flag
from exporter.control import Control, Plan, Prepare, Refused
from exporter.doors import Doors
from exporter.metrics import Tally
from exporter.registry import Registry
from exporter.roles import App, Dependencies, Itself, Security, System
from exporter.wiring.applications import Applications
from exporter.wiring.elsewhere import Elsewhere
from exporter.wiring.security import Defence
from guard import flags, listen, systemd
from guard.access import Access
from guard.callers import Role
from guard.log import Log
from guard.web.server import serving

if TYPE_CHECKING:
    from guard.webconfig import WebConfig

log = logging.getLogger("tocsin.exporter")

# What is still being answered when the process is told to stop has this long to finish.
GRACE_SECONDS = 0.5
# For the three generations: Python's own values but for the last one, which is the costly one.
GARBAGE_THRESHOLDS = (700, 10, 1000)


class Groups:
    """All of them, each with what it needs of the others."""

    def __init__(self, arguments: argparse.Namespace, plan: Plan, tally: Tally) -> None:
        self.defence = Defence(
            tally, state_file=arguments.security_state_file or "", audit_file=arguments.security_audit_file or ""
        )
        self.applications = Applications(
            plan, tally, views=self.defence.views, positions_file=arguments.logs_positions_file or ""
        )
        self.defence.tell(self.applications.pipeline)
        self.elsewhere = Elsewhere(tally, redact=self.applications.redact, procfs=paths_of(arguments).procfs)
        # Detectors first: what they ask for is read by the pipeline.
        self.follow: Sequence[Prepare] = (
            *self.defence.follow,
            *self.applications.follow,
            *self.elsewhere.follow,
        )


def faults_of(arguments: argparse.Namespace, plan: Plan) -> list[str]:
    """For which a start would refuse the plan."""
    groups = Groups(arguments, plan, Tally(started_at=time.time()))
    looks: list[Callable[[], object]] = [
        partial(collector_of, paths_of(arguments), name, plan.options[name]) for name in plan.collectors
    ]
    looks += [partial(prepare, plan) for prepare in groups.follow]
    faults: list[str] = []
    for look in looks:
        try:
            look()
        except Refused as refused:
            faults += refused.faults
    return faults


async def serve(
    arguments: argparse.Namespace, plan: Plan, load: Callable[[], Plan], web_config: WebConfig | None, kept: Log
) -> None:
    """Until it is told to stop. Raises Refused, CannotListen."""
    tally = Tally(
        started_at=time.time(),
        logged=kept.counts,
        web_config_successful=lambda: web_config is None or web_config.successful,
    )
    registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
    groups = Groups(arguments, plan, tally)
    defence, applications, elsewhere = groups.defence, groups.applications, groups.elsewhere
    control = Control(
        plan,
        load=load,
        build=partial(collector_of, paths_of(arguments)),
        registry=registry,
        tally=tally,
        parts=groups.follow,
    )
    access = Access(web_config, strangers=Role.VIEWER)
    doors = Doors(
        roles=(
            System(registry, elsewhere=SECURITY),
            App(applications.pipeline),
            Security(registry, collectors=SECURITY, publishers=defence.publishers, judge=defence.judge),
            Dependencies(elsewhere.publishers),
            Itself(registry, tally),
        ),
        registry=registry,
        control=control,
        tally=tally,
        background=elsewhere.background,
        others=(
            *applications.routes(body_bytes_max=lambda: control.plan.events_body_bytes_max),
            *elsewhere.routes(timeout_offset_seconds=arguments.timeout_offset),
            *defence.routes(),
        ),
        requests_max=arguments.web_max_requests,
        timeout_offset_seconds=arguments.timeout_offset,
        access=access,
        telemetry_path=arguments.web_telemetry_path,
        left_out=("self",) if arguments.web_disable_exporter_metrics else (),
    )

    def on_reload() -> None:
        kept.reopen()
        control.reload()

    stop = await listen.signals(on_reload=on_reload)
    tls = None if web_config is None else web_config.server_context()
    settle_memory()
    by_systemd = arguments.web_systemd_socket
    async with AsyncExitStack() as until:
        await defence.open(until)
        addresses = await until.enter_async_context(
            serving(
                doors.server(),
                () if by_systemd else arguments.web_listen_address,
                grace_seconds=GRACE_SECONDS,
                tls=tls,
                sockets=systemd.inherited_sockets(os.environ) if by_systemd else (),
            )
        )
        await defence.begin(until)
        await elsewhere.begin(until)
        await applications.begin(until)
        for address in addresses:
            listen.announce(f"tocsin exporter: listening on {address}")
        systemd.tell(systemd.READY, os.environ)
        await stop.wait()
        systemd.tell(systemd.STOPPING, os.environ)
        log.info("stopping")
    access.close()


def settle_memory() -> None:
    """What is here after the start stays, and a scrape leaves nothing behind for the collector of garbage.

    Left as it is, that one would go through everything a hundred times while somebody publishes a million series, and
    hold up all doors each time. Now it looks at what is young, and seldom at all that came after the start.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def collector_of(paths: Paths, name: str, options: Mapping[str, str]) -> Collector:
    """Raises `Refused` where the collector cannot do with what was chosen for it."""
    (kind,) = (kind for kind in COLLECTORS if kind.name == name)
    try:
        return build(kind, paths, options)
    except (OSError, ValueError) as error:
        raise Refused((f"collector {name}: {error}",)) from None


def paths_of(arguments: argparse.Namespace) -> Paths:
    return Paths(*(getattr(arguments, flags.destination(path_flag(root))) for root in Paths._fields))
