"""`schedstat`: for how long tasks ran on each processor, and for how long they were ready but had to wait for it."""

from collections.abc import Iterable

from exporter.collectors.files import NUMBER_BYTES_MAX, Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

LABELS = ("cpu",)
NANOSECONDS = 1_000_000_000
# `cpu0` and nine numbers; the last three are what is shown.
COLUMNS = 10
RUNNING = Shape("node_schedstat_running_seconds_total", "counter", "Seconds that tasks ran on the processor.", LABELS)
WAITING = Shape(
    "node_schedstat_waiting_seconds_total",
    "counter",
    "Seconds that tasks were ready to run and waited for the processor.",
    LABELS,
)
TIMESLICES = Shape("node_schedstat_timeslices_total", "counter", "Turns that tasks had on the processor.", LABELS)


class Schedstat:
    name = "schedstat"
    help = "Time that tasks ran and waited on each processor, from /proc/schedstat."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/schedstat"
        self._kept = Kept()
        self._labels: dict[bytes, tuple[str]] = {}

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        try:
            content = self._kept.read(self._path)
        except FileNotFoundError:
            raise Absent("this kernel was built without scheduler statistics") from None
        processors = parse(content, self._path)
        if self._labels.keys() != processors.keys():
            self._labels = {word: (word[3:].decode(),) for word in processors}
        running, waiting, timeslices = [], [], []
        for word, (ran, waited, turns) in processors.items():
            labels = self._labels[word]
            running.append((labels, ran / NANOSECONDS))
            waiting.append((labels, waited / NANOSECONDS))
            timeslices.append((labels, turns))
        return RUNNING.of(running), WAITING.of(waiting), TIMESLICES.of(timeslices)


def parse(content: bytes, where: str = "schedstat") -> dict[bytes, tuple[int, int, int]]:
    """What stands at the end of lines such as `cpu0 0 0 0 0 0 0 2045936778 343796328 4767`: two times and a count."""
    processors: dict[bytes, tuple[int, int, int]] = {}
    for line in content.splitlines():
        # Lines of domains, and the version and the time on top, are of no use here.
        if not line.startswith(b"cpu"):
            continue
        columns = line.split()
        numbers = b"".join(columns[:COLUMNS])[3:]
        if len(columns) < COLUMNS or len(numbers) > NUMBER_BYTES_MAX or not numbers.isdigit():
            raise Malformed(where, found=line, expected="cpu with its number and nine counters")
        processors[columns[0]] = (int(columns[7]), int(columns[8]), int(columns[9]))
    if not processors:
        raise Malformed(where, found=content, expected="a line for at least one processor")
    return processors
