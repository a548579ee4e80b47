"""Who something came from, as a number: an address, or a person who cannot be told from the number.

Detectors count by whom. They are given numbers, which no label, log line or page can be made of by mistake; only what
blocks an address needs to know it again. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, NewType

# An IPv4 address, or the /64 of an IPv6 address, which is what one customer has.
Address = NewType("Address", int)
# Of one process only, as the key is drawn at its start.
Person = NewType("Person", int)

# Texts of one field whose number is remembered; then the memory begins anew.
REMEMBERED_MAX = 16_384
# A name or an address that is longer is nobody's.
CHARACTERS_MAX = 200
_SIX = 1 << 64
_PERSON_BYTES = 8
# A number of 60 bits takes a third less memory than one of 64, and there are many.
_PERSON_BITS_LEFT = 4
_MAPPED = b"\0" * 10 + b"\xff\xff"


def address_of(text: str) -> Address | None:
    """With a port or a zone behind it too; None for what is no address, and for one that stands for none.

    An IPv6 address that holds an IPv4 address is the latter.
    """
    # Most are of this form, and there may be a million of them.
    if ":" not in text:
        try:
            return Address(int.from_bytes(inet_pton(AF_INET, text))) or None
        except (OSError, ValueError):
            return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        return address_of(text.partition(":")[0])
    try:
        packed = inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return None
    if packed.startswith(_MAPPED):
        return Address(int.from_bytes(packed[12:])) or None
    top = int.from_bytes(packed[:8])
    return Address(_SIX | top) if top else None


def written(address: Address) -> str:
    """The address, or the network that stands for it: 203.0.113.7, 2001:db8:1:2::/64."""
    if address < _SIX:
        return inet_ntop(AF_INET, address.to_bytes(4))
    return f"{inet_ntop(AF_INET6, (address - _SIX).to_bytes(8) + bytes(8))}/64"


def network_of(address: Address) -> str:
    """What may be shown of it: the /24 of an IPv4 address, the /48 of an IPv6 address."""
    if address < _SIX:
        return f"{inet_ntop(AF_INET, (address & 0xFFFFFF00).to_bytes(4))}/24"
    return f"{inet_ntop(AF_INET6, ((address - _SIX) & ~0xFFFF).to_bytes(8) + bytes(8))}/48"


def people(key: bytes) -> Callable[[str], Person]:
    """What makes a number of a name; upper and lower case are the same."""

    # A copy costs half of what a new one does.
    keyed = blake2s(key=key, digest_size=_PERSON_BYTES)

    def person_of(text: str) -> Person:
        digest = keyed.copy()
        digest.update(text.casefold().encode())
        return Person(int.from_bytes(digest.digest()) >> _PERSON_BITS_LEFT)

    return person_of


class Numbers(dict[Any, Any]):
    """What the values of one field become: texts, whole numbers and None; bounded."""

    def __init__(self, number_of: Callable[[str], int | None]) -> None:
        self._number_of = number_of
        super().__init__({None: None})

    def __missing__(self, value: object) -> int | None:
        text = value.strip() if isinstance(value, str) else str(value)
        if len(text) > CHARACTERS_MAX:
            return None
        if len(self) > REMEMBERED_MAX:
            self.clear()
            self[None] = None
        self[value] = number = self._number_of(text) if text else None
        return number
