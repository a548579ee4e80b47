"""What actions do in simulated time: programs that take a while, fail now and then, and die with the receiver."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from receiver.channels import Refused
from receiver.incident import Incident
from receiver.message import Message


class Ran(NamedTuple):
    """A program that was started: for what, in which life, and how long the story was that the receiver knew."""

    message: Message
    life: int
    steps: int


class SimulatedDeed:
    """What an action does."""

    def __init__(
        self, chance: random.Random, ran: list[Ran], *, life: int, known: Callable[[str], Incident | None]
    ) -> None:
        self._chance = chance
        self._ran = ran
        self._life = life
        self._known = known

    def shown(self, message: Message) -> str:
        return f"a program for {message.incident}"

    async def run(self, message: Message) -> str:
        incident = self._known(message.incident)
        self._ran.append(Ran(message, self._life, incident.steps if incident else 0))
        await asyncio.sleep(self._chance.choice([0.0, 0.05, 2.0, 30.0]))
        if self._chance.random() < 0.2:
            raise Refused("failed with status 1 after 1.0 s")
        return "done in 1.0 s"

    async def close(self) -> None:
        pass
