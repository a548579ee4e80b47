"""`watched_files`: files that should not change without somebody knowing, such as those with users and their rights.

They are looked at behind the scrape. What was seen first, or before the start where a file keeps it, is what later
looks are compared with; each change counts, and what is there then is what is compared with from then on. Labels are
what was configured, so that a pattern that finds files of many users shows no name of any.
"""

import glob
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import msgspec

from exporter import wholefile
from exporter.collectors.behind import Behind
from exporter.collectors.files import Paths, shown
from exporter.collectors.fingerprints import MISSING, Fingerprint, State, fingerprint
from exporter.collectors.options import Chosen, Kind, Option
from exporter.family import Family, Shape

log = logging.getLogger("tocsin.exporter")

# What is configured; more is refused.
PATTERNS_MAX = 100
# Of one pattern.
FILES_MAX = 1_000
# A larger state file is none of ours.
STATE_BYTES_MAX = 64 << 20
DEFAULT = (
    "/etc/passwd,/etc/group,/etc/shadow,/etc/gshadow,/etc/sudoers,/etc/sudoers.d/*,/etc/ssh/sshd_config,"
    "/etc/ssh/sshd_config.d/*,/etc/crontab,/etc/cron.d/*,/etc/ld.so.preload,/root/.ssh/authorized_keys"
)

FILES = Shape(
    "security_watched_files",
    "gauge",
    "Files that are watched, by what was configured and by what can be seen of them.",
    ("path", "state"),
)
CHANGES = Shape(
    "security_watched_file_changes_total",
    "counter",
    "How often a watched file was changed, its owner or its permissions were, or it came or went.",
    ("path",),
)
CHANGED = Shape(
    "security_watched_file_last_change_timestamp_seconds",
    "gauge",
    "When a change was last seen, in seconds since 1970; not there where none was.",
    ("path",),
)
CHECKED = Shape(
    "security_watched_files_last_check_timestamp_seconds",
    "gauge",
    "When the watched files were last looked at, in seconds since 1970.",
)


class Seen(msgspec.Struct, frozen=True):
    """All looks so far: of each pattern its files as they are now, how many changes, and when the last was seen.

    This is what the state file holds.
    """

    files: Mapping[str, Mapping[str, Fingerprint]]
    changes: Mapping[str, int]
    changed_at: Mapping[str, float]


class WatchedFiles:
    name = "watched_files"
    help = "Changes of files that should not change unnoticed."
    enabled = True
    options: tuple[Option, ...] = (
        Option("files", Kind.TEXT, DEFAULT, "files, with commas between; * stands for any characters", several=True),
        Option(
            "state",
            Kind.TEXT,
            "",
            "the file in which it is kept what was seen last, so that changes are seen that were made while we were not"
            " running",
        ),
        Option("interval", Kind.DURATION, "1m", "how long after a look the next scrape causes another one"),
    )

    def __init__(
        self, paths: Paths, chosen: Chosen | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises ValueError where too many files are configured."""
        chosen = chosen or Chosen(self.options)
        self._patterns = patterns_of(chosen.text("files"), what="files", most=PATTERNS_MAX)
        self._root = paths.rootfs.rstrip("/")
        self._state_file = chosen.text("state").strip()
        self._seen: Seen | None = None
        self._behind = Behind(self.name, self._look, every_seconds=chosen.seconds("interval"), clock=clock)

    def collect(self, deadline: float) -> Iterable[Family]:
        found = self._behind.last(deadline)
        if found is None:
            return
        seen = found.value
        states = {pattern: Counter(each.state for each in files.values()) for pattern, files in seen.files.items()}
        yield FILES.of([((path, state.value), count[state]) for path, count in states.items() for state in State])
        yield CHANGES.of([((path,), float(count)) for path, count in seen.changes.items()])
        yield CHANGED.of([((path,), at) for path, at in seen.changed_at.items()])
        yield CHECKED.single(found.at)

    def _look(self) -> Seen:
        """Behind the scrape, never twice at once."""
        before = self._loaded() if self._seen is None else self._seen
        now = time.time()
        files, changes, changed_at = {}, {}, {}
        for pattern in self._patterns:
            known = before.files.get(pattern)
            files[pattern] = found = self._files(pattern, known or {})
            changed = (
                []
                if known is None
                else [path for path, each in found.items() if each.differs(known.get(path, MISSING))]
            )
            changes[pattern] = before.changes.get(pattern, 0) + len(changed)
            if changed:
                log.warning("watched files have changed", extra={"watched": pattern, "files": len(changed)})
            if changed or pattern in before.changed_at:
                changed_at[pattern] = now if changed else before.changed_at[pattern]
        seen = Seen(files, changes, changed_at)
        if seen != self._seen:
            self._save(seen)
        self._seen = seen
        return seen

    def _loaded(self) -> Seen:
        """What was seen before the start; nothing where that is not known."""
        nothing = Seen({}, {}, {})
        if not self._state_file:
            return nothing
        try:
            return msgspec.json.decode(wholefile.read(self._state_file, most=STATE_BYTES_MAX), type=Seen)
        except FileNotFoundError:
            return nothing
        except (OSError, ValueError, RecursionError) as error:
            # What is wrong with the file may repeat what is in it.
            why = error.strerror if isinstance(error, OSError) else "found no state of watched files"
            log.error("what was seen of watched files is lost", extra={"file": self._state_file, "error": why})
            return nothing

    def _save(self, seen: Seen) -> None:
        if not self._state_file:
            return
        try:
            wholefile.replace(self._state_file, msgspec.json.encode(seen))
        except OSError as error:
            why = error.strerror
            log.error("what was seen of watched files is not kept", extra={"file": self._state_file, "error": why})

    def _files(self, pattern: str, known: Mapping[str, Fingerprint]) -> Mapping[str, Fingerprint]:
        """Those that are there, and those that were there a look ago. A name without `*` is there or missing.

        They are known by what can be shown of their names, as these may have any bytes.
        """
        path = f"{self._root}{pattern}"
        there = sorted(islice(glob.iglob(path), FILES_MAX)) if glob.has_magic(pattern) else [path]
        gone = [path for path, each in known.items() if each.state is not State.MISSING]
        paths = {each: each for each in gone} | {shown(each): each for each in there}
        return {name: fingerprint(each, known.get(name)) for name, each in paths.items()}


def patterns_of(text: str, *, what: str, most: int) -> Sequence[str]:
    """Each with a slash before it; ValueError where there are more, or one is no path."""
    found = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if len(found) > most:
        raise ValueError(f"{what}: found {len(found)}, expected at most {most}")
    for each in found:
        if not each.startswith("/") or "\0" in each:
            raise ValueError(f"{what}: found {shown(each)[:80]!r}, expected a path that begins with /")
    return found
