"""`stat`: boot time, interrupts, context switches, forks, and processes running or blocked.

The processor times of the same file belong to the collector `cpu`.
"""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape

# The first word of a line in /proc/stat, and what becomes of the number that follows it.
FIELDS: dict[bytes, Shape] = {
    b"intr": Shape("node_intr_total", "counter", "Interrupts serviced since boot."),
    b"ctxt": Shape("node_context_switches_total", "counter", "Context switches since boot."),
    b"btime": Shape("node_boot_time_seconds", "gauge", "When the machine started, in seconds since 1970."),
    b"processes": Shape("node_forks_total", "counter", "Processes and threads created since boot."),
    b"procs_running": Shape("node_procs_running", "gauge", "Tasks that run or are ready to run."),
    b"procs_blocked": Shape("node_procs_blocked", "gauge", "Tasks that wait for input or output to complete."),
}
SOFTIRQS = Shape("node_softirqs_total", "counter", "Soft interrupts since boot, by their kind.", ("vector",))
# In the order in which the line `softirq` counts them, behind their sum.
VECTORS = ("hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu")
VECTOR_LABELS = tuple((vector,) for vector in VECTORS)


class Stat:
    name = "stat"
    help = "Boot time, interrupts, context switches and forks from /proc/stat."
    enabled = True
    options: tuple[Option, ...] = (
        Option("softirq", Kind.SWITCH, "false", "whether soft interrupts are shown by their kind"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._path = f"{paths.procfs}/stat"
        self._softirq = (chosen or Chosen(self.options)).on("softirq")
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        content = self._kept.read(self._path)
        families = [FIELDS[field].single(value) for field, value in parse(content, self._path).items()]
        if self._softirq:
            families.append(SOFTIRQS.of(parse_softirqs(content, self._path)))
        return families


def parse(content: bytes, where: str = "stat") -> dict[bytes, int]:
    """The known fields in the order of `FIELDS`; one that the kernel does not offer is left out."""
    found: dict[bytes, int] = {}
    for line in content.splitlines():
        # `intr` can be followed by thousands of numbers, of which only the first is the sum.
        words = line.split(None, 2)
        if words and words[0] in FIELDS:
            if len(words) < 2 or not words[1].isdigit():
                raise Malformed(where, found=line, expected="a whole number after the name")
            found[words[0]] = int(words[1])
    if b"btime" not in found:
        raise Malformed(where, found=content, expected="a line that begins with btime")
    return {field: found[field] for field in FIELDS if field in found}


def parse_softirqs(content: bytes, where: str = "stat") -> list[tuple[tuple[str], int]]:
    """`softirq 250191 8481 59 …`: the sum, then one number for each vector."""
    for line in content.splitlines():
        if line.startswith(b"softirq "):
            counts = line.split()[2:]
            if len(counts) < len(VECTORS) or not b"".join(counts).isdigit():
                raise Malformed(where, found=line, expected=f"softirq, a sum and {len(VECTORS)} counts")
            return [(labels, int(count)) for labels, count in zip(VECTOR_LABELS, counts, strict=False)]
    return []
