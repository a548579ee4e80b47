"""`meminfo`: every line of /proc/meminfo as a gauge, in bytes where the kernel counts in kB.

The names follow the kernel's own, so a field that a future kernel adds appears without a change here. Between two
scrapes only the numbers change: where they stand is looked up once, and again when the words around them are others.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape, shape

IN_PARENTHESES = re.compile(r"\((.*)\)")
NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
KILOBYTE = 1024


class Layout(NamedTuple):
    """Which of all words are names and units, and what they are; which are numbers, and what each one counts in."""

    words_total: int
    fixed: Callable[[list[bytes]], object]
    fixed_words: object
    shown: tuple[tuple[Shape, int, int], ...]


class Meminfo:
    name = "meminfo"
    help = "Memory statistics from /proc/meminfo."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/meminfo"
        self._kept = Kept()
        self._layout: Layout | None = None

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        content = self._kept.read(self._path)
        words = content.split()
        known = self._layout
        if known is None or not fits(known, words):
            parse(content, self._path)
            known = self._layout = layout(content)
        return [form.single(int(words[place]) * unit) for form, place, unit in known.shown]


def fits(known: Layout, words: list[bytes]) -> bool:
    """Whether the words are those that the layout was made from, but for the numbers, and these are numbers."""
    return (
        len(words) == known.words_total
        and known.fixed(words) == known.fixed_words
        and b"".join([words[place] for _, place, _ in known.shown]).isdigit()
    )


def layout(content: bytes) -> Layout:
    """Of a file without faults. Where a name comes twice, the last one counts."""
    fixed: list[int] = []
    shown: dict[str, tuple[Shape, int, int]] = {}
    place = 0
    for words in filter(None, map(bytes.split, content.splitlines())):
        field, unit = field_name(words[0]), 1
        fixed.append(place)
        if len(words) > 2:
            field, unit = f"{field}_bytes", KILOBYTE
            fixed.append(place + 2)
        description = f"{field.removesuffix('_bytes')} of /proc/meminfo."
        shown[field] = (shape(f"node_memory_{field}", "gauge", description), place + 1, unit)
        place += len(words)
    pick = itemgetter(*fixed)
    return Layout(place, pick, pick(content.split()), tuple(shown.values()))


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
                fields[f"{field_name(name)}_bytes"] = int(value) * KILOBYTE
            case _:
                raise Malformed(where, found=line, expected="a name, a whole number and perhaps kB")
    if not fields:
        raise Malformed(where, found=content, expected="lines of a name, a whole number and perhaps kB")
    return fields


@lru_cache(maxsize=1024)
def field_name(name: bytes) -> str:
    """`Active(anon):` as a part of a metric name: `Active_anon`."""
    bare = name.decode(errors="replace").removesuffix(":")
    return NOT_IN_A_NAME.sub("_", IN_PARENTHESES.sub(r"_\1", bare))
