"""Passwords held against their bcrypt hashes, which is slow on purpose: in a thread, one after the other.

A password that was right once is known again by a digest with a key that only this process has; so a scraper pays for
bcrypt once. What is remembered and who waits is bounded. A user who does not exist takes as long as one who does:
there is always a hash to hold the password against.
"""

import asyncio
import hashlib
import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

REMEMBERED_MAX = 1_000
WAITING_MAX = 32
COST_MIN = 4
COST_MAX = 15  # takes a few seconds; each more doubles it
# What bcrypt looks at; longer ones are cut, as other programs that read the same file do.
PASSWORD_BYTES_MAX = 72

_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_USUAL_COST = 10


class Busy(Exception):
    """Too many passwords wait to be verified: come back."""


def check_hash(text: str) -> None:
    """Raises ValueError with what was expected."""
    match = _HASH.fullmatch(text)
    if match is None or not COST_MIN <= int(match[1]) <= COST_MAX:
        raise ValueError(
            f"a bcrypt hash with a cost from {COST_MIN} to {COST_MAX}, such as `htpasswd -nBC 12 NAME` writes after the"
            " name"
        )


def nobodys_hash(hashes: Iterable[str]) -> str:
    """Takes as long as the slowest of them, and fits no password."""
    costs = [int(match[1]) for each in hashes if (match := _HASH.fullmatch(each))]
    return f"$2b${max(costs, default=_USUAL_COST):02}${'.' * 53}"


class Passwords:
    def __init__(self, *, waiting_max: int = WAITING_MAX, remembered_max: int = REMEMBERED_MAX) -> None:
        self._key = os.urandom(32)
        self._waiting_max = waiting_max
        self._remembered_max = remembered_max
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: dict[bytes, asyncio.Future[bool]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")

    def is_known(self, password: bytes, hashed: str) -> bool:
        """Whether it was right before. At once."""
        digest = self._digest(password, hashed)
        if digest not in self._right:
            return False
        self._right.move_to_end(digest)
        return True

    async def verify(self, password: bytes, hashed: str) -> bool:
        """Raises Busy."""
        digest = self._digest(password, hashed)
        asked = self._waiting.get(digest)
        if asked is None:
            if len(self._waiting) >= self._waiting_max:
                raise Busy
            asked = asyncio.get_running_loop().run_in_executor(self._thread, _fits, password, hashed)
            self._waiting[digest] = asked
            asked.add_done_callback(lambda done: self._verified(digest, done))
        return await asyncio.shield(asked)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _verified(self, digest: bytes, done: asyncio.Future[bool]) -> None:
        del self._waiting[digest]
        if not done.cancelled() and done.exception() is None and done.result():
            self._right[digest] = None
            if len(self._right) > self._remembered_max:
                self._right.popitem(last=False)

    def _digest(self, password: bytes, hashed: str) -> bytes:
        return hmac.digest(self._key, hashed.encode() + b"\0" + hashlib.sha256(password).digest(), "sha256")


def _fits(password: bytes, hashed: str) -> bool:
    import bcrypt  # not before somebody logs in with a password

    try:
        return bcrypt.checkpw(password[:PASSWORD_BYTES_MAX], hashed.encode())
    except ValueError:  # what bcrypt cannot take, nobody's password is
        return False
