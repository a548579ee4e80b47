"""What can be typed behind `tocsin receiver`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from guard import flags, listen
from guard import log as logs
from guard.version import VERSION
from receiver.links import external_url
from receiver.store.sqlite import path_of


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    command = flags.command("tocsin receiver", "Take Alertmanager's webhooks, decide, and tell people.")

    def flag(name: str, **how: object) -> None:
        flags.flag(command, name, scope="RECEIVER", environ=environ, **how)  # type: ignore[arg-type]

    flag("--config.file", help="the policy; without one, the bundled example", metavar="FILE")
    flag(
        "--storage.url",
        help="where the journal is",
        default="sqlite:///data/receiver.db",
        parse=path_of,
        metavar="URL",
    )
    flag(
        "--web.listen-address",
        help="where to listen; may be given several times",
        default="127.0.0.1:29093",
        parse=listen.parse_address,
        repeated=True,
        metavar="HOST:PORT",
    )
    flag(
        "--web.config.file", help="web.yml: TLS, users, tokens and roles; without one, for this machine", metavar="FILE"
    )
    flag("--web.external-url", help="how people reach this receiver, for links", parse=external_url, metavar="URL")
    flag("--log.format", help="auto, text or json", default="auto", parse=flags.one_of(*logs.FORMATS))
    flag("--log.level", help="debug, info, warning or error", default="info", parse=flags.one_of(*logs.LEVELS))
    flag(
        "--log.output",
        help="stderr, syslog, syslog:ADDRESS, or a file, which is opened anew when it is rotated",
        default="stderr",
        parse=logs.parse_output,
    )
    command.add_argument("--version", action="version", version=f"tocsin receiver {VERSION}")
    return command
