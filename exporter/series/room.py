"""How many lines there may be in all: of a page, or of several pages together."""

from __future__ import annotations


class Room:
    """A histogram takes a line for each bucket, as for Prometheus each of them is a series."""

    __slots__ = ("_within", "lines", "lines_max")

    def __init__(self, lines_max: int, *, within: Room | None = None) -> None:
        self.lines_max = lines_max
        self.lines = 0
        self._within = within

    def has(self, lines: int) -> bool:
        return self.lines + lines <= self.lines_max and (self._within is None or self._within.has(lines))

    def take(self, lines: int) -> None:
        """Also where there is none: what everything is folded into has to be somewhere."""
        self.lines += lines
        if self._within is not None:
            self._within.take(lines)

    def give(self, lines: int) -> None:
        self.take(-lines)
