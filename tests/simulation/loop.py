"""An event loop whose time is a number: it jumps to the next timer instead of waiting for it.

Days pass in milliseconds, and the same program does the same thing in the same order every time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class NothingEverHappens(Exception):
    """Every task waits for something that no timer and no event will bring: a deadlock."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self, *, begin: float) -> None:
        super().__init__()
        self.virtual_time = begin
        self._selector = _Jumping(self._selector, self)

    def time(self) -> float:
        return self.virtual_time


class _Jumping(selectors.BaseSelector):
    """The real selector, asked without waiting; the wait becomes a jump."""

    def __init__(self, real: selectors.BaseSelector, loop: SimulatedLoop) -> None:
        self._real = real
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready:
            if timeout is None:
                raise NothingEverHappens
            self._loop.virtual_time += max(timeout, 0.0)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
