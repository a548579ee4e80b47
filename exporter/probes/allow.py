"""Who may be probed: nobody, unless the configuration says so. Pure; it is asked before a name is looked up and after.

Whoever can ask for a probe makes this machine send something, from where it stands and with what it knows. So a target
has to be named: by its host, its network, its path. Where a host is named, its addresses may be any but those that
belong to this machine, to its link or to the metadata service of a cloud; these have to be named as addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ipaddress import IPv4Network

Address = IPv4Address | IPv6Address

EXPECTED = (
    "a host, a network or an address, with a port or a range of ports if not all are meant (db.example.org:5432,"
    " *.example.org, 10.0.0.0/8:8000-8999, [::1]:6379), or unix:PATH, file:PATH, process:NAME"
)
PORT_MAX = 65_535
# What names something on this machine, in the place of a host.
SCHEMES = ("unix", "file", "process")

_PORTS = re.compile(r"(?P<rest>.*?)(?::(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?)?", re.DOTALL)
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_*?]([a-z0-9_*?-]*[a-z0-9_*?])?(\.[a-z0-9_*?]([a-z0-9_*?-]*[a-z0-9_*?])?)*\.?"
)
# What clouds answer under, beside the addresses of the link.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
_LOCALHOST = "localhost"
_NAT64 = IPv6Network("64:ff9b::/96")


class Entry(NamedTuple):
    """One thing that may be probed. One of `name`, `network` and `path` says which."""

    scheme: str = ""
    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    path: str = ""
    low: int = 0
    high: int = PORT_MAX

    def has(self, port: int) -> bool:
        return self.low <= port <= self.high


def parse(text: str) -> Entry:
    """ValueError says what was expected."""
    scheme, colon, path = text.partition(":")
    if colon and scheme in SCHEMES:
        if not path or "\0" in path or (scheme != "process" and not path.startswith("/")) or ".." in path.split("/"):
            raise ValueError(EXPECTED)
        return Entry(scheme, path=path)
    rest, low, high = _with_ports(text)
    try:
        return Entry(network=ip_network(rest.removeprefix("[").removesuffix("]")), low=low, high=high)
    except ValueError:
        host = rest.lower()
    if not _HOST.fullmatch(host) or "/" in rest or host.replace(".", "").isdecimal():
        raise ValueError(EXPECTED)
    return Entry(name=host.removesuffix("."), low=low, high=high)


def _with_ports(text: str) -> tuple[str, int, int]:
    if text.count(":") > 1 and not text.startswith("["):  # an IPv6 address or network without brackets has no ports
        return text, 0, PORT_MAX
    found = _PORTS.fullmatch(text)
    if found is None or found["low"] is None:
        return text, 0, PORT_MAX
    low, high = int(found["low"]), int(found["high"] or found["low"])
    if not 1 <= low <= high <= PORT_MAX:
        raise ValueError(EXPECTED)
    return found["rest"], low, high


class Allowed:
    """What is allowed, made once."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._names = [entry for entry in entries if entry.name]
        self._networks = [entry for entry in entries if entry.network is not None]
        self._paths = [entry for entry in entries if entry.scheme]

    @staticmethod
    def of(texts: Iterable[str]) -> Allowed:
        """ValueError for one that is none."""
        return Allowed([parse(text) for text in texts])

    def named(self, host: str, port: int) -> bool:
        """Whether this name may be looked up, to be asked at this port."""
        return any(entry.has(port) and fnmatchcase(host, entry.name) for entry in self._names)

    def address(self, address: Address, port: int, *, host: str = "") -> bool:
        """Whether it may be connected to. `host` is the name that it was found under, which is allowed."""
        real = _behind(address)
        if any(
            entry.network is not None and entry.has(port) and _within(each, entry.network)
            for entry in self._networks
            for each in (address, real)
        ):
            return True
        if not host:
            return False
        # Whoever allows any name by an asterisk does not mean this machine.
        return not is_special(real) or (
            real.is_loopback
            and host == _LOCALHOST
            and any(entry.name == _LOCALHOST and entry.has(port) for entry in self._names)
        )

    def path(self, scheme: str, path: str) -> bool:
        return any(entry.scheme == scheme and fnmatchcase(path, entry.path) for entry in self._paths)


def _within(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


@lru_cache(maxsize=256)
def is_special(address: Address) -> bool:
    """Whether it has to be named itself."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or (address.version == 4 and int(address) >> 24 == 0)
        or address in _METADATA
    )


def _behind(address: Address) -> Address:
    """The IPv4 address that an IPv6 address means, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
