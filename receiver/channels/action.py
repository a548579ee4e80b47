"""What a stage runs, as a channel of its own kind: the outbox keeps it over crashes, and its answer is in the story.

It runs only while its incident is open. What somebody acknowledged, put off or ended since the stage was taken is left
alone. An attempt that fails is not made again, unless the policy says for how long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from receiver.channels import Refused, Unreachable
from receiver.channels.command import OUTPUT_BYTES_MAX
from receiver.channels.webhook import Webhook
from receiver.incident import Incident, Status
from receiver.message import Message

# By name and outcome, since the process began: done, failed, not_run, dry_run.
Tally = Counter[tuple[str, str]]


class Deed(Protocol):
    """What is done. Raises Refused, or Unreachable where another attempt might help."""

    def shown(self, message: Message) -> str:
        """What would be done, for people. Raises Refused if nothing can be."""

    def unfilled(self) -> str:
        """The same where the labels do not fit: as the policy has it."""

    async def run(self, message: Message) -> str: ...

    async def close(self) -> None: ...


class Post:
    """What a webhook channel would post, as something that is done."""

    def __init__(self, webhook: Webhook, *, host: str) -> None:
        self._webhook = webhook
        self._host = host

    def shown(self, message: Message) -> str:
        return f"POST to {self._host}, {message.kind} {message.incident}"

    def unfilled(self) -> str:
        return f"POST to {self._host}"

    async def run(self, message: Message) -> str:
        return f"done: {await self._webhook.send(message)}"

    async def close(self) -> None:
        await self._webhook.close()


class Action:
    """One action of the policy. `incident` looks up what is decided."""

    parallel_max = 2
    answer_characters_max = OUTPUT_BYTES_MAX + 200  # and how it ended

    def __init__(
        self,
        *,
        name: str,
        deed: Deed,
        dry_run: bool,
        retry_seconds: float | None,
        incident: Callable[[str], Incident | None],
        tally: Tally,
    ) -> None:
        self._name = name
        self._deed = deed
        self._dry_run = dry_run
        self._again = retry_seconds is not None
        self._incident = incident
        self._tally = tally
        self.retry_seconds_max = retry_seconds or 0.0

    def preview(self, message: Message) -> str:
        try:
            return f"would run: {self._deed.shown(message)}\n"
        except Refused as error:
            return f"would run: {self._deed.unfilled()}\nfor this sample {error}\n"

    async def send(self, message: Message) -> str:
        try:
            self._demand_open(message)
            shown = self._deed.shown(message)
        except Refused:
            self._count("not_run")
            raise
        if self._dry_run:
            self._count("dry_run")
            return f"dry run, nothing is done. It would run: {shown}"
        try:
            answer = await self._deed.run(message)
        except (Refused, Unreachable) as error:
            self._count("failed")
            if self._again:
                raise Unreachable(str(error)) from None
            raise Refused(str(error)) from None
        self._count("done")
        return answer

    async def close(self) -> None:
        await self._deed.close()

    def _demand_open(self, message: Message) -> None:
        incident = self._incident(message.incident)
        if incident is None:
            raise Refused("not run: the incident is over")
        if incident.status is not Status.OPEN:
            by = f" by {incident.acknowledged_by}" if incident.status is Status.ACKNOWLEDGED else ""
            raise Refused(f"not run: the incident is {incident.status}{by}")

    def _count(self, outcome: str) -> None:
        self._tally[self._name, outcome] += 1
