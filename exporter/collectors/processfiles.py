"""What the kernel says of one process: its times, memory, files and states, in as few reads as that takes.

A process with one thread that was not scheduled since it was looked at has done nothing, so most processes of a machine
cost two reads. What only their owner may read of them is None for others. Nothing here knows groups.
"""

import mmap
import os

import msgspec

from exporter.collectors.files import Malformed
from exporter.collectors.processes import STAT_BYTES, THREADS, VANISHED, numbers, read_short, stat_fields

STATUS_BYTES = IO_BYTES = LIMITS_BYTES = 4096
# Somebody can be in 65,536 groups of users, whose numbers come before what we look for.
LONG_STATUS_BYTES = 1 << 20
# The fields of `stat` after the name.
STATE, FLAGS, MINOR, MAJOR, USER, SYSTEM, START, VIRTUAL, RESIDENT = 0, 6, 7, 9, 11, 12, 19, 20, 21
# The flag of threads of the kernel itself.
IS_KERNEL = 0x00200000
PAGE_BYTES = mmap.PAGESIZE


class Counts(msgspec.Struct, frozen=True):
    """What only grows while the process lives; times are in ticks of the kernel."""

    user: int
    system: int
    major: int
    minor: int
    voluntary: int
    involuntary: int
    read: int | None
    written: int | None


class Process(msgspec.Struct, frozen=True):
    """One process at one moment. `stat` and `status` are what was read, to see whether it has changed."""

    name: bytes
    state: bytes
    start: int
    threads: int
    counts: Counts
    resident: int
    virtual: int
    swapped: int
    files: int | None
    files_limit: int | None
    stat: bytes
    status: bytes


def look(folder: str, before: Process | None) -> Process | None:
    """The process as it is now; None for one that has gone, is the kernel's own, or is hidden from us (hidepid)."""
    try:
        return _look(folder, before)
    except (*VANISHED, PermissionError):
        return None


def _look(folder: str, before: Process | None) -> Process | None:
    stat = read_short(f"{folder}/stat", STAT_BYTES)
    name, fields = stat_fields(stat, f"{folder}/stat", RESIDENT)
    numbers_of_stat = _numbers(fields[FLAGS : RESIDENT + 1], f"{folder}/stat", stat)
    if numbers_of_stat[0] & IS_KERNEL:
        return None
    status = read_short(f"{folder}/status", STATUS_BYTES)
    if len(status) == STATUS_BYTES:
        status = read_short(f"{folder}/status", LONG_STATUS_BYTES)
    if before is not None and (before.stat, before.status) == (stat, status) and before.threads == 1:
        return before
    minor, major, user, system, threads, start, virtual, resident = (
        numbers_of_stat[field - FLAGS] for field in (MINOR, MAJOR, USER, SYSTEM, THREADS, START, VIRTUAL, RESIDENT)
    )
    voluntary, involuntary, swapped = _status(status, f"{folder}/status")
    read, written = _input_and_output(f"{folder}/io")
    files = _files(f"{folder}/fd")
    same = before is not None and before.start == start and before.files == files
    return Process(
        name=name,
        state=fields[STATE],
        start=start,
        threads=threads,
        counts=Counts(user, system, major, minor, voluntary, involuntary, read, written),
        resident=resident * PAGE_BYTES,
        virtual=virtual,
        swapped=swapped,
        files=files,
        # Limits are changed where a program begins, before it opens files.
        files_limit=before.files_limit if before is not None and same else _files_limit(f"{folder}/limits"),
        stat=stat,
        status=status,
    )


def _numbers(words: list[bytes], path: str, content: bytes) -> list[int]:
    try:
        return [int(word) for word in words]
    except ValueError:
        raise Malformed(path, found=content, expected="whole numbers") from None


def _status(content: bytes, path: str) -> tuple[int, int, int]:
    """Context switches of both kinds, and what is swapped out; where a line is missing, there are none.

    A process without memory has no swap; gVisor, which stands in for the kernel in containers, counts no switches.
    """
    switched, swapped = content.rfind(b"\nvoluntary_ctxt_switches:"), content.find(b"\nVmSwap:")
    words = content[switched:].split()[1:4:2] if switched >= 0 else [b"0", b"0"]
    words += content[swapped:].split(maxsplit=2)[1:2] if swapped >= 0 else [b"0"]
    if len(words) != 3:
        raise Malformed(path, found=content, expected="voluntary_ctxt_switches and nonvoluntary_ctxt_switches")
    voluntary, involuntary, kilobytes = _numbers(words, path, content)
    return voluntary, involuntary, kilobytes * 1024


def _input_and_output(path: str) -> tuple[int | None, int | None]:
    """None where only root may know, or where the kernel does not count it."""
    try:
        content = read_short(path, IO_BYTES)
    except (PermissionError, FileNotFoundError):
        return None, None
    words = content.split()
    found = dict(zip(words[::2], words[1::2], strict=False))
    if b"read_bytes:" not in found or b"write_bytes:" not in found:
        raise Malformed(path, found=content, expected="read_bytes and write_bytes")
    read, written = _numbers([found[b"read_bytes:"], found[b"write_bytes:"]], path, content)
    return read, written


def _files(path: str) -> int | None:
    """Newer kernels say how many there are as the size of the folder."""
    try:
        return os.stat(path).st_size or len(numbers(path))
    except PermissionError:
        return None


def _files_limit(path: str) -> int | None:
    """None as well where there is no such file, as in gVisor."""
    try:
        content = read_short(path, LIMITS_BYTES)
    except (PermissionError, FileNotFoundError):
        return None
    words = content[content.find(b"Max open files") :].split(maxsplit=4)
    if len(words) < 4 or not (words[3].isdigit() or words[3] == b"unlimited"):
        raise Malformed(path, found=content, expected="a line Max open files with its limits")
    return None if words[3] == b"unlimited" else int(words[3])
