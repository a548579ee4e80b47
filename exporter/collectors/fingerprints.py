"""What a file is known by: who may do what with it, and the hash of what is in it."""

import hashlib
import os
import stat
from enum import StrEnum
from typing import NamedTuple

# A larger file is not read.
FILE_BYTES_MAX = 64 << 20
PIECE_BYTES = 1 << 16


class State(StrEnum):
    """What could be seen of a file; the values are those of the label `state`."""

    READ = "read"
    # There, but not for us to read: its size and time stand for what is in it.
    UNREADABLE = "unreadable"
    # Larger than is read, or no regular file: likewise.
    NOT_READ = "not_read"
    MISSING = "missing"


class Look(NamedTuple):
    """Everything that tells without reading whether a file is the same."""

    inode: int
    size: int
    mtime: int
    ctime: int
    mode: int
    owner: int
    group: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Look":
        return cls(
            *(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns),
            *(status.st_mode, status.st_uid, status.st_gid),
        )


class Fingerprint(NamedTuple):
    """One file at one moment."""

    state: State
    look: Look | None = None
    content: str = ""

    def differs(self, before: "Fingerprint") -> bool:
        """Whether somebody has changed it: what is in it, who may do what with it, or that it is there.

        Where it could be read only once of both times, what is in it is not compared.
        """
        if self.look is None or before.look is None:
            return self.state is not before.state
        now, then = self.look, before.look
        if (now.mode, now.owner, now.group) != (then.mode, then.owner, then.group):
            return True
        if self.state is State.READ and before.state is State.READ:
            return self.content != before.content
        return self.state is before.state and (now.size, now.mtime) != (then.size, then.mtime)


MISSING = Fingerprint(State.MISSING)


def fingerprint(path: str, before: Fingerprint | None) -> Fingerprint:
    """Read only where something about it is not as it was before. A link counts as what it leads to."""
    try:
        look = Look.of(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except (OSError, ValueError):
        return Fingerprint(State.UNREADABLE)
    if before is not None and before.look == look and before.state is not State.UNREADABLE:
        return before
    if not stat.S_ISREG(look.mode) or look.size > FILE_BYTES_MAX:
        return Fingerprint(State.NOT_READ, look)
    try:
        return Fingerprint(State.READ, look, _hash(path))
    except FileNotFoundError:
        return MISSING
    except OSError:
        return Fingerprint(State.UNREADABLE, look)


def _hash(path: str) -> str:
    """Of a file that grows while it is read, no more than is read of any."""
    found = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        left = FILE_BYTES_MAX
        while left > 0 and (part := os.read(descriptor, PIECE_BYTES)):
            found.update(part)
            left -= len(part)
    finally:
        os.close(descriptor)
    return found.hexdigest()
