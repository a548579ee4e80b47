"""Where the kernel's files are, how they are read, and the error for one that reads wrong.

Only reading happens here. What a file means is the business of the collector that asks for it.
"""

import os
import resource
import select
from typing import NamedTuple

from exporter.outcome import Absent

READ_BYTES = 1 << 16
# Files that one collector keeps open; what is beyond is opened at each scrape.
KEPT_MAX = 256
# Of the files that the process may have open, how many of a hundred stay open; the others are left to callers, and
# to what is opened for a moment. Where few may be open, scrapes become slower, and no collector fails.
KEPT_PERCENT_MAX = 50
# Digits of a number, or bytes of a line of numbers. A longer one is not the kernel's, and may be beyond a float.
NUMBER_BYTES_MAX = 300
# The longest number of 64 bits, with its sign if it has one.
DIGITS_MAX = 20


class Paths(NamedTuple):
    """The roots under which the collectors look; other than the defaults inside a container or a test."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"
    udev_data: str = "/run/udev/data"


class Malformed(ValueError):
    """A file was there but did not say what it should: the collector fails, the page does not."""

    def __init__(self, where: str, *, found: bytes | str, expected: str) -> None:
        shown = found.decode(errors="backslashreplace") if isinstance(found, bytes) else found
        super().__init__(f"{where}: found {shown[:120]!r}, expected {expected}")


def read(path: str) -> bytes:
    """The whole file. Kernel files have no size to ask for, so it is read until it ends."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, READ_BYTES):
            parts.append(part)
    except OSError as error:
        # Only what fails at opening knows the name by itself.
        error.filename = path
        raise
    finally:
        os.close(descriptor)
    return b"".join(parts)


def may_stay_open(descriptor: int) -> bool:
    """The kernel gives the lowest number that is free, so the number tells how many are open."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit == resource.RLIM_INFINITY or descriptor * 100 < limit * KEPT_PERCENT_MAX


class Kept:
    """Kernel files that stay open between scrapes: opening one costs ten times what reading it does.

    Only for files of procfs and sysfs, which are made anew whenever they are read from the beginning. A device that
    went away answers with an error; then its file is opened again, as another may have come by that name. Not for
    two threads at once.
    """

    def __init__(self, *, most: int = KEPT_MAX) -> None:
        self._most = most
        self._descriptors: dict[str, int] = {}
        self._polled: dict[str, select.poll] = {}

    def read(self, path: str) -> bytes:
        """The whole file, however long."""
        parts = [self._first(path)]
        descriptor = self._descriptors.get(path)
        if descriptor is None:
            return parts[0]
        offset = len(parts[0])
        try:
            while part := os.pread(descriptor, READ_BYTES, offset):
                parts.append(part)
                offset += len(part)
        except OSError as error:
            error.filename = path
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_value(self, path: str) -> bytes:
        """A file that the kernel gives whole in one read: each one in sysfs and in /proc/sys."""
        return self._first(path)

    def read_optional(self, path: str) -> bytes | None:
        """`read_value`, or None where the hardware or the kernel does not offer it."""
        try:
            return self._first(path)
        except OSError:
            return None

    def is_untouched(self, path: str) -> bool:
        """Whether the kernel says that this list of mounts is what it was when it was last asked this.

        Only procfs can say so; a file on a disk, which has a size, is never called untouched.
        """
        descriptor = self._descriptors.get(path)
        if descriptor is None:
            return False
        polled = self._polled.get(path)
        if polled is None:
            if os.fstat(descriptor).st_size:
                return False
            polled = self._polled[path] = select.poll()
            polled.register(descriptor, select.POLLPRI | select.POLLERR)
        return not polled.poll(0)

    def __del__(self) -> None:
        """A collector that others take the place of, at a reload, takes its files along."""
        self.close()

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
        self._polled.clear()

    def _first(self, path: str) -> bytes:
        descriptor = self._descriptors.get(path)
        if descriptor is not None:
            try:
                return os.pread(descriptor, READ_BYTES, 0)
            except OSError:
                del self._descriptors[path]
                self._polled.pop(path, None)
                os.close(descriptor)
        if len(self._descriptors) >= self._most:
            return read(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if not may_stay_open(descriptor):
            os.close(descriptor)
            return read(path)
        try:
            content = os.pread(descriptor, READ_BYTES, 0)
        except OSError as error:
            os.close(descriptor)
            error.filename = path
            raise
        self._descriptors[path] = descriptor
        return content


def text(content: bytes) -> str:
    """Bytes for a label. What is not UTF-8 stays visible, and distinct from what else is not."""
    return content.decode("utf-8", errors="backslashreplace")


def shown(name: str) -> str:
    """A file's name or path for a label; it may have any bytes."""
    return text(os.fsencode(name))


def read_optional(path: str) -> bytes | None:
    """The file, or None where the hardware or the kernel does not offer it."""
    try:
        return read(path)
    except OSError:
        return None


def entries(folder: str, *, absent: str = "") -> list[str]:
    """The names in a folder, in a stated order. Where it does not exist there are none, or that is said as Absent."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        if absent:
            raise Absent(absent) from None
        return []


def numbered(folder: str, prefix: str) -> list[tuple[int, str]]:
    """The entries `cpu0`, `cpu1`, … of a folder by number; none where the folder does not exist."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    return sorted((int(number), f"{folder}/{prefix}{number}") for number in numbers if number.isdecimal())


def whole_number(content: bytes, where: str) -> int:
    """A non-negative whole number standing alone."""
    stripped = content.strip()
    if not stripped.isdigit() or len(stripped) > NUMBER_BYTES_MAX:
        raise Malformed(where, found=content, expected="a whole number")
    return int(stripped)


def signed_number(content: bytes, where: str) -> int:
    """A whole number standing alone, with a minus sign if it is negative."""
    stripped = content.strip()
    if not stripped.removeprefix(b"-").isdigit() or len(stripped) > DIGITS_MAX:
        raise Malformed(where, found=content, expected="a whole number, perhaps negative")
    return int(stripped)
