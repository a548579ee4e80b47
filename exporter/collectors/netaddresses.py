"""The addresses of network devices, of which the kernel has no file: it is asked over a socket."""

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from exporter.collectors.files import shown
from exporter.collectors.netlink import dump

# From linux/rtnetlink.h and linux/if_addr.h: version of IP, length of the prefix, number of the device.
NETLINK_ROUTE = 0
RTM_GETADDR = 22
QUESTION = bytes(8)
RECORD = struct.Struct("=BBxxI")
ATTRIBUTE = struct.Struct("=HH")
ALIGNED = 4
# An attribute that holds an address: the one at the other end of a line, if there is one, and that of this end.
IFA_ADDRESS, IFA_LOCAL = 1, 2
# How long an address is.
VERSIONS = {socket.AF_INET: 4, socket.AF_INET6: 16}


class Address(NamedTuple):
    """As labels in this order. The length of the prefix is called a netmask."""

    address: str
    device: str
    netmask: str
    scope: str


def addresses(deadline: float) -> Iterator[Address]:
    """Of every device of this machine, in the kernel's order."""
    for answer, places in dump(NETLINK_ROUTE, RTM_GETADDR, QUESTION, deadline=deadline):
        for begin, end in places:
            version, prefix, number = RECORD.unpack_from(answer, begin)
            found = attributes(answer[begin + RECORD.size : end])
            address = found.get(IFA_LOCAL, found.get(IFA_ADDRESS, b""))
            device = name_of(number)
            if device is not None and len(address) == VERSIONS.get(version):
                yield Address(socket.inet_ntop(version, address), device, str(prefix), scope(address))


def attributes(record: bytes) -> dict[int, bytes]:
    found = {}
    place = 0
    while place + ATTRIBUTE.size <= len(record):
        length, kind = ATTRIBUTE.unpack_from(record, place)
        found[kind] = record[place + ATTRIBUTE.size : place + length]
        place += max(-(-length // ALIGNED) * ALIGNED, ATTRIBUTE.size)
    return found


def name_of(number: int) -> str | None:
    try:
        return shown(socket.if_indextoname(number))
    except OSError:
        return None  # it has gone meanwhile


def scope(address: bytes) -> str:
    """How far it can be reached, in the words of node_exporter, for which this machine itself is a link, too."""
    if len(address) == 4:
        near = address[0] == 127 or address.startswith(b"\xa9\xfe")
    else:
        near = address == bytes(15) + b"\x01" or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)
    if near:
        return "link-local"
    return "global" if any(address) else ""
