"""`cpu`: the time that each processor spent in each mode, and what sysfs knows about each processor.

The kernel's counters sometimes run backwards a little (iowait above all), which Prometheus would take for
a restart. So the collector never shows less than it has shown, except after a processor was really reset.
"""

from collections.abc import Iterable, Mapping
from os.path import isdir

from exporter.collectors.files import Malformed, Paths, numbered, read, read_optional, whole_number
from exporter.collectors.options import Option
from exporter.family import Family

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
GUEST_MODES = ("user", "nice")
IDLE = MODES.index("idle")
COLUMNS = len(MODES) + len(GUEST_MODES)
# Linux reports these times in hundredths of a second on every architecture (USER_HZ).
TICKS_PER_SECOND = 100
# An idle counter that falls this far was reset: the processor has been taken away and brought back.
RESET_TICKS = 3 * TICKS_PER_SECOND

Times = tuple[int, ...]


class Cpu:
    name = "cpu"
    help = "Processor times from /proc/stat; throttling, isolation and presence from /sys."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._stat_path = f"{paths.procfs}/stat"
        self._cpu_folder = f"{paths.sysfs}/devices/system/cpu"
        self._shown: dict[str, Times] = {}

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        self._shown = never_backwards(self._shown, parse(read(self._stat_path), self._stat_path))
        yield from time_families(self._shown)
        folders = numbered(self._cpu_folder, "cpu")
        yield presence_family(folders)
        yield from throttle_families([folder for _, folder in folders])
        isolated = read_optional(f"{self._cpu_folder}/isolated")
        if isolated and isolated.strip():
            yield isolated_family(parse_range(isolated))


def parse(content: bytes, where: str = "stat") -> dict[str, Times]:
    """The lines `cpu0 643 0 706 …` by processor number; columns that an old kernel lacks count as zero."""
    processors: dict[str, Times] = {}
    for line in content.splitlines():
        word, *columns = line.split() or [b""]
        number = word.removeprefix(b"cpu")
        if number == word or not number:
            continue
        if not number.isdigit() or len(columns) < 4 or not all(column.isdigit() for column in columns):
            raise Malformed(where, found=line, expected="cpu with its number and at least four counters")
        times = tuple(int(column) for column in columns[:COLUMNS])
        processors[number.decode()] = times + (0,) * (COLUMNS - len(times))
    if not processors:
        raise Malformed(where, found=content, expected="a line for at least one processor")
    return processors


def never_backwards(shown: Mapping[str, Times], found: Mapping[str, Times]) -> dict[str, Times]:
    """What to show next. A processor that is offline now keeps its last values: its counters will return."""
    result = dict(shown)
    for cpu, times in found.items():
        before = shown.get(cpu)
        if before is None or before[IDLE] - times[IDLE] >= RESET_TICKS:
            result[cpu] = times
        else:
            result[cpu] = tuple(map(max, before, times))
    return result


def time_families(processors: Mapping[str, Times]) -> Iterable[Family]:
    times, guest_times = [], []
    for cpu, ticks in processors.items():
        for mode, tick in zip(MODES, ticks, strict=False):
            times.append(((cpu, mode), tick / TICKS_PER_SECOND))
        for mode, tick in zip(GUEST_MODES, ticks[len(MODES) :], strict=True):
            guest_times.append(((cpu, mode), tick / TICKS_PER_SECOND))
    yield Family.of(
        name="node_cpu_seconds_total",
        type="counter",
        help="Seconds that each processor spent in each mode.",
        labels=("cpu", "mode"),
        samples=times,
    )
    yield Family.of(
        name="node_cpu_guest_seconds_total",
        type="counter",
        help="Seconds that each processor spent running guests; they are part of user and nice as well.",
        labels=("cpu", "mode"),
        samples=guest_times,
    )


def presence_family(folders: Iterable[tuple[int, str]]) -> Family:
    """A processor that cannot be taken away (the first one, usually) has no such file, and is online."""
    samples = []
    for cpu, folder in folders:
        content = read_optional(f"{folder}/online")
        online = content is None or content.strip() == b"1"
        samples.append(((str(cpu),), float(online)))
    return Family.of(
        name="node_cpu_online",
        type="gauge",
        help="1 for a processor that is online, 0 for one that is not.",
        labels=("cpu",),
        samples=samples,
    )


def throttle_families(folders: Iterable[str]) -> Iterable[Family]:
    """Processors that share a core or a package share its counter, so each is read once."""
    cores: dict[tuple[str, ...], float] = {}
    packages: dict[tuple[str, ...], float] = {}
    for folder in folders:
        # Virtual machines have no thermometer, and reading about cores would be for nothing.
        if not isdir(f"{folder}/thermal_throttle"):
            continue
        package = read_optional(f"{folder}/topology/physical_package_id")
        core = read_optional(f"{folder}/topology/core_id")
        if package is None or core is None:
            continue
        at_core = (core.decode().strip(), package.decode().strip())
        _read_once(cores, at_core, f"{folder}/thermal_throttle/core_throttle_count")
        _read_once(packages, at_core[1:], f"{folder}/thermal_throttle/package_throttle_count")
    if cores:
        yield Family.of(
            name="node_cpu_core_throttles_total",
            type="counter",
            help="How often the core was slowed down because of its temperature.",
            labels=("core", "package"),
            samples=tuple(cores.items()),
        )
    if packages:
        yield Family.of(
            name="node_cpu_package_throttles_total",
            type="counter",
            help="How often the package was slowed down because of its temperature.",
            labels=("package",),
            samples=tuple(packages.items()),
        )


def _read_once(counts: dict[tuple[str, ...], float], key: tuple[str, ...], path: str) -> None:
    if key not in counts and (content := read_optional(path)) is not None:
        counts[key] = whole_number(content, path)


def isolated_family(processors: Iterable[int]) -> Family:
    return Family.of(
        name="node_cpu_isolated",
        type="gauge",
        help="1 for a processor that the scheduler leaves alone.",
        labels=("cpu",),
        samples=tuple(((str(cpu),), 1.0) for cpu in processors),
    )


def parse_range(content: bytes, where: str = "isolated") -> list[int]:
    """The kernel's list of processors: `0-2,5` is 0, 1, 2 and 5."""
    processors: list[int] = []
    for part in content.strip().split(b","):
        first, dash, last = part.partition(b"-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise Malformed(where, found=content, expected="processor numbers such as 0-2,5")
        processors.extend(range(int(first), int(last or first) + 1))
    return processors
