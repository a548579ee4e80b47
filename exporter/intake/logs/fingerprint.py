"""What a file is known by when its name and its number are not enough: its first bytes, and those before a place in it.

A number (device and inode) is given again to another file once the first one is gone, a name is given to the next file
at a rotation, and a file can be emptied and filled again. What was written before a place does not change in a log.
"""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

MARK_BYTES = 64


class Identity(NamedTuple):
    device: int
    inode: int


class Mark(NamedTuple):
    """Bytes of a file, as long as nobody can read them from what is kept of it."""

    size: int
    digest: str


class Place(NamedTuple):
    """How far a file was read, and how it is known again. `compressed` is one that is read once, as a whole."""

    path: str
    device: int
    inode: int
    position: int
    head: Mark
    tail: Mark
    compressed: bool = False

    @property
    def identity(self) -> Identity:
        return Identity(self.device, self.inode)


def mark_of(data: bytes) -> Mark:
    return Mark(len(data), hashlib.blake2b(data, digest_size=16).hexdigest())


def read_marks(descriptor: int, position: int) -> tuple[bytes, bytes]:
    """The first bytes, and those before the position."""
    before = max(0, position - MARK_BYTES)
    return os.pread(descriptor, MARK_BYTES, 0), os.pread(descriptor, position - before, before)


def fits(descriptor: int, head: Mark, tail: Mark, position: int) -> bool:
    """Whether this file was read to that position: it may have grown since, and nothing else."""
    found = os.pread(descriptor, head.size, 0)
    before = os.pread(descriptor, tail.size, position - tail.size)
    return mark_of(found) == head and mark_of(before) == tail
