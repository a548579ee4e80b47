"""POST /api/v1/deliveries/ID/resend, and a page that falls back, in a whole receiver."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from receiver.channels import Refused
from receiver.message import Message
from tests.receiver.builders import named, webhook
from tests.receiver.world import Quiet, World, receiver, run

POLICY = """
routes: [{escalation: page}]
escalations: {page: {stages: [{notify: [chat]}]}}
channels:
  chat: {type: terminal, fallback: pager, fallback_after: 0s}
  pager: {type: terminal}
"""


class Moody(Quiet):
    """Refuses while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = True

    async def send(self, message: Message) -> str:
        if self.refuses:
            raise Refused("no such room")
        return await super().send(message)


async def refused(world: World, *names: str) -> list[str]:
    """The messages about incidents of these alerts, which the channel refused."""
    for name in names:
        await world.post(webhook([named(name)], groupKey=name))
    await world.decided()
    listed = (await world.get("/api/v1/deliveries?outcome=refused"))[1]["deliveries"]
    return [each["message"] for each in reversed(listed)]


async def resend(world: World, message: str, **how: object) -> tuple[int, object]:
    body = {"json": {"by": "ana"}, **how}
    return await world.ask("POST", f"/api/v1/deliveries/{quote(message, safe='')}/resend", **body)


def test_what_was_refused_is_sent_again_as_a_new_message(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Moody()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            (message,) = await refused(world, "Down")
            chat.refuses = False
            status, incident = await resend(world, message, headers={"X-Tocsin-Via": "cli"})
            assert status == 200
            assert isinstance(incident, dict)
            told = next(step for step in incident["timeline"] if step["what"] == "told chat again")
            assert (told["by"], told["via"]) == ("ana", "cli")
            await world.decided()
            (again,) = chat.messages
            assert (again.kind, again.incident, again.id != message) == ("opened", incident["id"], True)
            assert (await resend(world, again.id)) == (
                409,
                {"error": "chat took it: only what was refused, or given up, is sent again"},
            )

    run(test())


def test_what_cannot_be_sent_again_is_answered_with_the_reason(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Moody()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            (message,) = await refused(world, "Down")
            assert await resend(world, "j-T-9-9-chat") == (404, {"error": "there is no message 'j-T-9-9-chat'"})
            assert (await resend(world, message, json={}))[0] == 400
            assert (await resend(world, message, json={"by": " "}))[0] == 400
            assert (await resend(world, message, headers={"X-Tocsin-Via": "link"}))[0] == 400
            world.disk.full = True
            assert (await resend(world, message))[0] == 503

    run(test())


class Late(Quiet):
    """Takes what it is sent when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def send(self, message: Message) -> str:
        await self.let.wait()
        return await super().send(message)


async def fallbacks_of_chat(world: World) -> str:
    page = (await world.get("/metrics"))[1]
    return next(
        line for line in page.splitlines() if line.startswith('tocsin_receiver_fallbacks_total{channel="chat"}')
    )


def test_a_page_that_is_refused_falls_back_in_a_whole_receiver(tmp_path: Path) -> None:
    async def test() -> None:
        chat, pager = Moody(), Quiet()
        policy = POLICY.replace("0s", "1h")
        async with receiver(tmp_path, policy=policy, channels={"chat": chat, "pager": pager}) as world:
            await world.post(webhook())
            await world.decided()
            assert [message.kind for message in pager.messages] == ["opened"]
            assert (await fallbacks_of_chat(world)).endswith(" 1.0")

    run(test())


def test_a_page_that_is_late_falls_back_in_a_whole_receiver_and_arrives_when_its_channel_takes_it(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        chat, pager = Late(), Quiet()
        async with receiver(tmp_path, policy=POLICY, channels={"chat": chat, "pager": pager}) as world:
            await world.post(webhook())
            await world.until(lambda: len(pager.messages) == 1)
            assert chat.messages == []
            chat.let.set()
            await world.decided()
            told = [(message.channel, message.kind) for message in (*chat.messages, *pager.messages)]
            assert told == [("chat", "opened"), ("pager", "opened")]
            assert (await fallbacks_of_chat(world)).endswith(" 1.0")

    run(test())
