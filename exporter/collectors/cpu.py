"""`cpu`: the time that each processor spent in each mode, and what sysfs knows about each processor.

The kernel's counters sometimes run backwards a little (iowait above all), which Prometheus would take for
a restart. So the collector never shows less than it has shown, except after a processor was really reset. One that is
offline is not shown: counters that stand still would look like a processor that is never idle.

Machines have hundreds of processors, and sysfs several files for each. Which of them are there to be read is
therefore looked up only when processors come or go; what is read at each scrape stays open.
"""

from collections.abc import Iterable, Mapping
from itertools import chain, compress, cycle
from os.path import isdir
from typing import NamedTuple

from exporter.collectors.cpuinfo import Cpuinfo
from exporter.collectors.files import (
    NUMBER_BYTES_MAX,
    Kept,
    Malformed,
    Paths,
    numbered,
    read_optional,
    text,
    whole_number,
)
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
GUEST_MODES = ("user", "nice")
IDLE = MODES.index("idle")
COLUMNS = len(MODES) + len(GUEST_MODES)
# Which columns of a processor are which.
IS_MODE = (True,) * len(MODES) + (False,) * len(GUEST_MODES)
IS_GUEST_MODE = (False,) * len(MODES) + (True,) * len(GUEST_MODES)
# Linux reports these times in hundredths of a second on every architecture (USER_HZ).
TICKS_PER_SECOND = 100
# An idle counter that falls this far was reset: the processor has been taken away and brought back.
RESET_TICKS = 3 * TICKS_PER_SECOND
# Far more than Linux can have; a list that names more is not the kernel's.
PROCESSORS_MAX = 65_536

Times = tuple[int, ...]
Labels = tuple[str, ...]

SECONDS = Shape("node_cpu_seconds_total", "counter", "Seconds that each processor spent in each mode.", ("cpu", "mode"))
GUEST_SECONDS = Shape(
    "node_cpu_guest_seconds_total",
    "counter",
    "Seconds that each processor spent running guests; they are part of user and nice as well.",
    ("cpu", "mode"),
)
ONLINE = Shape("node_cpu_online", "gauge", "1 for a processor that is online, 0 for one that is not.", ("cpu",))
ISOLATED = Shape("node_cpu_isolated", "gauge", "1 for a processor that the scheduler leaves alone.", ("cpu",))
CORE_THROTTLES = Shape(
    "node_cpu_core_throttles_total",
    "counter",
    "How often the core was slowed down because of its temperature.",
    ("core", "package"),
)
PACKAGE_THROTTLES = Shape(
    "node_cpu_package_throttles_total",
    "counter",
    "How often the package was slowed down because of its temperature.",
    ("package",),
)


class Layout(NamedTuple):
    """What sysfs has about processors, as long as `seen` stays the same. Counters are labels and a path."""

    seen: tuple[bytes | None, ...]
    steady: tuple[Family, ...]
    cores: dict[Labels, str]
    packages: dict[Labels, str]
    # Then the collector `cpufreq` knows the frequencies.
    has_cpufreq: bool


class Cpu:
    name = "cpu"
    help = "Processor times from /proc/stat; throttling, isolation and presence from /sys."
    enabled = True
    options: tuple[Option, ...] = (
        Option("guest", Kind.SWITCH, "true", "whether node_cpu_guest_seconds_total is shown"),
        Option("info", Kind.SWITCH, "false", "whether node_cpu_info is shown, and frequencies from /proc/cpuinfo"),
        Option("info.flags-include", Kind.PATTERN, "", "only these flags in node_cpu_flag_info; without, none"),
        Option("info.bugs-include", Kind.PATTERN, "", "only these bugs in node_cpu_bug_info; without, none"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        chosen = chosen or Chosen(self.options)
        self._stat_path = f"{paths.procfs}/stat"
        self._folder = f"{paths.sysfs}/devices/system/cpu"
        self._guest = chosen.on("guest")
        flags, bugs = chosen.pattern("info.flags-include"), chosen.pattern("info.bugs-include")
        # Who asks for flags or bugs asks for the rest as well.
        wants_info = chosen.on("info") or flags is not None or bugs is not None
        self._cpuinfo = Cpuinfo(f"{paths.procfs}/cpuinfo", flags=flags, bugs=bugs) if wants_info else None
        self._kept = Kept()
        self._shown: dict[str, Times] = {}
        self._online: list[str] = []
        self._labels: list[Labels] = []
        self._layout: Layout | None = None
        self._described: list[Family] = []

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        content = self._kept.read(self._stat_path)
        found = parse(content, self._stat_path)
        self._shown = never_backwards(self._shown, found)
        seen = tuple(self._kept.read_optional(f"{self._folder}/{name}") for name in ("present", "online", "isolated"))
        if self._layout is None or self._layout.seen != seen or None in seen[:2]:
            self._described = self._cpuinfo.families() if self._cpuinfo is not None else []
            self._layout = layout(self._folder, seen)
        families = [*self._times(list(found)), *self._layout.steady, *self._described]
        if self._cpuinfo is not None and not self._layout.has_cpufreq:
            families += self._cpuinfo.frequencies()
        for shape, paths in ((CORE_THROTTLES, self._layout.cores), (PACKAGE_THROTTLES, self._layout.packages)):
            if counts := self._counts(paths):
                families.append(shape.of(counts))
        return families

    def _times(self, online: list[str]) -> Iterable[Family]:
        if self._online != online:
            self._labels = [(cpu, mode) for cpu in online for mode in (*MODES, *GUEST_MODES)]
            self._online = online
        shown = [self._shown[cpu] for cpu in online]
        seconds = [tick / TICKS_PER_SECOND for tick in chain.from_iterable(shown)]
        samples = list(zip(self._labels, seconds, strict=True))
        yield SECONDS.of(list(compress(samples, cycle(IS_MODE))))
        if self._guest:
            yield GUEST_SECONDS.of(list(compress(samples, cycle(IS_GUEST_MODE))))

    def _counts(self, paths: Mapping[Labels, str]) -> list[tuple[Labels, float]]:
        """A processor that goes away meanwhile takes its counter with it."""
        contents = [(labels, path, self._kept.read_optional(path)) for labels, path in paths.items()]
        return [(labels, whole_number(content, path)) for labels, path, content in contents if content is not None]


def parse(content: bytes, where: str = "stat") -> dict[str, Times]:
    """The lines `cpu0 643 0 706 …` by processor number; columns that an old kernel lacks count as zero."""
    processors: dict[str, Times] = {}
    for line in content.splitlines():
        if not line.startswith(b"cpu"):
            continue
        columns = line.split()
        number = columns[0][3:]
        if not number:
            continue
        if len(columns) < 5 or len(line) > NUMBER_BYTES_MAX or not b"".join(columns)[3:].isdigit():
            raise Malformed(where, found=line, expected="cpu with its number and at least four counters")
        times = tuple(map(int, columns[1 : COLUMNS + 1]))
        processors[number.decode()] = times + (0,) * (COLUMNS - len(times))
    if not processors:
        raise Malformed(where, found=content, expected="a line for at least one processor")
    return processors


def never_backwards(shown: Mapping[str, Times], found: Mapping[str, Times]) -> dict[str, Times]:
    """What to show next, and what to remember of a processor that is offline now: its counters may return."""
    result = dict(shown)
    for cpu, times in found.items():
        before = shown.get(cpu)
        if before is None or before[IDLE] - times[IDLE] >= RESET_TICKS:
            result[cpu] = times
        elif before != times:
            result[cpu] = tuple(map(max, before, times))
    return result


def layout(folder: str, seen: tuple[bytes | None, ...]) -> Layout:
    """Looks through sysfs. `seen` is what it says of processors: present, online, isolated. Where it does not say who
    is online, as in a tree that somebody has made, each processor is asked, and at each scrape anew.
    """
    _, online, isolated = seen
    processors = numbered(folder, "cpu")
    steady = []
    if online is not None:
        is_online = set(parse_range(online, f"{folder}/online"))
    else:
        # A processor that cannot be taken away has no such file.
        is_online = {number for number, path in processors if (read_optional(f"{path}/online") or b"1").strip() != b"0"}
    if processors:
        steady.append(ONLINE.of([((str(number),), int(number in is_online)) for number, _ in processors]))
    if isolated and isolated.strip():
        alone = parse_range(isolated, f"{folder}/isolated")
        steady.append(ISOLATED.of([((str(number),), 1) for number in dict.fromkeys(alone)]))
    cores: dict[Labels, str] = {}
    packages: dict[Labels, str] = {}
    # Processors that share a core or a package share its counter, so each is read once.
    for _, processor in processors:
        # Virtual machines have no thermometer, and reading about cores would be for nothing.
        if not isdir(f"{processor}/thermal_throttle"):
            continue
        package = read_optional(f"{processor}/topology/physical_package_id")
        core = read_optional(f"{processor}/topology/core_id")
        if package is not None and core is not None:
            at_core = (text(core.strip()), text(package.strip()))
            cores.setdefault(at_core, f"{processor}/thermal_throttle/core_throttle_count")
            packages.setdefault(at_core[1:], f"{processor}/thermal_throttle/package_throttle_count")
    has_cpufreq = any(isdir(f"{processor}/cpufreq") for _, processor in processors)
    return Layout(seen, tuple(steady), cores, packages, has_cpufreq)


def parse_range(content: bytes, where: str = "isolated") -> list[int]:
    """The kernel's list of processors: `0-2,5` is 0, 1, 2 and 5; an empty line is none."""
    processors: list[int] = []
    for part in content.strip().split(b",") if content.strip() else ():
        first, dash, last = part.partition(b"-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise Malformed(where, found=content, expected="processor numbers such as 0-2,5")
        if len(first) > 9 or len(last) > 9 or int(last or first) - int(first) + len(processors) >= PROCESSORS_MAX:
            raise Malformed(where, found=content, expected=f"at most {PROCESSORS_MAX} processors")
        processors.extend(range(int(first), int(last or first) + 1))
    return processors
