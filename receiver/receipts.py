"""By what providers know our messages again: the latest receipt for each channel and incident.

The journal keeps them, so that a restart knows them too. What was answered a moment ago is known here before it is
decided: the next message about the same incident never waits for that, and never misses it.
"""

from __future__ import annotations

from collections.abc import Callable

from receiver.channels import Channel, Following, Taken
from receiver.incident import Incident
from receiver.message import DIGEST_LANE, Message

RECEIPT_CHARACTERS_MAX = 200
# Between an answer and its decision there are seconds at most.
LATEST_MAX = 10_000


def _nothing_known(_: str) -> Incident | None:
    return None


class Receipts:
    """`incident` looks up what is decided."""

    def __init__(self, incident: Callable[[str], Incident | None] = _nothing_known) -> None:
        self._incident = incident
        self._latest: dict[tuple[str, str], str] = {}

    async def send(self, channel: Channel, message: Message) -> Taken:
        """One attempt, which follows from what was sent before where that matters to the channel."""
        if message.incident == DIGEST_LANE or not isinstance(channel, Following):  # a digest stands by itself
            return Taken(await channel.send(message))
        taken = await channel.follow(message, self._of(message))
        if not taken.receipt or len(taken.receipt) > RECEIPT_CHARACTERS_MAX or not taken.receipt.isprintable():
            return Taken(taken.answer)
        key = (message.channel, message.incident)
        self._latest.pop(key, None)
        self._latest[key] = taken.receipt
        if len(self._latest) > LATEST_MAX:
            del self._latest[next(iter(self._latest))]
        return taken

    def _of(self, message: Message) -> str:
        latest = self._latest.get((message.channel, message.incident))
        if latest is not None:
            return latest
        incident = self._incident(message.incident)
        return "" if incident is None else incident.receipts.get(message.channel, "")
