"""What the kernel says about the exporter's own process: `process_*`, as each Prometheus client library shows them.

Of this process whatever `--path.procfs` says. Where there is no /proc, or one that reads unlike Linux', there
are no such metrics: they must not cost the page.
"""

import os
import resource
from collections.abc import Sequence
from pathlib import Path

from exporter.family import Family, Shape

VIRTUAL = Shape("process_virtual_memory_bytes", "gauge", "Address space that the exporter's process has reserved.")
RESIDENT = Shape("process_resident_memory_bytes", "gauge", "Memory that the exporter's process really occupies.")
STARTED = Shape("process_start_time_seconds", "gauge", "When the exporter's process started, in seconds since 1970.")
PROCESSOR = Shape("process_cpu_seconds_total", "counter", "Processor time of the exporter's process, in both modes.")
OPEN_FILES = Shape("process_open_fds", "gauge", "File descriptors that the exporter's process has open.")
MOST_OPEN_FILES = Shape("process_max_fds", "gauge", "File descriptors that the exporter's process may have open.")

# Of /proc/PID/stat, counted from behind the name, which may contain anything.
USER_TICKS, SYSTEM_TICKS, STARTED_TICKS, VIRTUAL_BYTES, RESIDENT_PAGES = 11, 12, 19, 20, 21

STAT_BYTES = 4096


class Process:
    def __init__(self, procfs: str = "/proc") -> None:
        self._procfs = procfs
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._stat = self._opened(f"{procfs}/self/stat")
        # The clock may be set later; when we started stays the same.
        self._booted = self._boot_time()

    def families(self) -> Sequence[Family]:
        if self._stat is None:
            return ()
        try:
            content = os.pread(self._stat, STAT_BYTES, 0)
            open_files = len(os.listdir(f"{self._procfs}/self/fd"))
            fields = content[content.rindex(b")") + 2 :].split()
            user, system, started, virtual, pages = (
                int(fields[at]) for at in (USER_TICKS, SYSTEM_TICKS, STARTED_TICKS, VIRTUAL_BYTES, RESIDENT_PAGES)
            )
        except (OSError, ValueError, IndexError):
            return ()
        return (
            VIRTUAL.single(virtual),
            RESIDENT.single(pages * self._page_bytes),
            *(() if self._booted is None else (STARTED.single(self._booted + started / self._ticks),)),
            PROCESSOR.single((user + system) / self._ticks),
            OPEN_FILES.single(open_files - 1),  # the one with which they were counted
            MOST_OPEN_FILES.single(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        )

    def _opened(self, path: str) -> int | None:
        """It stays open, as that costs less than opening it for each scrape."""
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def _boot_time(self) -> int | None:
        try:
            lines = Path(self._procfs, "stat").read_bytes().splitlines()
        except OSError:
            return None
        found = [line.split()[1] for line in lines if line.startswith(b"btime ")]
        return int(found[0]) if found and found[0].isdigit() else None
