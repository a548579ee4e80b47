"""What was done about an address: the line of an audit trail, and what other exporters are told. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from exporter.reputation.block import Origin

What = Literal["blocked", "extended", "released", "refused"]
# Why somebody is not blocked any more.
Release = Literal["expired", "by_hand", "allow_list", "settings", "room", "shared"]
RELEASES: tuple[Release, ...] = get_args(Release)
# Why somebody was not blocked.
Refusal = Literal["allow_list", "full"]
REFUSALS: tuple[Refusal, ...] = get_args(Refusal)


class Deed(msgspec.Struct, frozen=True):
    """`why` is one of the words above where something was released or refused, and `reason` a line for people."""

    at: float
    what: What
    address: str
    origin: Origin
    reason: str
    why: str = ""
    by: str = ""
    since: float = 0.0
    until: float = 0.0
    score: float = 0.0
    times: int = 0
    # Nothing came of it.
    dry_run: bool = False


Told = Callable[[Deed], None]
