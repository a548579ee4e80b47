"""What a detector says: who, or what, did too much of something, and why that is too much. Pure.

A finding counts, is logged, raises the score of an address, and is told to whoever is to hear of it.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from exporter.identity import Address, Person

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# The kind of event that each becomes.
EVENT = "finding"


class Finding(msgspec.Struct, frozen=True):
    """`why` is a sentence without personal data; who it was is in `address` or `person`, if it was anybody.

    `value` is what was found and `threshold` what it was compared with, both over the window.
    """

    detector: str
    severity: Severity
    at: float
    why: str
    value: float
    threshold: float
    window_seconds: float
    address: Address | None = None
    person: Person | None = None
    # Of which source, where it is about one alone.
    source: str = ""
    # Of which stream, where the detector looks at several: what is one's is not another's.
    stream: str = ""
    # It is counted and shown, and has no consequence.
    dry_run: bool = False
