"""`arp`: how many neighbours the machine knows behind each network device."""

from collections import Counter
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape

ENTRIES = Shape("node_arp_entries", "gauge", "Neighbours in the ARP table, by network device.", ("device",))
HEADER = b"IP address "


class Arp:
    name = "arp"
    help = "Entries of the ARP table by network device from /proc/net/arp."
    enabled = True
    options: tuple[Option, ...] = (
        Option("device-exclude", Kind.PATTERN, "", "network devices that are left out"),
        Option("device-include", Kind.PATTERN, "", "only these network devices"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._filter = Filter(include=chosen.pattern("device-include"), exclude=chosen.pattern("device-exclude"))
        self._path = f"{paths.procfs}/net/arp"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        entries = parse(self._kept.read(self._path), self._path)
        samples = [((device,), count) for name, count in entries.items() if self._filter.keeps(device := text(name))]
        if samples:
            yield ENTRIES.of(samples)


def parse(content: bytes, where: str = "arp") -> Counter[bytes]:
    """How many lines end with each device. An address can be missing before it, so columns are not counted."""
    header, *lines = content.splitlines() or [b""]
    if not header.startswith(HEADER):
        raise Malformed(where, found=header, expected="the header of /proc/net/arp")
    # What ends with blank space has no last word.
    devices = Counter([line[line.rfind(b" ") + 1 :] for line in lines])
    if b"" in devices:
        raise Malformed(where, found=content, expected="a device at the end of each line")
    return devices
