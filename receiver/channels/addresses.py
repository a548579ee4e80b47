"""The addresses of an alert that a message links to. They come from anywhere: what is none leads nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from receiver.links import is_address
from receiver.view import AlertView


def graph_address(alerts: Iterable[AlertView]) -> str | None:
    return next((each.generator_url for each in alerts if is_address(each.generator_url)), None)


def runbook_address(alerts: Iterable[AlertView]) -> str | None:
    found = (each.annotations.get("runbook_url", "") for each in alerts)
    return next((each for each in found if is_address(each)), None)


def image_addresses(alerts: Iterable[AlertView], most: int) -> list[str]:
    """Of the first alerts that have one: PagerDuty shows pictures that come over TLS only."""
    found = (each.annotations.get(name, "") for each in alerts for name in ("image_url", "image"))
    distinct = dict.fromkeys(each for each in found if is_address(each) and each.startswith("https://"))
    return list(distinct)[:most]
