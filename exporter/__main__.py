"""The exporter's command line, and the only place where its parts are put together.

python -m exporter --web.listen-address=127.0.0.1:29100
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from exporter import choices
from exporter.collectors import COLLECTORS, SECURITY, Collector, build
from exporter.collectors.files import Paths
from exporter.commandline import command_line, path_flag
from exporter.control import Control, Plan, Refused
from exporter.dependencies.part import Background
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.doors import Doors
from exporter.findings.doors import route as findings_route
from exporter.findings.event import into
from exporter.findings.part import Findings
from exporter.foreign import parsed
from exporter.identity import people
from exporter.intake.events import Events
from exporter.intake.logs.part import Logs
from exporter.intake.statsd import following
from exporter.intake.statsd.counting import Counting
from exporter.intake.statsd.sockets import receiving
from exporter.listfiles import ListFiles
from exporter.mapping.bundled import RULES
from exporter.metrics import Tally
from exporter.pipeline import Pipeline
from exporter.postgres.doors import route as postgres_route
from exporter.postgres.part import Servers
from exporter.probes.attempt import REASONS
from exporter.probes.door import ProbeDoor
from exporter.probes.part import Probes
from exporter.redaction import Redaction
from exporter.registry import Registry
from exporter.reputation import part as reputation_part
from exporter.reputation.doors import ReputationDoors
from exporter.reputation.families import families as reputation_families
from exporter.reputation.keeper import Keeper
from exporter.reputation.reputation import Reputation
from exporter.reputation.sharing import Sharing
from exporter.reputation.sharing import chosen_of as sharing_of
from exporter.reputation.trail import Trail
from exporter.roles import App, Dependencies, Itself, Security, System
from exporter.score.part import Score
from exporter.stats.doors import routes as stats_routes
from exporter.stats.graphql import GraphQL
from exporter.stats.websocket import WebSocket
from guard import flags, listen, systemd
from guard.access import Access
from guard.callers import Role
from guard.faults import InvalidConfig
from guard.log import CannotLog, Log, start
from guard.web.server import serving

if TYPE_CHECKING:
    from guard.webconfig import WebConfig

log = logging.getLogger("tocsin.exporter")

PROGRAM = "tocsin-exporter"
# What is still being answered when the process is told to stop has this long to finish.
GRACE_SECONDS = 0.5
# Of what makes a number of a name.
PEOPLE_KEY_BYTES = 32
# Of what makes the waits of this process differ from those of others.
SEED_BYTES = 16
# For the three generations: Python's own values but for the last one, which is the costly one.
GARBAGE_THRESHOLDS = (700, 10, 1000)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parsed(command_line({}, os.environ), argv)
    load = partial(load_plan, argv, os.environ)
    if arguments.config_check:
        return check(arguments, load)
    try:
        plan, web_config = plan_of(arguments, argv, os.environ), _web_config(arguments, os.environ)
        kept = start(
            format=arguments.log_format, level=arguments.log_level, output=arguments.log_output, program=PROGRAM
        )
        _let_many_files_be_open()
        for missing in missing_folders(arguments):
            log.warning(missing)
        listen.run(serve(arguments, plan, load, web_config, kept))
    except Refused as refused:
        print("\n".join(refused.faults), file=sys.stderr)  # noqa: T201 - a fault is said, not logged
        return 1
    except (listen.CannotListen, CannotLog) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def serve(
    arguments: argparse.Namespace, plan: Plan, load: Callable[[], Plan], web_config: WebConfig | None, kept: Log
) -> None:
    tally = Tally(
        started_at=time.time(),
        logged=kept.counts,
        web_config_successful=lambda: web_config is None or web_config.successful,
    )
    access = Access(web_config, strangers=Role.VIEWER)
    registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
    redaction = Redaction(seen=tally.redact)
    stats = (GraphQL(now=tally.reload_success_at), WebSocket(now=tally.reload_success_at))
    findings = Findings(tally.findings, expected=lambda: detection.foreseen)
    trail = Trail(arguments.security_audit_file or "")
    reputation = Reputation(told=[trail.take])
    keeper = Keeper(reputation, trail, told=tally.reputation, state_file=arguments.security_state_file or "")
    sharing = Sharing(reputation, tally.sharing)
    reputation.told.append(sharing.deed)
    findings.tell(lambda found: reputation.take(found, now=time.time()))
    score = Score(looks=lambda: bool(detection.foreseen))
    findings.tell(score.take)
    findings.tell(sharing.found)
    detection = Detection(told=findings.take)
    detecting = Detecting(detection)
    lists = ListFiles(detecting.listed)
    pipeline = Pipeline(
        (),
        redact=redaction.redact,
        person_of=people(os.urandom(PEOPLE_KEY_BYTES)),
        trouble=tally.series,
        views=(*stats, detection, score.logins),
    )
    findings.tell(into(pipeline))
    counting = Counting(
        partial(pipeline.take, source="statsd"),
        told=tally.statsd,
        redact=redaction.redact,
        styles=plan.statsd.styles,
        secret=os.urandom(16),
        trouble=tally.series,
    )
    logs = Logs(pipeline, told=tally.logs, positions_file=arguments.logs_positions_file or "")
    probes = Probes(tally.probes, procfs=paths_of(arguments).procfs)
    background = Background(probes, reasons=REASONS, seed=os.urandom(SEED_BYTES))
    servers = Servers(redact=redaction.redact)
    control = Control(
        plan,
        load=load,
        build=partial(collector_of, paths_of(arguments)),
        registry=registry,
        tally=tally,
        parts=(
            redaction.prepare,
            detecting.prepare,
            lists.prepare,
            partial(_mapped, pipeline, redaction),
            partial(following.prepare, counting, redaction.redact),
            logs.prepare,
            partial(reputation_part.prepare, reputation),
            sharing.prepare,
            findings.prepare,
            probes.prepare,
            background.prepare,
            servers.prepare,
        ),
    )
    doors = Doors(
        roles=(
            System(registry, elsewhere=SECURITY),
            App(pipeline),
            Security(
                registry,
                collectors=SECURITY,
                publishers=(
                    findings.families,
                    detection.families,
                    lists.families,
                    partial(reputation_families, reputation),
                ),
                judge=score.families,
            ),
            Dependencies((background.families, servers.families)),
            Itself(registry, tally),
        ),
        registry=registry,
        control=control,
        tally=tally,
        background=background,
        others=(
            Events(pipeline, tally.intakes, body_bytes_max=lambda: control.plan.events_body_bytes_max).route(),
            *stats_routes(stats, clock=time.time),
            postgres_route(servers, redact=redaction.redact),
            ProbeDoor(probes, timeout_offset_seconds=arguments.timeout_offset).route(),
            findings_route(findings.kept),
            *ReputationDoors(reputation, trail, keeper=keeper, clock=time.time).routes(),
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
    async with AsyncExitStack() as open_doors:
        await keeper.load()
        await open_doors.enter_async_context(keeper)
        addresses = await open_doors.enter_async_context(
            serving(
                doors.server(),
                () if by_systemd else arguments.web_listen_address,
                grace_seconds=GRACE_SECONDS,
                tls=tls,
                sockets=systemd.inherited_sockets(os.environ) if by_systemd else (),
            )
        )
        await open_doors.enter_async_context(logs)
        await open_doors.enter_async_context(lists)
        await open_doors.enter_async_context(findings)
        open_doors.enter_context(detecting.ticking())
        await open_doors.enter_async_context(background)
        await open_doors.enter_async_context(servers)
        await open_doors.enter_async_context(sharing)
        open_doors.enter_context(receiving(plan.statsd, counting, tally.statsd))
        for address in addresses:
            listen.announce(f"tocsin exporter: listening on {address}")
        systemd.tell(systemd.READY, os.environ)
        await stop.wait()
        systemd.tell(systemd.STOPPING, os.environ)
        log.info("stopping")
    access.close()


def _mapped(pipeline: Pipeline, redaction: Redaction, plan: Plan) -> Callable[[], None]:
    """What becomes of events follows the plan; `redaction` has followed it before."""
    rules, zero_first_seconds = (RULES, 0.0) if plan.file is None else (plan.file.rules, plan.file.zero_first_seconds)
    return lambda: pipeline.use(rules, redact=redaction.redact, now=time.time(), zero_first_seconds=zero_first_seconds)


def _let_many_files_be_open() -> None:
    """As many as may be: collectors keep the kernel's files open between scrapes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:  # some systems have a limit beyond the limit
        log.debug("the limit of open files stays as it is", extra={"error": str(error)})


def settle_memory() -> None:
    """What is here after the start stays, and a scrape leaves nothing behind for the collector of garbage.

    Left as it is, that one would go through everything a hundred times while somebody publishes a million series, and
    hold up all doors each time. Now it looks at what is young, and seldom at all that came after the start.
    """
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def check(arguments: argparse.Namespace, load: Callable[[], Plan]) -> int:
    """Reads everything that a start would read, and tells every fault of it."""
    faults: list[str] = []
    try:
        plan = load()
        for name in plan.collectors:
            collector_of(paths_of(arguments), name, plan.options[name])
        following.choose_of(plan)
        if plan.file is not None:
            reputation_part.policy_of(plan.file.reputation)
        sharing_of(plan)
    except Refused as refused:
        faults += refused.faults
    faults += missing_folders(arguments)
    try:
        _web_config(arguments, os.environ)
    except Refused as refused:
        faults += refused.faults
    files = [file for file in (arguments.config_file, arguments.web_config_file) if file is not None]
    print("\n".join(faults) or f"no faults in {' and '.join(files) or 'the flags'}")  # noqa: T201
    return 1 if faults else 0


def collector_of(paths: Paths, name: str, options: Mapping[str, str]) -> Collector:
    """Raises `Refused` where the collector cannot do with what was chosen for it."""
    (kind,) = (kind for kind in COLLECTORS if kind.name == name)
    try:
        return build(kind, paths, options)
    except (OSError, ValueError) as error:
        raise Refused((f"collector {name}: {error}",)) from None


def paths_of(arguments: argparse.Namespace) -> Paths:
    return Paths(*(getattr(arguments, flags.destination(path_flag(root))) for root in Paths._fields))


def missing_folders(arguments: argparse.Namespace) -> list[str]:
    """Of those that were chosen: without them the exporter runs, but has little to say."""
    chosen = zip(Paths._fields, paths_of(arguments), Paths(), strict=True)
    return [
        f"{path_flag(root)}: found no folder {path}, expected the one where {root.replace('_', ' ')} is mounted"
        for root, path, default in chosen
        if path != default and not os.path.isdir(path)
    ]


def _web_config(arguments: argparse.Namespace, environ: Mapping[str, str]) -> WebConfig | None:
    if arguments.web_config_file is None:
        return None
    from guard.webconfig import WebConfig  # only where there is one, as what reads it is large

    try:
        return WebConfig(Path(arguments.web_config_file), environ=environ)
    except InvalidConfig as invalid:
        raise Refused(tuple(str(fault) for fault in invalid.faults)) from None


def load_plan(argv: Sequence[str] | None, environ: Mapping[str, str]) -> Plan:
    """Everything read anew."""
    return plan_of(parsed(command_line({}, environ), argv), argv, environ)


def plan_of(arguments: argparse.Namespace, argv: Sequence[str] | None, environ: Mapping[str, str]) -> Plan:
    """The file's settings become the defaults of the flags, so that a flag outweighs the file."""
    if arguments.config_file is not None:
        # Only with a file: what reads it, and checks it, takes longer to import than all of the rest.
        from exporter import settings

        file = settings.read(Path(arguments.config_file), environ=environ)
        arguments = parsed(command_line(settings.said(file), environ), argv)
        return replace(_said_by_flags(arguments), file=file)
    return _said_by_flags(arguments)


def _said_by_flags(arguments: argparse.Namespace) -> Plan:
    return replace(
        choices.plan_of(arguments),
        events_body_bytes_max=arguments.events_body_bytes_max,
        alertmanager_urls=arguments.findings_alertmanager_url,
    )


if __name__ == "__main__":
    raise SystemExit(main())
