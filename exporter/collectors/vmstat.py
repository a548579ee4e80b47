"""`vmstat`: the kernel's counts of paging, swapping, page faults and kills for want of memory.

/proc/vmstat mixes counts with states and says of none which it is, so the type is unknown, as with node_exporter.
"""

import re
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, text
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape, shape


class Vmstat:
    name = "vmstat"
    help = "Paging, swapping and page faults from /proc/vmstat."
    enabled = True
    options: tuple[Option, ...] = (
        Option(
            "fields",
            Kind.PATTERN,
            "^(oom_kill|pgpg|pswp|pg.*fault).*",
            "fields of /proc/vmstat that are shown",
        ),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._path = f"{paths.procfs}/vmstat"
        self._kept = Kept()
        self._fields = (chosen or Chosen(self.options)).pattern("fields")
        self._names: list[bytes] = []
        self._wanted: list[tuple[int, Shape]] = []

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        names, values = parse(self._kept.read(self._path), self._path)
        if names != self._names:
            self._wanted = wanted(names, self._fields)
            self._names = names
        families = []
        for place, form in self._wanted:
            value = values[place]
            if not value.isdigit():
                raise Malformed(self._path, found=names[place] + b" " + value, expected="a name and a whole number")
            families.append(form.single(int(value)))
        return families


def parse(content: bytes, where: str = "vmstat") -> tuple[list[bytes], list[bytes]]:
    """Names and values of lines such as `pgfault 2320168809`, which are taken for pairs of words."""
    words = content.split()
    if not words or len(words) % 2:
        raise Malformed(where, found=content, expected="lines of a name and a whole number")
    return words[::2], words[1::2]


def wanted(names: list[bytes], fields: re.Pattern[str] | None) -> list[tuple[int, Shape]]:
    """Where each field that is shown stands, which only changes with the kernel. The first of a name counts."""
    if fields is None:
        return []
    places: dict[str, int] = {}
    for place, name in enumerate(text(name) for name in names):
        if fields.search(name):
            places.setdefault(name, place)
    return [
        (place, shape(f"node_vmstat_{name}", "unknown", f"{name} of /proc/vmstat.")) for name, place in places.items()
    ]
