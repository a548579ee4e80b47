"""`mapping:` as people write it, read the way the program does it, and what becomes of events by it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from exporter.event import Redact
from exporter.exposition import Format, render
from exporter.pipeline import Outcome, Pipeline
from exporter.settings import KIND, Settings
from guard import configfile

NOW = 1_800_000_000.0


def settings(text: str) -> Settings:
    return configfile.read_text(text, "exporter.yml", KIND, environ={})


def faults(text: str) -> list[str]:
    with pytest.raises(configfile.InvalidConfig) as raised:
        settings(text)
    return [str(fault) for fault in raised.value.faults]


def as_it_is(kind: str, field: str) -> Redact:
    return str


class Mapped:
    """The pipeline that a file makes, without the bundled rules unless it says so."""

    def __init__(self, text: str) -> None:
        bundled = "" if "mapping_bundled" in text else "\nmapping_bundled: false\n"
        self.pipeline = Pipeline(settings(text + bundled).rules, redact=as_it_is)

    def take(self, *events: Mapping[str, object]) -> Outcome:
        return self.pipeline.lines("\n".join(map(json.dumps, events)).encode(), now=NOW)

    @property
    def lines(self) -> list[str]:
        """The page without what is said about metrics."""
        page = render(self.pipeline.families(), Format.TEXT).decode()
        return [line for line in page.splitlines() if not line.startswith("#")]
