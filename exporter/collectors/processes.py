"""`processes`: how many processes and threads there are, in which states, and how many there may be.

Off unless asked for, as a file is opened for each process and each further thread. One that ends while it is looked at
is not counted.
"""

import os
import time
from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, text, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape

# The line has about 50 numbers and a name of at most 64 bytes.
STAT_BYTES = 2048
STATE, THREADS = 0, 17
VANISHED = (FileNotFoundError, ProcessLookupError)

PIDS = Shape("node_processes_pids", "gauge", "Processes that there are.")
STATES = Shape("node_processes_state", "gauge", "Processes by the kernel's letter for their state.", ("state",))
THREADS_ALL = Shape("node_processes_threads", "gauge", "Threads of all processes.")
THREAD_STATES = Shape(
    "node_processes_threads_state",
    "gauge",
    "Threads by the kernel's letter for their state.",
    ("thread_state",),
)
THREADS_LIMIT = Shape("node_processes_max_threads", "gauge", "Threads that there may be.")
PIDS_LIMIT = Shape("node_processes_max_processes", "gauge", "Process numbers end here, and begin anew.")


class Processes:
    name = "processes"
    help = "Number of processes and threads by state."
    enabled = False
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._procfs = paths.procfs
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:
        limit = f"{self._procfs}/sys/kernel/threads-max"
        threads_limit = whole_number(self._kept.read_value(limit), limit)
        limit = f"{self._procfs}/sys/kernel/pid_max"
        pids_limit = whole_number(self._kept.read_value(limit), limit)
        threads, states, thread_states = self._count(deadline)
        return (
            THREADS_ALL.single(threads),
            THREADS_LIMIT.single(threads_limit),
            STATES.of([((text(state),), count) for state, count in sorted(states.items())]),
            THREAD_STATES.of([((text(state),), count) for state, count in sorted(thread_states.items())]),
            PIDS.single(sum(states.values())),
            PIDS_LIMIT.single(pids_limit),
        )

    def _count(self, deadline: float) -> tuple[int, dict[bytes, int], dict[bytes, int]]:
        threads = 0
        states: dict[bytes, int] = {}
        thread_states: dict[bytes, int] = {}
        for process in numbers(self._procfs):
            if time.monotonic() > deadline:
                raise TimeoutError("processes: the scrape's deadline has passed")
            folder = f"{self._procfs}/{process}"
            try:
                fields = read_stat(f"{folder}/stat")
            except VANISHED:
                continue
            state = fields[STATE]
            states[state] = states.get(state, 0) + 1
            thread_states[state] = thread_states.get(state, 0) + 1
            count = int(fields[THREADS])
            threads += count
            if count > 1:
                count_others(folder, process, thread_states)
        return threads, states, thread_states


def numbers(folder: str) -> list[str]:
    """The entries that are numbers: processes, threads, open files."""
    return [name for name in os.listdir(folder) if name.isdecimal()]


def count_others(folder: str, process: str, states: dict[bytes, int]) -> None:
    """The threads of a process besides its first, which has the process' own number and is counted already."""
    try:
        tasks = numbers(f"{folder}/task")
    except VANISHED:
        return
    for task in tasks:
        if task != process:
            try:
                state = read_stat(f"{folder}/task/{task}/stat")[STATE]
            except VANISHED:
                continue
            states[state] = states.get(state, 0) + 1


def read_stat(path: str) -> list[bytes]:
    """What follows the name in `17 (a (b) c) S 1 …`, up to the number of threads and what comes next."""
    return stat_fields(read_short(path, STAT_BYTES), path, THREADS)[1]


def stat_fields(line: bytes, where: str, last: int) -> tuple[bytes, list[bytes]]:
    """The name, and the fields after it as far as `last`, and the rest as one. A name can have any bytes."""
    opening, closing = line.find(b"("), line.rfind(b") ")
    fields = line[closing + 2 :].split(b" ", last + 1)
    if not 0 < opening < closing or len(fields) <= last or not fields[THREADS].isdigit():
        raise Malformed(where, found=line, expected="a name in parentheses, a state and numbers")
    return line[opening + 1 : closing], fields


def read_short(path: str, most: int) -> bytes:
    """A file of one process, which the kernel gives whole in one read. Thousands of them are not kept open."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)
