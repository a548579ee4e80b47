"""How often somebody may do something: a bucket for each, which fills again while nothing is taken from it.

The table of buckets is bounded. Who was not seen for longest is forgotten first: a bucket that is forgotten is a full
one, so at worst somebody may do it more often.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

BUCKETS_MAX = 10_000
# Whoever has one address of IPv6 has all that share its first half.
IPV6_PREFIX_BITS = 64


class Buckets:
    """So many at once, and so many a second in the long run, for each name."""

    def __init__(
        self,
        *,
        burst: float,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        buckets_max: int = BUCKETS_MAX,
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._buckets_max = buckets_max
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Takes one, and returns 0; or takes nothing, and returns after how many seconds there is one again."""
        now = self._clock()
        left = self._left(name, now)
        if left < 1:
            return (1 - left) / self._per_second
        self._known[name] = (left - 1, now)
        self._known.move_to_end(name)
        if len(self._known) > self._buckets_max:
            self._known.popitem(last=False)
        return 0.0

    def give_back(self, name: str) -> None:
        """What was taken was not used."""
        now = self._clock()
        if name in self._known:
            self._known[name] = (min(self._burst, self._left(name, now) + 1), now)

    def __len__(self) -> int:
        return len(self._known)

    def _left(self, name: str, now: float) -> float:
        left, at = self._known.get(name, (self._burst, now))
        return min(self._burst, left + (now - at) * self._per_second)


@lru_cache(maxsize=1024)
def network_of(remote: str | None) -> str:
    """By what an address is counted."""
    if remote is None:
        return "local"
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX_BITS), strict=False))
