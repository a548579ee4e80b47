"""Lists of addresses that others publish, in the forms in which they do: one address or network a line.

Whatever stands behind it is not looked at: a comment, a name as in a file of hosts, further columns. A network may be
written by any of its addresses. An IPv6 address stands for its /64, as everywhere: nothing smaller can be told apart.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.identity import Address, address_of

# Of one list.
ENTRIES_MAX = 500_000
# Lines that are named; more are counted.
LINES_NAMED_MAX = 5
# A network with fewer bits is a slip that would find everybody.
BITS_MIN = 3

_SIX = 1 << 64
_BITS = {4: 32, 6: 64}
# What a line begins with; comments begin with # or ;.
_FIRST = re.compile(r"[\s\"']*([^\s\"',;#]*)")
# Files of hosts say so that a name is to lead nowhere; and nobody comes from there.
_NOWHERE = ("0.0.0.0", "127.0.0.1", "::", "::1")  # noqa: S104 - nothing is bound to it
_SIZE_BITS = 7


class Unusable(Exception):
    """Why a list cannot be used as a whole."""


class Ranges:
    """Addresses, 16 bytes for each stretch of them."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        """`spans` are first and last addresses, sorted."""
        self._firsts = {4: array("Q"), 6: array("Q")}
        self._lasts = {4: array("Q"), 6: array("Q")}
        for first, last in spans:
            family = 6 if first >= _SIX else 4
            lower, upper = (first - _SIX, last - _SIX) if family == 6 else (first, last)
            firsts, lasts = self._firsts[family], self._lasts[family]
            if lasts and lower <= lasts[-1] + 1:
                lasts[-1] = max(upper, lasts[-1])
            else:
                firsts.append(lower)
                lasts.append(upper)

    def among(self, addresses: Iterable[Address]) -> Sequence[Address]:
        """Those of these addresses that are in one."""
        found = []
        (firsts, lasts), (firsts_six, lasts_six) = zip(self._firsts.values(), self._lasts.values(), strict=True)
        for address in addresses:
            if address < _SIX:
                at = bisect_right(firsts, address)
                inside = at and address <= lasts[at - 1]
            else:
                at = bisect_right(firsts_six, address - _SIX)
                inside = at and address - _SIX <= lasts_six[at - 1]
            if inside:
                found.append(address)
        return found


class Read(NamedTuple):
    """`wrong` are the numbers of the first lines that could not be read, `unreadable` is how many there are."""

    ranges: Ranges
    entries: int
    unreadable: int
    wrong: Sequence[int]


def parsed(text: str) -> Read:
    """Raises Unusable."""
    entries: list[int] = []
    wrong: list[int] = []
    unreadable = 0
    for number, line in enumerate(text.splitlines(), start=1):
        found = _FIRST.match(line)
        if found is None or not found[1] or found[1].partition("/")[0] in _NOWHERE:
            continue
        try:
            entries.append(_entry(found[1]))
        except ValueError:
            # The first line of a table says what its columns are.
            if entries or unreadable or "," not in line:
                unreadable += 1
                wrong += [number] if len(wrong) < LINES_NAMED_MAX else []
        if len(entries) > ENTRIES_MAX:
            raise Unusable(f"found more than {ENTRIES_MAX} addresses and networks")
    if unreadable and not entries:
        raise Unusable("found no address in any line")
    entries.sort()
    return Read(Ranges(map(_span, entries)), len(entries), unreadable, tuple(wrong))


class Listed:
    """The lists in force, by name."""

    def __init__(self) -> None:
        self._lists: Mapping[str, Ranges] = {}

    def use(self, lists: Mapping[str, Ranges]) -> None:
        self._lists = lists

    def found(self, addresses: Sequence[Address]) -> Iterator[tuple[Address, str]]:
        """Those that are on a list, with the name of the first one."""
        left = list(addresses)
        for name, ranges in self._lists.items():
            found = ranges.among(left)
            yield from ((address, name) for address in found)
            if found:
                there = frozenset(found)
                left = [address for address in left if address not in there]


def _entry(text: str) -> int:
    """A network as one number: its first address, and how many bits of it differ. ValueError where it is none."""
    head, slash, tail = text.partition("/")
    address = address_of(head)
    if address is None:
        raise ValueError("no address")
    bits = _BITS[6 if address >= _SIX else 4]
    kept = bits
    if slash:
        if not (tail.isascii() and tail.isdecimal() and len(tail) <= 3):
            raise ValueError("no network")
        kept = int(tail)
        if not BITS_MIN <= kept <= (32 if bits == 32 else 128):
            raise ValueError("no network")
    left = max(bits - kept, 0)
    return (address >> left << left) << _SIZE_BITS | left


def _span(entry: int) -> tuple[int, int]:
    first, left = entry >> _SIZE_BITS, entry & ((1 << _SIZE_BITS) - 1)
    return first, first + (1 << left) - 1
