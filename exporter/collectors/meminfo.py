"""`meminfo`: every line of /proc/meminfo as a gauge, in bytes where the kernel counts in kB.

The names follow the kernel's own, so a field that a future kernel adds appears without a change here.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from exporter.collectors.files import Malformed, Paths, read
from exporter.collectors.options import Option
from exporter.family import Family, single

IN_PARENTHESES = re.compile(r"\((.*)\)")
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


class Meminfo:
    name = "meminfo"
    help = "Memory statistics from /proc/meminfo."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/meminfo"

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        for field, value in parse(read(self._path), self._path).items():
            yield Family.of(
                name=f"node_memory_{field}",
                type="gauge",
                help=f"{field.removesuffix('_bytes')} of /proc/meminfo.",
                samples=single(value),
            )


def parse(content: bytes, where: str = "meminfo") -> dict[str, int]:
    """`Active(anon):  1528 kB` becomes `Active_anon_bytes`, `HugePages_Free:  0` stays without a unit."""
    fields: dict[str, int] = {}
    for line in content.splitlines():
        match line.split():
            case []:
                continue
            case [name, value] if name.endswith(b":") and value.isdigit():
                fields[field_name(name)] = int(value)
            case [name, value, b"kB"] if name.endswith(b":") and value.isdigit():
                fields[f"{field_name(name)}_bytes"] = int(value) * 1024
            case _:
                raise Malformed(where, found=line, expected="a name, a whole number and perhaps kB")
    return fields


@lru_cache(maxsize=1024)
def field_name(name: bytes) -> str:
    """`Active(anon):` as a part of a metric name: `Active_anon`."""
    bare = name.decode(errors="replace").removesuffix(":")
    return NOT_IN_A_NAME.sub("_", IN_PARENTHESES.sub(r"_\1", bare))
