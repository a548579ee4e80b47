"""Where the kernel's files are, how they are read, and the error for one that reads wrong.

Only reading happens here. What a file means is the business of the collector that asks for it.
"""

import os
from typing import NamedTuple

READ_BYTES = 1 << 16


class Paths(NamedTuple):
    """The roots under which the collectors look; other than the defaults inside a container or a test."""

    procfs: str = "/proc"
    sysfs: str = "/sys"
    rootfs: str = "/"


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
    finally:
        os.close(descriptor)
    return b"".join(parts)


def text(content: bytes) -> str:
    """Bytes for a label. What is not UTF-8 stays visible, and distinct from what else is not."""
    return content.decode("utf-8", errors="backslashreplace")


def read_optional(path: str) -> bytes | None:
    """The file, or None where the hardware or the kernel does not offer it."""
    try:
        return read(path)
    except OSError:
        return None


def numbered(folder: str, prefix: str) -> list[tuple[int, str]]:
    """The entries `cpu0`, `cpu1`, … of a folder by number; none where the folder does not exist."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    numbers = [name.removeprefix(prefix) for name in entries if name.startswith(prefix)]
    return sorted((int(number), f"{folder}/{prefix}{number}") for number in numbers if number.isdecimal())


def whole_number(content: bytes, where: str) -> int:
    """A non-negative whole number standing alone."""
    stripped = content.strip()
    if not stripped.isdigit():
        raise Malformed(where, found=content, expected="a whole number")
    return int(stripped)
