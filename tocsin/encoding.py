"""An event as one line of JSON. Whatever a value is, there is a line: what cannot be written is left out.

What is written is what the value was at the time of the call: nothing is kept, and no thread looks at it later.
"""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from enum import Enum
from math import isfinite

from tocsin.identifiers import Identifiers

# A longer text is cut, but only where an event has anything unusual, or is too large.
TEXT_CHARACTERS_MAX = 1_000
# The exporter takes no more than four times this.
EVENT_BYTES_MAX = 16_384
_LARGEST = 2**1023

# Of the name of a kind.
KIND_CHARACTERS_MAX = 100
# What we say about an event, where its fields do not.
_OURS = frozenset(("event", "source", "at", "trace_id", "correlation_id"))


def _encoder() -> Callable[[object], str]:
    """What json.dumps makes anew for each call, made once: that is half of what a call takes."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # not in every Python
        return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    write = make(None, _is_none_of_json, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


def _is_none_of_json(value: object) -> object:
    raise TypeError(type(value).__name__)


_encode = _encoder()


def head_of(kind: str, source: str) -> bytes:
    """How each line of that kind begins. Raises ValueError for what is no name of a kind."""
    if not 0 < len(kind) <= KIND_CHARACTERS_MAX:
        raise ValueError("expected a name of at most 100 characters")
    said = b'"source":%b,' % _encode(source).encode() if source else b""
    return b'{"event":%b,%b"at":' % (_encode(kind).encode(), said)


def line_of(kind: str, head: bytes, fields: Mapping[str, object], *, at: float, ids: Identifiers | None) -> bytes:
    """Raises ValueError for what is too large."""
    if not _OURS.isdisjoint(fields):
        ours = {**json.loads(head + b"0}"), "at": at}
        if ids is not None:
            ours |= {"trace_id": ids.trace_id, "correlation_id": ids.correlation_id}
        return encoded({**ours, **fields, "event": kind})
    rest = encoded(fields) if fields else b"{}"
    return b"%b%.3f%b%b%b" % (head, at, b"" if ids is None else ids.fields, b"," if len(rest) > 2 else b"", rest[1:])


def encoded(fields: Mapping[str, object]) -> bytes:
    """As a JSON object. Raises ValueError where even what is left is too large."""
    try:
        data = _encode(fields).encode()
        if len(data) <= EVENT_BYTES_MAX:
            return data
    except Exception:  # noqa: BLE001, S110 - values may be anything, and do anything
        pass
    plain = {name: each for name, value in fields.items() if (each := _plain(value)) is not None}
    # What is half a character becomes a question mark.
    data = _encode(plain).encode(errors="replace")
    if len(data) > EVENT_BYTES_MAX:
        raise ValueError(f"an event of {len(data)} bytes, expected at most {EVENT_BYTES_MAX}")
    return data


def _plain(value: object) -> str | float | None:
    """None where there is nothing that could be written."""
    try:
        return _as_number_or_text(value)
    except Exception:  # noqa: BLE001 - any __str__ or __float__ of anybody's
        return None


def _as_number_or_text(value: object) -> str | float | None:
    match value:
        case None | bool():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return str(value[:TEXT_CHARACTERS_MAX])
        case int():
            return int(value) if -_LARGEST <= value <= _LARGEST else None
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray():
            return bytes(value[:TEXT_CHARACTERS_MAX]).decode(errors="replace")
        case dict() | list() | tuple() | set() | frozenset():
            return None
    if hasattr(value, "__float__"):
        number = float(value)
        return number if isfinite(number) else None
    return str(value)[:TEXT_CHARACTERS_MAX]
