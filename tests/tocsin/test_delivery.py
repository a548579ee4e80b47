"""`tocsin delivery`: what was sent, and dead letters sent again."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.receiver.builders import named, webhook
from tests.receiver.test_door_resend import Moody, refused
from tests.receiver.world import World, receiver, run
from tocsin import delivery

ANA = MappingProxyType({"TOCSIN_BY": "ana"})


async def typed(url: str, verb: str, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    out, err = io.StringIO(), io.StringIO()
    status = await asyncio.to_thread(delivery.main, [f"--url={url}", verb, *words], ANA, out=out, err=err)
    return status, out.getvalue(), err.getvalue()


def test_messages_are_listed_newest_first_with_what_became_of_them(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Moody()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            assert await typed(world.url, "list") == (0, "no message matches\n", "")
            down, slow = await refused(world, "Down", "Slow")
            status, out, err = await typed(world.url, "list", "--outcome=refused", "--channel=chat")
            assert (status, err) == (0, "")
            head, first, second = out.splitlines()
            assert head.split() == ["AGE", "OUTCOME", "KIND", "CHANNEL", "INCIDENT", "ID", "ANSWER"]
            assert [line.split()[5] for line in (first, second)] == [slow, down]
            assert first.endswith("no such room")
            assert await typed(world.url, "list", "--outcome=owed") == (0, "no message matches\n", "")
            document = json.loads((await typed(world.url, "list", "--limit=1", "--output=json"))[1])
            assert [each["message"] for each in document["deliveries"]] == [slow]

    run(test())


def test_dead_letters_are_sent_again_one_by_one(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Moody()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            (down,) = await refused(world, "Down")
            chat.refuses = False
            status, out, err = await typed(world.url, "resend", down, "j-nothing")
            incident = down.split("-", 1)[1].rsplit("-", 2)[0]
            assert (status, out) == (1, f"{down}: sent again, about {incident} as it is now (open)\n")
            assert err == "tocsin delivery: j-nothing: answered 404: there is no message 'j-nothing'\n"
            await world.decided()
            assert [message.incident for message in chat.messages] == [incident]

    run(test())


def test_all_dead_letters_of_a_channel_are_the_newest_of_each_incident_that_were_refused(tmp_path: Path) -> None:
    async def test() -> None:
        chat = Moody()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            await refused(world, "Down", "Slow")
            await world.post(webhook([named("Slow"), named("Late")], groupKey="Slow"))  # refused as well
            await world.decided()
            chat.refuses = False
            await world.post(webhook([named("Fine")], groupKey="Fine"))
            await world.decided()
            chat.messages.clear()
            status, out, err = await typed(world.url, "resend", "--channel=chat", "--all", "--output=json")
            assert (status, err) == (0, "")
            document = json.loads(out)
            assert [each["title"].split(":")[0] for each in document["incidents"]] == titles(world)
            await world.decided()
            assert len(chat.messages) == 2
            again = await typed(world.url, "resend", "--channel=chat", "--all")
            assert again == (0, "nothing to send again\n", "")
            nobody = await typed(world.url, "resend", "--channel=nobody", "--all")
            assert nobody == (1, "", "tocsin delivery: nothing was ever sent to 'nobody': is that its name?\n")

    run(test())


def titles(world: World) -> list[str]:
    """Of what was refused, in the order of the decisions."""
    known = world.runner.state.incidents.values()
    return [each.title.split(":")[0] for each in known if each.kinds != ("Fine",)]


@pytest.mark.parametrize(
    "words", [(), ("--all",), ("--channel=chat",), ("j-1", "--channel=chat", "--all"), ("j-1", "--channel=chat")]
)
def test_what_is_to_be_sent_again_must_be_said(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        delivery.main(["resend", *words], ANA)
    assert ended.value.code == 2
    assert "name either messages or --channel=NAME with --all" in capsys.readouterr().err


def test_a_receiver_that_is_not_there_is_said_in_one_line() -> None:
    async def test() -> None:
        for words in (("list",), ("resend", "j-1"), ("resend", "--channel=chat", "--all")):
            status, out, err = await typed("http://127.0.0.1:1", *words)
            assert (status, out, len(err.splitlines())) == (1, "", 1)
            assert "is it running?" in err

    run(test())
