"""The exporter's flags. Each is an environment variable too; what exporter.yml says is the default of a flag."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from functools import partial

from exporter import choices
from exporter.collectors.files import Paths
from exporter.doors import TELEMETRY_PATH, parse_telemetry_path
from exporter.duration import parse_timeout
from exporter.findings.settings import parse_urls
from exporter.intake.events import BODY_BYTES_MAX, parse_body_bytes
from exporter.intake.statsd import choices as statsd
from guard import flags, listen
from guard.log import FORMATS, LEVELS, parse_output
from guard.version import VERSION

SCOPE = "EXPORTER"


def path_flag(root: str) -> str:
    return f"--path.{root.replace('_', '.')}"


def command_line(file: choices.Said, environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = flags.command(
        "tocsin exporter", "Publishes what this machine and its applications have to say, as metrics."
    )
    # Every one of them, at each mistake, would push the mistake itself off the screen.
    parser.usage = "tocsin exporter [FLAG ...]"
    declare = partial(flags.flag, parser, scope=SCOPE, environ=environ)
    about = f"tocsin exporter {VERSION} (Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=about)
    declare("--config.file", metavar="FILE", help="exporter.yml; the exporter runs without one too")
    flags.switch(
        parser,
        "--config.check",
        default=False,
        scope=SCOPE,
        environ=environ,
        help="read all configuration, tell its faults, and end with status 0 or 1",
    )
    declare(
        "--web.listen-address",
        default="127.0.0.1:29100",
        metavar="ADDRESS",
        parse=listen.parse_address,
        repeated=True,
        help="where to listen; :29100 is every interface; may be given several times",
    )
    declare("--web.config.file", metavar="FILE", help="web.yml: TLS, users, tokens and roles")
    switch = partial(flags.switch, parser, default=False, scope=SCOPE, environ=environ)
    switch("--web.systemd-socket", help="listen at the sockets of a systemd .socket unit, and nowhere else")
    declare(
        "--web.telemetry-path",
        default=TELEMETRY_PATH,
        parse=parse_telemetry_path,
        metavar="PATH",
        help="where the metrics are; those of a role are below it",
    )
    switch("--web.disable-exporter-metrics", help="leave the exporter's own metrics out of the page with everything")
    declare(
        "--web.max-requests",
        default=100,
        parse=count,
        metavar="N",
        help="scrapes served at a time; 0 is no limit",
    )
    declare(
        "--timeout-offset",
        default=0.5,
        parse=seconds,
        metavar="SECONDS",
        help="what is taken off the scraper's timeout for the way back",
    )
    declare(
        "--collector.timeout",
        default=file.get("--collector.timeout", "8s"),
        parse=parse_timeout,
        metavar="DURATION",
        help="how long collectors may take, even if the scraper would wait longer",
    )
    declare(
        "--events.body-bytes-max",
        default=file.get("--events.body-bytes-max", str(BODY_BYTES_MAX)),
        parse=parse_body_bytes,
        metavar="BYTES",
        help="how large a body of POST /events may be",
    )
    declare(
        "--findings.alertmanager-url",
        default=file.get("--findings.alertmanager-url", ""),
        parse=parse_urls,
        metavar="URL",
        help="the Alertmanager that is told of what detectors find, or each member of a cluster, with commas between",
    )
    for root, default in zip(Paths._fields, Paths(), strict=True):
        declare(path_flag(root), default=default, metavar="FOLDER", help=f"where {root.replace('_', ' ')} is")
    choices.declare(parser, said=file, scope=SCOPE, environ=environ)
    statsd.declare(parser, file=file, scope=SCOPE, environ=environ)
    declare(
        "--logs.positions-file",
        metavar="FILE",
        help="where it is kept how far each log was read, over restarts; without it each start is the first",
    )
    declare(
        "--security.state-file",
        metavar="FILE",
        help="where blocked addresses and scores are kept over restarts; without it each start begins with none",
    )
    declare(
        "--security.audit-file",
        metavar="FILE",
        help="where each block, release and refusal is added as a line of JSON",
    )
    declare(
        "--log.format",
        default="auto",
        parse=partial(_named, {"logfmt": "text"}, FORMATS),
        help="auto is text on a terminal, else json",
    )
    declare(
        "--log.level",
        default="info",
        parse=partial(_named, {"warn": "warning"}, LEVELS),
        help="the least that is logged",
    )
    declare(
        "--log.output",
        default="stderr",
        parse=parse_output,
        help="stderr, syslog, syslog:ADDRESS, or a file, which is opened anew when it is rotated",
    )
    return parser


def _named(there: Mapping[str, str], names: Sequence[str], text: str) -> str:
    """One of our names, also by the name that it has in node_exporter."""
    return flags.one_of(*names)(there.get(text, text))


def count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"found {text!r}, expected a whole number that is not negative")
    return int(text)


def seconds(text: str) -> float:
    """A finite number that is not negative."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 3600:
        raise ValueError(f"found {text!r}, expected a number of seconds, from 0 to 3600")
    return number
