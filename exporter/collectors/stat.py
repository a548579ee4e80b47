"""`stat`: boot time, interrupts, context switches, forks, and processes running or blocked.

The processor times of the same file belong to the collector `cpu`.
"""

from collections.abc import Iterable

from exporter.collectors.files import Malformed, Paths, read
from exporter.collectors.options import Option
from exporter.family import Family, Type, single

# The first word of a line in /proc/stat, and what becomes of the number that follows it.
FIELDS: dict[bytes, tuple[str, Type, str]] = {
    b"intr": ("node_intr_total", "counter", "Interrupts serviced since boot."),
    b"ctxt": ("node_context_switches_total", "counter", "Context switches since boot."),
    b"btime": ("node_boot_time_seconds", "gauge", "When the machine started, in seconds since 1970."),
    b"processes": ("node_forks_total", "counter", "Processes and threads created since boot."),
    b"procs_running": ("node_procs_running", "gauge", "Tasks that run or are ready to run."),
    b"procs_blocked": ("node_procs_blocked", "gauge", "Tasks that wait for input or output to complete."),
}


class Stat:
    name = "stat"
    help = "Boot time, interrupts, context switches and forks from /proc/stat."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/stat"

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        for field, value in parse(read(self._path), self._path).items():
            name, kind, description = FIELDS[field]
            yield Family.of(name=name, type=kind, help=description, samples=single(value))


def parse(content: bytes, where: str = "stat") -> dict[bytes, int]:
    """The known fields in the order of `FIELDS`; one that the kernel does not offer is left out."""
    found: dict[bytes, int] = {}
    for line in content.splitlines():
        # `intr` can be followed by thousands of numbers, of which only the first is the sum.
        word, _, rest = line.partition(b" ")
        if word in FIELDS:
            number = rest.split(maxsplit=1)[:1]
            if not number or not number[0].isdigit():
                raise Malformed(where, found=line, expected="a whole number after the name")
            found[word] = int(number[0])
    if b"btime" not in found:
        raise Malformed(where, found=content, expected="a line that begins with btime")
    return {field: found[field] for field in FIELDS if field in found}
