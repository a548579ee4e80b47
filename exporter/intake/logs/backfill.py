"""A compressed file, read once: what was written before anybody followed the log."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from typing import BinaryIO

from exporter.intake.logs.cut import LINE_BYTES_MAX, cut
from exporter.intake.logs.file import Piece, opened
from exporter.intake.logs.fingerprint import Place


class Compressed:
    """What is not a whole line yet is held here, as it cannot be read again: at most one line, of one file."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._raw: BinaryIO | None = None
        self._file: gzip.GzipFile | None = None
        self._held = b""
        self._inside = False
        self.ended = False

    def read(self, most: int, *, starts: re.Pattern[bytes] | None = None) -> Piece:
        """At most so many bytes of what was compressed. Raises OSError for what cannot be read, or is no gzip."""
        try:
            if self._file is None:
                self._raw = os.fdopen(opened(self.place.path, 0).descriptor, "rb")
                self._file = gzip.GzipFile(fileobj=self._raw)
            data = self._file.read(most)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            # What they say repeats bytes of the file.
            raise OSError(None, "found no whole gzip file", self.place.path) from None
        if not data:
            self.ended = True
            whole, self._held = self._held, b""
            return Piece(whole and whole + b"\n", len(data))
        found = cut(self._held + data, inside=self._inside, starts=starts)
        held = (self._held + data)[found.taken :]
        too_long = found.too_long
        self._inside = found.inside
        if len(held) > LINE_BYTES_MAX:
            held, self._inside, too_long = b"", True, too_long + 1
        self._held = held
        return Piece(found.whole.replace(b"\0", b""), len(data), too_long)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()
