"""`tocsin up`: exporter and receiver together, with no configuration; --stack adds Prometheus and Alertmanager.

Each is a process of its own, as it would be in production. When one ends, all end; when this one is killed,
the kernel ends them. Nothing is restarted: that is the work of whoever runs it in production.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from guard import flags, listen
from tocsin.processes import CannotStart, Part, together
from tocsin.stack import stack_parts

_DEFAULTS = {
    "receiver": "127.0.0.1:29093",
    "exporter": "127.0.0.1:29100",
    "prometheus": "127.0.0.1:9090",
    "alertmanager": "127.0.0.1:9093",
}
_WEB_CONFIGS = ("TOCSIN_WEB_CONFIG_FILE", "TOCSIN_RECEIVER_WEB_CONFIG_FILE", "TOCSIN_EXPORTER_WEB_CONFIG_FILE")
_CALLED = {
    "receiver": "the receiver",
    "exporter": "the exporter",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where each part listens, as HOST:PORT."""

    receiver: str
    exporter: str
    prometheus: str
    alertmanager: str


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    command = _parser(environ)
    chosen = command.parse_args(arguments)
    for name in _WEB_CONFIGS:
        if environ.get(name):  # with TLS it would wait for both without an end, as nobody answers in the clear
            command.error(
                f"found {name} in the environment, expected none: only `tocsin receiver` and `exporter` use it"
            )
    addresses = Addresses(**{name: getattr(chosen, f"{name}_web_listen_address") for name in _DEFAULTS})
    data = chosen.data_dir.resolve()
    try:
        parts = [*_own_parts(chosen, addresses, data)]
        if chosen.stack:
            parts += stack_parts(addresses=addresses, defaults=_DEFAULTS, data=data)
        return asyncio.run(together(parts, announce=lambda: _announce(addresses, data, stack=chosen.stack)))
    except CannotStart as error:
        sys.stderr.write(f"tocsin up: {error}\n")
        return 1


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    command = flags.command("tocsin up", "Run exporter and receiver together, with no configuration and no server.")
    flags.switch(command, "--stack", help="start Prometheus and Alertmanager as well", default=False, environ=environ)
    flags.flag(command, "--data-dir", help="where everything is kept", default="./data", parse=Path, environ=environ)
    for name in ("receiver", "exporter"):
        flags.flag(
            command, f"--{name}.config.file", help=f"the {name}'s configuration", metavar="FILE", environ=environ
        )
    for name, default in _DEFAULTS.items():
        flags.flag(
            command,
            f"--{name}.web.listen-address",
            help=f"where {_CALLED[name]} listens",
            default=default,
            parse=_fixed_address,
            metavar="HOST:PORT",
            environ=environ,
        )
    return command


def _fixed_address(text: str) -> str:
    address = listen.parse_address(text)
    if address.host is None or address.port == 0:
        raise ValueError(f"found {text!r}, expected HOST:PORT with a host and a port other than 0")
    return text


def _own_parts(chosen: argparse.Namespace, addresses: Addresses, data: Path) -> list[Part]:
    # The store's folder is named in full: the working folder of a process is nobody's business.
    own = {
        "exporter": (
            f"--logs.positions-file={data}/logs.json",
            f"--security.state-file={data}/reputation.jsonl",
            f"--security.audit-file={data}/blocklist-audit.jsonl",
            *_told_of_findings(chosen, addresses),
        ),
        "receiver": (f"--storage.url=sqlite:///{data}/receiver.db",),
    }
    parts = []
    for name, more in own.items():
        address = getattr(addresses, name)
        config = getattr(chosen, f"{name}_config_file")
        parts.append(
            Part(
                name=name,
                command=(
                    sys.executable,
                    "-m",
                    "tocsin.cli",
                    name,
                    f"--web.listen-address={address}",
                    "--log.format=text",
                    "--log.level=warning",
                    *more,
                    *([f"--config.file={config}"] if config else []),
                ),
                ready=f"http://{address}/-/ready",
            )
        )
    return parts


def _told_of_findings(chosen: argparse.Namespace, addresses: Addresses) -> tuple[str, ...]:
    """The Alertmanager of the stack, unless a configuration says who is told."""
    if not chosen.stack or chosen.exporter_config_file:
        return ()
    return (f"--findings.alertmanager-url=http://{addresses.alertmanager}",)


def _announce(addresses: Addresses, data: Path, *, stack: bool) -> None:
    receiver = addresses.receiver
    other = "" if receiver == _DEFAULTS["receiver"] else f" --url=http://{receiver}"
    tocsin = "tocsin" if shutil.which("tocsin") else os.path.relpath(sys.argv[0])
    lines = [
        "",
        "Tocsin is up.",
        f"  open incidents   http://{receiver}/",
        f"  metrics          http://{addresses.exporter}/",
        f"  post events to   http://{addresses.exporter}/events",
    ]
    if stack:
        lines += [
            f"  Prometheus       http://{addresses.prometheus}/",
            f"  Alertmanager     http://{addresses.alertmanager}/",
        ]
    lines += [
        f"  data             {data}",
        "",
        "Fire a test alert from another terminal; its message is printed here:",
        f"  {tocsin} fire{other} alertname=Demo severity=critical",
        f"  {tocsin} fire{other} alertname=Demo severity=critical --resolve",
        "",
        "Ctrl-C stops it. What it knows stays.",
        "",
    ]
    print("\n".join(lines), flush=True)  # noqa: T201 - this is what the command is for
