"""Bearer tokens that live in files, one a line, so that a token can be changed without a restart.

Two lines are two valid tokens: that is how one is rotated without a gap. Blank lines and lines that begin
with `#` say nothing. Only digests are kept in memory, every comparison takes the same time, and no token
appears in an error. A file that cannot be read raises instead of refusing: a door that answers 503 is asked
again, one that answers 401 has lost an alert.
"""

import hashlib
import hmac
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

FILE_BYTES_MAX = 65536
# A file may change twice within one tick of the file system's clock, and look the same afterwards.
SETTLED_SECONDS = 2.0


class Unreadable(Exception):
    """The file cannot serve as a list of tokens; the text names it and says why."""


class TokenFile:
    """The tokens of one file, read again when the file changes."""

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        """Reads the file at once, so that a wrong path shows at the start and not with the first request."""
        self._path = Path(path)
        self._clock = clock
        self._seen: tuple[int, ...] | None = None
        self._digests = self._current()

    def accepts(self, authorization_header: str | None) -> bool:
        """Whether `Authorization: Bearer …` carries one of the tokens. Raises `Unreadable`."""
        known = self._current()
        scheme, _, token = (authorization_header or "").partition(" ")
        offered = digest_of(token.strip().encode("utf-8", "surrogateescape"))
        matches = [hmac.compare_digest(offered, each) for each in known]
        return scheme.lower() == "bearer" and any(matches)

    def _current(self) -> tuple[bytes, ...]:
        try:
            status = self._path.stat()
            seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if seen == self._seen:
                return self._digests
            digests = tuple(digest_of(token) for token in _read(self._path, status))
        except OSError as error:
            raise Unreadable(f"{self._path}: {error.strerror or error}") from None
        settled = self._clock() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS
        self._seen = seen if settled else None
        self._digests = digests
        return digests


def first_token(path: str | os.PathLike[str]) -> str:
    """The token that we show to somebody else: the first of the file, as it is now. Raises `Unreadable`."""
    try:
        tokens = _read(Path(path), Path(path).stat())
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None
    try:
        return tokens[0].decode("ascii")
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: a character in the token that no header can carry") from None


def _read(path: Path, status: os.stat_result) -> list[bytes]:
    # Opening a pipe would wait for a writer; only a regular file answers at once.
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f"{path}: not a regular file")
    if status.st_size > FILE_BYTES_MAX:
        raise Unreadable(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    lines = [line.strip() for line in path.read_bytes().splitlines()]
    tokens = [line for line in lines if line and not line.startswith(b"#")]
    if not tokens:
        raise Unreadable(f"{path}: no token in it")
    if any(len(token.split()) > 1 for token in tokens):
        raise Unreadable(f"{path}: white space inside a token")
    return tokens


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
