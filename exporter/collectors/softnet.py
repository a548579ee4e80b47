"""`softnet`: how each processor keeps up with the packets that arrive."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape, Type


def _shape(name: str, kind: Type, description: str) -> Shape:
    return Shape(f"node_softnet_{name}", kind, description, ("cpu",))


# Which column it is, and its family. Older kernels have fewer columns.
COLUMNS: tuple[tuple[int, Shape], ...] = (
    (0, _shape("processed_total", "counter", "Packets that the processor has taken up.")),
    (1, _shape("dropped_total", "counter", "Packets that were dropped because the queue was full.")),
    (2, _shape("times_squeezed_total", "counter", "How often time or budget ended before the packets did.")),
    (8, _shape("cpu_collision_total", "counter", "How often another processor held the device while sending.")),
    (9, _shape("received_rps_total", "counter", "How often another processor gave packets to this one.")),
    (10, _shape("flow_limit_count_total", "counter", "How often one flow was held back in favour of the others.")),
    (11, _shape("backlog_len", "gauge", "Packets that wait in the queue of the processor.")),
)
# Its own number, without which processors are counted in their order.
CPU = 12
COLUMNS_MIN = 9


class Softnet:
    name = "softnet"
    help = "Packets taken up and dropped by each processor from /proc/net/softnet_stat."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/net/softnet_stat"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        rows = parse(self._kept.read(self._path), self._path)
        width = len(rows[0])
        labels = [(str(row[CPU] if width > CPU else place),) for place, row in enumerate(rows)]
        for column, shape in COLUMNS:
            if column < width:
                yield shape.of([(label, row[column]) for label, row in zip(labels, rows, strict=True)])


def parse(content: bytes, where: str = "softnet_stat") -> list[list[int]]:
    """A row of hexadecimal numbers for each processor that is online, each as long as the others."""
    rows: list[list[int]] = []
    for line in content.decode("latin-1").splitlines():
        try:
            row = [int(word, 16) for word in line.split()]
        except ValueError:
            row = []
        if len(row) < COLUMNS_MIN or min(row) < 0 or (rows and len(row) != len(rows[0])):
            raise Malformed(where, found=line, expected="as many hexadecimal numbers as for the other processors")
        rows.append(row)
    if not rows:
        raise Malformed(where, found=content, expected="a line for at least one processor")
    return rows
