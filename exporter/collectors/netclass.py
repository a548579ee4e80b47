"""`netclass`: what each network device is and how it is set: up, carrier, speed, mtu, addresses, flags.

These change seldom, so the families of the last scrape are shown again as long as no file says something else.
"""

from collections.abc import Iterable, Mapping

from exporter.collectors.files import Malformed, Paths, text
from exporter.collectors.netdevices import Contents, NetDevices
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Samples, Shape
from exporter.outcome import Absent

# What sysfs counts in millions of bits, Prometheus counts in bytes.
BYTES_PER_MEGABIT = 1_000_000 // 8
IS_UP = 1


def _gauge(name: str, description: str) -> Shape:
    return Shape(f"node_network_{name}", "gauge", description, ("device",))


def _counter(name: str, description: str) -> Shape:
    return Shape(f"node_network_{name}", "counter", description, ("device",))


# A file with a number, and the family that shows it.
NUMBERS: Mapping[str, Shape] = {
    "addr_assign_type": _gauge("address_assign_type", "Where the address comes from, as a number of the kernel."),
    "carrier": _gauge("carrier", "1 while the device has a link, 0 while it has none."),
    "carrier_changes": _counter("carrier_changes_total", "How often the link came or went."),
    "carrier_down_count": _counter("carrier_down_changes_total", "How often the link went."),
    "carrier_up_count": _counter("carrier_up_changes_total", "How often the link came."),
    "dev_id": _gauge("device_id", "Tells devices apart that share one address."),
    "dormant": _gauge("dormant", "1 while the device waits for something outside before it works."),
    "flags": _gauge("flags", "The kernel's flags of the device, as one number."),
    "ifindex": _gauge("iface_id", "The kernel's number of the device."),
    "iflink": _gauge("iface_link", "The number of the device below this one, or its own."),
    "link_mode": _gauge("iface_link_mode", "Whether a program decides about the link's state, as a number."),
    "mtu": _gauge("mtu_bytes", "The largest packet that the device sends whole."),
    "name_assign_type": _gauge("name_assign_type", "Where the name comes from, as a number of the kernel."),
    "netdev_group": _gauge("net_dev_group", "The group that the device is in."),
    "speed": _gauge("speed_bytes", "What the link can carry in a second; below zero where the driver does not know."),
    "tx_queue_len": _gauge("transmit_queue_length", "How many packets may wait to be sent."),
    "type": _gauge("protocol_type", "What kind of link it is, as a number of the kernel."),
}
TEXTS = ("address", "broadcast", "duplex", "ifalias", "operstate")
FILES = (*NUMBERS, *TEXTS)

UP = _gauge("up", "1 for a device that works, 0 for one that does not or does not say.")
INFO = Shape(
    "node_network_info",
    "gauge",
    "What a device is and how it stands, in words; the value is always 1.",
    ("address", "adminstate", "broadcast", "device", "duplex", "ifalias", "operstate"),
)

Seen = dict[bytes, Contents]


class Netclass:
    name = "netclass"
    help = "Link, speed, mtu and addresses of network devices from /sys/class/net."
    enabled = True
    options: tuple[Option, ...] = (
        Option("ignored-devices", Kind.PATTERN, "^$", "network devices that are left out"),
        Option("ignore-invalid-speed", Kind.SWITCH, "false", "leaves out a speed that the driver does not know"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._filter = Filter(include=None, exclude=chosen.pattern("ignored-devices"))
        self._shows_invalid_speed = not chosen.on("ignore-invalid-speed")
        self._folder = f"{paths.sysfs}/class/net"
        self._devices = NetDevices(paths.sysfs, FILES)
        self._seen: Seen = {}
        self._families: tuple[Family, ...] = ()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        seen = self._look()
        if seen != self._seen:
            self._families = tuple(self._shown(seen))
            self._seen = seen
        return self._families

    def _look(self) -> Seen:
        try:
            names = self._devices.names()
        except (FileNotFoundError, PermissionError):
            raise Absent(f"{self._folder} is not there") from None
        self._devices.keep_only(names)
        seen = {}
        for name in names:
            if self._filter.keeps(text(name)):
                contents = self._devices.read(name)
                if contents is not None:
                    seen[name] = contents
        return seen

    def _shown(self, seen: Seen) -> Iterable[Family]:
        files = [dict(zip(FILES, contents, strict=True)) for contents in seen.values()]
        labels = [(text(name),) for name in seen]
        devices = list(zip(labels, files, strict=True))
        for file, shape in NUMBERS.items():
            samples = [
                (label, number)
                for label, said in devices
                if (number := parse(said[file], f"{self._folder}/{label[0]}/{file}")) is not None
            ]
            if file == "speed":
                samples = [
                    (label, speed * BYTES_PER_MEGABIT)
                    for label, speed in samples
                    if speed >= 0 or self._shows_invalid_speed
                ]
            if samples:
                yield shape.of(samples)
        if devices:
            yield UP.of([(label, int(_word(said["operstate"]) == "up")) for label, said in devices])
            yield INFO.of(_info(devices))


def _info(devices: Iterable[tuple[tuple[str], Mapping[str, bytes | None]]]) -> Samples:
    samples = []
    for (device,), said in devices:
        address, broadcast, duplex, alias, operstate = (_word(said[file]) for file in TEXTS)
        samples.append(((address, _admin_state(said["flags"]), broadcast, device, duplex, alias, operstate), 1))
    return samples


def _admin_state(flags: bytes | None) -> str:
    """What the administrator wants of the device, whether or not it works."""
    number = parse(flags, "flags")
    if number is None:
        return "unknown"
    return "up" if number & IS_UP else "down"


def _word(content: bytes | None) -> str:
    return text(content.strip()) if content else ""


def parse(content: bytes | None, where: str) -> int | None:
    """`1500`, `-1` or `0x1003`; None where the device does not say."""
    stripped = content.strip() if content else b""
    if not stripped:
        return None
    try:
        return int(stripped, 0)
    except ValueError:
        raise Malformed(where, found=stripped, expected="a whole number") from None
