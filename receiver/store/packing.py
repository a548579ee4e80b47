"""Bodies as the journal keeps them: compressed, with bodies that came before as the dictionary.

Webhooks of one installation look alike, and a few alerts alone are too little to compress well. So some of the newest
bodies become a dictionary, kept in the store, for those that follow; it is renewed often at first and rarely later. A
hash covers the body as it came, so that neither compression nor a dictionary can change a word unnoticed.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import deque

BODY_BYTES_MIN = 1024  # smaller ones are kept as they are: compressing them costs more time than writing them
UNPACKED_BYTES_MAX = 128 * 1024 * 1024  # twice what a door takes: what claims to be more was not written by us
_RENEWED_AFTER = 65_536  # bodies; sooner while there are few dictionaries
_SAMPLES = 2
_HEAD_BYTES, _TAIL_BYTES = 768, 256
_LEVEL = 1
_NO_HEADER = -15  # the window of 32 KiB, and no checksum: the journal's hash is one


class CannotUnpack(Exception):
    """The body is not what was packed, or its dictionary is gone."""


class Packing:
    """Packs for one writer. `connection` is the writer's; only `renew` writes, in a transaction of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        row = self._run("SELECT number, data FROM dictionaries ORDER BY number DESC LIMIT 1").fetchone()
        self._number, self._dictionary = (int(row[0]), bytes(row[1])) if row else (0, b"")
        self._uses = 0
        self._samples: deque[bytes] = deque(maxlen=_SAMPLES)

    def renew(self) -> None:
        """Between transactions: takes the newest bodies as the dictionary when the one in use is worn out."""
        if not self._samples or self._uses < min(16**self._number, _RENEWED_AFTER):
            return
        dictionary = b"".join(self._samples)
        self._run("INSERT INTO dictionaries VALUES (?, ?)", (self._number + 1, dictionary))
        self._number, self._dictionary, self._uses = self._number + 1, dictionary, 0

    def pack(self, body: bytes) -> tuple[int, bytes]:
        """The number of the dictionary, 0 for a body that is kept as it is, and what to keep."""
        if len(body) < BODY_BYTES_MIN:
            return 0, body
        self._uses += 1
        self._samples.append(body[:_HEAD_BYTES] + body[-_TAIL_BYTES:])
        if not self._number:
            return 0, body
        packer = zlib.compressobj(
            _LEVEL, zlib.DEFLATED, _NO_HEADER, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, self._dictionary
        )
        packed = packer.compress(body) + packer.flush()
        return (self._number, packed) if len(packed) < len(body) else (0, body)


class Unpacking:
    """Unpacks for one reader; reads each dictionary once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._dictionaries: dict[int, bytes] = {}

    def unpack(self, number: int, body: bytes) -> bytes:
        if not number:
            return body
        unpacker = zlib.decompressobj(_NO_HEADER, self._dictionary(number))
        try:
            whole = unpacker.decompress(body, UNPACKED_BYTES_MAX)
        except zlib.error as error:
            raise CannotUnpack(str(error)) from None
        if not unpacker.eof:
            raise CannotUnpack("it breaks off, or is too large")
        return whole

    def _dictionary(self, number: int) -> bytes:
        if number not in self._dictionaries:
            row = self._run("SELECT data FROM dictionaries WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise CannotUnpack(f"there is no dictionary {number}")
            self._dictionaries[number] = bytes(row[0])
        return self._dictionaries[number]
