"""A webhook's identifiers: in its answer, in the journal, in what follows from it, and in the log lines about that."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from guard import log
from receiver.alert import parse
from receiver.channels import Refused
from receiver.entry import AlertsReceived, Unreadable, Written, read, write
from receiver.ledger import Decision
from receiver.message import Message
from tests.receiver.builders import message, named, webhook
from tests.receiver.test_channel_webhook import channel, sink
from tests.receiver.world import Quiet, World, receiver, run
from tests.stories.story import Story

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
NAME = "0b6f7a9e-93f2-4a3e-8f2f-5d1c2b3a4e5f"
BOTH = {"X-Correlation-ID": NAME, "traceparent": PARENT}
# The quick way leaves to the framework whatever has this header.
WAYS = pytest.mark.parametrize("way", [{}, {"TE": "trailers"}], ids=["quick", "framework"])
POLICY = """
channels: {chat: {type: terminal}}
escalations: {e: {stages: [{notify: [chat]}]}}
routes: [{escalation: e}]
"""


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    stream = io.StringIO()
    log.set_up(format="json", level="info", stream=stream)
    yield stream
    root.setLevel(level)
    root.handlers[:] = handlers


async def posted(world: World, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Status, and the identifier of the answer."""
    url = f"{world.url}/webhook/am"
    async with world.client.post(url, data=body, headers=headers) as answer:
        (name,) = answer.headers.getall("X-Correlation-ID")
        return answer.status, name


@WAYS
def test_what_a_webhook_brings_goes_with_what_follows_from_it(tmp_path: Path, way: dict[str, str]) -> None:
    async def test() -> None:
        quiet = Quiet()
        async with receiver(tmp_path, policy=POLICY, channels={"chat": quiet}) as world:
            assert await posted(world, webhook(), {**BOTH, **way}) == (200, NAME)
            await world.decided()
            assert [(each.correlation, each.traceparent) for each in quiet.messages] == [(NAME, PARENT)]
            (entry, *_) = [
                entry.fact for entry in await world.disk.entries(0, 10) if isinstance(entry.fact, AlertsReceived)
            ]
            assert (entry.body, entry.correlation, entry.traceparent) == (webhook(), NAME, PARENT)
            assert await world.disk.verify() is None

    run(test())


@WAYS
def test_a_webhook_that_brings_nothing_is_named_after_its_place_in_the_journal(
    tmp_path: Path, way: dict[str, str]
) -> None:
    async def test() -> None:
        quiet = Quiet()
        async with receiver(tmp_path, policy=POLICY, channels={"chat": quiet}) as world:
            status, name = await posted(world, webhook(), way)
            await world.decided()
            position = next(
                entry.position for entry in await world.disk.entries(0, 10) if isinstance(entry.fact, AlertsReceived)
            )
            assert (status, name) == (200, f"entry-{world.runner.state.journal}-{position}")
            assert [(each.correlation, each.traceparent) for each in quiet.messages] == [(name, "")]

    run(test())


@WAYS
def test_a_webhook_that_is_set_aside_has_one_identifier_in_answer_and_log(
    tmp_path: Path, way: dict[str, str], logged: io.StringIO
) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY, channels={"chat": Quiet()}) as world:
            for headers in ({}, BOTH, {"X-Correlation-ID": "ana@example.org"}):
                status, name = await posted(world, b"{", {**headers, **way})
                assert status == 400
                event = json.loads(logged.getvalue().splitlines()[-1])
                assert (event["message"], event["correlation_id"]) == ("a webhook was not understood", name)
                assert re.fullmatch("[0-9a-f]{32}", name) or name == NAME
        assert "example.org" not in logged.getvalue()

    run(test())


@WAYS
def test_a_refusal_has_an_identifier_as_well(tmp_path: Path, way: dict[str, str]) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY + "sources: {other: {}}\n", channels={"chat": Quiet()}) as world:
            assert await posted(world, webhook(), {**BOTH, **way}) == (404, NAME)
            status, name = await posted(world, webhook(), way)
            assert (status, len(name)) == (404, 32)

    run(test())


def test_a_connection_keeps_nothing_of_the_request_before(tmp_path: Path) -> None:
    async def test() -> None:
        quiet = Quiet()
        async with receiver(tmp_path, policy=POLICY, channels={"chat": quiet}) as world:
            names = []
            for headers in (BOTH, {}, {"TE": "trailers"}, {**BOTH, "TE": "trailers"}, {}):
                alerts = [named(f"Down{len(names)}")]
                names.append((await posted(world, webhook(alerts, groupKey=f"g{len(names)}"), headers))[1])
            await world.decided()
            assert [name == NAME for name in names] == [True, False, False, True, False]
            assert len(set(names)) == 4
            assert sorted(each.correlation for each in quiet.messages) == sorted(names)

    run(test())


def test_every_log_line_of_a_delivery_says_which_webhook_it_follows_from(tmp_path: Path, logged: io.StringIO) -> None:
    class Refusing(Quiet):
        async def send(self, message: Message) -> str:
            raise Refused(f"no {message.incident}")

    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY, channels={"chat": Refusing()}) as world:
            await posted(world, webhook(), BOTH)
            await world.decided()

    run(test())
    events = [json.loads(line) for line in logged.getvalue().splitlines()]
    (refused,) = [event for event in events if event["message"] == "a message is refused"]
    assert (refused["correlation_id"], refused["trace_id"]) == (NAME, TRACE)


def test_every_door_answers_with_an_identifier(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY, channels={"chat": Quiet()}) as world:
            for path in ("/", "/metrics", "/-/healthy", "/api/v1/incidents", "/api/v1/incidents/none", "/nowhere"):
                async with world.client.get(world.url + path, headers=BOTH) as answer:
                    assert answer.headers.getall("X-Correlation-ID") == [NAME], path
                async with world.client.get(world.url + path) as answer:
                    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Correlation-ID"]), path

    run(test())


# --- what is decided -------------------------------------------------------------------------------------------


ESCALATING = """
channels: {chat: {type: terminal}, phone: {type: terminal}}
escalations: {e: {stages: [{notify: [chat]}, {delay: 10m, notify: [phone]}]}}
routes: [{escalation: e}]
"""


class Keeping(Story):
    """Every message that was decided."""

    def __init__(self, policy: str) -> None:
        self.messages: list[Message] = []
        super().__init__(policy, {})

    def saw(self, decision: Decision) -> None:
        self.messages += decision.messages


def test_what_time_brings_has_the_identifiers_of_the_webhook_that_opened_the_incident() -> None:
    story = Keeping(ESCALATING)
    story.play("00:00 waits")
    body = webhook()
    story._enter(AlertsReceived("am", body, parse(body), NAME, PARENT))
    story._enter(AlertsReceived("am", webhook([named("Slow")]), parse(webhook([named("Slow")]))))
    story.play("00:11 waits")
    found = [(each.channel, each.kind, each.correlation == NAME, each.traceparent) for each in story.messages]
    assert found == [
        ("chat", "opened", True, PARENT),
        ("chat", "updated", False, ""),
        ("phone", "escalated", True, PARENT),
    ]


# --- how it is kept --------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_-]{8,64}", fullmatch=True)


@given(NAMES, st.sampled_from(["", PARENT]), st.sampled_from([webhook(), b" \n" + webhook(), webhook() + b"\r\n\r\n"]))
def test_what_is_kept_is_read_as_it_was(name: str, parent: str, body: bytes) -> None:
    fact = AlertsReceived("am", body, parse(body), name, parent)
    assert read(write(fact)) == fact
    assert write(fact).body.endswith(body)


def test_what_came_with_nothing_is_kept_as_it_always_was() -> None:
    fact = AlertsReceived("am", webhook(), parse(webhook()))
    assert write(fact) == Written("alerts_received", "am", webhook())
    assert read(Written("alerts_received", "am", webhook())) == fact


@pytest.mark.parametrize(
    "head",
    [
        b"X-Correlation-ID: \r\n\r\n",
        b"X-Correlation-ID: a b\r\n\r\n",
        b"traceparent: 00\r\n\r\n",
        b"X-Other: a\r\n\r\n",
    ],
)
def test_an_entry_with_another_head_is_one_that_cannot_be_read(head: bytes) -> None:
    assert isinstance(read(Written("alerts_received", "am", head + webhook())), Unreadable)


# --- what goes out ---------------------------------------------------------------------------------------------


async def headers_of(message: Message) -> dict[str, str]:
    async with sink() as standing, channel(standing.url, headers={"X-Correlation-Id": "theirs"}) as hook:
        await hook.send(message)
        ((headers, _),) = standing.came
        assert len({name.lower() for name in headers}) == len(headers)
        return {name.lower(): value for name, value in headers.items()}


def sent(message: Message) -> dict[str, str]:
    found: list[dict[str, str]] = []

    async def test() -> None:
        found.append(await headers_of(message))

    run(test())
    return found[0]


def test_a_webhook_that_goes_out_hands_the_identifiers_on() -> None:
    headers = sent(replace(message(), correlation=NAME, traceparent=PARENT))
    assert (headers["x-correlation-id"], headers["traceparent"]) == (NAME, PARENT)


def test_without_a_trace_one_begins_that_is_the_same_for_all_of_one_webhook() -> None:
    first, second = (sent(replace(message(step=step), correlation="entry-j-7")) for step in (1, 2))
    assert first["traceparent"] == second["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", first["traceparent"])
    assert first["x-correlation-id"] == "entry-j-7"


def test_what_an_older_version_owed_goes_out_without() -> None:
    headers = sent(message())
    assert "traceparent" not in headers
    assert headers["x-correlation-id"] == "theirs"
