"""The Slack channel against a server that enforces what Slack documents: one message for each incident."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.channels import Refused, Taken, Unreachable
from receiver.channels.slack import Slack, SlackWebhook
from receiver.channels.slackblocks import render
from receiver.incident import Status
from receiver.links import NO_LINKS, Links, is_address
from receiver.message import Kind, Message
from tests.receiver.builders import digest, message
from tests.receiver.provider import Reply, json_reply, serving
from tests.receiver.slacksink import HOOK, POSTING, TOKEN, SlackSink, problems, said

EXTERNAL = "https://tocsin.example.org"


@asynccontextmanager
async def slack(
    folder: Path, *, channel: str = "#ops", token: str = TOKEN, timeout_seconds: float = 5.0
) -> AsyncIterator[tuple[SlackSink, Slack]]:
    sink = SlackSink()
    token_file = folder / "slack.token"
    token_file.write_text(f"{token}\n")
    with serving(sink):
        made = Slack(
            channel=channel,
            token_file=token_file,
            api_url=f"{sink.url}/api/",
            links=Links(external_url=EXTERNAL),
            timeout_seconds=timeout_seconds,
            retry_seconds_max=60.0,
        )
        try:
            yield sink, made
        finally:
            await made.close()
    assert sink.faults == []


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def told(channel: Slack, *messages: Message) -> str:
    """Sends them one after the other; the receipt of the last one."""
    receipt = ""
    for each in messages:
        receipt = (await channel.follow(each, receipt)).receipt
    return receipt


@pytest.mark.parametrize("first", [Kind.ACKNOWLEDGED, Kind.UPDATED])
def test_what_it_hears_of_only_when_somebody_has_it_is_posted_as_that(first: Kind, tmp_path: Path) -> None:
    """The page was withdrawn."""

    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            status = Status.ACKNOWLEDGED
            await told(
                channel,
                message(kind=first, step=2, status=status, acknowledged_by="ana", title="Disk full"),
                message(kind=Kind.RESOLVED, step=3, title="Disk full"),
            )
            (posted,) = sink.posted.values()
            assert "acknowledged by ana" in str(posted.versions[0])
            assert (len(posted.versions), len(posted.thread)) == (2, 1)

    run(test())


def test_an_incident_is_one_message_that_is_changed_in_place_with_its_story_in_a_thread(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            receipt = await told(
                channel,
                message(title="Disk full"),
                message(kind=Kind.UPDATED, firing=3),
                message(kind=Kind.ESCALATED),
                message(kind=Kind.ACKNOWLEDGED, acknowledged_by="ana"),
                message(kind=Kind.RESOLVED, title="Disk full"),
            )
            (posted,) = sink.posted.values()
            assert receipt == f"C0PS1 {posted.ts} #ops"
            assert posted.versions[0]["channel"] == "#ops"
            assert len(posted.versions) == 5
            assert posted.header == "✅ critical: Disk full"
            assert [line["text"] for line in posted.thread] == [
                "updated: open; 3 firing, 0 resolved",
                "escalated: open; 1 firing, 0 resolved",
                "acknowledged by ana; 1 firing, 0 resolved",
                "resolved; 0 firing, 1 resolved",
            ]
            assert [line["reply_broadcast"] for line in posted.thread] == [False, True, False, False]

    run(test())


def test_a_message_that_somebody_deleted_is_posted_anew(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            receipt = await told(channel, message())
            sink.posted.clear()
            taken = await channel.follow(message(kind=Kind.UPDATED), receipt)
            (posted,) = sink.posted.values()
            assert taken == Taken("posted", f"C0PS1 {posted.ts} #ops")
            assert posted.thread == []

    run(test())


@pytest.mark.parametrize("receipt", ["", "acknowledge", "C0PS1 1.2", "C0PS1 1.2 #db", "x\nC0PS1 1.2 #ops", "C 1 #ops"])
def test_a_receipt_of_another_channel_or_of_none_begins_a_message(tmp_path: Path, receipt: str) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            assert (await channel.follow(message(kind=Kind.UPDATED), receipt)).answer == "posted"
            assert len(sink.posted) == sink.requests == 1

    run(test())


def test_an_attempt_that_fails_between_message_and_thread_is_repeated_whole(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            receipt = await told(channel, message())
            sink.scripted += [json_reply(200, ok=True), None]
            with pytest.raises(Unreachable):
                await channel.follow(message(kind=Kind.RESOLVED), receipt)
            await channel.follow(message(kind=Kind.RESOLVED), receipt)
            (posted,) = sink.posted.values()
            assert len(posted.thread) == 1
            assert posted.header.startswith("✅")

    run(test())


def test_a_digest_has_a_line_for_each_incident(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            await channel.send(digest(100, left_out=7))
            await channel.send(digest(2, position=9))
            shown, other = (each.versions for each in sink.posted.values())
            assert len(shown) == len(other) == 1
            assert shown[0]["blocks"][0]["text"]["text"] == "100 incidents were held back; as of now:"
            lines = [line for block in shown[0]["blocks"][1:-1] for line in block["text"]["text"].split("\n")]
            assert len(lines) == 101
            assert lines[-1] == "and 7 more, in the next digest"

    run(test())


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (Kind.OPENED, Status.OPEN, ["tocsin_acknowledge", "tocsin_snooze", "tocsin_resolve"]),
        (Kind.UPDATED, Status.SNOOZED, ["tocsin_acknowledge", "tocsin_snooze", "tocsin_resolve"]),
        (Kind.ACKNOWLEDGED, Status.ACKNOWLEDGED, ["tocsin_snooze", "tocsin_resolve"]),
        (Kind.RESOLVED, Status.RESOLVED, []),
    ],
)
def test_the_buttons_fit_the_status_and_are_only_there_where_a_press_can_be_proved(
    kind: Kind, status: Status, expected: list[str]
) -> None:
    def actions(place: str | None) -> list[str]:
        blocks = render(message(kind=kind, status=status), links=NO_LINKS, place=place).blocks
        found: Any = [block["elements"] for block in blocks if block["type"] == "actions"]
        return [element["action_id"] for elements in found for element in elements]

    assert actions("#ops") == expected
    assert actions(None) == []


def test_a_digest_has_no_buttons() -> None:
    assert [
        block for block in render(digest(3), links=NO_LINKS, place="#ops").blocks if block["type"] == "actions"
    ] == []


def test_the_links_lead_to_tocsin_to_the_graph_and_to_the_runbook(tmp_path: Path) -> None:
    shown = render(message(annotations={"runbook_url": "https://wiki/x?a=1&b=2"}), links=Links(external_url=EXTERNAL))
    (context,) = [block for block in shown.blocks if block["type"] == "context"]
    (element,) = context["elements"]  # type: ignore[misc]
    assert element["text"] == (
        "<https://tocsin.example.org/incidents/T-1|T-1 in Tocsin> · <https://wiki/x?a=1&amp;b=2|runbook>"
    )
    without = render(message(annotations={"runbook_url": "javascript:alert(1)"}), links=NO_LINKS)
    assert without.blocks[-1]["elements"][0]["text"] == "T-1"  # type: ignore[index]


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.ACKNOWLEDGED, Kind.RESOLVED])
def test_without_buttons_a_link_leads_to_a_page_that_has_some(tmp_path: Path, kind: Kind) -> None:
    async def test() -> None:
        sink, file = SlackSink(), tmp_path / "hook.url"
        with serving(sink):
            file.write_text(f"{sink.url}{HOOK}")
            links = Links(external_url=EXTERNAL, key=bytes(32))
            hook = SlackWebhook(webhook_url_file=file, links=links, timeout_seconds=5.0, retry_seconds_max=60.0)
            await hook.send(message(kind=kind))
            await hook.close()
        assert sink.faults == []
        context = sink.hooked[0]["blocks"][-1]["elements"][0]["text"]
        found = re.findall(r"<https://tocsin\.example\.org/ack/(\S+)\|acknowledge, snooze or resolve>", context)
        assert [links.read(token)[:2] for token in found] == [("T-1", "chat")] * (kind is not Kind.RESOLVED)

    run(test())


def test_a_message_with_buttons_needs_no_such_link() -> None:
    links = Links(external_url=EXTERNAL, key=bytes(32))
    texts = [str(render(message(), links=links, place=place).blocks) for place in (None, "#ops")]
    assert ["/ack/" in text for text in texts] == [True, False]


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("https://wiki.example.org/x?a=1&b=2#c", True),
        ("http://prometheus:9090/graph?g0.expr=up%3D%3D0", True),
        ("https://x/" + "&" * 178, True),
        ("https://x/" + "&" * 179, False),
        ("https://x/" + "a" * 900, False),
        ("https://x/a b", False),
        ("https://x/|<!channel>", False),
        ("https://x/\n", False),
        ("https://пример/", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_what_is_an_address_is_linked(address: str, is_one: bool) -> None:
    assert is_address(address) is is_one


# --- what Slack says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"]
)
def test_what_time_may_cure_is_tried_again(tmp_path: Path, word: str) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            sink.scripted.append(said(word))
            with pytest.raises(Unreachable, match=f"^Slack said {word}$"):
                await channel.send(message())
            assert await channel.send(message()) == "posted"

    run(test())


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("not_in_channel", "not_in_channel"),
        ("message_not_found", "message_not_found"),
        (f"no {TOKEN}", "something that is no word of its own"),
        ("", "something that is no word of its own"),
    ],
)
def test_any_other_word_is_a_refusal_that_names_it(tmp_path: Path, word: str, shown: str) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            sink.scripted.append(said(word))
            with pytest.raises(Refused) as raised:
                await channel.send(message())
            assert str(raised.value) == f"Slack said {shown}"

    run(test())


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (Reply(500, b"oops"), Unreachable, "answered 500"),
        (Reply(503), Unreachable, "answered 503"),
        (Reply(200, b"<html>"), Unreachable, "answered 200 and nothing that Slack would say"),
        (Reply(200, b"[]"), Unreachable, "answered 200 and nothing that Slack would say"),
        (Reply(403, b"<html>"), Refused, "answered 403"),
        (Reply(302, headers={"Location": "/api/x"}), Refused, "answered 302: a redirect, which is not followed"),
        (None, Unreachable, "127.0.0.1: ServerDisconnectedError"),
    ],
)
def test_answers_that_are_not_slacks(tmp_path: Path, reply: Reply | None, error: type[Exception], text: str) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            sink.scripted.append(reply)
            with pytest.raises(error) as raised:
                await channel.send(message())
            assert str(raised.value) == text
            assert sink.requests == 1

    run(test())


def test_a_server_that_hangs_costs_its_timeout_and_no_more(tmp_path: Path) -> None:
    async def test() -> None:
        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        (tmp_path / "slack.token").write_text(TOKEN)
        channel = Slack(
            channel="#ops",
            token_file=tmp_path / "slack.token",
            api_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/",
            links=NO_LINKS,
            timeout_seconds=0.1,
            retry_seconds_max=60.0,
        )
        async with server:
            with pytest.raises(Unreachable, match=r"^127\.0\.0\.1 did not answer within 0\.1 seconds$"):
                await channel.send(message())
            await channel.close()

    run(test())


def test_nothing_is_posted_before_the_pause_that_slack_asked_for_is_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path) as (sink, channel):
            sink.scripted.append(Reply(429, headers={"Retry-After": "30"}))
            with pytest.raises(Unreachable) as raised:
                await channel.send(message())
            assert (str(raised.value), raised.value.seconds) == ("answered 429", 30.0)
            with pytest.raises(Unreachable) as raised:
                await channel.send(message("T-2"))
            assert str(raised.value) == "127.0.0.1 asked for a pause"
            assert raised.value.seconds is not None
            assert 0 < raised.value.seconds <= 30
            assert sink.requests == 1

    run(test())


def test_the_token_is_read_for_each_message_and_is_in_no_error(tmp_path: Path) -> None:
    async def test() -> None:
        async with slack(tmp_path, token="xoxb-wrong") as (sink, channel):
            errors = []
            for content in ("xoxb-wrong", "xoxb-\nwrong", " \n", None):
                (tmp_path / "slack.token").unlink()
                if content is not None:
                    (tmp_path / "slack.token").write_text(content)
                with pytest.raises((Refused, Unreachable)) as raised:
                    await channel.send(message())
                errors.append(str(raised.value))
            assert [error for error in errors if "xoxb" in error] == []
            assert errors[0] == "Slack said invalid_auth"
            assert errors[2] == "the secret file slack.token is empty"
            (tmp_path / "slack.token").write_text(TOKEN)
            assert await channel.send(message()) == "posted"
            assert len(sink.posted) == 1

    run(test())


# --- an incoming webhook -------------------------------------------------------------------------------------------


def test_a_webhook_gets_every_message_by_itself_and_its_address_is_in_no_error(tmp_path: Path) -> None:
    async def test() -> None:
        sink, file = SlackSink(), tmp_path / "hook.url"
        with serving(sink):
            file.write_text(f"{sink.url}{HOOK}\n")
            hook = SlackWebhook(webhook_url_file=file, links=NO_LINKS, timeout_seconds=5.0, retry_seconds_max=60.0)
            for kind in (Kind.OPENED, Kind.UPDATED, Kind.RESOLVED):
                assert await hook.send(message(kind=kind)) == "posted"
            assert len(sink.hooked) == 3
            errors = []
            for address in (f"{sink.url}/services/T0/B0/G0NE-S3CRET", "S3CRET", "ftp://x/S3CRET", "http://[S3CRET/"):
                file.write_text(address)
                with pytest.raises((Refused, Unreachable)) as raised:
                    await hook.send(message())
                errors.append(str(raised.value))
            file.write_text(f"{sink.url}{HOOK}")
            sink.scripted.append(Reply(400, b"invalid_payload"))
            with pytest.raises(Refused, match=r"^answered 400: Slack said invalid_payload$"):
                await hook.send(message())
            await hook.close()
        assert errors == ["answered 404: Slack said no_service"] + ["the secret file hook.url holds no address"] * 3
        assert sink.faults == []

    run(test())


# --- labels from anywhere ------------------------------------------------------------------------------------------

NASTY = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        ["<!channel>", "<!here|x>", "<@U1>", "<https://evil|ok>", "@channel", "#ops", "`*_~", "&amp;", "😀" * 300]
    ),
    st.sampled_from(["&" * 400, "\x00\x1b[31m", "\ud800", "a\r\nb", "<" * 3000, "https://x/" + "&" * 2000]),
)


@settings(max_examples=150)
@given(
    title=NASTY,
    labels=st.dictionaries(NASTY, NASTY, max_size=5),
    annotations=st.dictionaries(st.sampled_from(["summary", "description", "runbook_url"]), NASTY),
    person=NASTY,
    firing=st.integers(1, 12),
    kind=st.sampled_from([Kind.OPENED, Kind.UPDATED, Kind.ACKNOWLEDGED, Kind.RESOLVED]),
)
def test_no_label_can_mention_link_or_break_anything(
    title: str, labels: dict[str, str], annotations: dict[str, str], person: str, firing: int, kind: Kind
) -> None:
    def clean(text: str) -> str:  # half a surrogate pair never comes through the door
        return text.encode(errors="replace").decode()

    sent = message(
        kind=kind,
        title=clean(title) or "x",
        labels={clean(name): clean(value) for name, value in labels.items()},
        annotations={name: clean(value) for name, value in annotations.items()},
        acknowledged_by=clean(person),
        firing=firing,
    )
    shown = render(sent, links=Links(external_url=EXTERNAL), place="#" + "o" * 79)
    assert list(problems({"text": shown.text, "blocks": shown.blocks}, POSTING)) == []
    assert list(problems({"text": shown.line}, POSTING)) == []


@settings(max_examples=30)
@given(titles=st.lists(NASTY, min_size=1, max_size=100))
def test_a_digest_of_anything_is_kept_within_the_limits(titles: list[str]) -> None:
    named = [title.encode(errors="replace").decode() or "x" for title in titles]
    shown = render(digest(len(named), titles=named), links=Links(external_url=EXTERNAL))
    assert list(problems({"text": shown.text, "blocks": shown.blocks}, POSTING)) == []
