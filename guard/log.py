"""Structured logging on top of the standard `logging`: one event is one line, whoever wrote the values.

    logging.getLogger("tocsin.exporter").warning("collector failed", extra={"collector": "cpu"})

What is in `extra` becomes a key of the JSON object, or `key=value` in text. Control characters, line breaks
and whatever else does not print are escaped in both, so that a log line cannot be forged from outside.
Redaction is not done here: what must not be logged must not reach a logger.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

FORMATS = ("auto", "text", "json")
LEVELS = ("debug", "info", "warning", "error")

# What `logging` itself puts on a record; everything else on it came through `extra`.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[^\s\"'=\\]+")


def set_up(*, format: str, level: str, stream: TextIO | None = None) -> None:  # noqa: A002 - the flag's name
    """Sends every logger of the process to `stream`, by default standard error. A later call replaces it."""
    if format not in FORMATS:
        raise ValueError(f"found {format!r}, expected one of: {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise ValueError(f"found {level!r}, expected one of: {', '.join(LEVELS)}")
    target = sys.stderr if stream is None else stream
    as_text = format == "text" or (format == "auto" and target.isatty())
    handler = _Handler(target)
    handler.setFormatter(_Text() if as_text else _Json())
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())


class _Handler(logging.StreamHandler[TextIO]):
    """A type of its own, so that setting up again takes away only what we added."""


class _Json(logging.Formatter):
    """`{"time": …, "level": …, "logger": …, "message": …, …}`, pure ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key, value in _extra(self, record).items():
            event[f"{key}_" if key in event else key] = _plain(value)
        return json.dumps(event, ensure_ascii=True, allow_nan=False)


class _Text(logging.Formatter):
    """`2026-11-21T08:00:00.000Z WARNING tocsin.exporter: collector failed collector=cpu`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname} {record.name}: {_printable(record.getMessage())}"
        pairs = [f"{_printable(key)}={_quoted(value)}" for key, value in _extra(self, record).items()]
        return " ".join([head, *pairs])


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, object]:
    extra: dict[str, object] = {key: value for key, value in record.__dict__.items() if key not in _OWN}
    if record.exc_info:
        extra["trace"] = formatter.formatException(record.exc_info)
    if record.stack_info:
        extra["stack"] = record.stack_info
    return extra


def _plain(value: object) -> object:
    """Only what JSON can say: an infinite number or an unknown type becomes its text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return str(value)


def _quoted(value: object) -> str:
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    if not isinstance(plain, str) or (_BARE.fullmatch(text) and text.isprintable()):
        return _printable(text)
    return _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    """Escapes what a terminal would act on: line breaks, escape sequences, marks that turn the direction."""
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]
