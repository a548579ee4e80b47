"""The addresses that a message links to. Those of alerts come from anywhere: what is none leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

from receiver.view import AlertView

ADDRESS_CHARACTERS_MAX = 900
# What could end a link, or lead elsewhere than the web, is shown to nobody.
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`\\\x00-\x20\x7f]+")
_ESCAPED = len("&amp;")


def is_address(text: str) -> bool:
    length = len(text) + text.count("&") * (_ESCAPED - 1)
    return text.isascii() and length <= ADDRESS_CHARACTERS_MAX and _ADDRESS.fullmatch(text) is not None


def incident_address(external_url: str | None, identifier: str) -> str | None:
    address = f"{(external_url or '').rstrip('/')}/api/v1/incidents/{identifier}"
    return address if is_address(address) else None


def graph_address(alerts: Iterable[AlertView]) -> str | None:
    return next((each.generator_url for each in alerts if is_address(each.generator_url)), None)


def runbook_address(alerts: Iterable[AlertView]) -> str | None:
    found = (each.annotations.get("runbook_url", "") for each in alerts)
    return next((each for each in found if is_address(each)), None)
