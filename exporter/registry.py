"""Runs the collectors: in threads, timed, isolated from each other, never longer than a scrape may wait.

How a run goes. A scrape starts a run, in which every collector is entered once; scrapes of the same collectors
that arrive while it is under way share it, each with its own patience. One thread goes from collector to
collector, so that a healthy run costs two changes of threads; only when a collector keeps the others waiting
does another thread go on with them. When a scrape's patience ends it is given what is there, with the late
ones reported as failed, and nobody joins that run any more: its results have aged. The run ends when the last
collector is done, or when nobody waits for it.

No collector is ever entered twice at once. A run of other collectors that needs one of them too waits for the
same answer. A collector that is late stays in its thread; from then on runs report it as stuck, so a hang costs
one thread, once. When it comes back, its late answer is dropped and the next run enters it again.

The event loop only waits here; whatever can block happens in the pool. Failures are counted once a run and
logged once a change, however many scrapers look on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice

from exporter.collectors import Collector
from exporter.family import Family
from exporter.outcome import RESERVED_PREFIXES, Absent, Answer, Names, Outcome, Quarantined, Reason, Snapshot
from exporter.pool import Pool
from exporter.run import Run
from guard.printable import printable

log = logging.getLogger("tocsin.exporter")

# How long a collector may keep others waiting for a thread before another thread goes on with them.
PATIENCE_SECONDS = 0.005
# Further families of one run whose names are taken are counted in the log, not named.
CLASHES_LOGGED_MAX = 20
# A collector that says more fails. The largest text files that are taken have half as many.
FAMILIES_MAX = 200_000
# Of what a collector says when it fails.
ERROR_CHARACTERS_MAX = 2_000


class Inside:
    """A collector that is being asked, and the runs that wait for its answer; the first of them has entered it."""

    __slots__ = ("runs",)

    def __init__(self, run: Run) -> None:
        self.runs = [run]


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
        self._family_names = Names(reserved=RESERVED_PREFIXES)
        self._runs: dict[tuple[str, ...] | None, Run] = {}
        self._inside: dict[str, Inside] = {}
        self._entering = threading.Lock()
        self._last_success: dict[str, float] = {}
        self._reported: dict[str, Reason] = {}
        # Of each collector its last run, without what it said.
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
        inside = self._inside.get(name)
        return inside is not None and inside.runs[0].ended

    def use(self, collectors: Sequence[Collector]) -> None:
        """From the next run on, these. What is known about a name stays with it, stuck ones included."""
        self._collectors = tuple(collectors)

    async def scrape(self, seconds: float, only: tuple[str, ...] | None = None) -> Snapshot:
        """Starts a run or joins the one under way; returns after `seconds` at the latest."""
        run = self._runs.get(only)
        if run is None or not run.joinable:
            run = self._start(seconds, only)
        run.waiting += 1
        try:
            await run.wait(seconds)
        finally:
            run.joinable = False
            run.waiting -= 1
            if run.waiting == 0:
                self._end(run, only)
            seen = run.snapshot or run.seen_now()
            if run.waiting == 0:
                run.forget()
        return seen

    def _start(self, seconds: float, only: tuple[str, ...] | None) -> Run:
        loop = asyncio.get_running_loop()
        wanted = [each for each in self._collectors if only is None or each.name in only]
        run = Run(wanted, names=self._family_names, deadline=time.monotonic() + seconds)
        run.when_complete = partial(_tell, loop, partial(self._end, run, only))
        self._runs[only] = run
        # Nobody is inside one when the run before has ended, which is nearly always.
        elsewhere = self._inside and {each.name for each in wanted if self._is_elsewhere(each.name, run)}
        run.to_enter.extend(each for each in wanted if each.name not in elsewhere)
        if run.to_enter:
            self._pool.submit(partial(self._work, run))
            self._look_again(run)
        elif not wanted:
            self._end(run, only)
        return run

    def _work(self, run: Run) -> None:
        """In a thread of the pool: from collector to collector, as long as the run has one that nobody entered."""
        while (collector := run.next()) is not None:
            if not self._enters(collector.name, run):
                continue
            answer = attempt(collector, run.deadline)
            # First free, then done: whoever sees the run end may enter the collector again.
            with self._entering:
                inside = self._inside.pop(collector.name)
            for each in inside.runs:
                each.record(collector.name, answer)

    def _enters(self, name: str, run: Run) -> bool:
        """Whether this thread enters the collector for the run. If not, another one is inside."""
        with self._entering:
            inside = self._inside.get(name)
            if inside is None:
                self._inside[name] = Inside(run)
                return True
            self._await(name, inside, run)
            return False

    def _is_elsewhere(self, name: str, run: Run) -> bool:
        """Whether a thread is inside the collector already; then no other is needed."""
        with self._entering:
            inside = self._inside.get(name)
            if inside is not None:
                self._await(name, inside, run)
            return inside is not None

    def _await(self, name: str, inside: Inside, run: Run) -> None:
        first, now = inside.runs[0], time.monotonic()
        if now < first.deadline:
            inside.runs.append(run)
        else:
            run.record(name, Answer(Outcome(now - first.started, Reason.STUCK, "still inside an earlier scrape")))

    def _look_again(self, run: Run) -> None:
        run.alarm = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._widen, run, run.progress)

    def _widen(self, run: Run, progress: int) -> None:
        """Another thread where the run has not got on. There are never more than collectors hold up."""
        if run.ended or not run.to_enter:
            return
        if run.progress == progress:
            if not self._pool.waiting:
                self._pool.submit(partial(self._work, run))
            if self._pool.waiting and len(self._inside) >= self._pool.threads:
                self._pool.grow()
        self._look_again(run)

    def _end(self, run: Run, only: tuple[str, ...] | None) -> None:
        if self._runs.get(only) is run:
            del self._runs[only]
        if not run.ended:
            self._account(run.end())

    def _account(self, seen: Snapshot) -> None:
        """Counts every failure, and logs where something is different from the run before."""
        now = time.time()
        for name, outcome in seen.outcomes.items():
            before = self._reported.get(name)
            if outcome.reason is None:
                self._last_success[name] = now
                if before is not None:
                    del self._reported[name]
                    log.info("collector recovered", extra={"collector": name, "failed_before": str(before)})
                continue
            if outcome.reason is Reason.ABSENT:
                continue
            self._failed(name, outcome.reason)
            if outcome.reason is not before:
                self._reported[name] = outcome.reason
                fields = {"collector": name, "reason": str(outcome.reason), "error": outcome.error}
                log.warning("collector failed", extra=fields)
        known = self.last.quarantined if self.last is not None else ()
        for clash in seen.quarantined:
            self._quarantined(clash.collector)
        if seen.quarantined != known:
            before_all = frozenset(known)
            _log_clashes([clash for clash in seen.quarantined if clash not in before_all])
        self._keep(seen, known)

    def _keep(self, seen: Snapshot, known: Iterable[Quarantined]) -> None:
        """A run of some collectors says nothing of the others. What was said on the page is not kept."""
        before = self.last.outcomes if self.last is not None else {}
        elsewhere = [clash for clash in known if clash.collector not in seen.outcomes]
        self.last = Snapshot({**before, **seen.outcomes}, quarantined=[*elsewhere, *seen.quarantined])


def _log_clashes(clashes: Sequence[Quarantined]) -> None:
    """A text file can hold a hundred thousand names that are taken: some of them say what is wrong."""
    for clash in clashes[:CLASHES_LOGGED_MAX]:
        fields = {"collector": clash.collector, "family": clash.family, "owner": clash.owner}
        log.warning("family quarantined, its name is taken", extra=fields)
    if len(clashes) > CLASHES_LOGGED_MAX:
        log.warning("more families quarantined", extra={"families": len(clashes) - CLASHES_LOGGED_MAX})


def attempt(collector: Collector, deadline: float) -> Answer:
    """A collector's families, or why there are none. Nothing that a collector raises gets any further."""
    started = time.perf_counter()
    try:
        families = tuple(islice(collector.collect(deadline), FAMILIES_MAX + 1))
        if len(families) > FAMILIES_MAX:
            raise ValueError(f"found more than {FAMILIES_MAX} metric families, expected fewer")
        if not all(issubclass(kind, Family) for kind in set(map(type, families))):
            raise TypeError("found something else among metric families")
    except Absent as absent:
        return _failed(started, Reason.ABSENT, _said(absent))
    except (OSError, ValueError) as error:
        return _failed(started, Reason.ERROR, _said(error) or type(error).__name__)
    except BaseException as error:  # noqa: BLE001 - a collector's bug, SystemExit included, is its own
        return _failed(started, Reason.ERROR, f"{type(error).__name__}: {_said(error)}")
    return Answer(Outcome(time.perf_counter() - started), families)


def _said(error: BaseException) -> str:
    """Names of files and devices may be in it, which are bytes of any kind."""
    try:
        return printable(str(error), ERROR_CHARACTERS_MAX)
    except Exception:  # noqa: BLE001 - the mistake may be in how it is said
        return "an error that cannot be said"


def _failed(started: float, reason: Reason, error: str) -> Answer:
    return Answer(Outcome(time.perf_counter() - started, reason, error))


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """From a thread to the event loop, which may be gone: then the process is ending and nobody waits."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return
