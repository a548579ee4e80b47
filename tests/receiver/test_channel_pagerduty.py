"""The PagerDuty channel against a server that enforces what the Events API documents: one incident, one page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver import message as messages
from receiver.channels import Refused, Unreachable
from receiver.channels.pagerduty import PagerDuty, body_of, dedup_key, events_of
from receiver.incident import Status
from receiver.links import NO_LINKS, Links
from receiver.message import Kind, Message
from tests.receiver.builders import digest, message
from tests.receiver.pagerdutysink import BYTES_MAX, PATH, ROUTING_KEY, PagerDutySink, problems
from tests.receiver.provider import Reply, json_reply, serving

EXTERNAL = "https://tocsin.example.org/"


@asynccontextmanager
async def pagerduty(folder: Path, *, key: str = ROUTING_KEY) -> AsyncIterator[tuple[PagerDutySink, PagerDuty]]:
    sink = PagerDutySink()
    file = folder / "pagerduty.key"
    file.write_text(f"{key}\n")
    with serving(sink):
        made = PagerDuty(
            url=f"{sink.url}{PATH}",
            routing_key_file=file,
            links=Links(external_url=EXTERNAL),
            timeout_seconds=5.0,
            retry_seconds_max=60.0,
        )
        try:
            yield sink, made
        finally:
            await made.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def told(channel: PagerDuty, *messages: Message) -> str:
    receipt = ""
    for each in messages:
        receipt = (await channel.follow(each, receipt)).receipt or receipt
    return receipt


def test_an_incident_is_one_of_pagerdutys_from_the_trigger_to_the_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            await told(
                channel,
                message(title="Disk full", labels={"alertname": "Down", "severity": "critical", "service": "shop"}),
                message(kind=Kind.UPDATED, step=2, firing=3),
                message(kind=Kind.ESCALATED, step=3),
                message(kind=Kind.ACKNOWLEDGED, step=4, acknowledged_by="ana"),
                message(kind=Kind.RESOLVED, step=5),
            )
            assert sink.faults == []
            assert sink.actions == [
                *[("trigger", "j-T-1")] * 3,
                ("acknowledge", "j-T-1"),
                ("resolve", "j-T-1"),
            ]
            (made,) = sink.incidents.values()
            assert (made.status, made.pages) == ("resolved", 1)
            first = made.events[0]
            payload = first["payload"]
            assert {name: payload[name] for name in ("summary", "severity", "source", "component", "class")} == {
                "summary": "T-1 Disk full",
                "severity": "critical",
                "source": "am",
                "component": "shop",
                "class": "Down",
            }
            assert first["client_url"] == "https://tocsin.example.org/incidents/T-1"
            assert payload["custom_details"]["alerts"][0]["labels"]["service"] == "shop"

    run(test())


def test_a_message_that_comes_again_is_no_second_page(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            await told(channel, message(), message())
            assert [each.pages for each in sink.incidents.values()] == [1]

    run(test())


def test_what_is_open_again_after_it_was_acknowledged_pages_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            receipt = await told(channel, message(), message(kind=Kind.ACKNOWLEDGED, step=2, acknowledged_by="ana"))
            assert receipt == "acknowledge"
            receipt = await told_after(channel, receipt, message(kind=Kind.UPDATED, step=3, status=Status.ACKNOWLEDGED))
            assert (receipt, sink.incidents["j-T-1"].pages) == ("acknowledge", 1)
            receipt = await told_after(channel, receipt, message(kind=Kind.ESCALATED, step=4))
            assert (receipt, sink.incidents["j-T-1"].pages) == ("trigger", 2)
            await told_after(channel, receipt, message(kind=Kind.UPDATED, step=5))
            assert sink.incidents["j-T-1"].pages == 2

    run(test())


def test_what_somebody_put_off_pages_nobody_until_it_is_open_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            receipt = await told(channel, message(), message(kind=Kind.UPDATED, step=2, status=Status.SNOOZED))
            assert sink.incidents["j-T-1"].status == "acknowledged"
            await told_after(channel, receipt, message(kind=Kind.UPDATED, step=3))
            assert (sink.incidents["j-T-1"].status, sink.incidents["j-T-1"].pages) == ("triggered", 2)

    run(test())


def test_what_it_hears_of_only_when_somebody_has_it_pages_nobody_until_that_is_open_again(tmp_path: Path) -> None:
    """The page was withdrawn: PagerDuty ignores an acknowledgement of what it does not know."""

    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            receipt = ""
            for each in (
                message(kind=Kind.ACKNOWLEDGED, step=2, acknowledged_by="ana"),
                message(kind=Kind.UPDATED, step=3, status=Status.ACKNOWLEDGED, firing=2),
                message(kind=Kind.UPDATED, step=4, status=Status.SNOOZED),
            ):
                receipt = await told_after(channel, receipt, each)
            assert (sink.actions, sink.incidents) == ([("acknowledge", "j-T-1")] * 3, {})
            receipt = await told_after(channel, receipt, message(kind=Kind.OPENED, step=5))
            assert (receipt, sink.incidents["j-T-1"].pages) == ("trigger", 1)
            assert sink.faults == []

    run(test())


def test_what_is_over_there_is_not_begun_anew_by_news_of_what_somebody_has(tmp_path: Path) -> None:
    """It was opened again, and the page about that was withdrawn."""

    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            receipt = await told(channel, message(), message(kind=Kind.RESOLVED, step=2))
            receipt = await told_after(channel, receipt, message(kind=Kind.ACKNOWLEDGED, step=4, acknowledged_by="ana"))
            receipt = await told_after(channel, receipt, message(kind=Kind.UPDATED, step=5, status=Status.ACKNOWLEDGED))
            assert (sink.incidents["j-T-1"].status, sink.incidents["j-T-1"].pages) == ("resolved", 1)
            await told_after(channel, receipt, message(kind=Kind.OPENED, step=6))
            assert (sink.incidents["j-T-1"].status, sink.incidents["j-T-1"].pages) == ("triggered", 2)

    run(test())


async def told_after(channel: PagerDuty, receipt: str, after: Message) -> str:
    return (await channel.follow(after, receipt)).receipt


def test_a_digest_triggers_what_is_open_and_ends_what_is_over_under_the_keys_of_the_incidents(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            statuses = [Status.OPEN, Status.ACKNOWLEDGED, Status.RESOLVED, Status.SNOOZED]
            await channel.send(message("T-3"))
            assert await channel.send(digest(4, statuses=statuses)) == "4 events"
            assert sink.faults == []
            assert sink.actions[1:] == [
                ("trigger", "j-T-1"),
                ("acknowledge", "j-T-2"),
                ("resolve", "j-T-3"),
                ("acknowledge", "j-T-4"),
            ]
            assert {key: made.pages for key, made in sink.incidents.items()} == {"j-T-1": 1, "j-T-3": 1}

    run(test())


def test_a_digest_that_is_interrupted_goes_on_where_it_was_and_one_refusal_stops_no_other_event(tmp_path: Path) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            refused = json_reply(400, message="Event object is invalid", errors=["no"])
            taken = [json_reply(202, message="Event processed")] * 2
            sink.scripted += [*taken, refused, Reply(503)]
            with pytest.raises(Unreachable, match="answered 503"):
                await channel.send(digest(6))
            with pytest.raises(Refused) as raised:
                await channel.send(digest(6))
            assert str(raised.value) == "1 of 6 events: T-3: answered 400 Event object is invalid: no"
            assert sorted(sink.incidents) == ["j-T-4", "j-T-5", "j-T-6"]
            assert sink.requests == 7

    run(test())


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("p0", "critical"),
        ("Page", "critical"),
        ("major", "error"),
        ("warn", "warning"),
        ("notice", "info"),
        ("?", "info"),
    ],
)
def test_severities_become_pagerdutys(tmp_path: Path, severity: str, expected: str) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            await channel.send(message(labels={"severity": severity}))
            (made,) = sink.incidents.values()
            assert made.events[0]["payload"]["severity"] == expected

    run(test())


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (
            json_reply(400, message="Event object is invalid", errors=["a", "b"]),
            Refused,
            "answered 400 Event object is invalid: a; b",
        ),
        (Reply(403, b"<html>"), Refused, "answered 403"),
        (Reply(301, headers={"Location": "/"}), Refused, "answered 301: a redirect, which is not followed"),
        (Reply(429), Unreachable, "answered 429"),
        (Reply(502, b"oops"), Unreachable, "answered 502"),
        (None, Unreachable, "127.0.0.1: ServerDisconnectedError"),
    ],
)
def test_what_is_tried_again_and_what_is_not(
    tmp_path: Path, reply: Reply | None, error: type[Exception], text: str
) -> None:
    async def test() -> None:
        async with pagerduty(tmp_path) as (sink, channel):
            sink.scripted.append(reply)
            with pytest.raises(error) as raised:
                await channel.send(message())
            assert str(raised.value) == text
            assert await channel.send(message()) == "202 Event processed"

    run(test())


def test_the_routing_key_is_in_no_error_even_if_pagerduty_repeats_it(tmp_path: Path) -> None:
    async def test() -> None:
        wrong = "f" * 32
        async with pagerduty(tmp_path, key=wrong) as (_, channel):
            with pytest.raises(Refused) as raised:
                await channel.send(message())
            assert wrong not in str(raised.value)
            assert "(the routing key) is not known" in str(raised.value)

    run(test())


def body(sent: Message, *, links: Links) -> bytes:
    (event,) = events_of(sent.kind, messages.read(sent))
    return body_of(event, sent, key=ROUTING_KEY, links=links)


NASTY = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(["\x00" * 8192, "😀" * 8192, '"\\' * 4096, "https://x/\ny", "<script>", "\x1b[31m" * 2000]),
)


@settings(max_examples=100)
@given(
    title=NASTY,
    labels=st.dictionaries(
        st.one_of(st.sampled_from(["instance", "service", "cluster", "severity"]), NASTY), NASTY, max_size=8
    ),
    annotations=st.dictionaries(st.sampled_from(["summary", "runbook_url", "description", "image_url"]), NASTY),
    firing=st.integers(1, 40),
)
def test_an_event_of_anything_is_one_that_pagerduty_takes(
    title: str, labels: dict[str, str], annotations: dict[str, str], firing: int
) -> None:
    sent = message(title=title, labels=labels, annotations=annotations, firing=firing)
    written = body(sent, links=Links(external_url=EXTERNAL))
    assert len(written) <= BYTES_MAX
    assert list(problems(msgspec.json.decode(written))) == []


def test_an_event_links_to_the_incident_to_a_page_to_answer_by_and_to_what_the_alert_names() -> None:
    links = Links(external_url=EXTERNAL, key=bytes(32))
    event = msgspec.json.decode(body(message(annotations={"runbook_url": "https://wiki/x"}), links=links))
    assert list(problems(event)) == []
    told = {each["text"]: each["href"] for each in event["links"]}
    assert list(told) == ["T-1 in Tocsin", "acknowledge, snooze or resolve", "runbook"]
    assert links.read(told["acknowledge, snooze or resolve"].rpartition("/ack/")[2])[:2] == ("T-1", "chat")
    assert event["client_url"] == told["T-1 in Tocsin"] == links.incident("T-1")


def test_the_pictures_of_alerts_go_along_where_they_come_over_tls() -> None:
    def images(**annotations: str) -> object:
        written = body(message(annotations=annotations, firing=3), links=NO_LINKS)
        return msgspec.json.decode(written).get("images")

    picture = {"src": "https://grafana/render/1.png", "alt": "a picture of an alert"}
    assert images(image_url="https://grafana/render/1.png") == [picture]
    both = images(image="https://grafana/render/1.png", image_url="https://grafana/2.png")
    assert both == [{**picture, "src": "https://grafana/2.png"}, picture]
    assert images(image_url="http://grafana/render/1.png") is None
    assert images(image_url="https://x/ y") is None


def test_what_is_too_large_goes_without_its_alerts() -> None:
    labels = {f"l{number}": "\U0001f600" * 500 for number in range(128)}
    written = body(message(labels=labels, firing=40), links=NO_LINKS)
    details = msgspec.json.decode(written)["payload"]["custom_details"]
    assert details["alerts"] == "left out: too large"
    assert len(details["labels"]) == 128
    assert len(written) <= BYTES_MAX


@pytest.mark.parametrize("channel", ["chat", "pager-of-team-1", "T-1", "a-T-1-1"])
def test_the_key_is_that_of_the_incident_whatever_the_channel_is_called(channel: str) -> None:
    assert dedup_key(message("T-1", step=12, channel=channel), "T-1") == "j-T-1"
    assert dedup_key(digest(2, channel=channel), "T-2") == "j-T-2"
