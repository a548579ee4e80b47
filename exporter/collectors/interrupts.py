"""`interrupts`: how often each processor was interrupted, by what. Off by default, as there are thousands of these.

Numbered interrupts are followed by their controller and the devices that share them, named ones by a sentence.
"""

from collections.abc import Iterable

from exporter.collectors.files import NUMBER_BYTES_MAX, Kept, Malformed, Paths, text
from exporter.collectors.options import Chosen, Filter, Kind, Option
from exporter.family import Family, Shape

INTERRUPTS = Shape(
    "node_interrupts_total",
    "counter",
    "How often the processor was interrupted.",
    ("cpu", "type", "info", "devices"),
)

# What interrupts, whence, and for which devices.
Source = tuple[str, str, str]


class Interrupts:
    name = "interrupts"
    help = "Interrupts of each processor by their kind, from /proc/interrupts."
    enabled = False
    options: tuple[Option, ...] = (
        Option("name-include", Kind.PATTERN, "", "only these interrupts, by `type;info;devices`"),
        Option("name-exclude", Kind.PATTERN, "", "interrupts that are left out, by `type;info;devices`"),
        Option("include-zeros", Kind.SWITCH, "true", "whether interrupts are shown that never came"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._path = f"{paths.procfs}/interrupts"
        self._filter = Filter(include=chosen.pattern("name-include"), exclude=chosen.pattern("name-exclude"))
        self._zeros = chosen.on("include-zeros")
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        cpus, sources = parse(self._kept.read(self._path), self._path)
        samples: list[tuple[tuple[str, ...], int]] = []
        for source, counts in sources.items():
            if self._filter.keeps(";".join(source)):
                samples += [
                    ((cpu, *source), count) for cpu, count in zip(cpus, counts, strict=True) if count or self._zeros
                ]
        return (INTERRUPTS.of(samples),) if samples else ()


def parse(content: bytes, where: str = "interrupts") -> tuple[list[str], dict[Source, list[int]]]:
    """The processors, which the first line names, and how often each of them was interrupted by what.

    The other lines are `16: 3 0 IO-APIC 16-fasteoi ehci_hcd` or `NMI: 2 2 Non-maskable interrupts`.
    """
    head, *lines = content.splitlines() or [b""]
    numbers = [word.removeprefix(b"CPU") for word in head.split()]
    if not numbers or not b"".join(numbers).isdigit() or len(set(numbers)) < len(numbers):
        raise Malformed(where, found=head, expected="a line that names the processors, such as CPU0 CPU1")
    sources: dict[Source, list[int]] = {}
    for line in lines:
        # There may be no blank behind the colon.
        name, colon, rest = line.partition(b":")
        words = rest.split()
        # What has no sentence behind its counts (ERR, MIS) is counted for the whole machine, and left out.
        if not colon or len(words) <= len(numbers):
            continue
        counts = words[: len(numbers)]
        if not b"".join(counts).isdigit() or max(map(len, counts)) > NUMBER_BYTES_MAX:
            raise Malformed(where, found=line, expected="a count for each processor")
        kind = text(name.strip())
        described = [text(word) for word in words[len(numbers) :]]
        of_info = 1 if kind.isdecimal() else len(described)
        source = (kind, " ".join(described[:of_info]), " ".join(described[of_info:]))
        sources[source] = [int(count) for count in counts]
    return [number.decode() for number in numbers], sources
