"""How many different values a set of StatsD has seen in the last minute. Pure.

Of a value only a hash is kept, made with a secret that nobody knows: values are users, addresses, and the like.
"""

from __future__ import annotations

from hashlib import blake2b

from exporter.series.taken import Key

# A value counts for so long after it was seen last.
WINDOW_SECONDS = 60.0
# Different values of one series; what is counted is then at least so many.
MEMBERS_MAX = 10_000
# Of all series together.
ALL_MEMBERS_MAX = 50_000
HASH_BYTES = 8


class Sets:
    """The sets of all metrics; a set is known by its metric and its label values."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # When each value was seen last.
        self._seen: dict[tuple[str, Key], dict[bytes, float]] = {}
        self._members = 0

    def add(self, metric: str, key: Key, value: bytes, now: float) -> bool:
        """Whether there was room for it."""
        seen = self._seen.get((metric, key), {})
        member = blake2b(value, digest_size=HASH_BYTES, key=self._secret).digest()
        if member not in seen:
            if len(seen) >= MEMBERS_MAX or self._members >= ALL_MEMBERS_MAX:
                return False
            self._members += 1
            self._seen[metric, key] = seen
        seen[member] = now
        return True

    def size(self, metric: str, key: Key) -> int:
        return len(self._seen.get((metric, key), ()))

    def widen(self, metric: str, missing: Key) -> None:
        """The metric has got further labels, which its series lack."""
        self._seen = {
            (name, key + missing if name == metric else key): seen for (name, key), seen in self._seen.items()
        }

    def sweep(self, now: float) -> dict[tuple[str, Key], int]:
        """What every set has now. One that is empty is told once, and then forgotten."""
        found: dict[tuple[str, Key], int] = {}
        for place, seen in list(self._seen.items()):
            for member in [member for member, at in seen.items() if not now - WINDOW_SECONDS < at <= now]:
                del seen[member]
                self._members -= 1
            found[place] = len(seen)
            if not seen:
                del self._seen[place]
        return found
