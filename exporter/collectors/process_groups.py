"""`process_groups`: what the processes of one name use together, under process-exporter's names.

Off unless asked for. Only the groups that have used most processor time are shown by name, the others together as
`other`. What a process uses between two looks is counted once, for the group and under the name by which it is shown at
that moment: a counter never falls, neither when a process ends nor when a group moves into `other` or out of it.
"""

import time
from collections.abc import Iterable
from heapq import nlargest

import msgspec

from exporter.collectors.files import Malformed, Paths, read, text
from exporter.collectors.options import Chosen, Kind, Option
from exporter.collectors.processes import numbers
from exporter.collectors.processfiles import Counts, Process, look
from exporter.family import Family, Shape

# Names that are remembered after they are no more shown, so that their counters go on when they are shown again.
GROUPS_KEPT_MAX = 200
TICKS_A_SECOND = 100
OTHER = "other"

GROUP = ("groupname",)
PREFIX = "namedprocess_namegroup_"
PROCESSES = Shape(f"{PREFIX}num_procs", "gauge", "Processes of the group.", GROUP)
THREADS = Shape(f"{PREFIX}num_threads", "gauge", "Threads of the group's processes.", GROUP)
STATES = Shape(f"{PREFIX}states", "gauge", "Processes of the group by state.", (*GROUP, "state"))
MEMORY = Shape(f"{PREFIX}memory_bytes", "gauge", "Memory of the group's processes.", (*GROUP, "memtype"))
FILES = Shape(f"{PREFIX}open_filedesc", "gauge", "Files that the group's processes have open.", GROUP)
WORST = Shape(
    f"{PREFIX}worst_fd_ratio", "gauge", "How near the process that is nearest is to its limit of open files.", GROUP
)
OLDEST = Shape(
    f"{PREFIX}oldest_start_time_seconds", "gauge", "When the oldest process began, in seconds since 1970.", GROUP
)
PROCESSOR = Shape(f"{PREFIX}cpu_seconds_total", "counter", "Processor time that the group has used.", (*GROUP, "mode"))
READ = Shape(f"{PREFIX}read_bytes_total", "counter", "Bytes that the group has read from disks.", GROUP)
WRITTEN = Shape(f"{PREFIX}write_bytes_total", "counter", "Bytes that the group has written to disks.", GROUP)
MAJOR = Shape(f"{PREFIX}major_page_faults_total", "counter", "Page faults that needed a disk.", GROUP)
MINOR = Shape(f"{PREFIX}minor_page_faults_total", "counter", "Page faults that needed no disk.", GROUP)
SWITCHES = Shape(
    f"{PREFIX}context_switches_total", "counter", "Context switches of main threads.", (*GROUP, "ctxswitchtype")
)

STATE_NAMES = {b"R": "Running", b"S": "Sleeping", b"D": "Waiting", b"Z": "Zombie"}
STATES_SHOWN = ("Running", "Sleeping", "Waiting", "Zombie", "Other")


class Used(msgspec.Struct):
    """What has been counted. `read` and `written` are None until a process says them to us."""

    user: int = 0
    system: int = 0
    major: int = 0
    minor: int = 0
    voluntary: int = 0
    involuntary: int = 0
    read: int | None = None
    written: int | None = None

    def count(self, now: Counts, before: Counts | None) -> None:
        """What has been used since; all of it for a process that is new."""
        for name in now.__struct_fields__:
            value = getattr(now, name)
            if value is not None:
                earlier = (getattr(before, name) if before is not None else 0) or 0
                setattr(self, name, (getattr(self, name) or 0) + max(0, value - earlier))

    def add(self, more: "Used") -> None:
        self.user += more.user
        self.system += more.system
        self.major += more.major
        self.minor += more.minor
        self.voluntary += more.voluntary
        self.involuntary += more.involuntary
        if more.read is not None:
            self.read = (self.read or 0) + more.read
        if more.written is not None:
            self.written = (self.written or 0) + more.written


class Group(msgspec.Struct):
    """The processes of one name at one moment, and what they have used since the moment before."""

    used: Used
    processes: int = 0
    threads: int = 0
    resident: int = 0
    virtual: int = 0
    swapped: int = 0
    files: int | None = None
    worst: float | None = None
    oldest: int | None = None
    states: dict[str, int] = {}

    def add(self, process: Process) -> None:
        self.processes += 1
        self.threads += process.threads
        self.resident += process.resident
        self.virtual += process.virtual
        self.swapped += process.swapped
        if process.files is not None:
            self.files = (self.files or 0) + process.files
            self.worst = max(self.worst or 0.0, process.files / process.files_limit if process.files_limit else 0.0)
        self.oldest = process.start if self.oldest is None else min(self.oldest, process.start)
        state = STATE_NAMES.get(process.state, "Other")
        self.states[state] = self.states.get(state, 0) + 1

    def merge(self, group: "Group") -> None:
        self.processes += group.processes
        self.threads += group.threads
        self.resident += group.resident
        self.virtual += group.virtual
        self.swapped += group.swapped
        if group.files is not None:
            self.files = (self.files or 0) + group.files
            self.worst = max(self.worst or 0.0, group.worst or 0.0)
        if group.oldest is not None:
            self.oldest = group.oldest if self.oldest is None else min(self.oldest, group.oldest)
        for state, count in group.states.items():
            self.states[state] = self.states.get(state, 0) + count


class ProcessGroups:
    name = "process_groups"
    help = "What the processes of one name use together."
    enabled = False
    options: tuple[Option, ...] = (
        Option("top", Kind.COUNT, "20", "groups that are shown by name; the others are shown together as other"),
    )

    def __init__(self, paths: Paths, chosen: Chosen | None = None) -> None:
        self._procfs = paths.procfs
        self._top = (chosen or Chosen(self.options)).count("top")
        self._processes: dict[str, Process] = {}
        # By group, in ticks: by this the groups are ranked.
        self._spent: dict[str, int] = {}
        # By the name that is shown.
        self._used: dict[str, Used] = {OTHER: Used()}

    def collect(self, deadline: float) -> Iterable[Family]:
        booted = boot_time(f"{self._procfs}/stat")
        groups = self._look(deadline)
        for name, group in groups.items():
            self._spent[name] = self._spent.get(name, 0) + group.used.user + group.used.system
        named = self._named(groups)
        shown = {name: groups.get(name) or Group(Used()) for name in named}
        shown[OTHER] = other = shown.get(OTHER) or Group(Used())
        for name, group in groups.items():
            place = name if name in shown else OTHER
            self._used.setdefault(place, Used()).add(group.used)
            if place == OTHER:
                other.merge(group)
        self._forget(groups, shown)
        return families(shown, self._used, booted)

    def _look(self, deadline: float) -> dict[str, Group]:
        groups: dict[str, Group] = {}
        seen: dict[str, Process] = {}
        for number in numbers(self._procfs):
            if time.monotonic() > deadline:
                raise TimeoutError("process_groups: the scrape's deadline has passed")
            before = self._processes.get(number)
            process = look(f"{self._procfs}/{number}", before)
            if process is None:
                continue
            seen[number] = process
            name = text(process.name)
            group = groups.get(name)
            if group is None:
                group = groups[name] = Group(Used())
            group.add(process)
            if process is not before:
                same = before is not None and before.start == process.start
                group.used.count(process.counts, before.counts if before is not None and same else None)
        self._processes = seen
        return groups

    def _named(self, groups: dict[str, Group]) -> list[str]:
        """Who has used most, alive or not; who has never been shown and is gone has no claim."""
        candidates = {name: None for name in (*groups, *self._used) if name in self._spent and name != OTHER}
        ranked = nlargest(self._top, candidates, key=lambda name: (self._spent[name], name))
        return sorted(ranked)

    def _forget(self, groups: dict[str, Group], shown: dict[str, Group]) -> None:
        gone = [name for name in self._used if name not in groups and name not in shown]
        for name in gone[: max(0, len(gone) - GROUPS_KEPT_MAX)]:
            del self._used[name]
        self._spent = {name: spent for name, spent in self._spent.items() if name in groups or name in self._used}


def boot_time(path: str) -> int:
    for line in read(path).splitlines():
        if line.startswith(b"btime "):
            number = line[6:].strip()
            if number.isdigit():
                return int(number)
            raise Malformed(path, found=line, expected="btime and a whole number")
    raise Malformed(path, found=b"", expected="a line that begins with btime")


def families(shown: dict[str, Group], used: dict[str, Used], booted: int) -> Iterable[Family]:
    counted = {name: used.get(name) or Used() for name in shown}
    yield PROCESSES.of([((name,), group.processes) for name, group in shown.items()])
    yield THREADS.of([((name,), group.threads) for name, group in shown.items()])
    yield FILES.of([((name,), group.files) for name, group in shown.items() if group.files is not None])
    yield WORST.of([((name,), group.worst) for name, group in shown.items() if group.worst is not None])
    yield OLDEST.of(
        [
            ((name,), booted + group.oldest / TICKS_A_SECOND if group.oldest is not None else 0)
            for name, group in shown.items()
        ]
    )
    for shape, field in ((READ, "read"), (WRITTEN, "written"), (MAJOR, "major"), (MINOR, "minor")):
        values = ((name, getattr(each, field)) for name, each in counted.items())
        yield shape.of([((name,), number) for name, number in values if number is not None])
    yield PROCESSOR.of(
        [
            ((name, mode), ticks / TICKS_A_SECOND)
            for name, each in counted.items()
            for mode, ticks in (("system", each.system), ("user", each.user))
        ]
    )
    yield SWITCHES.of(
        [
            ((name, kind), count)
            for name, each in counted.items()
            for kind, count in (("nonvoluntary", each.involuntary), ("voluntary", each.voluntary))
        ]
    )
    yield MEMORY.of(
        [
            ((name, kind), size)
            for name, group in shown.items()
            for kind, size in (("resident", group.resident), ("swapped", group.swapped), ("virtual", group.virtual))
        ]
    )
    yield STATES.of(
        [((name, state), group.states.get(state, 0)) for name, group in shown.items() for state in STATES_SHOWN]
    )
