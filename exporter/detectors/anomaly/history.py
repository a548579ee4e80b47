"""The last numbers of a stream: bounded, in the order in which they came, and never the present one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence


class History:
    """The newest `size` numbers."""

    __slots__ = ("_next", "_numbers", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._numbers = array("d")
        # Where the next one goes, once there are as many as there may be: in the place of the oldest.
        self._next = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self, number: float) -> None:
        if len(self._numbers) < self._size:
            self._numbers.append(number)
        else:
            self._numbers[self._next] = number
            self._next = (self._next + 1) % self._size

    def all(self) -> Sequence[float]:
        """Oldest first."""
        return self._numbers[self._next :] + self._numbers[: self._next]
