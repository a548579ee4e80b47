"""Work that is too slow for a scrape: it is done behind it, in a thread, and a scrape is told what it found last.

The thread begins at a scrape when the last result is old enough, and ends with its work; so what nobody scrapes costs
nothing. Only the first scrape waits a moment, so that its page is whole where the work is quick. Work that hangs holds
up one thread; what it found last stays, and says how old it is.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

# How long the first scrape waits for the first result.
FIRST_SECONDS_MAX = 1.0
# As `nice` has it: whoever serves something comes first.
NICENESS = 10


class Found(msgspec.Struct, Generic[T], frozen=True):
    """`at` is when it was found, in seconds since 1970."""

    value: T
    at: float


class Behind(Generic[T]):
    """Not for two threads at once, as a collector is not. What the work raises, the next scrape raises."""

    def __init__(
        self,
        name: str,
        work: Callable[[], T],
        *,
        every_seconds: float,
        first_seconds: float = FIRST_SECONDS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._work = work
        self._every_seconds = every_seconds
        self._first_seconds = first_seconds
        self._clock = clock
        self._begun_at: float | None = None
        self._thread: threading.Thread | None = None
        self._found: Found[T] | None = None
        self._error: Exception | None = None

    def last(self, deadline: float) -> Found[T] | None:
        """None as long as there is nothing yet. `deadline` is that of the scrape."""
        now = self._clock()
        is_due = self._begun_at is None or now >= self._begun_at + self._every_seconds
        if is_due and (self._thread is None or not self._thread.is_alive()):
            self._begun_at = now
            self._thread = threading.Thread(target=self._do, name=f"tocsin-{self._name}", daemon=True)
            self._thread.start()
        if self._found is None and self._error is None and self._thread is not None:
            left = max(0.0, deadline - time.monotonic())
            self._thread.join(min(self._first_seconds, left / 2))
        error = self._error
        if error is not None:
            raise error.with_traceback(None)
        return self._found

    def _do(self) -> None:
        with suppress(OSError, AttributeError):
            # On Linux this is about the thread alone.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        try:
            found = Found(self._work(), time.time())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever scrapes
            self._error = error
        else:
            self._found, self._error = found, None
