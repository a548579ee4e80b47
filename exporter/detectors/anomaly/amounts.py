"""What one interval of a stream comes to: a number that is added up from the events of many batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from typing import Any, ClassVar, Protocol

from exporter.detectors.settings import Measure
from exporter.series.sketch import Sketch

# Those that need a field with numbers.
OF_NUMBERS: tuple[Measure, ...] = ("sum", "mean", "max", "p50", "p95", "p99")
# Different values in one interval, of all streams of a detector together; further ones are not counted.
DISTINCT_MAX = 100_000


class Amount(Protocol):
    """`grows`: the number never becomes smaller within an interval."""

    grows: ClassVar[bool]

    @property
    def number(self) -> float:
        """NaN where nothing was measured."""

    def take(self, values: Sequence[Any]) -> None:
        """At least one."""

    def clear(self) -> None:
        """An interval begins."""


class Room:
    """How many values may still be remembered, and how many could not be."""

    __slots__ = ("left", "lost")

    def __init__(self, most: int) -> None:
        self.left = most
        self.lost = 0


class Count:
    __slots__ = ("number",)
    grows: ClassVar[bool] = True

    def __init__(self) -> None:
        self.number = 0.0

    def take(self, values: Sequence[Any]) -> None:
        self.number += len(values)

    def clear(self) -> None:
        self.number = 0.0


class Distinct:
    __slots__ = ("_met", "_room")
    grows: ClassVar[bool] = True

    def __init__(self, room: Room) -> None:
        self._room = room
        self._met: dict[Any, None] = {}

    @property
    def number(self) -> float:
        return float(len(self._met))

    def take(self, values: Sequence[Any]) -> None:
        new = [each for each in dict.fromkeys(values) if each not in self._met and each is not None]
        kept = new[: self._room.left]
        self._room.left -= len(kept)
        self._room.lost += len(new) - len(kept)
        self._met.update(dict.fromkeys(kept))

    def clear(self) -> None:
        self._room.left += len(self._met)
        self._met = {}


class Sum:
    __slots__ = ("number",)
    grows: ClassVar[bool] = False

    def __init__(self) -> None:
        self.number = 0.0

    def take(self, values: Sequence[float]) -> None:
        self.number += sum(values)

    def clear(self) -> None:
        self.number = 0.0


class Mean:
    __slots__ = ("_count", "_sum")
    grows: ClassVar[bool] = False

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    @property
    def number(self) -> float:
        return self._sum / self._count if self._count else nan

    def take(self, values: Sequence[float]) -> None:
        self._sum += sum(values)
        self._count += len(values)

    def clear(self) -> None:
        self._sum, self._count = 0.0, 0


class Greatest:
    __slots__ = ("_greatest",)
    grows: ClassVar[bool] = True

    def __init__(self) -> None:
        self._greatest = -inf

    @property
    def number(self) -> float:
        return nan if self._greatest == -inf else self._greatest

    def take(self, values: Sequence[float]) -> None:
        self._greatest = max(self._greatest, *values)

    def clear(self) -> None:
        self._greatest = -inf


class Quantile:
    __slots__ = ("_share", "_sketch")
    grows: ClassVar[bool] = False

    def __init__(self, share: float) -> None:
        self._share = share
        self._sketch = Sketch()

    @property
    def number(self) -> float:
        return self._sketch.quantiles((self._share,))[0] if self._sketch.count else nan

    def take(self, values: Sequence[float]) -> None:
        self._sketch.add(values)

    def clear(self) -> None:
        self._sketch = Sketch()


def amounts(measure: Measure, room: Room) -> Callable[[], Amount]:
    """What makes that of a new stream; all of them share the room."""
    kinds: Mapping[Measure, Callable[[], Amount]] = {
        "count": Count,
        "distinct": lambda: Distinct(room),
        "sum": Sum,
        "mean": Mean,
        "max": Greatest,
        "p50": lambda: Quantile(0.5),
        "p95": lambda: Quantile(0.95),
        "p99": lambda: Quantile(0.99),
    }
    return kinds[measure]
