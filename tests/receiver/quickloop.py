"""An event loop for tests in which waiting takes no time: when nothing is ready, its clock jumps to the next timer.

For code that only waits for timers and for itself; threads and sockets live in real time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.receiver.builders import AT

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everything waits for something that will never happen")
        if not ready and timeout is not None:
            self.jumped += timeout
        return ready


class QuickLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        # Real time is left out: the same test takes the same moments on every machine.
        return self._jumping.jumped


class LoopClock:
    """The wall clock that goes with the loop's own."""

    def now(self) -> datetime:
        return AT + timedelta(seconds=asyncio.get_running_loop().time())


def run_quickly(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(main())
