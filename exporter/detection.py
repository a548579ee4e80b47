"""The detectors at work: a view of the pipeline. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exporter.detectors import Detector
from exporter.event import Batch, Fields, together
from exporter.finding import Finding

# Is told what was found in a batch, at least one thing, in the thread of the pipeline.
Told = Callable[[Sequence[Finding]], None]


class Detection:
    """Belongs to one thread."""

    def __init__(self, detectors: Sequence[Detector] = (), *, told: Told) -> None:
        self._told = told
        self.use(detectors)

    def use(self, detectors: Sequence[Detector]) -> None:
        """Other ones from now on. The pipeline has to be told that something else is asked."""
        self._detectors = tuple(detectors)
        self.asked: Mapping[str, Fields] = together(*(each.asked for each in detectors))

    def take(self, batch: Batch, *, now: float) -> None:
        found = [
            finding
            for detector in self._detectors
            if batch.kind in detector.asked
            for finding in detector.look(batch, now=now)
        ]
        if found:
            self._told(found)
