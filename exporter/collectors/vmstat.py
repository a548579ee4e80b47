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
        self._words_total = 0
        self._wanted: list[tuple[int, bytes, Shape]] = []

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        words = parse(self._kept.read(self._path), self._path)
        # The kernel's order only changes with the kernel.
        if len(words) != self._words_total or any(words[place] != name for place, name, _ in self._wanted):
            self._wanted = wanted(words, self._fields)
            self._words_total = len(words)
        families = []
        for place, name, form in self._wanted:
            value = words[place + 1]
            if not value.isdigit():
                raise Malformed(self._path, found=name + b" " + value, expected="a name and a whole number")
            families.append(form.single(int(value)))
        return families


def parse(content: bytes, where: str = "vmstat") -> list[bytes]:
    """The words of lines such as `pgfault 2320168809`, which are taken for pairs of a name and a number."""
    words = content.split()
    if not words or len(words) % 2:
        raise Malformed(where, found=content, expected="lines of a name and a whole number")
    return words


def wanted(words: list[bytes], fields: re.Pattern[str] | None) -> list[tuple[int, bytes, Shape]]:
    """Where each field that is shown stands. Of a name that comes twice, the first one counts."""
    places: dict[bytes, int] = {}
    for place in range(0, len(words), 2):
        if fields is not None and fields.search(text(words[place])):
            places.setdefault(words[place], place)
    return [
        (place, name, shape(f"node_vmstat_{text(name)}", "unknown", f"{text(name)} of /proc/vmstat."))
        for name, place in places.items()
    ]
