"""Is something elsewhere well? One file a way of asking; each asks once, within a deadline, and says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from exporter.family import Family


class Probed(msgspec.Struct, frozen=True):
    """`reason` is a bounded word such as `timeout` or `refused`, empty where it went well; `notes` are for people who
    ask with `debug=true`, without secrets."""

    success: bool
    seconds: float
    reason: str = ""
    families: Sequence[Family] = ()
    notes: Sequence[str] = ()


class Prober(Protocol):
    """Never raises, and never takes longer than `seconds` by more than a moment, whatever is at the other end."""

    async def probe(self, module: str, target: str, *, seconds: float) -> Probed: ...
