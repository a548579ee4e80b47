"""Who is blocked by whom, why, and until when. Pure."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from exporter.reputation.place import Place, written

# How it came here: by findings, by a person, or from another exporter.
Origin = Literal["automatic", "manual", "shared"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
REASON_CHARACTERS_MAX = 500


class Block(msgspec.Struct, frozen=True):
    """`at` is when that was decided, and `node` which exporter did it: of two that say something else about one place,
    the same one wins everywhere. `times` is how many in a row this is, and `since` when it began."""

    place: Place
    address: str
    origin: Origin
    at: float
    since: float
    until: float
    reason: str
    by: str = ""
    by_hand: bool = False
    score: float = 0.0
    times: int = 1
    node: str = ""

    @property
    def rank(self) -> tuple[bool, float, str]:
        """What a person has decided goes before what findings did; then what is newer, or lasts longer."""
        return self.by_hand, self.at if self.by_hand else self.until, self.node


def block_of(place: Place, **more: object) -> Block:
    """Of a place that is written as we write it."""
    return Block(place, written(place), **more)  # type: ignore[arg-type]
