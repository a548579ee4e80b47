"""What can stand on a list: an address, or a network of them. Pure."""

from __future__ import annotations

from typing import NamedTuple

from exporter.identity import Address, address_of
from exporter.identity import written as written_address

_SIX = 1 << 64
# An IPv6 address is known by its /64, so there is nothing smaller.
BITS = {4: 32, 6: 64}
EXPECTED = "an IPv4 or IPv6 address, or a network such as 203.0.113.0/24 or 2001:db8::/48 (IPv6: at most /64)"


class Network(NamedTuple):
    """More than one address; the first of them, and how many bits are the same in all."""

    first: Address
    bits: int


Place = Address | Network


def family_of(place: Place) -> int:
    """4 or 6."""
    return 6 if (place.first if isinstance(place, Network) else place) >= _SIX else 4


def span(place: Place) -> tuple[int, int]:
    """The first and the last of its addresses."""
    if not isinstance(place, Network):
        return place, place
    return place.first, place.first | (1 << (BITS[family_of(place)] - place.bits)) - 1


def place_of(text: str) -> Place:
    """ValueError says what was expected, and not what was found, as that may be somebody's."""
    head, slash, tail = text.strip().partition("/")
    address = address_of(head)
    if address is None or head.count(":") == 1 or not set("[%").isdisjoint(head):
        raise ValueError(f"found something else, expected {EXPECTED}")
    if not slash:
        return address
    family = family_of(address)
    if not (tail.isascii() and tail.isdecimal() and len(tail) <= 3) or (family == 4 and ":" in head):
        raise ValueError(f"found something else behind the address, expected {EXPECTED}")
    bits = int(tail)
    if bits == BITS[family] or (family == 6 and bits == 128):
        return address
    if not 0 < bits < BITS[family]:
        raise ValueError(f"found /{bits}, expected {EXPECTED}")
    network = Network(address, bits)
    if address & (1 << (BITS[family] - bits)) - 1:
        raise ValueError(f"found an address within a /{bits}, expected the first address of that network")
    return network


def written(place: Place) -> str:
    if not isinstance(place, Network):
        return written_address(place)
    return f"{written_address(place.first).partition('/')[0]}/{place.bits}"
