"""`updates`: packages of Debian and its kin for which apt knows a later version, and whether a restart is due.

What apt knows is as old as its lists, so their age is shown too. Nothing is downloaded and no program is asked.
"""

import os
import time
from collections.abc import Callable, Iterable

from exporter.collectors.aptlists import Pending, installed, pending
from exporter.collectors.behind import Behind
from exporter.collectors.files import Paths
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

STATUS = "var/lib/dpkg/status"
LISTS = "var/lib/apt/lists"
# What is touched when lists are fetched, whether any has changed or not.
REFRESHED = ("var/lib/apt/lists/partial", "var/lib/apt/lists", "var/lib/apt/periodic/update-success-stamp")
REBOOT = ("run/reboot-required", "var/run/reboot-required")

PENDING = Shape(
    "security_pending_updates",
    "gauge",
    "Installed packages of which apt knows a later version, by whether it is for security; not there while unknown.",
    ("kind",),
)
UPDATE_LISTS = Shape(
    "security_update_lists",
    "gauge",
    "Lists of packages that apt has fetched, by whether they could be read.",
    ("state",),
)
REFRESH = Shape(
    "security_updates_last_refresh_timestamp_seconds",
    "gauge",
    "When apt has last fetched its lists, in seconds since 1970.",
)
CHECKED = Shape(
    "security_updates_last_check_timestamp_seconds",
    "gauge",
    "When the lists were last read, in seconds since 1970.",
)
REBOOT_REQUIRED = Shape(
    "security_reboot_required", "gauge", "1 where what was installed is only in force after a restart of the machine."
)


class Updates:
    name = "updates"
    help = "Pending updates of Debian's packages, and whether a restart is due."
    enabled = True
    options: tuple[Option, ...] = (
        Option("interval", Kind.DURATION, "1h", "how long after a look the next scrape causes another one"),
    )

    def __init__(
        self, paths: Paths, chosen: Chosen | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        chosen = chosen or Chosen(self.options)
        self._root = paths.rootfs.rstrip("/")
        self._behind = Behind(self.name, self._look, every_seconds=chosen.seconds("interval"), clock=clock)

    def collect(self, deadline: float) -> Iterable[Family]:
        if not os.path.exists(f"{self._root}/{STATUS}"):
            raise Absent(f"{self._root}/{STATUS} is not there")
        yield REBOOT_REQUIRED.single(int(any(os.path.exists(f"{self._root}/{each}") for each in REBOOT)))
        refreshed = [at for each in REFRESHED if (at := _written_at(f"{self._root}/{each}")) is not None]
        if refreshed:
            yield REFRESH.single(max(refreshed))
        found = self._behind.last(deadline)
        if found is None:
            return
        seen = found.value
        counts = (("other", len(seen.other)), ("security", len(seen.security)))
        yield PENDING.of([((kind,), count) for kind, count in counts] if seen.read and not seen.unreadable else [])
        yield UPDATE_LISTS.of([(("read",), seen.read), (("unreadable",), seen.unreadable)])
        yield CHECKED.single(found.at)

    def _look(self) -> Pending:
        there = installed(f"{self._root}/{STATUS}")
        try:
            return pending(f"{self._root}/{LISTS}", there)
        except FileNotFoundError:
            return Pending(frozenset(), frozenset(), 0, 0)


def _written_at(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
