"""By what a request is found again in all logs: `X-Correlation-ID`, and `traceparent` as the W3C has it.

What comes is taken only in a form that can hold neither a line nor, likely, a person; anything else is as if it had not
come, and is never shown. Who brings nothing gets an identifier made here. Nothing here is kept from one request to the
next: each has its own context.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from itertools import count
from typing import NamedTuple

CORRELATION = "X-Correlation-ID"
TRACEPARENT = "traceparent"
CORRELATION_CHARACTERS_MAX = 64
# Longer ones may come from later versions of the standard.
TRACEPARENT_CHARACTERS_MAX = 512

# As the exporter takes them for examples of what was counted (a test compares them): without dots, colons and @, digits
# alone may be a card or a telephone, and so may nine in a row; keys of others and accounts have forms of their own.
_UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
_SOMEBODYS = (
    r"(?:AKIA|ASIA|AROA|AIDA|AIza|eyJ|gh[opusr]_|github_pat_|gl[a-z]{2,4}-|xox[a-z]-|xapp-|sk[_-]|[pr]k_|whsec_|npm_|pypi-|shp[a-z]{2}_)"
    r"|[A-Za-z0-9_-]*?(?:[0-9](?:[_-]?[0-9]){8}|[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]|(?:[0-9A-Fa-f]{2}-){5})"
)
IDENTIFIER = re.compile(
    rf"{_UUID}|(?=[0-9]*[a-f])[0-9a-f]{{32}}|(?!{_SOMEBODYS})(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{{8,64}}"
)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-((?=[0-9]*[a-f])[0-9a-f]{32}-[0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FLAGS_KNOWN = 0x03  # sampled, random


class Trail(NamedTuple):
    """`traceparent` is empty where nobody traces."""

    correlation: str
    traceparent: str = ""

    @property
    def trace(self) -> str:
        return self.traceparent[3:35]


# Of the request that is being worked on, where that is one.
CURRENT: ContextVar[Trail | None] = ContextVar("trail", default=None)


def said(trail: Trail) -> dict[str, object]:
    """As log lines have it."""
    return {"correlation_id": trail.correlation, **({"trace_id": trail.trace} if trail.traceparent else {})}


# What makes identifiers differ between processes, and within one: a step that visits each number once, far apart.
_PROCESS = secrets.token_hex(8)
_NUMBERS = count(secrets.randbits(64), 0x9E3779B97F4A7C15)
_LOW = (1 << 64) - 1


def made() -> Trail:
    """32 hexadecimal digits, as a trace has them."""
    return Trail(f"{_PROCESS}{next(_NUMBERS) & _LOW:016x}")


def read(correlation: str | None, traceparent: str | None) -> Trail | None:
    """What came, as far as it can be taken; a trace alone is an identifier, too."""
    parent = _parent(traceparent) if traceparent else ""
    if correlation and len(correlation) <= CORRELATION_CHARACTERS_MAX and IDENTIFIER.fullmatch(correlation):
        return Trail(correlation, parent)
    return Trail(parent[3:35], parent) if parent else None


def _parent(traceparent: str) -> str:
    """In the form of version 00, whatever a later one has behind it."""
    if len(traceparent) > TRACEPARENT_CHARACTERS_MAX:
        return ""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return ""
    version, ids, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or ids.endswith("0" * 16):
        return ""
    return f"00-{ids}-{int(flags, 16) & _FLAGS_KNOWN:02x}"
