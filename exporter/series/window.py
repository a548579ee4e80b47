"""The last minutes of something: in parts, of which the oldest is forgotten when a new one begins."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.series.sketch import Sketch

PARTS_MAX = 5
PART_SECONDS = 120.0


class Window:
    """Of numbers, as a sketch for each part."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[tuple[int, Sketch]] = []

    def add(self, numbers: Sequence[float], weights: Sequence[int] | None = None, *, now: float) -> None:
        part = int(now // PART_SECONDS)
        self._forget(part)
        if not self._parts or self._parts[-1][0] < part:
            self._parts.append((part, Sketch()))
        self._parts[-1][1].add(numbers, weights)

    def whole(self, *, now: float) -> Sketch:
        self._forget(int(now // PART_SECONDS))
        found = Sketch()
        for _, part in self._parts:
            found.merge(part)
        return found

    def _forget(self, latest: int) -> None:
        """What is too old, and what a clock that was set back makes the future: it would stay for too long."""
        if self._parts and not (self._parts[0][0] > latest - PARTS_MAX and self._parts[-1][0] <= latest + PARTS_MAX):
            self._parts = [each for each in self._parts if latest - PARTS_MAX < each[0] <= latest + PARTS_MAX]
