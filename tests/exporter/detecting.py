"""Detectors behind a real pipeline: events in, findings out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from exporter.control import Plan
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.finding import Finding
from exporter.identity import people
from exporter.mapping.bundled import RULES
from exporter.pipeline import Outcome, Pipeline
from exporter.settings import KIND
from guard import configfile
from tests.exporter.mapped import NOW, as_it_is

Event = Mapping[str, object]


class Watch:
    """Time passes only by hand."""

    def __init__(self, text: str = "", *, now: float = NOW) -> None:
        self.now = now
        self.found: list[Finding] = []
        self.detection = Detection(told=self.found.extend)
        self.detecting = Detecting(self.detection, clock=lambda: self.now)
        self.pipeline = Pipeline((), redact=as_it_is, person_of=people(b"key"), views=(self.detection,))
        self.reload(text)

    def reload(self, text: str) -> None:
        file = configfile.read_text(text, "exporter.yml", KIND, environ={}) if text else None
        self.detecting.prepare(Plan((), 8.0, file=file))()
        self.pipeline.use(RULES, redact=as_it_is)

    def take(self, *events: Event, after: float = 0.0) -> Sequence[Finding]:
        """What was found in these."""
        self.now += after
        before = len(self.found)
        outcome = self.outcome(*events)
        assert outcome.accepted == len(events)
        return self.found[before:]

    def outcome(self, *events: Event) -> Outcome:
        return self.pipeline.lines("\n".join(map(json.dumps, events)).encode(), now=self.now)

    def metrics(self) -> dict[str, dict[tuple[str, ...], object]]:
        return {family.name: dict(family.samples) for family in self.detection.families(self.now)}


def failed(ip: object = "203.0.113.7", user: str | None = "ana", **more: object) -> Event:
    return {"event": "auth", "method": "password", "outcome": "failed", "ip": ip, "user": user, **more}


def succeeded(ip: object = "203.0.113.7", user: str | None = "ana", **more: object) -> Event:
    return {**failed(ip, user), "outcome": "success", **more}
