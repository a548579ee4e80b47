"""Who is never blocked. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from exporter.identity import Address
from exporter.reputation.place import Network, Place, place_of, span, written

# Of the list of who is never blocked, with all its files.
ALLOWED_MAX = 100_000
# Addresses of machines of one's own. Behind a proxy that is not told to hand on who asks, everybody has one of these.
PRIVATE = (
    *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    *("fc00::/7", "fe80::/10"),
)
PRIVATE_PLACES: Sequence[Place] = (Network(Address(0), 8), *map(place_of, PRIVATE))


class Entry(NamedTuple):
    """`origin` says where it stands."""

    place: Place
    origin: str


class Allowed:
    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(span(entry.place) for entry in entries):
            if self._lasts and first <= self._lasts[-1]:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __len__(self) -> int:
        return len(self._entries)

    def meets(self, place: Place) -> bool:
        """Whether any address of it is never blocked."""
        first, last = span(place)
        at = bisect_right(self._firsts, last)
        return at > 0 and self._lasts[at - 1] >= first

    def why(self, place: Place) -> str:
        """Which entry it is, for people; there is one. Goes through all of them."""
        first, last = span(place)
        for entry in self._entries:
            theirs = span(entry.place)
            if theirs[0] <= last and theirs[1] >= first:
                return f"{written(entry.place)} ({entry.origin})"
        return ""
