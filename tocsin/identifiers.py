"""What a request is known by: a correlation ID, and a trace as W3C's `traceparent` writes it.

Both are accepted where they have the form of something that a program has made, and made where they have not, so
nothing that a stranger wrote comes back in a header or goes into a log.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from typing import NamedTuple

# As the exporter takes them for examples of what was counted (a test compares them): digits alone may be a card or a
# telephone, and so may nine in a row; keys of others, addresses and accounts have forms of their own.
_UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
_SOMEBODYS = (
    r"(?:AKIA|ASIA|AROA|AIDA|AIza|eyJ|gh[opusr]_|github_pat_|gl[a-z]{2,4}-|xox[a-z]-|xapp-|sk[_-]|[pr]k_|whsec_|npm_|pypi-|shp[a-z]{2}_)"
    r"|[A-Za-z0-9_-]*?(?:[0-9](?:[_-]?[0-9]){8}|[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]|(?:[0-9A-Fa-f]{2}-){5})"
)
CORRELATION_ID = re.compile(
    rf"{_UUID}|(?=[0-9]*[a-f])[0-9a-f]{{32}}|(?!{_SOMEBODYS})(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{{8,64}}"
)
# Version 00 has exactly four parts; later ones may have more behind them.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?=[0-9]*[a-f])[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_TRACEPARENT_CHARACTERS_MAX = 256


class Identifiers(NamedTuple):
    """`span_id` is ours, for this request alone."""

    correlation_id: str
    trace_id: str
    span_id: str
    flags: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def fields(self) -> bytes:
        """As they stand within an event."""
        return f',"trace_id":"{self.trace_id}","correlation_id":"{self.correlation_id}"'.encode()


# Of the request that is being answered here. None outside of one.
CURRENT: ContextVar[Identifiers | None] = ContextVar("tocsin_identifiers", default=None)


def current() -> Identifiers | None:
    """Of the request that is being answered, to hand on: `tocsin.identifiers.current()`."""
    return CURRENT.get()


def accepted(correlation_id: str | None, traceparent: str | None) -> Identifiers:
    """Those of a request with these headers."""
    random = os.urandom(24).hex()
    trace_id, flags = random[:32], "00"
    # Decimal digits alone may be a telephone number; these are none.
    made = f"c{random[:31]}"
    found = None
    if traceparent and len(traceparent) <= _TRACEPARENT_CHARACTERS_MAX:
        found = _TRACEPARENT.fullmatch(traceparent)
    if found is not None and (found[1] != "00" or found[4] is None):
        trace_id, flags = found[2], found[3]
    if not correlation_id or not CORRELATION_ID.fullmatch(correlation_id):
        correlation_id = made
    return Identifiers(correlation_id, trace_id, random[32:], flags)
