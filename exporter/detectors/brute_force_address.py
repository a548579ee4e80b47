"""Too many logins from one address fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from exporter.detectors import Held
from exporter.detectors.outcomes import failed, of
from exporter.detectors.regulars import Regulars
from exporter.detectors.settings import BruteForceAddress as Settings
from exporter.detectors.toomany import TooMany, findings
from exporter.event import Batch, Fields
from exporter.finding import Finding

# What each of the people who log in from there may have done wrong.
FORGIVEN = 2


class BruteForceAddress:
    name = "brute_force_address"
    asked: Mapping[str, Fields] = {"auth": Fields(texts=("outcome",), addresses=("ip",), people=("user",))}

    def __init__(self, settings: Settings, regulars: Regulars) -> None:
        self._settings = settings
        self._regulars = regulars
        self._logins = TooMany(settings)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        self._regulars.learn(batch, now=now)
        wrong = failed(batch)
        if True not in wrong:
            return ()
        whose = of(batch.addresses("ip"), wrong)
        many = self._logins.take(whose, now=now, allowed=partial(self._allowed, now=now))
        return findings(many, self.name, self._settings, "logins from one address failed", now=now)

    def thin(self) -> bool:
        return self._logins.thin() or self._regulars.thin()

    def tick(self, *, now: float) -> Sequence[Finding]:
        self._logins.slide(now)
        self._regulars.slide(now)
        return ()

    @property
    def held(self) -> Held:
        return self._logins.held

    def _allowed(self, address: int, *, now: float) -> float:
        return FORGIVEN * self._regulars.of(address, now=now)
