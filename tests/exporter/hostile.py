"""Names that people, devices and enemies choose: where a machine can carry them, and the worst that they can be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from exporter.collectors.files import text
from exporter.collectors.netdev import HEADER

# What a label must not break at: quotes, backslashes, escapes, control characters, what is no UTF-8, and what looks
# like another sample or another line.
WORST = (
    b'a "quoted" one',
    b"back\\slash \\n \\x",
    b'"} 1\\n# TYPE x counter',
    b"tab\there, bell\x07, escape\x1b[31m, delete\x7f",
    b"\xff\xfe no \xc3\x28 UTF-8 \xed\xa0\x80",
    "Grüße, \u2028 lines, \u202e turned, 🔔".encode(),
    b"vertical\x0b form\x0c return\rend",
    b"{a=\"b\",c='d'} 1e9 # EOF",
    b"long " + b"x" * 1200,
    b"\x00nothing\x00",
)


# Where the collector `textfile` is to look.
TEXTFILES = "var/lib/textfiles"


class Carrier(NamedTuple):
    """A file of the machine `server` whose content tells a name, and the label in which the name comes to the page."""

    collector: str
    path: str
    metric: str
    label: str

    def write(self, root: Path, name: bytes) -> str:
        """Puts the name into the file; returns it as the page is to show it."""
        file = root / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        match file.name:
            case "mountinfo":
                file.write_bytes(mountinfo([name]))
                return "/m" + text(name)
            case "dev":
                # The kernel takes anything for the name of an interface but NUL, blanks, slashes and colons.
                name = re.sub(rb"[\x00\s/:\x1c-\x1f]", b"_", name)[:200] or b"_"
                file.write_bytes(HEADER + b"\n" + name + b": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
                return text(name)
            case "b259:0":
                name = one_line(name)
                file.write_bytes(b"E:ID_MODEL=" + name + b"\n")
            case "worst.prom":
                # What is no UTF-8 is no metrics file; the others write it as the kernel's files do.
                name = text(name).encode()
                escaped = name.replace(b"\\", rb"\\").replace(b"\n", rb"\n").replace(b'"', rb"\"")
                file.write_bytes(b'worst{of="' + escaped + b'"} 1\n')
                return name.decode()
            case "os-release":
                name = one_line(name)
                file.write_bytes(
                    b'ID=worst\nVERSION_ID=1\nPRETTY_NAME="' + re.sub(rb'([$`"\\])', rb"\\\1", name) + b'"\n'
                )
            case _:
                name = one_line(name)
                file.write_bytes(name + b"\n")
        return text(name.strip())


def one_line(name: bytes) -> bytes:
    return name.replace(b"\n", b" ")


def octal(name: bytes) -> bytes:
    """As the kernel writes what would break its table."""
    return re.sub(rb"[ \t\n\\]", lambda found: b"\\%03o" % found[0][0], name)


def mountinfo(names: Iterable[bytes]) -> bytes:
    return b"".join(b"28 1 253:0 / /m" + octal(name) + b" rw - xfs /dev/mapper/vg rw\n" for name in names)


CARRIERS = (
    Carrier("netdev", "proc/net/dev", "node_network_receive_bytes_total", "device"),
    Carrier("diskstats", "run/udev/data/b259:0", "node_disk_info", "model"),
    Carrier("nvme", "sys/devices/pci0000:40/0000:41:00.0/nvme/nvme0/model", "node_nvme_info", "model"),
    Carrier("filesystem", "proc/1/mountinfo", "node_filesystem_readonly", "mountpoint"),
    Carrier("textfile", f"{TEXTFILES}/worst.prom", "worst", "of"),
    Carrier("os", "etc/os-release", "node_os_info", "pretty_name"),
    Carrier("hwmon", "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_label", "node_hwmon_sensor_label", "label"),
    Carrier("netclass", "sys/devices/pci0000:40/0000:40:01.1/net/eno1/ifalias", "node_network_info", "ifalias"),
    Carrier("dmi", "sys/class/dmi/id/product_name", "node_dmi_info", "product_name"),
)
