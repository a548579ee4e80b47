"""Who listens: the sockets that wait for others, as the kernel tells or writes it, and the list of those that may.

Nothing here opens a file.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from exporter.collectors.files import Malformed
from exporter.collectors.netlink import dump
from exporter.collectors.tcpstat import NETLINK_SOCK_DIAG, QUESTION, SOCK_DIAG_BY_FAMILY

Ip = IPv4Address | IPv6Address
# Items of one list.
ALLOWED_MAX = 1_000
PORT_MAX = 65_535
# The kernel's numbers of two states: a TCP socket that listens, a UDP socket that is connected to nobody.
TCP_LISTENS, UDP_IS_OPEN = b"0A", b"07"
HEADER = b"sl"
# The same as a bit of the states that are asked for. Of what the kernel tells of a socket: the port, the address; and,
# further on, the inode.
LISTENING_STATE = 1 << 10
ADDRESS, INODE, INODE_PLACE = struct.Struct("!4xH2x16s"), struct.Struct("=I"), 68
# Of a line: who it is, and its state, owner's number and inode.
LOCAL_WORD, STATE_WORD, INODE_WORD = 1, 3, 9
ITEM = re.compile(
    r"(?:(?P<address>\[[^\]]+\]|[^\[\]:]+):)?(?P<first>\d+|\*)(?:-(?P<last>\d+))?(?:/(?P<protocol>tcp|udp))?"
)
EXPECTED = "ports such as 22, 443/tcp, 8000-8100, 127.0.0.1:*, [::1]:53/udp or 10.0.0.0/8:9100, with commas between"


class Listener(NamedTuple):
    protocol: str
    address: Ip
    port: int
    inode: bytes

    @property
    def scope(self) -> str:
        """From where it can be reached; never the address itself."""
        if self.address.is_unspecified:
            return "all"
        return "loopback" if self.address.is_loopback else "one"


class Allowed(NamedTuple):
    """Ports that may be listened at. `network` None is any address, `protocol` empty is each."""

    network: IPv4Network | IPv6Network | None
    first: int
    last: int
    protocol: str

    def covers(self, listener: Listener) -> bool:
        if not self.first <= listener.port <= self.last or self.protocol not in ("", listener.protocol):
            return False
        return self.network is None or (
            listener.address.version == self.network.version and listener.address in self.network
        )


def listeners(protocol: str, lines: Iterable[bytes], *, where: str, ports: Callable[[int], bool]) -> Iterable[Listener]:
    """Those with one of these ports. `lines` are of one of the kernel's lists, without its header."""
    waiting = TCP_LISTENS if protocol == "tcp" else UDP_IS_OPEN
    for line in lines:
        words = line.split(maxsplit=INODE_WORD + 1)
        if len(words) <= INODE_WORD:
            raise Malformed(where, found=line, expected="at least ten words for each socket")
        if words[STATE_WORD] != waiting:
            continue
        try:
            address, port = _local(words[LOCAL_WORD])
        except ValueError:
            raise Malformed(where, found=line, expected="an address and a port, hexadecimal") from None
        if ports(port):
            yield Listener(protocol, address, port, words[INODE_WORD])


def of_kernel(deadline: float) -> Iterable[Listener]:
    """TCP sockets that listen, asked of the kernel, which looks at no others for that; OSError where it does not tell.

    The list in /proc has all connections too, and the kernel looks for them in a table that is large when it is empty.
    """
    for version, size in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        question = QUESTION.pack(version, socket.IPPROTO_TCP, LISTENING_STATE)
        for answer, places in dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, question, deadline=deadline):
            for begin, _ in places:
                port, address = ADDRESS.unpack_from(answer, begin)
                (inode,) = INODE.unpack_from(answer, begin + INODE_PLACE)
                yield Listener("tcp", _plain(ip_address(address[:size])), port, b"%d" % inode)


def _local(word: bytes) -> tuple[Ip, int]:
    """The kernel writes the address as numbers of 32 bits in the order of the machine, which is little-endian here."""
    written, _, port = word.partition(b":")
    raw = bytes.fromhex(written.decode("ascii"))
    if len(raw) not in (4, 16) or len(port) != 4:
        raise ValueError
    ordered = b"".join(raw[begin : begin + 4][::-1] for begin in range(0, len(raw), 4))
    return _plain(ip_address(ordered)), int(port, 16)


def _plain(address: Ip) -> Ip:
    """An IPv6 socket that listens for IPv4 has an address that contains the other."""
    return getattr(address, "ipv4_mapped", None) or address


def allowed(text: str) -> tuple[Allowed, ...]:
    """What the option says; ValueError says what is wrong with it. `none` allows nothing."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if len(items) > ALLOWED_MAX:
        raise ValueError(f"allowed: found {len(items)} items, expected at most {ALLOWED_MAX}")
    return tuple(_item(item) for item in items if item != "none")


def _item(item: str) -> Allowed:
    match = ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"allowed: found {item[:80]!r}, expected {EXPECTED}")
    every = match["first"] == "*"
    first = 1 if every else int(match["first"])
    last = PORT_MAX if every else int(match["last"] or first)
    if not 1 <= first <= last <= PORT_MAX or (every and match["last"]):
        raise ValueError(f"allowed: found {item[:80]!r}, expected ports from 1 to {PORT_MAX}, the lower one first")
    address = (match["address"] or "*").strip("[]")
    try:
        network = None if address == "*" else ip_network(address)
    except ValueError:
        raise ValueError(f"allowed: found {item[:80]!r}, expected {EXPECTED}") from None
    return Allowed(network, first, last, match["protocol"] or "")
