"""The terminal channel: what a person reads, and what can never reach the terminal."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from receiver.channels import Unreachable
from receiver.channels.terminal import Terminal, render
from receiver.incident import Incident, Status
from receiver.message import Kind, Message, compose_digest
from tests.contract.values import incident
from tests.receiver.builders import AT, SURELY, message

NASTY = "\x1b[2J\x1b]0;owned\x07 line\nbreak\r \u202e\u2066 \x9b31m \u2028 \ufeff end"


def digest(*incidents: Incident, left_out: int = 0) -> Message:
    return compose_digest(journal="j", channel="chat", incidents=incidents, left_out=left_out, position=9, at=AT)


def test_messages_read_as_they_were_reviewed(golden: Callable[[str, str], None]) -> None:
    shown = [
        message(kind=Kind.OPENED, annotations={"summary": "the shop is down", "description": "longer"}),
        message(kind=Kind.UPDATED, firing=8, annotations={"description": "only a description"}),
        message(kind=Kind.ESCALATED, labels={"alertname": "Down"}, title="Down (cluster=eu1)"),
        message(kind=Kind.ACKNOWLEDGED, firing=2, acknowledged_by="ana"),
        message(kind=Kind.ACKNOWLEDGED, firing=2, acknowledged_by=NASTY),
        message(kind=Kind.UPDATED, assigned_to="ben"),
        message(kind=Kind.RESOLVED, firing=2),
        digest(incident(7), incident(2, title=NASTY), incident(5, status=Status.RESOLVED)),
        digest(incident(7)),
        digest(replace(incident(7), reopened=1), replace(incident(8), reopened=3), left_out=21),
        message(kind=Kind.OPENED, labels={"alertname": "Ünïcödé 警報"}, title="Ünïcödé 警報"),
        message(kind=Kind.OPENED, labels={"alertname": NASTY, "severity": NASTY}, title=NASTY),
        message(kind=Kind.OPENED, labels={"alertname": "x" * 1000}, title="y" * 1000),
    ]
    golden("terminal-messages.txt", "\n".join(render(each) for each in shown))


def test_no_control_character_reaches_the_terminal() -> None:
    nasty = message(
        labels={"alertname": NASTY, "severity": NASTY, "a": NASTY}, annotations={"summary": NASTY}, title=NASTY
    )
    text = render(nasty)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert len(text.splitlines()) == 2


def test_color_is_the_only_escape_sequence_and_only_where_it_is_asked_for() -> None:
    colored = render(message(), color=True)
    assert colored.count("\x1b") == 2
    assert colored.replace("\x1b[1;31m", "").replace("\x1b[0m", "") == render(message())
    assert "\x1b" not in render(message())


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_message_has_a_color(kind: Kind) -> None:
    shown = digest(incident(7)) if kind is Kind.DIGEST else message(kind=kind)
    assert render(shown, color=True).count("\x1b") == 2


def test_what_is_sent_is_on_the_stream_when_the_answer_comes() -> None:
    async def test() -> str:
        stream = io.StringIO()
        terminal = Terminal(stream)
        assert await terminal.send(message()) == "printed"
        return stream.getvalue()

    assert asyncio.run(test()) == render(message())


def test_a_terminal_that_lacks_a_character_shows_an_escape_for_it() -> None:
    async def test() -> str:
        raw = io.BytesIO()
        terminal = Terminal(io.TextIOWrapper(raw, encoding="ascii"))
        await terminal.send(message(title="警報 in Köln"))
        return raw.getvalue().decode("ascii")

    assert r"\u8b66\u5831 in K\xf6ln" in asyncio.run(test())


class Stuck(io.StringIO):
    """A paused terminal: a write comes back only when somebody presses a key."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed = threading.Event()

    def write(self, text: str) -> int:
        assert self.pressed.wait(SURELY)
        return super().write(text)


def test_a_stream_that_hangs_holds_nobody_up_and_prints_each_message_once() -> None:
    async def test() -> str:
        stream = Stuck()
        terminal = Terminal(stream, seconds_max=0.05)
        for _ in range(3):
            with pytest.raises(Unreachable, match=r"standard output took nothing for 0\.05 seconds"):
                await terminal.send(message())
        stream.pressed.set()
        assert await _until_printed(terminal) == "printed"
        assert await terminal.send(message("T-2")) == "printed"
        return stream.getvalue()

    assert asyncio.run(asyncio.wait_for(test(), SURELY)) == render(message()) + render(message("T-2"))


async def _until_printed(terminal: Terminal) -> str:
    while True:
        try:
            return await terminal.send(message())
        except Unreachable:
            continue


def test_another_message_waits_behind_the_one_that_hangs() -> None:
    async def test() -> str:
        stream = Stuck()
        terminal = Terminal(stream, seconds_max=0.05)
        with pytest.raises(Unreachable):
            await terminal.send(message("T-1"))
        with pytest.raises(Unreachable):
            await terminal.send(message("T-2"))
        stream.pressed.set()
        while True:
            try:
                await terminal.send(message("T-2"))
            except Unreachable:
                continue
            # The first one asks again, as it was told to, and learns that it was printed meanwhile.
            assert await terminal.send(message("T-1")) == "printed"
            return stream.getvalue()

    assert asyncio.run(asyncio.wait_for(test(), SURELY)) == render(message("T-1")) + render(message("T-2"))


def test_a_stream_that_is_closed_is_said_and_tried_again() -> None:
    async def test() -> None:
        stream = io.StringIO()
        terminal = Terminal(stream)
        stream.close()
        for _ in range(2):
            with pytest.raises(Unreachable, match="standard output: "):
                await terminal.send(message())

    asyncio.run(test())
