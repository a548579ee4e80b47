"""A log record as one line of bounded length: a JSON object, text for people, or what syslog wants (RFC 5424).

Control characters, line breaks and whatever else does not print are escaped, so that a log line cannot be forged from
outside. What is too long loses its middle: how a trace ends says more than what is in between. Personal data is taken
out of every text, whoever wrote it, and so are the values of fields whose names say that they are somebody's. Nothing
here writes.
"""

from __future__ import annotations

import json
import logging
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

from guard.redaction.names import is_personal
from guard.trail import CURRENT, said

FORMATS = ("auto", "text", "json")
# Docker takes 16,384 bytes for one line, and splits what is longer; rsyslog 8,192, and cuts it.
LINE_BYTES_MAX = 16_000
DATAGRAM_BYTES_MAX = 8_000
# Of lists and tables in a line that is too long, by how long the texts in it may be.
TEXT_CHARACTERS = (4_000, 1_000, 250, 60)
MEMBERS_MAX = 20
DEPTH_MAX = 5
# Python does not write down larger ones.
NUMBER_BITS_MAX = 4_096

# What `logging` itself puts on a record; everything else on it came through `extra`.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[^\s\"'=\\]+")
_SEVERITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_DAEMON = 3  # syslog's word for whom a line is of

LEVELS_COUNTED = tuple(_SEVERITIES)
HIDDEN = "[MASKED]"
MARGIN_CHARACTERS = 256


class Ours(str):
    """A text that was made here of nothing that came, such as a hash: it is logged as it is."""

    __slots__ = ()


def level_of(record: logging.LogRecord) -> str:
    """One of the levels that are counted, also for a level of somebody's own."""
    if record.levelno >= logging.ERROR:
        return "critical" if record.levelno >= logging.CRITICAL else "error"
    if record.levelno >= logging.INFO:
        return "warning" if record.levelno >= logging.WARNING else "info"
    return "debug"


class Lines(logging.Formatter, ABC):
    """What all formats share: what is said, and how much of it."""

    bytes_max = LINE_BYTES_MAX

    def format(self, record: logging.LogRecord) -> str:
        message, extra = _hidden(record.getMessage(), self.bytes_max), self._extra(record)
        line = self.line(record, message, extra)
        if len(line) <= self.bytes_max // 4 or len(line.encode()) <= self.bytes_max:
            return line
        for room in TEXT_CHARACTERS:
            less = {_cut(key, 60): _less(value, room) for key, value in list(extra.items())[:MEMBERS_MAX]}
            line = self.line(record, _cut(message, room), {**less, "cut": True})
            if len(line.encode()) <= self.bytes_max:
                return line
        return self.line(record, _cut(message, TEXT_CHARACTERS[-1]), {"cut": True})

    @abstractmethod
    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str: ...

    def _extra(self, record: logging.LogRecord) -> dict[str, object]:
        most = self.bytes_max
        trail = CURRENT.get()  # of the request in whose course it is said
        extra = {} if trail is None else said(trail)
        extra |= _table({key: value for key, value in record.__dict__.items() if key not in _OWN}, _Room(most))
        if record.exc_info:
            extra["trace"] = _hidden(self.formatException(record.exc_info), most)
        if record.stack_info:
            extra["stack"] = _hidden(record.stack_info, most)
        return extra


class Json(Lines):
    """`{"time": …, "level": …, "logger": …, "message": …, …}`, pure ASCII."""

    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
        event: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        for key, value in extra.items():
            event[f"{key}_" if key in event else key] = value
        return json.dumps(event, ensure_ascii=True, allow_nan=False)


class Text(Lines):
    """`2026-11-21T08:00:00.000Z WARNING tocsin.exporter: collector failed collector=cpu`."""

    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
        return f"{_time(record)} {record.levelname} {_said(record, message, extra)}"


class Bare(Lines):
    """Text whose time and level are said elsewhere."""

    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
        return _said(record, message, extra)


class Syslog(logging.Formatter):
    """RFC 5424 around the line of another format: `<28>1 2026-11-21T08:00:00.000Z host tocsin-exporter 7 - - …`."""

    def __init__(self, inner: Lines, *, program: str, host: str, process: int) -> None:
        super().__init__()
        inner.bytes_max = DATAGRAM_BYTES_MAX
        self._inner = inner
        names = " ".join(re.sub(r"[^!-~]", "_", each)[:48] or "-" for each in (host, program))
        self._middle = f"{names} {process} - -"

    def format(self, record: logging.LogRecord) -> str:
        priority = _DAEMON * 8 + _SEVERITIES[level_of(record)]
        return f"<{priority}>1 {_time(record)} {self._middle} {self._inner.format(record)}"


def _said(record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
    head = f"{record.name}: {_printable(message)}"
    pairs = [f"{_printable(key)}={_quoted(value)}" for key, value in extra.items()]
    return " ".join([head, *pairs])


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Room:
    """For the values of a line. When it is used up, the line is too long, and what comes then is not even looked at."""

    def __init__(self, characters_max: int) -> None:
        self.most = characters_max
        self.left = 2 * characters_max

    def text(self, text: str) -> str:
        hidden = _hidden(text, self.most)
        self.left -= len(hidden) + 1
        return hidden


def _plain(value: object, room: _Room, depth: int = 0) -> object:
    """Only what JSON can say: an infinite number or an unknown type becomes its text."""
    room.left -= 1
    match value:
        case int() if value.bit_length() > NUMBER_BITS_MAX:
            return "a very large number"
        case None | bool() | int():
            return value
        case Ours():
            return _cut(str(value), room.most)
        case str():
            return room.text(value)
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth < DEPTH_MAX:
            return _table(value, room, depth + 1)
        case list() | tuple() if depth < DEPTH_MAX:
            return [_plain(inner, room, depth + 1) for inner in takewhile(lambda _: room.left > 0, value)]
        case _:
            return room.text(str(value))


def _table(values: Mapping[Any, object], room: _Room, depth: int = 0) -> dict[str, object]:
    pairs = takewhile(lambda _: room.left > 0, values.items())
    return {
        room.text(str(key)): HIDDEN if is_personal(str(key)) else _plain(value, room, depth) for key, value in pairs
    }


def _hidden(text: str, characters_max: int) -> str:
    """Nobody can tell what stands where a text was cut, so what is kept ends before that."""
    from guard.redaction.text import redacted  # many patterns, and many a process logs nothing

    if len(text) <= characters_max:
        return redacted(text, address=_address)
    half = characters_max // 2
    begin, end = redacted(text[:half], address=_address), redacted(text[-half:], address=_address)
    return f"{begin[:-MARGIN_CHARACTERS]}…{end[MARGIN_CHARACTERS:]}"


def _address(address: str) -> str:
    """This machine's own are nobody's."""
    own = address.startswith("127.") or address in ("::1", "::", "0.0.0.0")  # noqa: S104 - only recognised
    return address if own else "[IP]"


def _less(value: object, room: int) -> object:
    """Of what is plain already."""
    match value:
        case str():
            return _cut(value, room)
        case dict():
            return {_cut(str(key), room): _less(inner, room) for key, inner in _first(value.items())}
        case list():
            return [_less(inner, room) for inner in _first(value)]
        case _:
            return value


def _first(members: Iterable[Any]) -> list[Any]:
    return list(islice(members, MEMBERS_MAX))


def _cut(text: str, characters_max: int) -> str:
    if len(text) <= characters_max:
        return text
    half = (characters_max - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or (_BARE.fullmatch(text) and text.isprintable()):
        return _printable(text)
    return _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    """Escapes what a terminal would act on: line breaks, escape sequences, marks that turn the direction."""
    return text if text.isprintable() else "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]
