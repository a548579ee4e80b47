"""How many different people have logged in from an address lately.

An office, a school or a mobile network is one address with many people behind it, some of whom mistype; so much more
may go wrong there. An attacker knows few names under which a login goes well. People are counted, not logins: else
one name that is let in again and again would hide what fails.
"""

from __future__ import annotations

from functools import partial
from itertools import compress

from exporter.detectors import Held
from exporter.detectors.distinct import EACH_MAX, PAIRS_MAX, Distinct
from exporter.detectors.outcomes import succeeded
from exporter.event import Batch

REGULARS_SECONDS = 3_600.0


class Regulars:
    """Several detectors may ask the same one."""

    def __init__(self, *, pairs_max: int = PAIRS_MAX, each_max: int = EACH_MAX) -> None:
        self._people = Distinct(REGULARS_SECONDS, pairs_max=pairs_max, each_max=each_max)

    def learn(self, batch: Batch, *, now: float) -> None:
        """Logins. Whoever says it again changes nothing."""
        batch.once(self, partial(self._learn, batch, now))

    def of(self, address: int, *, now: float) -> int:
        """At most: where some were forgotten, each address may have had as many."""
        return self._people.of([address], now=now)[0] + self._people.undercount

    def thin(self) -> bool:
        return self._people.thin()

    def slide(self, now: float) -> None:
        self._people.slide(now)

    @property
    def held(self) -> Held:
        return Held(self._people.pairs, self._people.forgotten)

    def _learn(self, batch: Batch, now: float) -> None:
        well = succeeded(batch)
        if True not in well:
            return
        pairs = zip(compress(batch.addresses("ip"), well), compress(batch.people("user"), well), strict=True)
        seen = [(ip, user) for ip, user in pairs if ip is not None and user is not None]
        if seen:
            self._people.add(seen, now=now)
