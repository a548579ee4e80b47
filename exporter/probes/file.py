"""Is a file there, new enough and large enough? Its path is the target; of several, the newest counts.

What stands in a file is looked at and never told.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from functools import partial
from itertools import islice
from typing import NamedTuple

from exporter.duration import parse
from exporter.probes.allow import Allowed
from exporter.probes.attempt import Attempt, Failed
from exporter.probes.ground import Ground
from exporter.probes.settings import Module
from exporter.probes.targets import WrongTarget, not_allowed

# Of a pattern; of more, the newest may be missed, so there may not be more.
FILES_MAX = 10_000
LOOKED_AT_BYTES_MAX = 65_536


class Found(NamedTuple):
    files: int
    modified: float
    size: int
    beginning: str


async def probe(attempt: Attempt, target: str, module: Module, ground: Ground) -> None:
    path, settings = target.removeprefix("file:"), module.file
    if not path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise WrongTarget("the target is no path that begins with / and is without ..")
    if not ground.allowed.path("file", path):
        raise not_allowed()
    content = bool(settings.regexp)
    found = await ground.aside.run(("file", path, content), partial(_look, path, ground.allowed, content=content))
    age = max(0.0, time.time() - found.modified)
    attempt.gauge("probe_files", "How many files there are of that path.", found.files)
    attempt.gauge("probe_file_age_seconds", "How long ago the newest was changed.", age)
    attempt.gauge(
        "probe_file_modified_timestamp_seconds", "When the newest was changed, in seconds since 1970.", found.modified
    )
    attempt.gauge("probe_file_size_bytes", "How large the newest is.", found.size)
    attempt.note(f"{found.files} files; the newest is {age:.0f} s old and has {found.size} bytes")
    if settings.age_max and age > parse(settings.age_max):
        raise Failed("age", f"the newest is older than {settings.age_max}")
    if found.size < settings.bytes_min:
        raise Failed("size", f"the newest has less than {settings.bytes_min} bytes")
    if settings.bytes_max is not None and found.size > settings.bytes_max:
        raise Failed("size", f"the newest has more than {settings.bytes_max} bytes")
    if settings.regexp and not all(await ground.matching.search([(settings.regexp, found.beginning)])):
        raise Failed("content", "regexp: not found")


def _look(path: str, allowed: Allowed, *, content: bool) -> Found:
    """In a thread. Raises Failed."""
    paths = list(islice(glob.iglob(path), FILES_MAX + 1)) if glob.has_magic(path) else [path]
    if len(paths) > FILES_MAX:
        raise Failed("too_large", f"there are more than {FILES_MAX} files of that path")
    newest: tuple[float, str] | None = None
    count = 0
    for each in paths:
        # A link leads no further than the list does.
        real = os.path.realpath(each)
        if not allowed.path("file", real):
            raise not_allowed()
        try:
            status = os.stat(real)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Failed("missing", f"the file cannot be looked at: {error.strerror}") from None
        if stat.S_ISREG(status.st_mode):
            count += 1
            newest = max(newest or (status.st_mtime, real), (status.st_mtime, real))
    if newest is None:
        raise Failed("missing", "there is no such file")
    return _of(newest[1], count, content=content)


def _of(path: str, count: int, *, content: bool) -> Found:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK) if content else None
        try:
            status = os.stat(path) if descriptor is None else os.fstat(descriptor)
            beginning = b"" if descriptor is None else os.read(descriptor, LOOKED_AT_BYTES_MAX)
        finally:
            if descriptor is not None:
                os.close(descriptor)
    except OSError as error:
        raise Failed("missing", f"the file cannot be read: {error.strerror}") from None
    return Found(count, status.st_mtime, status.st_size, beginning.decode("utf-8", "replace"))
