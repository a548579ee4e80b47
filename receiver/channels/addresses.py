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
