"""What every channel over HTTP promises the outbox, each against a server that enforces what its provider documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from receiver.channels import Channel, Refused, Unreachable
from receiver.channels.pagerduty import PagerDuty
from receiver.channels.slack import Slack, SlackWebhook
from receiver.channels.webhook import Webhook
from receiver.links import NO_LINKS
from receiver.message import Kind
from tests.receiver.builders import digest, message
from tests.receiver.pagerdutysink import PATH, ROUTING_KEY, PagerDutySink
from tests.receiver.provider import Provider, Reply, serving
from tests.receiver.slacksink import HOOK, TOKEN, SlackSink

SECRETS = ("S3CRET", TOKEN, ROUTING_KEY)


class TakesAll(Provider):
    def answer(self, path: str, headers: object, body: bytes) -> Reply:
        return Reply(200)


def webhook(sink: Provider, _: Path) -> Channel:
    return Webhook(
        url=f"{sink.url}/S3CRET",
        headers={"Authorization": "S3CRET"},
        timeout_seconds=5.0,
        retry_seconds_max=60.0,
        secret_file=None,
    )


def slack(sink: Provider, folder: Path) -> Channel:
    (folder / "secret").write_text(TOKEN)
    return Slack(
        channel="#ops",
        token_file=folder / "secret",
        api_url=f"{sink.url}/api",
        links=NO_LINKS,
        timeout_seconds=5.0,
        retry_seconds_max=60.0,
    )


def slack_webhook(sink: Provider, folder: Path) -> Channel:
    (folder / "secret").write_text(sink.url + HOOK)
    return SlackWebhook(webhook_url_file=folder / "secret", links=NO_LINKS, timeout_seconds=5.0, retry_seconds_max=60.0)


def pagerduty(sink: Provider, folder: Path) -> Channel:
    (folder / "secret").write_text(ROUTING_KEY)
    return PagerDuty(
        url=sink.url + PATH,
        routing_key_file=folder / "secret",
        links=NO_LINKS,
        timeout_seconds=5.0,
        retry_seconds_max=60.0,
    )


class Kept(NamedTuple):
    sink: type[Provider]
    made: Callable[[Provider, Path], Channel]


CHANNELS = {
    "webhook": Kept(TakesAll, webhook),
    "slack": Kept(SlackSink, slack),
    "slack webhook": Kept(SlackSink, slack_webhook),
    "pagerduty": Kept(PagerDutySink, pagerduty),
}
Test = Callable[[Provider, Channel], Coroutine[Any, Any, None]]


@pytest.fixture(params=CHANNELS, ids=lambda name: name.replace(" ", "-"))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    kept = CHANNELS[request.param]

    def run_it(test: Test) -> None:
        async def whole(sink: Provider) -> None:
            channel = kept.made(sink, tmp_path)
            try:
                await test(sink, channel)
            finally:
                await channel.close()

        sink = kept.sink()
        with serving(sink):
            asyncio.run(asyncio.wait_for(whole(sink), 30))
        assert sink.faults == []

    return run_it


Run = Callable[[Test], None]


def test_every_kind_of_message_is_taken_and_the_answer_is_a_line(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        for step, kind in enumerate(kind for kind in Kind if kind is not Kind.DIGEST):
            said = await channel.send(message(step=step, kind=kind))
            assert said
            assert said.isprintable()
        assert await channel.send(digest(3))
        assert sink.requests >= 6

    run(test)


def test_who_is_not_there_is_tried_again_and_no_secret_is_in_the_error(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        for reply in (None, Reply(500), Reply(503), Reply(408)):
            sink.scripted.append(reply)
            with pytest.raises(Unreachable) as raised:
                await channel.send(message())
            assert [secret for secret in SECRETS if secret in str(raised.value)] == []
        assert await channel.send(message())

    run(test)


def test_who_asks_for_a_pause_says_for_how_long(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        sink.scripted.append(Reply(429, headers={"Retry-After": "17"}))
        with pytest.raises(Unreachable) as raised:
            await channel.send(message())
        assert raised.value.seconds == 17.0

    run(test)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(run: Run, status: int) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        sink.scripted.append(Reply(status, headers={"Location": f"{sink.url}/elsewhere"}))
        with pytest.raises(Refused, match="redirect"):
            await channel.send(message())
        assert sink.requests == 1

    run(test)


def test_what_offends_is_refused_at_once(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        sink.scripted.append(Reply(403))
        with pytest.raises(Refused, match=r"^answered 403"):
            await channel.send(message())
        assert sink.requests == 1

    run(test)


def test_several_at_a_time_do_not_disturb_each_other(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        said = await asyncio.gather(*(channel.send(message(f"T-{number}")) for number in range(channel.parallel_max)))
        assert all(said)
        assert sink.requests == channel.parallel_max

    run(test)


def test_closing_before_anything_was_sent_is_no_trouble(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        await channel.close()
        assert sink.requests == 0
        assert channel.retry_seconds_max == 60.0

    run(test)


def test_a_preview_shows_what_would_be_sent_and_no_secret(run: Run) -> None:
    async def test(sink: Provider, channel: Channel) -> None:
        for each in (message(title="Disk full"), digest(2, titles=["Disk full", "Slow"])):
            shown = channel.preview(each)
            assert "Disk full" in shown
            assert [secret for secret in SECRETS if secret in shown] == []
        assert sink.requests == 0

    run(test)
