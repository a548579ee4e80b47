"""The exporter's command line: what was chosen is read, checked, and put to work.

python -m exporter --web.listen-address=127.0.0.1:29100
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from exporter import choices
from exporter.collectors.files import Paths
from exporter.commandline import command_line, path_flag
from exporter.control import Plan, Refused
from exporter.foreign import parsed
from exporter.wiring.program import faults_of, paths_of, serve
from guard import listen
from guard.faults import InvalidConfig
from guard.log import CannotLog, start

if TYPE_CHECKING:
    from guard.webconfig import WebConfig

log = logging.getLogger("tocsin.exporter")

PROGRAM = "tocsin-exporter"


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


def _let_many_files_be_open() -> None:
    """As many as may be: collectors keep the kernel's files open between scrapes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:  # some systems have a limit beyond the limit
        log.debug("the limit of open files stays as it is", extra={"error": str(error)})


def check(arguments: argparse.Namespace, load: Callable[[], Plan]) -> int:
    """Reads everything that a start would read, and tells every fault of it."""
    faults: list[str] = []
    try:
        faults += faults_of(arguments, load())
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
