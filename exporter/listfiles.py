"""Lists of known malicious addresses, read in threads, again whenever their files change.

A file that cannot be used changes nothing: what was read of it before stays in force, and it is said why. A file system
that does not answer holds up the lists that are on it, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from exporter.control import Plan, Refused
from exporter.detectors.lists import Listed, Read, Unusable, parsed
from exporter.family import Family
from exporter.pool import Pool

FILE_BYTES_MAX = 67_108_864
# After that long it is looked whether a file has changed.
LOOK_SECONDS = 30.0

log = logging.getLogger("tocsin.exporter.lists")


class _Stamp(NamedTuple):
    """Another one is another content."""

    changed_ns: int
    size: int
    number: int


class _List:
    """One file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = name_of(path)
        self.read: Read | None = None
        self.read_at = 0.0
        self.trouble: str | None = None
        self.pool = Pool("tocsin-lists")
        self._stamp: _Stamp | None = None

    async def look(self, *, clock: Callable[[], float]) -> bool:
        """Whether something else is in force."""
        from exporter.intake.logs.tail import in_thread  # only where there is a list

        try:
            found = await in_thread(self.pool, partial(_read, self.path, self._stamp))
        except (OSError, Unusable) as error:
            why = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
            if why != self.trouble:
                log.error("a list cannot be used, what was read before stays", extra={"file": self.path, "why": why})
            self.trouble = why
            return False
        self.trouble = None
        if found is None:
            return False
        self.read, self._stamp = found
        self.read_at = clock()
        about = {"file": self.path, "entries": self.read.entries}
        log.info("a list was read", extra=about)
        if self.read.unreadable:
            more = {"unreadable": self.read.unreadable, "lines": self.read.wrong}
            log.warning("not all lines of a list can be read", extra={**about, **more})
        return True


class ListFiles:
    """A part that follows the plan."""

    def __init__(
        self, listed: Listed, *, clock: Callable[[], float] = time.time, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._listed = listed
        self._clock = clock
        self._look_seconds = look_seconds
        self._lists: tuple[_List, ...] = ()
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._running = False
        self._task: asyncio.Task[None] | None = None

    def prepare(self, plan: Plan) -> Callable[[], None]:
        files: Sequence[str] = ()
        if plan.file is not None and plan.file.detectors.malicious_address.enabled:
            files = plan.file.detectors.malicious_address.files
        names = [name_of(path) for path in files]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            where = "detectors.malicious_address.files"
            raise Refused((f"{where}: found two files with the name {twice[0]!r}, expected names that differ",))
        return partial(self._use, files)

    async def __aenter__(self) -> Self:
        self._running = True
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        tasks = [*self._looking.values(), *([] if self._task is None else [self._task])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self._lists:
            each.pool.close()

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - counts have no age
        lists = self._lists
        yield _family(
            "security_list_entries",
            "Addresses and networks on the list, as it is in force.",
            {each.name: each.read.entries if each.read else 0 for each in lists},
        )
        yield _family(
            "security_list_unreadable_lines",
            "Lines of the list that could not be read, of the file that is in force.",
            {each.name: each.read.unreadable if each.read else 0 for each in lists},
        )
        yield _family(
            "security_list_last_read_successful",
            "1 if the file of the list could be used when it was last looked at, 0 if not or not yet.",
            {each.name: float(each.read is not None and each.trouble is None) for each in lists},
        )
        yield _family(
            "security_list_last_read_timestamp_seconds",
            "When the list that is in force was read, in seconds since 1970; 0 if it never was.",
            {each.name: each.read_at for each in lists},
        )

    def _use(self, files: Sequence[str]) -> None:
        """Those that stay go on, and are looked at again now."""
        before = {each.path: each for each in self._lists}
        self._lists = tuple(before[path] if path in before else _List(path) for path in files)
        for gone in before.values():
            if gone not in self._lists:
                gone.pool.close()
        self._put_into_force()
        self._begin()
        self._changed.set()

    def _begin(self) -> None:
        if self._running and self._lists and self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            for each in self._lists:
                if each.path not in self._looking:
                    self._looking[each.path] = asyncio.create_task(self._look(each))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._changed.wait()

    async def _look(self, each: _List) -> None:
        try:
            if await each.look(clock=self._clock):
                self._put_into_force()
        finally:
            del self._looking[each.path]

    def _put_into_force(self) -> None:
        self._listed.use({each.name: each.read.ranges for each in self._lists if each.read is not None})


def name_of(path: str) -> str:
    """By which a list is known in findings and metrics."""
    return Path(path).name


def _read(path: str, before: _Stamp | None) -> tuple[Read, _Stamp] | None:
    """None where the file is as it was before. Raises OSError, Unusable."""
    # What is no file could make whoever opens it wait for ever.
    if not os.path.isfile(path) and os.path.exists(path):
        raise Unusable("found something else than a file")
    with open(path, "rb") as file:
        about = os.fstat(file.fileno())
        stamp = _Stamp(about.st_mtime_ns, about.st_size, about.st_ino)
        if stamp == before:
            return None
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise Unusable(f"found a file of more than {FILE_BYTES_MAX} bytes")
    return parsed(data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")), stamp


def _family(name: str, help: str, values: dict[str, float]) -> Family:  # noqa: A002
    samples = tuple(((each,), value) for each, value in values.items())
    return Family.of(name=name, type="gauge", help=help, labels=("list",), samples=samples)
