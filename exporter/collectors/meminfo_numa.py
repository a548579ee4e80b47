"""`meminfo_numa`: memory of each NUMA node, and how often it served whom. Off by default.

A node's meminfo is written like the machine's, behind the words `Node 0`; numastat counts pages since boot.
"""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, numbered
from exporter.collectors.meminfo import field_name
from exporter.collectors.meminfo import parse as parse_meminfo
from exporter.collectors.options import Option
from exporter.family import Family, Shape, shape
from exporter.outcome import Absent

NODE = ("node",)

Samples = dict[Shape, list[tuple[tuple[str], int]]]


class MeminfoNuma:
    name = "meminfo_numa"
    help = "Memory of each NUMA node, from /sys/devices/system/node."
    enabled = False
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._folder = f"{paths.sysfs}/devices/system/node"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        nodes = numbered(self._folder, "node")
        if not nodes:
            raise Absent("this machine has no NUMA nodes")
        samples: Samples = {}
        for number, folder in nodes:
            labels = (str(number),)
            meminfo, numastat = f"{folder}/meminfo", f"{folder}/numastat"
            for field, value in parse(self._kept.read(meminfo), meminfo).items():
                # node_exporter leaves the unit out of these names.
                name = field.removesuffix("_bytes")
                form = shape(
                    f"node_memory_numa_{name}", "gauge", f"{name} of the node, in bytes if it is memory.", NODE
                )
                samples.setdefault(form, []).append((labels, value))
            for field, value in parse_numastat(self._kept.read(numastat), numastat).items():
                form = shape(f"node_memory_numa_{field}_total", "counter", f"{field} of the node, in pages.", NODE)
                samples.setdefault(form, []).append((labels, value))
        return [form.of(of_form) for form, of_form in samples.items()]


def parse(content: bytes, where: str = "meminfo") -> dict[str, int]:
    """`Node 0 MemTotal:  3742148 kB` by the name that comes third."""
    lines = []
    for line in content.splitlines():
        words = line.split(None, 2)
        if words and (len(words) < 3 or words[0] != b"Node"):
            raise Malformed(where, found=line, expected="Node, its number, a name and a whole number")
        lines.append(words[2] if words else b"")
    return parse_meminfo(b"\n".join(lines), where)


def parse_numastat(content: bytes, where: str = "numastat") -> dict[str, int]:
    """`numa_hit 193460335812` by name."""
    words = content.split()
    names, values = words[::2], words[1::2]
    if not words or len(names) != len(values) or not b"".join(values).isdigit():
        raise Malformed(where, found=content, expected="lines of a name and a whole number")
    return {field_name(name): int(value) for name, value in zip(names, values, strict=True)}
