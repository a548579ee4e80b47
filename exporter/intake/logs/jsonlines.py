"""Lines of JSON: whole chunks go to the reader as they are."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.columns import Written
from exporter.event import Fields
from exporter.intake.logs.columns import with_moments
from exporter.intake.logs.moments import Read
from exporter.reader import Found, Reader


class JsonLines:
    def __init__(self, asked: Mapping[str, Fields], written: Written, moment: Read) -> None:
        self._asked = asked
        self._moment = moment
        self._kind = written.kind
        self._reader = Reader(asked, written) if not written.kind or written.kind in asked else None

    def parse(self, data: bytes) -> Found:
        if self._reader is None:
            return Found([], [], {self._kind: sum(1 for line in data.split(b"\n") if line.strip())})
        if not data.isascii():
            data = data.decode(errors="replace").encode()
        return with_moments(self._reader.lines(data), self._asked, self._moment)
