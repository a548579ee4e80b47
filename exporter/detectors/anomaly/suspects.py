"""Who is behind what is too much: an address that alone passes the bound of all together.

Nobody is counted while all is well. Counting begins as soon as a part of the bound is reached, so that what is counted
of an address is less than what it has sent, never more; and where there are too many addresses, all of them lose as
much as the middle one has (Misra and Gries, 1982).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from exporter.identity import Address

# Counting begins at this share of the bound.
BEGIN_RATIO = 0.25
# Addresses that are counted at a time.
SUSPECTS_MAX = 2_000


class Suspects:
    __slots__ = ("_counted", "_told")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """An interval begins."""
        self._counted: Counter[Address | None] = Counter()
        self._told: dict[Address, None] = {}

    def take(self, addresses: Sequence[Address | None]) -> None:
        self._counted.update(addresses)
        self._counted.pop(None, None)
        if len(self._counted) > SUSPECTS_MAX:
            middle = sorted(self._counted.values())[len(self._counted) // 2]
            self._counted = Counter({who: count - middle for who, count in self._counted.items() if count > middle})

    def beyond(self, bound: float) -> Iterator[tuple[Address, int]]:
        """Each once an interval."""
        for who, count in self._counted.items():
            if count > bound and who is not None and who not in self._told:
                self._told[who] = None
                yield who, count
