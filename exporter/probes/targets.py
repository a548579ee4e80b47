"""How a target is written, and which addresses it has.

A name is looked up once for each probe; every address that it has must be allowed, and the one that is chosen is that
which is connected to. So nobody can answer with another address the second time.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from typing import NamedTuple

from exporter.probes.allow import PORT_MAX, Address, Allowed
from exporter.probes.aside import Aside
from exporter.probes.attempt import Attempt, Failed

TARGET_CHARACTERS_MAX = 2_000
ADDRESSES_MAX = 64
HOST_CHARACTERS_MAX = 253

_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]{2,45})\]|(?P<host>[^\s:/@\[\]?#\\%]+))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PRODUCT = {"ip4": 4, "ip6": 6}


class WrongTarget(ValueError):
    """A target that cannot be one; the message says what was expected, and not what it was."""


class HostPort(NamedTuple):
    host: str
    port: int

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Place(NamedTuple):
    """Where to connect: an address that is allowed, or the path of a socket."""

    host: str
    port: int
    address: Address | None = None
    path: str = ""

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.address is None else HostPort(str(self.address), self.port).authority


def host_port(text: str, *, port: int | None = None) -> HostPort:
    """`port` is the one that is meant where none is written. Raises WrongTarget."""
    expected = "expected HOST:PORT" if port is None else "expected HOST or HOST:PORT"
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise WrongTarget(f"the target is no address: {expected}, [ADDRESS]:PORT for IPv6")
    written = found["port"]
    number = port if written is None else int(written)
    if number is None or not 1 <= number <= PORT_MAX:
        raise WrongTarget(f"the target has no port that can be: {expected}")
    host = _literal(found["six"] or found["host"].lower())
    if host is None:
        raise WrongTarget(f"the target has no host that can be: {expected}")
    return HostPort(host, number)


def _literal(written: str) -> str | None:
    """The address in its one way of being written, or the name, without the dot of the root."""
    try:
        return str(ip_address(written))
    except ValueError:
        pass
    try:
        name = written.removesuffix(".").encode("idna").decode() if not written.isascii() else written.removesuffix(".")
    except UnicodeError:
        return None
    labels = name.split(".")
    # 127.1, 0x7f000001 and 2130706433 are addresses for some: nobody means them.
    fits = len(name) <= HOST_CHARACTERS_MAX and all(map(_LABEL.fullmatch, labels))
    return name if fits and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]) else None


class Resolver:
    """Finds the place that a target means, if it is allowed."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside

    async def place(
        self, attempt: Attempt, target: HostPort, allowed: Allowed, *, prefer: str = "ip6", fall_back: bool = True
    ) -> Place:
        """Raises Failed."""
        try:
            literal = ip_address(target.host)
        except ValueError:
            return await self._looked_up(attempt, target, allowed, prefer=prefer, fall_back=fall_back)
        if not allowed.address(literal, target.port):
            raise not_allowed()
        _took(attempt, 0.0)
        return Place(target.host, target.port, literal)

    async def _looked_up(
        self, attempt: Attempt, target: HostPort, allowed: Allowed, *, prefer: str, fall_back: bool
    ) -> Place:
        if not allowed.named(target.host, target.port):
            raise not_allowed()
        began = attempt.elapsed
        try:
            addresses = await self._aside.run(("name", target.host), partial(_addresses, target.host))
        except (OSError, UnicodeError) as error:
            words = error.strerror if isinstance(error, OSError) else "no name that can be looked up"
            raise Failed("resolve", f"the name has no address: {words}") from None
        finally:
            _took(attempt, attempt.elapsed - began)
        for address in addresses:
            if not allowed.address(address, target.port, host=target.host):
                raise Failed(
                    "not_allowed",
                    "the name has an address of this machine, its link or a cloud's metadata, which only probes.allow"
                    " with that very address allows",
                )
        ordered = sorted(addresses, key=lambda address: address.version != _PRODUCT[prefer])
        chosen = ordered[0] if ordered else None
        if chosen is None or (chosen.version != _PRODUCT[prefer] and not fall_back):
            raise Failed("resolve", f"the name has no address of the kind {prefer}")
        attempt.note(f"the name has {len(addresses)} addresses; asking {chosen}")
        return Place(target.host, target.port, chosen)


def _took(attempt: Attempt, seconds: float) -> None:
    attempt.gauge("probe_dns_lookup_time_seconds", "How long the look-up of the name took.", seconds)


def _addresses(host: str) -> Sequence[Address]:
    """In a thread, as it can take as long as it likes."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    texts = dict.fromkeys(str(sockaddr[0]).partition("%")[0] for _, _, _, _, sockaddr in found)
    if len(texts) > ADDRESSES_MAX:
        raise OSError(0, f"it has more than {ADDRESSES_MAX}")
    return [ip_address(text) for text in texts]


def not_allowed() -> Failed:
    return Failed("not_allowed", "not among probes.allow in exporter.yml")
