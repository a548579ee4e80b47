"""Addresses of mail as the policy writes them: where it goes through, from whom, and to whom."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

ADDRESS_CHARACTERS_MAX = 254
NAME_CHARACTERS_MAX = 100
TLS_PORT = 465
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_SMARTHOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*))):(?P<port>[0-9]{1,5})")
_HERE = re.compile(r"localhost|::1|127(?:\.[0-9]{1,3}){3}")


class Tls(StrEnum):
    """How a connection is secured: after a command, from its first byte, or not at all."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Mailbox(NamedTuple):
    """Somebody's address, and the name that is shown with it."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class Smarthost(NamedTuple):
    """The server that takes our mail."""

    host: str
    port: int

    @property
    def is_here(self) -> bool:
        """Whether what is said to it stays on this machine."""
        return _HERE.fullmatch(self.host) is not None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_mailbox(text: str) -> Mailbox:
    """Raises ValueError with what was expected. Addresses are ASCII: not every server takes others."""
    named = _NAMED.fullmatch(text.strip())
    name, address = (named["name"].strip(), named["address"].strip()) if named else ("", text.strip())
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    usable = text.isprintable() and len(name) <= NAME_CHARACTERS_MAX and len(address) <= ADDRESS_CHARACTERS_MAX
    if not usable or '"' in name or "\\" in name or "=?" in name or not _ADDRESS.fullmatch(address):
        raise ValueError("an address such as ops@example.org or Tocsin <tocsin@example.org>")
    return Mailbox(name=name, address=address)


def parse_smarthost(text: str) -> Smarthost:
    """Raises ValueError with what was expected."""
    found = _SMARTHOST.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError("a host and a port such as smtp.example.org:587")
    return Smarthost(host=found["six"] or found["host"], port=int(found["port"]))


def tls_of(smarthost: Smarthost, chosen: str | None) -> Tls:
    """What the policy says; otherwise never in the clear but to this machine."""
    if chosen is not None:
        return Tls(chosen)
    if smarthost.port == TLS_PORT:
        return Tls.TLS
    return Tls.NONE if smarthost.is_here else Tls.STARTTLS
