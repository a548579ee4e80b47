"""Runs the collectors: in threads, timed, isolated from each other, never longer than a scrape may wait.

How a run goes. A scrape starts a run, in which every collector is entered once; scrapes that arrive while
it is under way share it, each with its own patience. When a scrape's patience ends it is given what is
there, with the late ones reported as failed, and nobody joins that run any more: its results have aged.
The run ends when the last collector is done, or when nobody waits for it. A collector that is late stays in
its thread; as long as it does, later runs report it as stuck and do not enter it a second time, so a hang
costs one thread, once. When it comes back, its late result is dropped and the next run enters it again.

The event loop only waits here; whatever can block happens in the pool. Failures are counted once a run and
logged once a change, however many scrapers look on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from exporter.collectors import Collector
from exporter.outcome import Absent, Outcome, Quarantined, Reason, Snapshot, snapshot
from exporter.pool import Pool

log = logging.getLogger("tocsin.exporter")

# How long a collector may keep others waiting for a thread before another thread is started.
PATIENCE_SECONDS = 0.005


class Run:
    """One pass over the collectors. Workers record into it; the event loop decides when it is over."""

    def __init__(self, names: Sequence[str], *, deadline: float) -> None:
        self.names = names
        self.deadline = deadline
        self.started = time.monotonic()
        self.ended = asyncio.Event()
        self.waiting = 0
        self.joinable = True
        self.snapshot: Snapshot | None = None
        self._outcomes: dict[str, Outcome] = {}
        self._recording = threading.Lock()

    def record(self, name: str, outcome: Outcome) -> bool:
        """Keeps an outcome; says whether it was the last one missing. Called from any thread."""
        with self._recording:
            self._outcomes[name] = outcome
            return len(self._outcomes) == len(self.names)

    def seen_now(self) -> Snapshot:
        """What a scraper would get at this moment: who is not done yet counts as late."""
        late = Outcome(
            time.monotonic() - self.started,
            reason=Reason.DEADLINE,
            error="not done within the scrape's deadline",
        )
        with self._recording:
            return snapshot({name: self._outcomes.get(name, late) for name in self.names})


class Registry:
    """Belongs to one event loop. `failed` and `quarantined` are told what went wrong, once a run each."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        failed: Callable[[str, Reason], None],
        quarantined: Callable[[str], None],
    ) -> None:
        self._collectors = tuple(collectors)
        self._failed = failed
        self._quarantined = quarantined
        self._pool = Pool("tocsin-collector")
        self._run: Run | None = None
        self._inside: dict[str, Run] = {}
        self._last_success: dict[str, float] = {}
        self._reported: dict[str, Reason] = {}
        self._reported_clashes: tuple[Quarantined, ...] = ()
        self.last: Snapshot | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(collector.name for collector in self._collectors)

    @property
    def last_success(self) -> Mapping[str, float]:
        """When each collector last succeeded, in seconds since 1970."""
        return self._last_success

    def is_stuck(self, name: str) -> bool:
        """Whether the collector is still inside a run that has ended without it."""
        run = self._inside.get(name)
        return run is not None and run.ended.is_set()

    def use(self, collectors: Sequence[Collector]) -> None:
        """From the next run on, these. What is known about a name stays with it, stuck ones included."""
        self._collectors = tuple(collectors)

    async def scrape(self, seconds: float) -> Snapshot:
        """Starts a run or joins the one under way; returns after `seconds` at the latest."""
        run = self._run if self._run is not None and self._run.joinable else self._start(seconds)
        run.waiting += 1
        try:
            await _ended_within(run, seconds)
        finally:
            run.joinable = False
            run.waiting -= 1
            if run.waiting == 0:
                self._end(run)
        return run.snapshot or run.seen_now()

    def _start(self, seconds: float) -> Run:
        loop = asyncio.get_running_loop()
        run = self._run = Run(self.names, deadline=time.monotonic() + seconds)
        end = partial(_tell, loop, partial(self._end, run))
        missing = bool(self._collectors)
        for collector in self._collectors:
            earlier = self._inside.get(collector.name)
            if earlier is None:
                self._inside[collector.name] = run
                self._pool.submit(partial(self._work, collector, run, end))
            else:
                waited = run.started - earlier.started
                outcome = Outcome(waited, reason=Reason.STUCK, error="still inside an earlier scrape")
                missing = not run.record(collector.name, outcome)
        if not missing:
            self._end(run)
        loop.call_later(PATIENCE_SECONDS, self._widen, run)
        return run

    def _work(self, collector: Collector, run: Run, end: Callable[[], None]) -> None:
        """In a thread of the pool."""
        # It may have queued behind others until nobody waited for it any more.
        outcome = None if run.ended.is_set() else attempt(collector, run.deadline)
        # First free, then done: whoever sees the run end may enter the collector again.
        del self._inside[collector.name]
        if outcome is not None and run.record(collector.name, outcome):
            end()

    def _widen(self, run: Run) -> None:
        """As no collector is entered twice, there are never more threads than collectors need."""
        if not run.ended.is_set() and self._pool.waiting:
            self._pool.grow()
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._widen, run)

    def _end(self, run: Run) -> None:
        if not run.ended.is_set():
            run.joinable = False
            run.snapshot = self.last = run.seen_now()
            self._account(run.snapshot)
            run.ended.set()

    def _account(self, seen: Snapshot) -> None:
        """Counts every failure, and logs where something is different from the run before."""
        now = time.time()
        for name, outcome in seen.outcomes.items():
            before = self._reported.get(name)
            if outcome.reason is None:
                self._last_success[name] = now
                if self._reported.pop(name, None) is not None:
                    log.info("collector recovered", extra={"collector": name, "failed_before": str(before)})
                continue
            if outcome.reason is Reason.ABSENT:
                continue
            self._failed(name, outcome.reason)
            if outcome.reason is not before:
                self._reported[name] = outcome.reason
                fields = {"collector": name, "reason": str(outcome.reason), "error": outcome.error}
                log.warning("collector failed", extra=fields)
        for clash in seen.quarantined:
            self._quarantined(clash.collector)
            if clash not in self._reported_clashes:
                fields = {"collector": clash.collector, "family": clash.family, "owner": clash.owner}
                log.warning("family quarantined, its name is taken", extra=fields)
        self._reported_clashes = seen.quarantined


def attempt(collector: Collector, deadline: float) -> Outcome:
    """A collector's families, or why there are none. Nothing that a collector raises gets any further."""
    started = time.perf_counter()
    try:
        families = tuple(collector.collect(deadline))
    except Absent as absent:
        return Outcome(time.perf_counter() - started, reason=Reason.ABSENT, error=str(absent))
    except (OSError, ValueError) as error:
        return Outcome(time.perf_counter() - started, reason=Reason.ERROR, error=str(error) or type(error).__name__)
    except BaseException as error:  # noqa: BLE001 - a collector's bug, SystemExit included, is its own
        text = f"{type(error).__name__}: {error}"
        return Outcome(time.perf_counter() - started, reason=Reason.ERROR, error=text)
    return Outcome(time.perf_counter() - started, families)


async def _ended_within(run: Run, seconds: float) -> None:
    try:
        await asyncio.wait_for(run.ended.wait(), seconds)
    except TimeoutError:
        return


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """From a thread to the event loop, which may be gone: then the process is ending and nobody waits."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return
