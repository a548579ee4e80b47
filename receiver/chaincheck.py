"""Walks the whole chain of the journal once, in the background after the start, slowly enough to be in nobody's way.

A place that does not hold becomes a fact of the journal itself, and so an incident of Tocsin's own; but not if it is
what an earlier walk found.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from guard.log import Ours
from receiver.entry import ChainBroken
from receiver.own import is_news
from receiver.state import State
from receiver.store import Store, StoreFailed, StoreRefused, Walked

log = logging.getLogger("tocsin.receiver")

REST_SHARE = 9.0  # rests nine times as long as a part takes
REST_SECONDS_MIN = 0.005
RETRY_SECONDS = 10.0
PROGRESS_SECONDS = 60.0


class Checked(msgspec.Struct, frozen=True):
    """What is known of the chain: `intact` is null until the walk is over."""

    intact: bool | None
    position: int
    problem: str | None


class ChainCheck:
    """`on_checked` is told when it is over: whether the chain holds. `submit` is the runner's, `known` its state."""

    def __init__(
        self,
        store: Store,
        *,
        on_checked: Callable[[bool], None],
        submit: Callable[[ChainBroken], Awaitable[object]],
        known: Callable[[], State],
    ) -> None:
        self._store = store
        self._on_checked = on_checked
        self._submit = submit
        self._known = known
        self.result = Checked(None, 0, None)

    async def run(self) -> None:
        walked = await self._walked()
        self.result = Checked(walked.problem is None, walked.position, walked.problem)
        self._on_checked(walked.problem is None)
        if walked.problem is None:
            log.info("the journal's chain holds", extra={"entries": walked.position, "head": Ours(walked.hash.hex())})
        else:
            log.error(
                "the journal's chain does not hold: somebody or something changed it",
                extra={"problem": walked.problem, "holds_up_to": walked.position},
            )
            await self._tell(ChainBroken(walked.position, walked.problem))

    async def _tell(self, found: ChainBroken) -> None:
        while is_news(self._known().chain, found):
            try:
                await self._submit(found)
            except StoreRefused:
                log.exception("that the journal is broken cannot be written into it")
                return
            except StoreFailed:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _walked(self) -> Walked:
        loop = asyncio.get_running_loop()
        walked: Walked | None = None
        told_at = loop.time()
        while walked is None or not walked.done:
            began = loop.time()
            try:
                walked = await self._store.walk_on(walked)
            except StoreFailed as error:
                log.warning("the journal's chain cannot be read", extra={"error": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.result = Checked(None, walked.position, None)
            if loop.time() - told_at >= PROGRESS_SECONDS:
                told_at = loop.time()
                log.info("the journal's chain is being checked", extra={"holds_up_to": walked.position})
            await asyncio.sleep(max(REST_SECONDS_MIN, REST_SHARE * (loop.time() - began)))
        return walked
