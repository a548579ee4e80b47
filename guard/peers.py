"""Who is on the other end of a connection: this machine, or anybody."""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache


@lru_cache(maxsize=1024)
def is_loopback(remote: str | None) -> bool:
    """Whether the other end is this machine. A Unix socket has no address, and is."""
    if remote is None:
        return True
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def san_of(text: str) -> str:
    """One of the names that a certificate is for; an address in one way of writing."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return text


def sans_in(certificate: Mapping[str, object] | None) -> frozenset[str]:
    """The names, addresses, e-mails and URIs that a verified certificate is for."""
    names = certificate.get("subjectAltName", ()) if certificate else ()
    return frozenset(san_of(str(value)) for _, value in names) if isinstance(names, tuple) else frozenset()


def name_in(certificate: Mapping[str, object] | None) -> str:
    """The common name of a certificate that was verified; empty where there is none."""
    subject = certificate.get("subject", ()) if certificate else ()
    for part in subject if isinstance(subject, tuple) else ():
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""
