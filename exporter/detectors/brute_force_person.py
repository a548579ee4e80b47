"""Too many logins of one person fail, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.detectors import Held
from exporter.detectors.outcomes import failed, of
from exporter.detectors.settings import BruteForcePerson as Settings
from exporter.detectors.toomany import TooMany, findings
from exporter.event import Batch, Fields
from exporter.finding import Finding


class BruteForcePerson:
    name = "brute_force_person"
    asked: Mapping[str, Fields] = {"auth": Fields(texts=("outcome",), people=("user",))}

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logins = TooMany(settings)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        wrong = failed(batch)
        if True not in wrong:
            return ()
        many = self._logins.take(of(batch.people("user"), wrong), now=now)
        return findings(many, self.name, self._settings, "logins of one person failed", now=now, of="person")

    def thin(self) -> bool:
        return self._logins.thin()

    def tick(self, *, now: float) -> Sequence[Finding]:
        self._logins.slide(now)
        return ()

    @property
    def held(self) -> Held:
        return self._logins.held
