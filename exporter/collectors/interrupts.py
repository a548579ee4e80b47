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

Labels = tuple[str, str, str, str]


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
        samples = parse(self._kept.read(self._path), self._path)
        shown = [
            (labels, count)
            for labels, count in samples.items()
            if (count or self._zeros) and self._filter.keeps(";".join(labels[1:]))
        ]
        return (INTERRUPTS.of(shown),) if shown else ()


def parse(content: bytes, where: str = "interrupts") -> dict[Labels, int]:
    """A line with the processors, then `16: 3 0 IO-APIC 16-fasteoi ehci_hcd` or `NMI: 2 2 Non-maskable interrupts`."""
    head, *lines = content.splitlines() or [b""]
    processors = [word.removeprefix(b"CPU") for word in head.split()]
    if not processors or not b"".join(processors).isdigit():
        raise Malformed(where, found=head, expected="a line that names the processors, such as CPU0 CPU1")
    cpus = [number.decode() for number in processors]
    samples: dict[Labels, int] = {}
    for line in lines:
        # There may be no blank behind the colon.
        name, colon, rest = line.partition(b":")
        words = rest.split()
        # What has no sentence behind its counts (ERR, MIS) is counted for the whole machine, and left out.
        if not colon or len(words) <= len(cpus):
            continue
        counts = words[: len(cpus)]
        if not b"".join(counts).isdigit() or max(map(len, counts)) > NUMBER_BYTES_MAX:
            raise Malformed(where, found=line, expected="a count for each processor")
        kind = text(name.strip())
        described = [text(word) for word in words[len(cpus) :]]
        of_devices = 1 if kind.isdecimal() else len(described)
        info, devices = " ".join(described[:of_devices]), " ".join(described[of_devices:])
        samples.update(((cpu, kind, info, devices), int(count)) for cpu, count in zip(cpus, counts, strict=True))
    return samples
