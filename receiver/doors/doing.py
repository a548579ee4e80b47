"""An act of a person on its way: whichever door it came by, it is done when it is decided and on disk."""

from __future__ import annotations

import asyncio

from receiver.doors.api import incident_document
from receiver.entry import Act, Resent
from receiver.message import DIGEST_LANE
from receiver.runner import Runner
from receiver.store import Store, StoreFailed

ACT_SECONDS_MAX = 5.0


class NotDone(Exception):
    """404: there is no such incident. 409: its state does not allow it. 503: it is not known to be done. The text is
    for the person who asked."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Doing:
    def __init__(self, *, store: Store, runner: Runner, seconds_max: float = ACT_SECONDS_MAX) -> None:
        self._store = store
        self._runner = runner
        self._seconds_max = seconds_max

    async def resend(self, message: str, *, by: str, via: str) -> dict[str, object]:
        """The incident afterwards: a channel is told again what it refused, or what was given up. Raises NotDone."""
        try:
            found = await self._store.delivery(message)
        except StoreFailed as error:
            raise NotDone(503, f"the store fails ({error}): try again") from error
        if found is None:
            raise NotDone(404, f"there is no message {message[:120]!r}")
        if found.outcome == "owed":
            raise NotDone(409, f"it is still owed: {found.channel} gets it as soon as it takes something")
        if found.outcome == "delivered":
            raise NotDone(409, f"{found.channel} took it: only what was refused, or given up, is sent again")
        if found.outcome == "withdrawn":
            text = f"nobody was to be called any more ({found.answer}): if it is open again, {found.channel} is called"
            raise NotDone(409, text)
        if found.incident == DIGEST_LANE:
            raise NotDone(409, "it is a digest, which told how things were then: look at the incidents of now instead")
        return await self.do(Resent(found.incident, by, found.message, found.channel, found.kind, via))

    async def do(self, act: Act, *, other: str | None = None) -> dict[str, object]:
        """The incident as it is afterwards. `other` is a second incident that the act names: it must be there as well.
        Raises NotDone."""
        try:
            for identifier in (act.incident, *(() if other is None else (other,))):
                if await self._store.incident(identifier) is None:
                    raise NotDone(404, f"there is no incident {identifier[:80]!r}")
            async with asyncio.timeout(self._seconds_max):
                refused = await self._runner.perform(act)
            if refused is not None:
                raise NotDone(409, refused)
            return await incident_document(self._store, act.incident)
        except StoreFailed as error:
            raise NotDone(503, f"the store fails ({error}): try again") from error
        except TimeoutError:
            raise NotDone(503, "it is not decided yet, and may still be: look before you try again") from None
