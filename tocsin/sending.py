"""Events on their way: a bounded queue, and one thread that sends what is in it, in batches.

Whoever puts something in waits for nothing but the queue's lock, which nobody holds for longer than a few
instructions. The thread begins with the first event, in each process anew: after a fork the parent still sends what was
there before. What is lost is counted by its reason.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

WAITING_EVENTS_MAX = 20_000
WAITING_BYTES_MAX = 8 * 1024 * 1024
BATCH_EVENTS_MAX = 1_000
BATCH_BYTES_MAX = 256 * 1024
# While the exporter is away; later it would be news of yesterday, counted today.
KEPT_SECONDS_MAX = 300.0
RETRY_SECONDS_MAX = 5.0
# What could not be counted, and why:
LOST = (
    "full",  # the queue
    "unusable",  # too large, or with a name that is none
    "rejected",  # by the exporter, one by one
    "refused",  # by the exporter, as a batch
    "unanswered",  # it may have counted
    "away",  # for too long, or when the process ended
)

log = logging.getLogger("tocsin.events")


class Away(Exception):
    """Nothing of this batch has counted: try again later."""

    def __init__(self, text: str, *, after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.after_seconds = after_seconds


class Unanswered(Exception):
    """It was sent, and nobody knows whether it has counted."""


class Refused(Exception):
    """Trying again cannot help."""


class Taken(NamedTuple):
    """A batch has counted, but for those events."""

    rejected: int
    # Why the first of those was not taken, in the exporter's words.
    error: str


class Exporter(Protocol):
    """Used by one thread."""

    def send(self, body: bytes) -> Taken:
        """Raises Away, Unanswered or Refused."""

    def close(self) -> None: ...


class Pace(NamedTuple):
    """How long a batch is waited for, and how long the first pause is after an exporter did not take one."""

    batch_seconds: float = 1.0
    retry_seconds: float = 0.25
    kept_seconds: float = KEPT_SECONDS_MAX


class Sender:
    """Belongs to a process; any thread may call it, a signal handler too."""

    def __init__(self, pace: Pace, *, tell_lost: Callable[[str, int], None]) -> None:
        """`tell_lost` says to the exporter itself, in an event, how many more were lost, and why."""
        self._pace = pace
        self._tell_lost = tell_lost
        self._wanted: Exporter | None = None
        self._exporter: Exporter | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """After a fork: what waits is the parent's, and its thread is not here."""
        if self._exporter is not None:
            self._exporter.close()
        # One that may be taken again by who has it already: a signal handler, or __del__.
        self._lock = threading.RLock()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._put = 0
        self._settled = 0
        # Its `put` may interrupt itself, which an Event's `set` may not.
        self._signals: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = False
        self._leaving = False
        self._is_away = False
        # Not the one that the application may have seeded for itself.
        self._chance = random.Random()  # noqa: S311
        self.lost = dict.fromkeys(LOST, 0)
        self._told = dict(self.lost)

    def use(self, exporter: Exporter | None) -> None:
        """From the next batch on."""
        self._wanted = exporter

    def put(self, line: bytes) -> None:
        with self._lock:
            count = len(self._waiting) + 1
            if count > WAITING_EVENTS_MAX or self._bytes + len(line) > WAITING_BYTES_MAX:
                self.lost["full"] += 1
                return
            self._waiting.append((time.monotonic(), line))
            self._bytes += len(line)
            self._put += 1
        if count == 1 or count == BATCH_EVENTS_MAX:
            self._signals.put(None)
        if self._thread is None:
            self._start()

    def lose(self, reason: str, count: int = 1) -> None:
        with self._lock:
            self.lost[reason] += count

    def flush(self, seconds: float) -> bool:
        """Whether all that was put in before has been sent, or lost, within that time."""
        with self._lock:
            target = self._put
        if self._settled >= target:
            return True
        if self._thread is None:
            return False
        self._hurry = True
        self._signals.put(None)
        with self._progress:
            return self._progress.wait_for(lambda: self._settled >= target, timeout=max(seconds, 0.0))

    def leave(self, seconds: float) -> None:
        """The process ends: one more attempt, and no patience."""
        self._leaving = True
        self.flush(seconds)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="tocsin-events", daemon=True)
            try:
                self._thread.start()
            except (RuntimeError, MemoryError):  # there can be no more threads: the next event tries again
                self._thread = None

    def _run(self) -> None:
        while True:
            self._signals.get()
            self._pause(self._pace.batch_seconds, until_full=True)
            while batch := self._batch():
                exporter = self._exporter_now()
                if exporter is not None:
                    self._deliver(exporter, batch)
                with self._progress:
                    self._settled += len(batch)
                    self._progress.notify_all()
            self._hurry = False

    def _exporter_now(self) -> Exporter | None:
        """As it was set last."""
        if self._exporter is not self._wanted:
            if self._exporter is not None:
                self._exporter.close()
            self._exporter = self._wanted
        return self._exporter

    def _pause(self, seconds: float, *, until_full: bool = False) -> None:
        """Not where somebody waits for the end."""
        deadline = time.monotonic() + seconds
        while not self._hurry and not (until_full and len(self._waiting) >= BATCH_EVENTS_MAX):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(queue.Empty):
                self._signals.get(timeout=left)

    def _batch(self) -> list[tuple[float, bytes]]:
        batch: list[tuple[float, bytes]] = []
        size = 0
        with self._lock:
            while self._waiting and len(batch) < BATCH_EVENTS_MAX and size < BATCH_BYTES_MAX:
                each = self._waiting.popleft()
                size += len(each[1])
                batch.append(each)
            self._bytes -= size
        return batch

    def _deliver(self, exporter: Exporter, batch: list[tuple[float, bytes]]) -> None:
        pause = self._pace.retry_seconds
        while batch:
            try:
                taken = exporter.send(b"\n".join(line for _, line in batch))
            except Unanswered as error:
                self._lose(batch, "unanswered", error)
                return
            except Refused as error:
                self._lose(batch, "refused", error)
                return
            except Away as error:
                self._tell_away(error)
                if self._leaving:
                    self.lose("away", len(batch))
                    return
                since = time.monotonic() - self._pace.kept_seconds
                kept = [each for each in batch if each[0] >= since]
                self.lose("away", len(batch) - len(kept))
                batch = kept
                # A part of it is chance, so that what failed together does not come back together.
                self._hold_back(max(error.after_seconds, pause * self._chance.uniform(0.5, 1.0)))
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            else:
                self._tell_back()
                if taken.rejected:
                    self.lose("rejected", taken.rejected)
                    log.warning("the exporter rejected events: %s", taken.error, extra={"events": taken.rejected})
                else:  # otherwise it might reject what we say about that as well, for ever
                    self._tell_what_was_lost()
                return

    def _tell_what_was_lost(self) -> None:
        for reason, count in self.counts.items():
            more = count - self._told[reason]
            if more:
                self._told[reason] = count
                self._tell_lost(reason, more)

    def _hold_back(self, seconds: float) -> None:
        """Whoever waits for the end is not made to wait for the whole of it, and nobody asks without any pause."""
        if self._hurry:
            self._hurry = False
            seconds = min(seconds, self._pace.retry_seconds)
            self._pause(seconds)
            self._hurry = True
        else:
            self._pause(seconds)

    def _lose(self, batch: list[tuple[float, bytes]], reason: str, error: Exception) -> None:
        self.lose(reason, len(batch))
        log.warning("events are lost, %s: %s", reason, error, extra={"events": len(batch)})

    def _tell_away(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("the exporter does not take events, they wait: %s", error)

    def _tell_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("the exporter takes events again", extra={"lost": dict(self.lost)})

    @property
    def counts(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self.lost)
