"""Every channel keeps one contract, against another side that is really there: what is taken, what is tried again."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web

from guard.framework import listening
from guard.listen import parse_address
from receiver.channels import Channel, Unreachable
from receiver.channels.apprise import Apprise
from receiver.channels.email import Email
from receiver.channels.terminal import Terminal
from receiver.channels.webhook import Webhook
from receiver.links import NO_LINKS
from receiver.message import Kind, Message, compose_digest
from receiver.policy.mail import Smarthost, Tls, parse_mailbox
from tests.contract.values import incident
from tests.receiver.apprisesink import AppriseSink
from tests.receiver.builders import AT, SURELY, message
from tests.receiver.mailserver import inbox
from tests.receiver.provider import serving

NASTY = "\x1b[2J\r\nBcc: eve@example.org\r\n\r\n<script> \u202e\u2028\0"

Taken = Callable[[], int]
Side = AbstractAsyncContextManager[tuple[Channel, Taken]]


@asynccontextmanager
async def terminal() -> AsyncIterator[tuple[Channel, Taken]]:
    stream = io.StringIO()
    yield Terminal(stream), lambda: stream.getvalue().count("[")


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[Channel, Taken]]:
    came: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        came.append(await request.read())
        return web.Response(text="taken")

    app = web.Application()
    app.router.add_post("/", take)
    async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=0.1) as (url,):
        yield _webhook(url), lambda: len(came)


@asynccontextmanager
async def mail() -> AsyncIterator[tuple[Channel, Taken]]:
    async with inbox() as box:
        yield _mail(box.port), lambda: len(box.came)


@asynccontextmanager
async def apprise() -> AsyncIterator[tuple[Channel, Taken]]:
    sink = AppriseSink()
    with serving(sink), TemporaryDirectory() as folder:
        yield _apprise(sink.address("json"), Path(folder)), lambda: len(sink.got)
    assert sink.faults == []


def _webhook(url: str) -> Webhook:
    return Webhook(url=url, headers={}, timeout_seconds=SURELY, retry_seconds_max=60.0, secret_file=None)


def _mail(port: int) -> Email:
    return Email(
        smarthost=Smarthost("127.0.0.1", port),
        sender=parse_mailbox("tocsin@example.org"),
        recipients=[parse_mailbox("ana@example.org")],
        tls=Tls.NONE,
        timeout_seconds=SURELY,
        retry_seconds_max=60.0,
    )


def _apprise(address: str, folder: Path) -> Apprise:
    file = folder / "service.url"
    file.write_text(address)
    return _apprise_of(file)


def _apprise_of(file: Path) -> Apprise:
    return Apprise(addresses_file=file, links=NO_LINKS, timeout_seconds=SURELY, retry_seconds_max=60.0)


def _closed_terminal() -> Terminal:
    stream = io.StringIO()
    terminal = Terminal(stream)
    stream.close()
    return terminal


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


THERE: dict[str, Callable[[], Side]] = {"terminal": terminal, "webhook": webhook, "email": mail, "apprise": apprise}
GONE: dict[str, Callable[[], Channel]] = {
    "terminal": _closed_terminal,
    "webhook": lambda: _webhook(f"http://127.0.0.1:{_free_port()}/"),
    "email": lambda: _mail(_free_port()),
    "apprise": lambda: _apprise_of(Path("nowhere.url")),
}


def of_every_kind() -> list[Message]:
    digest = compose_digest(journal="j", channel="chat", incidents=[incident(7)], left_out=1, position=9, at=AT)
    return [message(f"T-{kind}", kind=kind) for kind in Kind if kind is not Kind.DIGEST] + [digest]


async def _send_all(name: str, messages: list[Message]) -> tuple[list[str], int]:
    async with THERE[name]() as (channel, taken):
        try:
            return [await channel.send(each) for each in messages], taken()
        finally:
            await channel.close()


@pytest.mark.parametrize("name", THERE)
def test_every_kind_of_message_is_taken_and_answered(name: str) -> None:
    messages = of_every_kind()
    answers, taken = asyncio.run(_send_all(name, messages))
    assert taken == len(messages)
    assert all(answers)


@pytest.mark.parametrize("name", THERE)
def test_what_is_hostile_or_much_is_taken_like_anything_else(name: str) -> None:
    hostile = message(
        labels={"alertname": NASTY, "severity": NASTY, "long": "x" * 8192},
        annotations={f"{NASTY}{number}": "x" * 8192 for number in range(20)},
        title=NASTY,
        firing=3,
        acknowledged_by=NASTY,
    )
    answers, taken = asyncio.run(_send_all(name, [hostile, hostile]))
    assert len(answers) == 2
    assert taken >= 2


@pytest.mark.parametrize("name", THERE)
def test_several_at_once_are_all_taken(name: str) -> None:
    async def test() -> int:
        async with THERE[name]() as (channel, taken):
            await asyncio.gather(*(channel.send(message(f"T-{number}")) for number in range(channel.parallel_max)))
            await channel.close()
            return taken() - channel.parallel_max

    assert asyncio.run(test()) == 0


@pytest.mark.parametrize("name", GONE)
def test_nobody_there_is_unreachable_and_never_anything_else(name: str) -> None:
    async def test() -> None:
        channel = GONE[name]()
        for _ in range(2):
            with pytest.raises(Unreachable):
                await channel.send(message())
        await channel.close()

    asyncio.run(test())


@pytest.mark.parametrize("name", GONE)
def test_a_channel_that_sent_nothing_closes_and_says_its_limits(name: str) -> None:
    async def test() -> tuple[float, int]:
        channel = GONE[name]()
        await channel.close()
        return channel.retry_seconds_max, channel.parallel_max

    retry_seconds, parallel = asyncio.run(test())
    assert retry_seconds > 0
    assert parallel >= 1


@pytest.mark.parametrize("name", GONE)
def test_a_preview_asks_nobody_and_shows_what_the_message_is_about(name: str) -> None:
    async def test() -> list[str]:
        channel = GONE[name]()
        shown = [channel.preview(each) for each in of_every_kind()]
        await channel.close()
        return shown

    for shown, sent in zip(asyncio.run(test()), of_every_kind(), strict=True):
        assert sent.kind in shown.lower()
        assert ("T-7" if sent.kind is Kind.DIGEST else sent.incident) in shown
