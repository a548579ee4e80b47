"""A small file of our own that is replaced as a whole: whoever reads it finds what was written last, or before that.

What is no regular file is neither read nor replaced: a device that was named by mistake would be gone, and a pipe never
answers. Only its owner may read it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from errno import EINVAL


def read(path: str, *, most: int) -> bytes:
    """At most so many bytes and one more, which tells that there are more. Raises OSError, and never waits."""
    with os.fdopen(_opened(path, os.O_RDONLY), "rb") as file:
        return file.read(most + 1)


def replace(path: str, data: bytes) -> None:
    """All or nothing. A link is followed. Raises OSError."""
    path = os.path.realpath(path)
    with suppress(FileNotFoundError):
        _refuse_irregular(os.stat(path), path)
    beside = f"{path}.new"
    descriptor = _opened(beside, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.truncate(0)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _opened(path: str, flags: int) -> int:
    """Raises OSError, and never waits."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
    try:
        _refuse_irregular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_irregular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(EINVAL, "found no regular file", path)
