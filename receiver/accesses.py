"""Who used the API, for the journal: uses are gathered, and go there together once a minute, when there were any.

Acts are entries of their own; this is for whoever wants to know who looked, from where, and whose login failed. The
table is bounded: uses for which there is no room are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from guard.judge import Use
from receiver.entry import Access, Accessed
from receiver.store import StoreFailed

ACCESSES_MAX = 100
ACCESSES_SECONDS = 60.0

_Row = tuple[str, str, str, str]


class Accesses:
    def __init__(
        self,
        *,
        submit: Callable[[Accessed], Awaitable[int]],
        accesses_max: int = ACCESSES_MAX,
        seconds: float = ACCESSES_SECONDS,
    ) -> None:
        self._submit = submit
        self._accesses_max = accesses_max
        self._seconds = seconds
        self._counts: dict[_Row, tuple[int, int]] = {}
        self._left_out = 0

    def note(self, use: Use) -> None:
        row = (use.name, use.role or "", use.address, use.door)
        if row not in self._counts and len(self._counts) >= self._accesses_max:
            self._left_out += 1
            return
        count, refused = self._counts.get(row, (0, 0))
        self._counts[row] = (count + 1, refused + 1 if use.refused else refused)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self.flush()

    async def flush(self) -> None:
        """What could not be written stays, and goes with the next."""
        if not self._counts:
            return
        counts, left_out = self._counts, self._left_out
        self._counts, self._left_out = {}, 0
        uses = tuple(Access(*row, count=count, refused=refused) for row, (count, refused) in sorted(counts.items()))
        try:
            await self._submit(Accessed(uses, left_out))
        except StoreFailed:
            self._put_back(counts, left_out)

    def _put_back(self, counts: dict[_Row, tuple[int, int]], left_out: int) -> None:
        self._left_out += left_out
        meanwhile, self._counts = self._counts, counts
        for row, (count, refused) in meanwhile.items():
            if row in self._counts or len(self._counts) < self._accesses_max:
                before = self._counts.get(row, (0, 0))
                self._counts[row] = (before[0] + count, before[1] + refused)
            else:
                self._left_out += count
