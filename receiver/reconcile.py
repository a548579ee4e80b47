"""Asks Alertmanager about what its webhooks do not tell: what is silenced or inhibited, what it has no more, and what a
body left out. For the sources whose policy has its address.

It decides nothing. It compares what Alertmanager has with what the state has, and hands what is news to the journal as
a fact: `Looked`, or `AlertsFetched` for a group that was cut. No news, no fact. An Alertmanager that is slow, hangs or
tells nonsense delays its own source's looks and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from receiver.alertmanager import Alertmanager, NoAnswer
from receiver.clock import Clock
from receiver.comparison import GONE_SECONDS, Comparison, fetched, looked
from receiver.entry import AlertsFetched, Looked
from receiver.incident import AlertRecord, Group, Hidden
from receiver.known import Cut
from receiver.policy.duration import parse_duration
from receiver.policy.file import SourceFile
from receiver.store import StoreFailed

log = logging.getLogger("tocsin.receiver")

EVERY_SECONDS = 60.0
# After something was decided: so that what one storm changes is asked for once.
SOON_SECONDS = 1.0
RETRY_SECONDS_MIN = 2.0
RETRY_SECONDS_MAX = 60.0


class View(Protocol):
    """What it wants to know of the state, and never changes."""

    @property
    def alerts(self) -> Mapping[tuple[str, str], AlertRecord]: ...
    @property
    def cut(self) -> Mapping[Group, Cut]: ...


class Watcher(msgspec.Struct):
    """What happened with one source, for metrics and status."""

    looks: int = 0
    failures: int = 0
    news: int = 0  # facts handed to the journal
    last_look: datetime | None = None
    last_success: datetime | None = None
    error: str | None = None


class Reconciler:
    """One source. `perform` returns when the fact is decided and committed."""

    def __init__(
        self,
        source: str,
        alertmanager: Alertmanager,
        *,
        known: Callable[[], View],
        perform: Callable[[Looked | AlertsFetched], Awaitable[object]],
        clock: Clock,
        watcher: Watcher,
        elapsed: Callable[[], float] = time.monotonic,
        gone_seconds: float = GONE_SECONDS,
    ) -> None:
        self._source = source
        self._alertmanager = alertmanager
        self._known = known
        self._perform = perform
        self._clock = clock
        self._watcher = watcher
        self._elapsed = elapsed
        # Two looks at least, so that an alert is not gone much later than the policy says.
        self._every_seconds = min(EVERY_SECONDS, gone_seconds)
        self._comparison = Comparison(gone_seconds=gone_seconds)
        self._asked: frozenset[object] = frozenset()
        self._fetched: dict[Group, Cut] = {}
        self._failed = 0  # in a row
        self._stirred = asyncio.Event()
        self._asked_to_look = asyncio.Event()

    def stir(self) -> None:
        """Something was decided: perhaps there is something new to ask."""
        self._stirred.set()

    def look_now(self) -> None:
        """Somebody wants to know, whether it answered last time or not."""
        self._asked_to_look.set()

    async def run(self) -> None:
        """Looks, until it is cancelled."""
        try:
            while True:
                await self.look()
                await self._rest()
        finally:
            await self._alertmanager.close()

    async def look(self) -> None:
        """One look. It never raises: what went wrong is counted, shown, and tried again."""
        self._watcher.looks += 1
        self._watcher.last_look = self._clock.now()
        try:
            await self._look()
        except NoAnswer as error:
            self._note_failure(str(error))
        except StoreFailed as error:
            self._note_failure(f"what it said could not be written to disk: {error}")
        except Exception as error:
            log.exception("a look at Alertmanager failed in a way it should not", extra={"source": self._source})
            self._note_failure(f"{type(error).__name__}: {error}")
        else:
            if self._watcher.error is not None:
                log.info("Alertmanager answers again", extra={"source": self._source})
            self._failed, self._watcher.error = 0, None
            self._watcher.last_success = self._clock.now()

    async def _look(self) -> None:
        # Taken before anything is asked: what came meanwhile is not judged by an answer from before it.
        alerts, cuts = self._alerts(), self._cuts()
        self._asked = self._wanted()
        self._comparison.meet(await self._alertmanager.started_at(), elapsed=self._elapsed())
        self._fetched = {cut.group: cut for cut in cuts if self._fetched.get(cut.group) == cut}
        if wanted := [cut for cut in cuts if cut.group not in self._fetched]:
            await self._fetch(wanted)
        if alerts:
            await self._compare(alerts)

    async def _fetch(self, cuts: Sequence[Cut]) -> None:
        groups = await self._alertmanager.groups()
        for cut in cuts:
            self._watcher.news += 1
            await self._perform(fetched(cut, groups))
            self._fetched[cut.group] = cut

    async def _compare(self, alerts: Sequence[AlertRecord]) -> None:
        seen = await self._alertmanager.alerts()
        silenced = any(
            alert.firing and alert.fingerprint in seen and seen[alert.fingerprint].status.silenced_by
            for alert in alerts
        )
        silences = await self._alertmanager.silences() if silenced else {}
        news = self._comparison.statements(alerts, seen, silences, now=self._clock.now(), elapsed=self._elapsed())
        if news:
            self._watcher.news += 1
            await self._perform(looked(self._source, news))
        self._comparison.heard()

    async def _rest(self) -> None:
        """Until the next look is due, or somebody asks for it, or there is something new to ask of an Alertmanager that
        answers."""
        seconds = self._every_seconds
        reasons: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._asked_to_look.wait())]
        if self._failed:
            seconds = min(RETRY_SECONDS_MIN * (1 << min(self._failed - 1, 20)), RETRY_SECONDS_MAX)
        else:
            reasons.append(asyncio.ensure_future(self._something_new()))
        try:
            await asyncio.wait(reasons, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
        self._asked_to_look.clear()

    async def _something_new(self) -> None:
        while True:
            await self._stirred.wait()
            await asyncio.sleep(SOON_SECONDS)
            self._stirred.clear()
            wanted = self._wanted()
            if not wanted <= self._asked:
                return
            self._asked = wanted  # what was hidden and is not may be hidden again

    def _alerts(self) -> list[AlertRecord]:
        """Those of the source that fire, or are doubted to be over."""
        return [
            alert
            for (source, _), alert in self._known().alerts.items()
            if source == self._source and (alert.firing or alert.doubted_until is not None)
        ]

    def _cuts(self) -> list[Cut]:
        return [cut for group, cut in self._known().cut.items() if group.source == self._source]

    def _wanted(self) -> frozenset[object]:
        """What should be asked soon: who is hidden and nobody knows why, and groups that were cut."""
        hidden = [each for each in self._known().alerts.values() if each.hidden]  # few of many: this is done often
        unknown = [each.fingerprint for each in hidden if each.source == self._source and each.hidden == Hidden.UNKNOWN]
        return frozenset([*unknown, *((cut.group, cut.at) for cut in self._cuts())])

    def _note_failure(self, error: str) -> None:
        if self._watcher.error is None:
            log.warning("Alertmanager cannot be asked", extra={"source": self._source, "error": error})
        self._failed += 1
        self._watcher.failures += 1
        self._watcher.error = error


class Reconciliation:
    """All sources whose Alertmanager is known. A source that a reload does not change keeps its memory."""

    def __init__(
        self,
        *,
        known: Callable[[], View],
        perform: Callable[[Looked | AlertsFetched], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._known = known
        self._perform = perform
        self._clock = clock
        self._files: dict[str, SourceFile] = {}
        self._reconcilers: dict[str, Reconciler] = {}
        self._watchers: dict[str, Watcher] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retired: set[asyncio.Task[None]] = set()
        self._running = False

    def replace_sources(self, sources: Mapping[str, SourceFile]) -> None:
        wanted = {name: file for name, file in sources.items() if file.alertmanager_url is not None}
        for name in [name for name, file in self._files.items() if wanted.get(name) != file]:
            self._retire(name)
        for reconciler in self._reconcilers.values():
            reconciler.look_now()
        for name in [name for name in wanted if name not in self._files]:
            self._add(name, wanted[name])
        self._watchers = {name: self._watchers[name] for name in wanted}

    def start(self) -> None:
        self._running = True
        for name, reconciler in self._reconcilers.items():
            self._tasks[name] = asyncio.create_task(reconciler.run())

    async def stop(self) -> None:
        self._running = False
        for name in list(self._files):
            self._retire(name)
        await asyncio.gather(*self._retired, return_exceptions=True)

    def stir(self) -> None:
        """Something was decided."""
        for reconciler in self._reconcilers.values():
            reconciler.stir()

    def by_source(self) -> dict[str, Watcher]:
        return dict(sorted(self._watchers.items()))

    def _add(self, name: str, file: SourceFile) -> None:
        token_file = file.alertmanager_token_file
        self._files[name] = file
        self._reconcilers[name] = Reconciler(
            name,
            Alertmanager(file.alertmanager_url or "", token_file=Path(token_file) if token_file else None),
            known=self._known,
            perform=self._perform,
            clock=self._clock,
            watcher=self._watchers.setdefault(name, Watcher()),
            gone_seconds=parse_duration(file.gone_after).total_seconds(),
        )
        if self._running:
            self._tasks[name] = asyncio.create_task(self._reconcilers[name].run())

    def _retire(self, name: str) -> None:
        del self._files[name], self._reconcilers[name]
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
