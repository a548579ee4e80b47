"""`setuid_files`: programs that run with the rights of their owner, whoever starts them, and what anybody may write.

Folders are walked through behind the scrape. What was there at the first walk is what later ones are compared with.
"""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from exporter.collectors.behind import Behind
from exporter.collectors.files import Paths, shown
from exporter.collectors.fingerprints import Look
from exporter.collectors.options import Chosen, Kind, Option
from exporter.collectors.watched_files import patterns_of
from exporter.family import Family, Shape

log = logging.getLogger("tocsin.exporter")

FOLDERS_MAX = 100
# Files and folders that are looked at in one walk; what is beyond is left out, and that is said.
ENTRIES_MAX = 500_000
# Programs that are remembered.
PROGRAMS_MAX = 10_000
# Changes of one walk that are named in the log.
NAMED_MAX = 20
DEFAULT = "/bin,/sbin,/usr/bin,/usr/sbin,/usr/libexec,/usr/local/bin,/usr/local/sbin"
CHANGES = ("added", "changed", "removed")

PROGRAMS = Shape(
    "security_setuid_files", "gauge", "Programs that run with the rights of their owner or group.", ("kind",)
)
CHANGED = Shape(
    "security_setuid_file_changes_total",
    "counter",
    "Such programs that were added, changed or removed between two walks through the folders.",
    ("change",),
)
WRITABLE = Shape(
    "security_world_writable_files",
    "gauge",
    "Files that anybody may write, and folders in which anybody may replace what is others'.",
    ("kind",),
)
INCOMPLETE = Shape("security_setuid_walk_incomplete", "gauge", "1 where there was more than one walk looks at.")
CHECKED = Shape(
    "security_setuid_files_last_check_timestamp_seconds",
    "gauge",
    "When the folders were last walked through, in seconds since 1970.",
)


class Walk(msgspec.Struct):
    """What was seen so far."""

    programs: dict[str, Look] = {}
    files: int = 0
    folders: int = 0
    entries: int = 0
    incomplete: bool = False


class Seen(msgspec.Struct, frozen=True):
    """The last walk, and what has changed in all of them."""

    walk: Walk
    changes: Mapping[str, int]


class SetuidFiles:
    name = "setuid_files"
    help = "Programs that run with the rights of their owner, and files that anybody may write."
    enabled = True
    options: tuple[Option, ...] = (
        Option("folders", Kind.TEXT, DEFAULT, "folders, with commas between, with all that is in them", several=True),
        Option("interval", Kind.DURATION, "10m", "how long after a walk the next scrape causes another one"),
    )

    def __init__(
        self, paths: Paths, chosen: Chosen | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises ValueError where the folders are no paths, or too many."""
        chosen = chosen or Chosen(self.options)
        self._folders = patterns_of(chosen.text("folders"), what="folders", most=FOLDERS_MAX)
        self._root = paths.rootfs.rstrip("/")
        self._seen: Seen | None = None
        self._behind = Behind(self.name, self._look, every_seconds=chosen.seconds("interval"), clock=clock)

    def collect(self, deadline: float) -> Iterable[Family]:
        found = self._behind.last(deadline)
        if found is None:
            return
        walk, changes = found.value.walk, found.value.changes
        modes = [each.mode for each in walk.programs.values()]
        yield PROGRAMS.of(
            [
                (("setgid",), sum(bool(mode & stat.S_ISGID) for mode in modes)),
                (("setuid",), sum(bool(mode & stat.S_ISUID) for mode in modes)),
            ]
        )
        yield CHANGED.of([((change,), float(changes[change])) for change in CHANGES])
        yield WRITABLE.of([(("file",), walk.files), (("folder",), walk.folders)])
        yield INCOMPLETE.single(int(walk.incomplete))
        yield CHECKED.single(found.at)

    def _look(self) -> Seen:
        """Behind the scrape, never twice at once."""
        walk = walked([f"{self._root}{folder}" for folder in self._folders])
        before = self._seen
        changes = dict.fromkeys(CHANGES, 0) if before is None else dict(before.changes)
        # A walk that ended early has not seen that something is gone.
        if before is not None and not walk.incomplete and not before.walk.incomplete:
            different = list(_different(before.walk.programs, walk.programs))
            for change, _ in different:
                changes[change] += 1
            for change, path in different[:NAMED_MAX]:
                name = shown(path.removeprefix(self._root))
                log.warning("a program with the rights of its owner is not as before", extra={"file": name, change: 1})
        self._seen = Seen(walk, changes)
        return self._seen


def walked(folders: Iterable[str], *, entries_max: int = ENTRIES_MAX, programs_max: int = PROGRAMS_MAX) -> Walk:
    """What several paths lead to is looked at once. Links are not followed within, and other file systems are not
    entered."""
    walk = Walk()
    left = [os.path.realpath(folder) for folder in folders]
    left = [each for each in dict.fromkeys(left) if not any(each.startswith(f"{other}/") for other in left)][::-1]
    while left:
        for entry, status in _entries(left.pop()):
            walk.entries += 1
            _take(walk, entry, status)
            if walk.entries > entries_max or len(walk.programs) > programs_max:
                walk.incomplete = True
                return walk
            if stat.S_ISDIR(status.st_mode):
                left.append(entry.path)
    return walk


def _entries(folder: str) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    """What may not be read, or goes while we look, is as if it were not there."""
    try:
        device = os.stat(folder).st_dev
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if status.st_dev == device:
                    yield entry, status
    except OSError:
        return


def _take(walk: Walk, entry: os.DirEntry[str], status: os.stat_result) -> None:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        if mode & (stat.S_ISUID | stat.S_ISGID):
            walk.programs[entry.path] = Look.of(status)
        walk.files += bool(mode & stat.S_IWOTH)
    elif stat.S_ISDIR(mode):
        walk.folders += bool(mode & stat.S_IWOTH and not mode & stat.S_ISVTX)


def _different(before: Mapping[str, Look], now: Mapping[str, Look]) -> Iterator[tuple[str, str]]:
    for path, look in now.items():
        if path not in before:
            yield "added", path
        elif look != before[path]:
            yield "changed", path
    for path in before:
        if path not in now:
            yield "removed", path
