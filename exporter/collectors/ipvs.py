"""`ipvs`: what went through the kernel's load balancer, and what its backends have to do."""

import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.collectors.files import Kept, Malformed, Paths, text, whole_number
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape, shape
from exporter.outcome import Absent

LABELS = ("local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark")


def _counter(name: str, description: str) -> Shape:
    return Shape(f"node_ipvs_{name}_total", "counter", description)


# In the order of the columns.
STATISTICS = (
    _counter("connections", "Connections that were balanced."),
    _counter("incoming_packets", "Packets that came from clients."),
    _counter("outgoing_packets", "Packets that went back to them."),
    _counter("incoming_bytes", "Bytes that came from clients."),
    _counter("outgoing_bytes", "Bytes that went back to them."),
)
# In the order of `Load`.
BACKENDS = (
    ("node_ipvs_backend_weight", "The weight of the backend."),
    ("node_ipvs_backend_connections_active", "Connections that the backend has."),
    ("node_ipvs_backend_connections_inactive", "Connections of the backend that are about to end."),
)
HEADER = b"IP Virtual Server version"
# The line of a service that is known by the firewall's mark on packets instead of by an address.
BY_MARK = b"FWM"


class Backend(NamedTuple):
    """As labels, in the order of `LABELS`."""

    local_address: str
    local_port: str
    remote_address: str
    remote_port: str
    proto: str
    local_mark: str


class Load(NamedTuple):
    weight: int
    active: int
    inactive: int


class Ipvs:
    name = "ipvs"
    help = "Connections, packets and backends of the kernel's load balancer from /proc/net/ip_vs and ip_vs_stats."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "backend-labels",
            Kind.TEXT,
            ",".join(LABELS),
            "labels of backends, with commas between; equal ones are added up",
        ),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        said = (chosen or Chosen(self.options)).text("backend-labels").split(",")
        self._unknown = [label for label in said if label and label not in LABELS]
        self._shown = [place for place, label in enumerate(LABELS) if label in said]
        labels = tuple(LABELS[place] for place in self._shown)
        self._backends = [shape(name, "gauge", description, labels) for name, description in BACKENDS]
        self._statistics_path = f"{paths.procfs}/net/ip_vs_stats"
        self._path = f"{paths.procfs}/net/ip_vs"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        if self._unknown:
            raise Malformed("backend-labels", found=",".join(self._unknown), expected=f"some of: {', '.join(LABELS)}")
        try:
            content = self._kept.read(self._statistics_path)
        except FileNotFoundError:
            raise Absent("the kernel's load balancer is not in use") from None
        for counter, number in zip(STATISTICS, parse_statistics(content, self._statistics_path), strict=True):
            yield counter.single(number)
        loads = self._added_up(parse(self._kept.read(self._path), self._path))
        if loads:
            for gauge, numbers in zip(self._backends, zip(*loads.values(), strict=True), strict=True):
                yield gauge.of(list(zip(loads, numbers, strict=True)))

    def _added_up(self, backends: Sequence[tuple[Backend, Load]]) -> dict[tuple[str, ...], Load]:
        """Those whose labels are equal become one."""
        loads: dict[tuple[str, ...], Load] = {}
        for backend, load in backends:
            labels = tuple(backend[place] for place in self._shown)
            before = loads.get(labels)
            loads[labels] = load if before is None else Load(*map(sum, zip(before, load, strict=True)))
        return loads


def parse_statistics(content: bytes, where: str = "ip_vs_stats") -> list[int]:
    """The third line, in hexadecimal, of which the first two are the header."""
    lines = content.splitlines()
    words = lines[2].split() if len(lines) > 2 else []
    try:
        numbers = [int(word, 16) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != len(STATISTICS) or min(numbers) < 0:
        raise Malformed(where, found=content, expected="two lines of header and one of five hexadecimal numbers")
    return numbers


def parse(content: bytes, where: str = "ip_vs") -> list[tuple[Backend, Load]]:
    """A service begins with its protocol, and below it are its backends, each after an arrow."""
    header, *lines = content.splitlines() or [b""]
    if not header.startswith(HEADER):
        raise Malformed(where, found=header, expected=HEADER.decode())
    backends: list[tuple[Backend, Load]] = []
    local: tuple[str, str, str, str] | None = None
    for line in lines[2:]:
        words = line.split()
        try:
            if words[:1] != [b"->"]:
                local = service(words)
            elif local is None:
                raise ValueError
            else:
                address, port = endpoint(words[1])
                weight, active, inactive = (whole_number(word, where) for word in words[3:6])
                protocol, local_address, local_port, mark = local
                labels = Backend(local_address, local_port, address, port, protocol, mark)
                backends.append((labels, Load(weight, active, inactive)))
        except (ValueError, IndexError, OSError):
            raise Malformed(where, found=line, expected="a service, or a backend of one") from None
    return backends


def service(words: Sequence[bytes]) -> tuple[str, str, str, str]:
    """Its protocol, address and port, and the mark of the firewall, of which it has either."""
    if words[0] == BY_MARK:
        return text(words[0]), "", "0", text(words[1])
    return text(words[0]), *endpoint(words[1]), ""


def endpoint(word: bytes) -> tuple[str, str]:
    """`0A010001:0050` is 10.1.0.1 and 80, and `[2001:0db8:…]:0050` the same of version 6."""
    address, _, port = word.decode("ascii").rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        packed = socket.inet_pton(socket.AF_INET6, address[1:-1])
        return socket.inet_ntop(socket.AF_INET6, packed), str(int(port, 16))
    return socket.inet_ntop(socket.AF_INET, bytes.fromhex(address)), str(int(port, 16))
