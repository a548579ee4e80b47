"""Logins of too many different people fail from one address: somebody tries names and passwords from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.detectors import Held
from exporter.detectors.distinct import PAIRS_MAX, Distinct
from exporter.detectors.outcomes import failed, of
from exporter.detectors.regulars import Regulars
from exporter.detectors.settings import CredentialStuffing as Settings
from exporter.detectors.toomany import Many, findings
from exporter.event import Batch, Fields
from exporter.finding import Finding


class CredentialStuffing:
    name = "credential_stuffing"
    asked: Mapping[str, Fields] = {"auth": Fields(texts=("outcome",), addresses=("ip",), people=("user",))}

    def __init__(self, settings: Settings, regulars: Regulars, *, pairs_max: int = PAIRS_MAX) -> None:
        self._settings = settings
        self._regulars = regulars
        self._people = Distinct(settings.window_seconds, pairs_max=pairs_max)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        self._regulars.learn(batch, now=now)
        wrong = failed(batch)
        if True not in wrong:
            return ()
        pairs = [
            (ip, user)
            for ip, user in zip(of(batch.addresses("ip"), wrong), of(batch.people("user"), wrong), strict=True)
            if ip is not None and user is not None
        ]
        if not pairs:
            return ()
        self._people.add(pairs, now=now)
        threshold = self._settings.threshold
        addresses = list({ip: None for ip, _ in pairs})
        numbers = self._people.of(addresses, now=now)
        if max(numbers) <= threshold:
            return ()
        # Each who logs in from there may bring one more along who does not get in.
        many = [
            Many(ip, people, threshold + self._regulars.of(ip, now=now))
            for ip, people in zip(addresses, numbers, strict=True)
            if people > threshold
        ]
        tried = [each for each in many if each.times > each.limit]
        return findings(tried, self.name, self._settings, "people did not get in from one address", now=now)

    def thin(self) -> bool:
        return self._people.thin() or self._regulars.thin()

    def tick(self, *, now: float) -> Sequence[Finding]:
        self._people.slide(now)
        self._regulars.slide(now)
        return ()

    @property
    def held(self) -> Held:
        """With those who get in, of whom this detector speaks for all that ask."""
        ours, theirs = self._people, self._regulars.held
        return Held(ours.pairs + theirs.keys, ours.forgotten + theirs.forgotten, ours.undercount)
