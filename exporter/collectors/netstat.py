"""`netstat`: the kernel's own statistics of IP, ICMP, TCP and UDP, under the kernel's own names.

There are hundreds, of which an option says which are shown. Their names come in the same order at each scrape, so what
to take from which place is found out once for each line of names.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape, shape

FIELDS_SHOWN = (
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    "|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    "|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
# Lines of names that are remembered; a kernel has about a dozen.
NAME_LINES_MAX = 64


class Places(NamedTuple):
    """Of so many numbers, which are shown: the place of each, and its family."""

    width: int
    shown: tuple[tuple[int, Shape], ...]


class Netstat:
    name = "netstat"
    help = "Statistics of IP, ICMP, TCP and UDP from /proc/net/netstat, snmp and snmp6."
    enabled = True
    options: tuple[Option, ...] = (
        Option("fields", Kind.PATTERN, FIELDS_SHOWN, "statistics that are shown, each as PROTOCOL_NAME"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._fields = (chosen or Chosen(self.options)).pattern("fields")
        self._paths = tuple(f"{paths.procfs}/net/{name}" for name in ("netstat", "snmp"))
        self._path6 = f"{paths.procfs}/net/snmp6"
        self._kept = Kept()
        self._places: dict[str, Places] = {}

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        families: list[Family] = []
        for path in self._paths:
            for names, numbers in in_pairs(self._kept.read(path), path):
                families += shown(numbers, self._places_of(names), path)
        try:
            content = self._kept.read(self._path6)
        except FileNotFoundError:
            return families  # a kernel without IPv6
        return families + shown(*self._in_lines(content), self._path6)

    def _places_of(self, names: str) -> Places:
        """`Tcp: ActiveOpens PassiveOpens` makes `Tcp_ActiveOpens` and `Tcp_PassiveOpens`."""
        places = self._places.get(names)
        if places is None:
            protocol, *fields = names.split()
            places = self._remember(names, [f"{protocol.removesuffix(':')}_{field}" for field in fields])
        return places

    def _in_lines(self, content: bytes) -> tuple[list[str], Places]:
        """`Ip6InReceives 12`, one a line, makes `Ip6_InReceives`; a name without a 6 is nobody's."""
        words = content.decode("latin-1").split()
        names = words[::2]
        key = " ".join(names)
        places = self._places.get(key)
        if places is None:
            places = self._remember(key, [name.replace("6", "6_", 1) if "6" in name else "" for name in names])
        return words[1::2], places

    def _remember(self, key: str, names: Sequence[str]) -> Places:
        if len(self._places) >= NAME_LINES_MAX:
            self._places.clear()
        fields = self._fields
        places = Places(
            len(names),
            tuple(
                (place, _shape(name))
                for place, name in enumerate(names)
                if name and (fields is None or fields.search(name))
            ),
        )
        self._places[key] = places
        return places


def in_pairs(content: bytes, where: str = "netstat") -> Iterable[tuple[str, list[str]]]:
    """A line of names, and the numbers of the line below, which begins with the same word."""
    lines = content.decode("latin-1").splitlines()
    if len(lines) == 1 and lines[0].startswith("TcpExt: "):
        return  # gVisor, which stands in for the kernel in containers, has the names and counts nothing
    if len(lines) % 2:
        raise Malformed(where, found=lines[-1], expected="a line of numbers below each line of names")
    for names, line in zip(lines[::2], lines[1::2], strict=True):
        protocol, *numbers = line.split() or [""]
        if not protocol or not names.startswith(f"{protocol} "):
            raise Malformed(where, found=line, expected=f"the numbers for {names[:40]!r}")
        yield names, numbers


def shown(numbers: Sequence[str], places: Places, where: str) -> list[Family]:
    if len(numbers) != places.width:
        raise Malformed(where, found=" ".join(numbers), expected=f"{places.width} numbers")
    try:
        return [kind.single(int(numbers[place])) for place, kind in places.shown]
    except ValueError:
        raise Malformed(where, found=" ".join(numbers), expected="whole numbers") from None


def _shape(name: str) -> Shape:
    return shape(
        f"node_netstat_{NOT_IN_A_NAME.sub('_', name)}",
        "unknown",
        f"The kernel's statistic {name.replace('_', ' ', 1)}.",
    )
