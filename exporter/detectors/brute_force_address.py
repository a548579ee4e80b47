"""Too many logins from one address fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from exporter.detectors import Held
from exporter.detectors.outcomes import failed
from exporter.detectors.settings import BruteForceAddress as Settings
from exporter.detectors.toomany import TooMany
from exporter.event import Batch, Fields
from exporter.finding import Finding
from exporter.identity import Address


class BruteForceAddress:
    name = "brute_force_address"
    asked: Mapping[str, Fields] = {"auth": Fields(texts=("outcome",), addresses=("ip",))}

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logins = TooMany(threshold=settings.threshold, window_seconds=settings.window_seconds)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        settings = self._settings
        return [
            Finding(
                detector=self.name,
                severity=settings.severity,
                at=now,
                why=f"{many.times} logins from one address failed within {settings.window},"
                f" more than {settings.threshold}",
                value=many.times,
                threshold=settings.threshold,
                window_seconds=settings.window_seconds,
                address=Address(many.who),
            )
            for many in self._logins.take(compress(batch.addresses("ip"), failed(batch)), now=now)
        ]

    @property
    def held(self) -> Held:
        return self._logins.held
