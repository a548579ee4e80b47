"""A log record as one line of bounded length: a JSON object, text for people, or what syslog wants (RFC 5424).

Control characters, line breaks and whatever else does not print are escaped, so that a log line cannot be forged from
outside. What is too long loses its middle: how a trace ends says more than what is in between. Nothing here writes.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from guard.trail import CURRENT

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


def level_of(record: logging.LogRecord) -> str:
    """One of the levels that are counted, also for a level of somebody's own."""
    if record.levelno >= logging.ERROR:
        return "critical" if record.levelno >= logging.CRITICAL else "error"
    if record.levelno >= logging.INFO:
        return "warning" if record.levelno >= logging.WARNING else "info"
    return "debug"


class Lines(logging.Formatter):
    """What all formats share: what is said, and how much of it."""

    bytes_max = LINE_BYTES_MAX

    def format(self, record: logging.LogRecord) -> str:
        message, extra = _cut(record.getMessage(), self.bytes_max), self._extra(record)
        line = self.line(record, message, extra)
        if len(line) <= self.bytes_max // 4 or len(line.encode()) <= self.bytes_max:
            return line
        for room in TEXT_CHARACTERS:
            less = {_cut(key, 60): _less(value, room) for key, value in list(extra.items())[:MEMBERS_MAX]}
            line = self.line(record, _cut(message, room), {**less, "cut": True})
            if len(line.encode()) <= self.bytes_max:
                return line
        return self.line(record, _cut(message, TEXT_CHARACTERS[-1]), {"cut": True})

    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
        raise NotImplementedError

    def _extra(self, record: logging.LogRecord) -> dict[str, object]:
        most = self.bytes_max
        extra = _trail()
        extra |= {key: _plain(value, most) for key, value in record.__dict__.items() if key not in _OWN}
        if record.exc_info:
            extra["trace"] = _cut(self.formatException(record.exc_info), most)
        if record.stack_info:
            extra["stack"] = _cut(record.stack_info, most)
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


def _trail() -> dict[str, object]:
    """Of the request in whose course it is said."""
    trail = CURRENT.get()
    if trail is None:
        return {}
    return {"correlation_id": trail.correlation, **({"trace_id": trail.trace} if trail.traceparent else {})}


def _said(record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
    head = f"{record.name}: {_printable(message)}"
    pairs = [f"{_printable(key)}={_quoted(value)}" for key, value in extra.items()]
    return " ".join([head, *pairs])


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object, characters_max: int, depth: int = 0) -> object:
    """Only what JSON can say: an infinite number or an unknown type becomes its text."""
    match value:
        case int() if value.bit_length() > NUMBER_BITS_MAX:
            return "a very large number"
        case None | bool() | int():
            return value
        case str():
            return _cut(value, characters_max)
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth < DEPTH_MAX:
            return {
                _cut(str(key), characters_max): _plain(inner, characters_max, depth + 1) for key, inner in value.items()
            }
        case list() | tuple() if depth < DEPTH_MAX:
            return [_plain(inner, characters_max, depth + 1) for inner in value]
        case _:
            return _cut(str(value), characters_max)


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
