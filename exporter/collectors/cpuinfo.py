"""What /proc/cpuinfo says of processors, for the collector `cpu`: kind, flags, bugs, and how fast they run.

The kernel writes it for people: each kind of processor has other lines. What is not there is an empty label.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from exporter.collectors.files import Kept, Malformed, text
from exporter.family import Family, Shape

MEGAHERTZ = 1_000_000

# The labels, and the lines that have them; on ARM some have other names.
LINES: dict[str, tuple[str, ...]] = {
    "package": ("physical id",),
    "core": ("core id",),
    "cpu": ("processor",),
    "vendor": ("vendor_id", "CPU implementer"),
    "family": ("cpu family", "CPU architecture"),
    "model": ("model", "CPU part"),
    "model_name": ("model name",),
    "microcode": ("microcode",),
    "stepping": ("stepping", "CPU revision"),
    "cachesize": ("cache size",),
}
FLAGS = ("flags", "Features")
BUGS = ("bugs",)

INFO = Shape("node_cpu_info", "gauge", "What a processor is, as labels; the value is always 1.", tuple(LINES))
FREQUENCY = Shape(
    "node_cpu_frequency_hertz",
    "gauge",
    "How fast the processor runs, where only /proc/cpuinfo knows.",
    ("package", "core", "cpu"),
)
FLAG = Shape(
    "node_cpu_flag_info", "gauge", "Something that the first processor can do; the value is always 1.", ("flag",)
)
BUG = Shape("node_cpu_bug_info", "gauge", "A bug that the first processor has; the value is always 1.", ("bug",))

Processor = Mapping[str, str]


class Cpuinfo:
    """`flags` and `bugs` are those that are shown; without a pattern none is."""

    def __init__(self, path: str, *, flags: re.Pattern[str] | None, bugs: re.Pattern[str] | None) -> None:
        self._path = path
        self._wanted = ((FLAG, FLAGS, flags), (BUG, BUGS, bugs))
        self._kept = Kept()

    def families(self) -> list[Family]:
        processors = parse(self._kept.read(self._path), self._path)
        families = [INFO.of([(tuple(said(each, lines) for lines in LINES.values()), 1) for each in processors])]
        for shape, lines, pattern in self._wanted:
            words = dict.fromkeys(said(processors[0], lines).split())
            if pattern is not None and (shown := [word for word in words if pattern.search(word)]):
                families.append(shape.of([((word,), 1) for word in shown]))
        return families

    def frequencies(self) -> list[Family]:
        samples = list(frequencies(parse(self._kept.read(self._path), self._path), self._path))
        return [FREQUENCY.of(samples)] if samples else []


def parse(content: bytes, where: str = "cpuinfo") -> list[Processor]:
    """Blocks of lines such as `model name : AMD EPYC`, in each of which a line names the processor."""
    processors: dict[str, dict[str, str]] = {}
    for block in text(content).split("\n\n"):
        lines = (line.partition(":") for line in block.splitlines())
        processor = {name.strip(): value.strip() for name, colon, value in lines if colon}
        # Some kernels tell at the end of the whole machine.
        if processor.get("processor", "").isdecimal():
            processors[processor["processor"]] = processor
    if not processors:
        raise Malformed(where, found=content, expected="a block of lines for at least one processor")
    return list(processors.values())


def said(processor: Processor, lines: Iterable[str]) -> str:
    return next((processor[line] for line in lines if line in processor), "")


def frequencies(processors: Sequence[Processor], where: str) -> Iterable[tuple[tuple[str, ...], float]]:
    for processor in processors:
        megahertz = processor.get("cpu MHz")
        if megahertz is None:
            continue
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", megahertz):
            raise Malformed(where, found=f"cpu MHz : {megahertz}", expected="a number of MHz")
        labels = tuple(said(processor, LINES[label]) for label in FREQUENCY.labels)
        yield labels, float(megahertz) * MEGAHERTZ
