"""A log that is followed without a program: time is an argument here, so nothing waits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.intake.logs.fingerprint import Place
from exporter.intake.logs.follower import SEARCH_SECONDS, Follower, Turn
from exporter.intake.logs.settings import Log


class Reading:
    """A follower and the clock that it is told; each look is a search later than the one before."""

    def __init__(
        self, *paths: Path | str, places: Sequence[Place] | None = None, from_end: bool = False, **chosen: Any
    ) -> None:
        self.log = Log(name="x", paths=tuple(map(str, paths)), **chosen)
        self.follower = Follower(self.log, places, from_end=from_end)
        self.now = 1_000.0
        self.turns: list[Turn] = []

    def look(self, seconds: float = SEARCH_SECONDS) -> list[str]:
        """The new lines."""
        self.now += seconds
        found = b""
        while True:
            turn = self.follower.turn(self.now)
            self.turns.append(turn)
            found += b"".join(turn.blocks)
            if not turn.more:
                assert found.endswith(b"\n") or not found
                return found.decode().splitlines()

    def again(self, **chosen: Any) -> Reading:
        """The program is started anew, and knows the positions as they were written down."""
        places = msgspec.json.decode(msgspec.json.encode(self.follower.places()), type=list[Place])
        self.follower.close()
        return Reading(*self.log.paths, places=places, from_end=True, **chosen)

    def total(self, name: str) -> int:
        return sum(getattr(turn, name) for turn in self.turns)


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
