"""`sockstat`: how many sockets there are of each kind, and how much memory they take."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

FIELDS = {
    "used": "Sockets of every kind.",
    "inuse": "{} sockets in use.",
    "orphan": "{} sockets that no process has any more.",
    "tw": "{} sockets that wait for late packets (TIME_WAIT).",
    "alloc": "{} sockets that are allocated in any state.",
    "mem": "Pages of memory that {} sockets take.",
    "mem_bytes": "Bytes of memory that {} sockets take.",
    "memory": "Bytes of memory that {} takes for packets that are not complete.",
}
KIND = re.compile(r"[a-zA-Z][a-zA-Z0-9]*:")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sockstat:
    name = "sockstat"
    help = "Sockets and their memory from /proc/net/sockstat and sockstat6."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._paths = tuple(f"{paths.procfs}/net/{name}" for name in ("sockstat", "sockstat6"))
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        contents = []
        for path in self._paths:
            try:
                contents.append((self._kept.read(path), path))
            except FileNotFoundError:
                continue  # a kernel without this version of IP
        if not contents:
            raise Absent(f"{' and '.join(self._paths)} are not there")
        for content, path in contents:
            for (kind, field), number in parse(content, path).items():
                yield _shape(kind, field).single(number)


def parse(content: bytes, where: str = "sockstat") -> dict[tuple[str, str], int]:
    """`TCP: inuse 1 orphan 0` by kind and field, pages as bytes too. A field that is not known is left out."""
    found: dict[tuple[str, str], int] = {}
    for line in content.decode("latin-1").splitlines():
        kind, *words = line.split() or [""]
        numbers = words[1::2]
        # The kernel's own sums of memory can be below zero for a moment.
        is_right = all(number.removeprefix("-").isdecimal() for number in numbers)
        if not KIND.fullmatch(kind) or len(words) % 2 or not numbers or not is_right:
            raise Malformed(where, found=line, expected="a kind of socket, and numbers, each after its name")
        for field, number in zip(words[::2], numbers, strict=True):
            if field in FIELDS:
                found[kind[:-1], field] = int(number)
            if field == "mem":
                found[kind[:-1], "mem_bytes"] = int(number) * PAGE_BYTES
    return found


@lru_cache(maxsize=256)
def _shape(kind: str, field: str) -> Shape:
    return Shape(f"node_sockstat_{kind}_{field}", "gauge", FIELDS[field].format(kind))
