"""`pressure`: for how long tasks have waited for processors, memory, input and output, and interrupts (PSI).

`waiting` is time in which some task waited, `stalled` time in which none could go on. Kernels count it since 4.20,
interrupts since 6.1, and only where it is switched on.
"""

import errno
from collections.abc import Iterable

from exporter.collectors.files import NUMBER_BYTES_MAX, Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

MICROSECONDS = 1_000_000
# ENOENT: this kernel does not count it. EOPNOTSUPP: it could, but was started without psi=1.
NOT_COUNTED = (errno.ENOENT, errno.EOPNOTSUPP)


def _counter(name: str, description: str) -> Shape:
    return Shape(f"node_pressure_{name}_seconds_total", "counter", description)


# The file, the first word of its line, and what that line becomes. A kernel may have more lines than these.
SHAPES: tuple[tuple[str, dict[bytes, Shape]], ...] = (
    ("cpu", {b"some": _counter("cpu_waiting", "Seconds in which some task waited for a processor.")}),
    (
        "io",
        {
            b"some": _counter("io_waiting", "Seconds in which some task waited for input or output."),
            b"full": _counter("io_stalled", "Seconds in which all tasks waited for input or output."),
        },
    ),
    (
        "memory",
        {
            b"some": _counter("memory_waiting", "Seconds in which some task waited for memory."),
            b"full": _counter("memory_stalled", "Seconds in which all tasks waited for memory."),
        },
    ),
    ("irq", {b"full": _counter("irq_stalled", "Seconds in which tasks were kept off a processor by interrupts.")}),
)


class Pressure:
    name = "pressure"
    help = "Time spent waiting for resources, from /proc/pressure."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._files = [(f"{paths.procfs}/pressure/{resource}", shapes) for resource, shapes in SHAPES]
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        families: list[Family] = []
        for path, shapes in self._files:
            try:
                content = self._kept.read_value(path)
            except OSError as error:
                if error.errno not in NOT_COUNTED:
                    raise
                continue
            totals = parse(content, path)
            families.extend(
                shape.single(totals[word] / MICROSECONDS) for word, shape in shapes.items() if word in totals
            )
        if not families:
            raise Absent("this kernel does not count pressure")
        return families


def parse(content: bytes, where: str = "pressure") -> dict[bytes, int]:
    """Microseconds by the first word of lines such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=815`."""
    totals: dict[bytes, int] = {}
    for line in content.splitlines():
        word, _, _ = line.partition(b" ")
        # Behind it a newer kernel may say more.
        total = line.partition(b" total=")[2].partition(b" ")[0]
        if not total.isdigit() or len(total) > NUMBER_BYTES_MAX:
            raise Malformed(where, found=line, expected="a line with total= and a whole number")
        totals[word] = int(total)
    return totals
