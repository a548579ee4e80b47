"""`netdev`: what went through each network device, and what was lost there.

The numbers are those of /proc/net/dev, whose columns node_exporter's metrics are named after. The one that is not
there, packets that nobody wanted, comes from sysfs, and addresses, which are shown on demand, from the kernel itself.

Of thousands of devices most are idle: a line that is as it was at the last scrape is not read again, nor is what sysfs
says of its device, where no packet can have been counted either.
"""

from collections.abc import Iterable
from typing import NamedTuple

from exporter.collectors.files import Kept, Malformed, Paths, text, whole_number
from exporter.collectors.netaddresses import Address, addresses
from exporter.collectors.netdevices import NetDevices
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape

HEADER = (
    b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast"
    b"|bytes    packets errs drop fifo colls carrier compressed"
)


def _counter(name: str, description: str) -> Shape:
    return Shape(f"node_network_{name}_total", "counter", description, ("device",))


# In the order of the columns.
COLUMNS = (
    _counter("receive_bytes", "Bytes that arrived."),
    _counter("receive_packets", "Packets that arrived."),
    _counter("receive_errs", "Packets that arrived broken."),
    _counter("receive_drop", "Packets that arrived and found no room, or were not asked for."),
    _counter("receive_fifo", "Packets that came faster than the device's buffer was emptied."),
    _counter("receive_frame", "Packets whose frame was broken: length, overrun, checksum or alignment."),
    _counter("receive_compressed", "Compressed packets that arrived."),
    _counter("receive_multicast", "Multicast packets that arrived."),
    _counter("transmit_bytes", "Bytes that were sent."),
    _counter("transmit_packets", "Packets that were sent."),
    _counter("transmit_errs", "Packets that could not be sent."),
    _counter("transmit_drop", "Packets that were dropped before they were sent."),
    _counter("transmit_fifo", "Packets that the device's buffer gave too late."),
    _counter("transmit_colls", "Collisions while sending."),
    _counter("transmit_carrier", "Packets lost with the link: no carrier, aborted, no heartbeat, late collision."),
    _counter("transmit_compressed", "Compressed packets that were sent."),
)
ADDRESS = Shape(
    "node_network_address_info",
    "gauge",
    "An address of a network device, with the length of its prefix as netmask; the value is always 1.",
    Address._fields,
)
NOHANDLER = _counter("receive_nohandler", "Packets that arrived and that no protocol took.")

Counts = tuple[int, ...]


class Row(NamedTuple):
    """A device as it is shown. `nohandler` is None where the kernel does not count it."""

    name: bytes
    label: tuple[str]
    is_shown: bool
    counts: Counts
    nohandler: int | None


class Netdev:
    name = "netdev"
    help = "Bytes, packets, errors and drops of network devices from /proc/net/dev."
    enabled = True
    options: tuple[Option, ...] = (
        Option("device-exclude", Kind.PATTERN, "", "network devices that are left out"),
        Option("device-include", Kind.PATTERN, "", "only these network devices"),
        Option("address-info", Kind.SWITCH, "false", "shows the addresses of all network devices"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._filter = Filter(include=chosen.pattern("device-include"), exclude=chosen.pattern("device-exclude"))
        self._shows_addresses = chosen.on("address-info")
        self._path = f"{paths.procfs}/net/dev"
        self._kept = Kept()
        self._devices = NetDevices(paths.sysfs, ("statistics/rx_nohandler",))
        self._rows: dict[bytes, Row] = {}

    def collect(self, deadline: float) -> Iterable[Family]:
        yield from self._counters()
        if self._shows_addresses:
            found = dict.fromkeys(addresses(deadline), 1)
            if found:
                yield ADDRESS.of(list(found.items()))

    def _counters(self) -> Iterable[Family]:
        content = self._kept.read(self._path)
        self._rows = {line: self._rows.get(line) or self._row(line) for line in lines(content, self._path)}
        # One can come twice, when others come or go meanwhile.
        rows = {row.name: row for row in self._rows.values() if row.is_shown}
        self._devices.keep_only(rows)
        if not rows:
            return
        labels = [row.label for row in rows.values()]
        for shape, column in zip(COLUMNS, zip(*(row.counts for row in rows.values()), strict=True), strict=True):
            yield shape.of(list(zip(labels, column, strict=True)))
        nohandler = [(row.label, row.nohandler) for row in rows.values() if row.nohandler is not None]
        if nohandler:
            yield NOHANDLER.of(nohandler)

    def _row(self, line: bytes) -> Row:
        name, counts = parse(line, self._path)
        label = text(name)
        is_shown = self._filter.keeps(label)
        return Row(name, (label,), is_shown, counts, self._nohandler(name) if is_shown else None)

    def _nohandler(self, name: bytes) -> int | None:
        contents = self._devices.read(name)
        said = contents[0] if contents else None
        return None if said is None else whole_number(said, f"rx_nohandler of {text(name)}")


def lines(content: bytes, where: str = "net/dev") -> list[bytes]:
    if not content.startswith(HEADER):
        raise Malformed(where, found=content, expected="the header of /proc/net/dev")
    # What a newer kernel counts besides follows what is known.
    return content[len(HEADER) :].partition(b"\n")[2].splitlines()


def parse(line: bytes, where: str = "net/dev") -> tuple[bytes, Counts]:
    """The name of a device, and its sixteen counters."""
    name, colon, columns = line.rpartition(b":")
    # A number is made of a string in half the time that it is made of bytes.
    numbers = columns.decode("latin-1").split()
    if not colon or len(numbers) < len(COLUMNS) or not "".join(numbers).isdecimal():
        raise Malformed(where, found=line, expected="a device and sixteen counters")
    return name.strip(), tuple(map(int, numbers[: len(COLUMNS)]))
