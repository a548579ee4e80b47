"""The place of detectors in the program: they follow the plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from exporter.control import Plan
from exporter.detection import Detection, Watched
from exporter.detectors import Detector
from exporter.detectors.bundled import bundled
from exporter.detectors.lists import Listed
from exporter.detectors.settings import Common, DetectorsSettings, Own, alike

# So often detectors are told that time has passed.
TICK_SECONDS = 2.0


class Detecting:
    def __init__(self, detection: Detection, *, clock: Callable[[], float] = time.time) -> None:
        self._detection = detection
        self._clock = clock
        self.listed = Listed()
        self._bundled = bundled(self.listed)
        self._made: dict[str, tuple[Common, Detector]] = {}

    def prepare(self, plan: Plan) -> Callable[[], None]:
        """A detector that would look at the same in the same way goes on with what it remembers. One that asks for
        nothing, as it was not told what to look for, is off."""
        settings = DetectorsSettings() if plan.file is None else plan.file.detectors
        said = {name: getattr(settings, name) for name in self._bundled} | {each.name: each for each in settings.own}
        made = {
            name: (chosen, detector)
            for name, chosen in said.items()
            if chosen.enabled
            for detector in [self._detector(name, chosen)]
            if detector.asked
        }

        def put_into_force() -> None:
            self._made = made
            self._detection.use(
                [Watched(detector, chosen) for chosen, detector in made.values()],
                off=[name for name in said if name not in made],
                now=self._clock(),
            )

        return put_into_force

    def _detector(self, name: str, chosen: Any) -> Detector:
        before = self._made.get(name)
        if before is not None and alike(before[0], chosen):
            return before[1]
        if isinstance(chosen, Own):
            from exporter.detectors.own import own  # with what reads conditions, which comes only with a file

            return own(chosen)
        return self._bundled[name](chosen)

    @contextmanager
    def ticking(self, seconds: float = TICK_SECONDS) -> Iterator[None]:
        """Tells detectors the time as long as somebody is inside, so that they see also what does not happen."""
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def tick() -> None:
            # First, so that whatever goes wrong does not stop the clock.
            timers[:] = [loop.call_later(seconds, tick)]
            self._detection.tick(now=self._clock())

        timers.append(loop.call_later(seconds, tick))
        try:
            yield
        finally:
            timers[0].cancel()
