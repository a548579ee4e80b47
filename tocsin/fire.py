"""`tocsin fire`: a test alert, posted exactly as Alertmanager posts one."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from guard import flags
from receiver.alert import fingerprint_of
from tocsin.client import DEFAULT_URL, Failed, ask, declare_login, login_of

SOURCE = "fire"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    command = flags.command("tocsin fire", "Send a test alert through the door that Alertmanager uses.")
    flags.flag(
        command,
        "--url",
        help="the receiver, or one of its doors: http://HOST:PORT/webhook/SOURCE",
        default=DEFAULT_URL,
        environ=environ,
    )
    declare_login(command, environ)
    command.add_argument("--resolve", action="store_true", help="say that the alert is over")
    command.add_argument(
        "--annotation",
        action="append",
        default=[],
        type=_pair,
        metavar="name=value",
        help="e.g. --annotation='summary=The shop is down'; may be given several times",
    )
    command.add_argument("labels", nargs="+", type=_pair, metavar="label=value", help="at least alertname=...")
    chosen = command.parse_args(arguments)
    labels = dict(chosen.labels)
    if not labels.get("alertname"):
        command.error("an alert needs a name: alertname=Demo")
    body = webhook(labels, dict(chosen.annotation), resolved=chosen.resolve, now=datetime.now(UTC))
    url = _door(chosen.url)
    try:
        answer = ask(url, body=body, login=login_of(chosen, command))
    except Failed as error:
        sys.stderr.write(f"tocsin fire: {error}\n")
        return 1
    what = "resolved" if chosen.resolve else "fired"
    sys.stdout.write(f"{what} {labels['alertname']}: on disk as entry {answer['position']} of the journal\n")
    return 0


def webhook(labels: dict[str, str], annotations: dict[str, str], *, resolved: bool, now: datetime) -> dict[str, object]:
    """The body of version 4 that Alertmanager would send for this one alert, grouped by its name."""
    status = "resolved" if resolved else "firing"
    at = now.isoformat().replace("+00:00", "Z")
    name = labels["alertname"]
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": at,
        "endsAt": at if resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint_of(labels),
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{quoted}"}}',
        "truncatedAlerts": 0,
        "receiver": "tocsin",
        "status": status,
        "groupLabels": {"alertname": name},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
    }


def _door(url: str) -> str:
    path = urlsplit(url).path.rstrip("/")
    return url if path else f"{url.rstrip('/')}/webhook/{SOURCE}"


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or _LABEL.fullmatch(name) is None:
        raise ArgumentTypeError(f"found {text!r}, expected label=value such as severity=critical")
    return name, value
