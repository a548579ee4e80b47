"""Buttons in Slack: shown by a real channel to a sink that knows Block Kit, pressed with signatures like Slack's."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.channels.making import channel_of
from receiver.channels.slackreply import WAITING_MAX, SlackReplies
from receiver.doors.naming import by_member
from receiver.doors.signed import BODY_BYTES_MAX, Lately
from receiver.policy.channelfile import SlackFile
from receiver.policy.schedulefile import PEOPLE_MAX
from receiver.pressed import Button, Pressed, read
from tests.receiver.builders import broken, named, webhook
from tests.receiver.provider import Reply, serving
from tests.receiver.slackpress import ANA, PATH, SIGNING_SECRET, STRANGER, Person, Signed, payload, pressed, signed
from tests.receiver.slacksink import TOKEN, Posted, SlackSink
from tests.receiver.world import World, receiver, run
from tests.stories.story import policy_from

OTHER_SECRET = "0ther5ecret"
PUNCTUATION = '{}[]",:/#'


def policy(sink: SlackSink, folder: Path) -> str:
    (folder / "slack.token").write_text(TOKEN)
    (folder / "signing.secret").write_text(f"{SIGNING_SECRET}\n")
    (folder / "other.secret").write_text(OTHER_SECRET)
    common = f"type: slack, token_file: {folder}/slack.token, api_url: '{sink.url}/api/'"
    return f"""
channels:
  ops-chat: {{{common}, channel: '#ops', signing_secret_file: {folder}/signing.secret}}
  db-chat: {{{common}, channel: '#db', signing_secret_file: {folder}/other.secret}}
  quiet-chat: {{{common}, channel: '#ops'}}
escalations: {{all: {{stages: [{{notify: [ops-chat]}}]}}}}
people: {{ana: {{notify: [{{slack: {ANA.id}}}]}}}}
"""


class Chat:
    """A receiver whose channel posts to Slack, and one message there."""

    def __init__(self, world: World, sink: SlackSink) -> None:
        self.world = world
        self.sink = sink

    @property
    def posted(self) -> Posted:
        return next(iter(self.sink.posted.values()))

    async def send(self, request: Signed) -> int:
        status, _ = await self.world.ask("POST", PATH, data=BytesIO(request.body), headers=request.headers)
        return int(status)

    async def press(self, words: str, *, by: Person = ANA, option: str = "", **how: Any) -> int:
        return await self.send(signed(pressed(self.posted, words, by=by, option=option, reply_to=self.sink.url), **how))

    async def incident(self) -> dict[str, Any]:
        (found,) = (await self.world.get("/api/v1/incidents?status=all"))[1]["incidents"]
        return dict((await self.world.get(f"/api/v1/incidents/{found['id']}"))[1])

    async def told(self, versions: int) -> None:
        await self.world.until(lambda: len(self.posted.versions) >= versions)
        await self.world.decided()

    async def whispered(self, count: int = 1) -> list[str]:
        await self.world.until(lambda: len(self.sink.whispered) >= count)
        return self.sink.whispered

    async def outcomes(self) -> dict[str, float]:
        page = (await self.world.get("/metrics"))[1]
        pattern = r'^tocsin_receiver_answers_back_total\{outcome="(\w+)",via="slack"\} (\S+)$'
        return {outcome: float(count) for outcome, count in re.findall(pattern, page, re.MULTILINE) if count != "0.0"}


@asynccontextmanager
async def chat(folder: Path, **how: Any) -> AsyncIterator[Chat]:
    sink = SlackSink()
    with serving(sink):
        written = policy(sink, folder)
        channels = {
            name: channel_of(
                SlackFile(
                    token_file=str(folder / "slack.token"),
                    channel=place,
                    api_url=f"{sink.url}/api/",
                    signing_secret_file=str(folder / secret) if secret else None,
                )
            )
            for name, place, secret in (
                ("ops-chat", "#ops", "signing.secret"),
                ("db-chat", "#db", "other.secret"),
                ("quiet-chat", "#ops", None),
            )
        }
        async with receiver(folder, policy=written, channels=channels, **how) as world:
            try:
                await world.post(webhook([named("Down")]))
                await world.decided()
                yield Chat(world, sink)
            finally:
                for channel in channels.values():
                    await channel.close()
    assert sink.faults == []


# --- what is shown, and what a press does ----------------------------------------------------------------------


def test_a_press_acknowledges_and_the_message_changes_in_place_with_the_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert slack.posted.buttons == ["Acknowledge", "Snooze", "Resolve"]
            assert await slack.press("Acknowledge") == 200
            incident = await slack.incident()
            assert (incident["status"], incident["acknowledged_by"]) == ("acknowledged", "ana")
            steps = [step for step in incident["timeline"] if step["what"] == "acknowledged"]
            assert [(step["by"], step["via"]) for step in steps] == [("ana", "slack")]
            await slack.told(2)
            assert len(slack.sink.posted) == 1
            assert slack.posted.buttons == ["Snooze", "Resolve"]
            assert slack.posted.thread[-1]["text"] == "acknowledged by ana; 1 firing, 0 resolved"
            assert await slack.press("Resolve") == 200
            await slack.told(3)
            assert slack.posted.buttons == []
            assert slack.posted.header.startswith("✅")
            assert (await slack.incident())["resolved_by"] == "ana"
            assert await slack.outcomes() == {"done": 2.0}
            assert slack.sink.whispered == []

    run(test())


@pytest.mark.parametrize(
    ("option", "hours"), [("for 1 hour", 1), ("for 4 hours", 4), ("until tomorrow (24 hours)", 24)]
)
def test_a_snooze_lasts_as_long_as_was_chosen(tmp_path: Path, option: str, hours: int) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert await slack.press("Snooze", option=option) == 200
            incident = await slack.incident()
            assert incident["status"] == "snoozed"
            (step,) = [step for step in incident["timeline"] if step["what"] == "snoozed"]
            began, ends = (datetime.fromisoformat(each) for each in (step["at"], incident["snoozed_until"]))
            assert ends - began == timedelta(hours=hours)
            await slack.told(2)
            assert slack.posted.buttons == ["Acknowledge", "Snooze", "Resolve"]

    run(test())


def test_who_is_nobody_of_the_policy_is_called_by_the_name_in_slack(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert await slack.press("Acknowledge", by=STRANGER) == 200
            assert (await slack.incident())["acknowledged_by"] == "@guest (Slack)"

    run(test())


def test_what_the_state_does_not_allow_is_said_to_that_person_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            late = signed(pressed(slack.posted, "Acknowledge", reply_to=slack.sink.url))
            assert await slack.press("Resolve") == 200
            assert await slack.send(late) == 200
            identifier = (await slack.incident())["id"]
            wanted = f"Not done: {identifier}: an incident that is resolved does not know 'acknowledge'"
            assert await slack.whispered() == [wanted]
            assert await slack.outcomes() == {"done": 1.0, "refused": 1.0}

    run(test())


def test_who_comes_second_hears_who_has_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            second = signed(pressed(slack.posted, "Acknowledge", by=STRANGER, reply_to=slack.sink.url))
            assert await slack.press("Acknowledge") == 200
            assert await slack.send(second) == 200
            incident = await slack.incident()
            assert incident["acknowledged_by"] == "ana"
            assert await slack.whispered() == [f"{incident['id']}: ana has it already."]

    run(test())


# --- who is believed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status", "outcome"),
    [
        ({"secret": "wrong"}, 401, "unsigned"),
        ({"secret": OTHER_SECRET}, 200, "unknown"),  # a secret of the policy, and not that of this channel
        ({"at": lambda: time.time() - 301}, 401, "stale"),
        ({"at": lambda: time.time() + 400}, 401, "stale"),
        ({"at": lambda: 0}, 401, "stale"),
    ],
)
def test_a_press_that_is_not_to_be_believed_does_nothing(
    tmp_path: Path, how: dict[str, Any], status: int, outcome: str
) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            now = {name: each() if callable(each) else each for name, each in how.items()}
            assert await slack.press("Resolve", **now) == status
            assert (await slack.incident())["status"] == "open"
            assert await slack.outcomes() == {outcome: 1.0}

    run(test())


def test_the_same_request_is_taken_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            request = signed(pressed(slack.posted, "Snooze", option="for 1 hour", reply_to=slack.sink.url))
            assert await slack.send(request) == 200
            await slack.told(2)
            before = await slack.incident()
            assert await slack.send(request) == 409
            assert await slack.incident() == before
            assert await slack.outcomes() == {"done": 1.0, "repeated": 1.0}

    run(test())


@pytest.mark.parametrize(
    "change",
    [
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0="},
        {"X-Slack-Signature": "v0=é"},
        {"X-Slack-Signature": "v1=abc"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "now"},
        {"X-Slack-Request-Timestamp": "-1"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"X-Slack-Request-Timestamp": "²"},
    ],
)
def test_headers_that_say_nothing_are_no_signature(tmp_path: Path, change: dict[str, str]) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            request = signed(pressed(slack.posted, "Resolve", reply_to=slack.sink.url))
            assert await slack.send(Signed(request.body, {**request.headers, **change})) == 401
            assert (await slack.incident())["status"] == "open"

    run(test())


def test_whoever_knocks_often_is_counted_each_time_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            for _ in range(5):
                assert await slack.press("Resolve", secret="guessed") == 401
            assert await slack.press("Resolve", at=0) == 401
            assert await slack.outcomes() == {"unsigned": 5.0, "stale": 1.0}

    run(test())
    logged = [record for record in caplog.records if record.getMessage() == "a signed request was not taken"]
    assert [vars(record)["outcome"] for record in logged] == ["unsigned", "stale"]
    assert SIGNING_SECRET not in caplog.text


def test_a_changed_body_is_not_what_was_signed(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            request = signed(pressed(slack.posted, "Resolve", reply_to=slack.sink.url))
            assert await slack.send(Signed(request.body + b"&a=b", request.headers)) == 401
            assert await slack.send(request) == 200

    run(test())


def test_secrets_are_read_for_each_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            (tmp_path / "signing.secret").write_text("n3w")
            assert await slack.press("Acknowledge") == 401
            assert await slack.press("Acknowledge", secret="n3w") == 200
            (tmp_path / "signing.secret").unlink()
            assert await slack.press("Snooze", option="for 1 hour", secret="n3w") == 503
            assert await slack.outcomes() == {"unsigned": 1.0, "done": 1.0, "secret_file": 1.0}
            assert (await slack.incident())["status"] == "acknowledged"

    run(test())


@pytest.mark.parametrize(("journal", "place"), [("gone", "#ops"), (None, "#db"), (None, "#other")])
def test_a_button_of_another_tocsin_or_of_another_place_does_nothing(
    tmp_path: Path, journal: str | None, place: str
) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            incident = await slack.incident()
            whose = journal or slack.world.runner.state.journal
            value = Button(whose, incident["id"], place).value
            action = {"type": "button", "action_id": "tocsin_resolve", "value": value}
            sent = payload(action, posted=slack.posted, by=ANA, reply_to=slack.sink.url)
            assert await slack.send(signed(sent)) == 200
            assert (await slack.incident())["status"] == "open"
            assert (await slack.whispered())[0].startswith(f"{incident['id']}: this button is not of a channel")

    run(test())


def test_an_incident_that_is_not_there_is_said_to_be_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            value = Button(slack.world.runner.state.journal, "T-999", "#ops").value
            action = {"type": "button", "action_id": "tocsin_resolve", "value": value}
            sent = payload(action, posted=None, by=ANA, reply_to=slack.sink.url)
            assert await slack.send(signed(sent)) == 200
            assert await slack.whispered() == ["Not done: there is no incident 'T-999'"]

    run(test())


def test_without_a_secret_in_the_policy_there_is_no_such_door(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            request = signed({})
            assert (await world.ask("POST", PATH, data=request.body, headers=request.headers))[0] == 404

    run(test())


# --- what comes that is no press -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"type": "view_submission", "user": {"id": "U1"}}, 200),
        ({"type": "block_actions"}, 200),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": []}, 200),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "other", "value": "x"}]}, 200),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "tocsin_snooze"}]}, 200),
        ({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "tocsin_resolve"}]}, 200),
        ({"type": 1}, 400),
        ([], 400),
        (None, 400),
        ({"type": "block_actions", "user": "U1"}, 400),
        ({"type": "block_actions", "actions": {}}, 400),
    ],
)  # fmt: skip
def test_other_payloads_do_nothing(tmp_path: Path, document: object, status: int) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert await slack.send(signed(document)) == status
            assert (await slack.incident())["status"] == "open"
            assert await slack.outcomes() == {"ignored" if status == 200 else "malformed": 1.0}

    run(test())


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (b"", 400),
        (b"payload=%7B", 400),
        (b"payload=" + b"%5B" * 20_000, 400),
        (b"payload={}&payload={}", 400),
        (b"a=b&" * 20, 400),
        (b"\xff\xfe", 400),
        (b"payload=%ff%fe", 400),
        (b"x" * (BODY_BYTES_MAX + 1), 413),
    ],
)
def test_a_body_that_is_no_form_with_a_payload(tmp_path: Path, form: bytes, status: int) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert await slack.send(signed(None, form=form)) == status

    run(test())


def test_slack_may_look_whether_somebody_is_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            assert await slack.send(Signed(b"ssl_check=1&token=abc", {})) == 200
            assert await slack.outcomes() == {"ignored": 1.0}

    run(test())


def test_a_body_that_is_compressed_is_not_what_was_signed(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            request = signed({})
            assert await slack.send(Signed(request.body, {**request.headers, "Content-Encoding": "deflate"})) == 400

    run(test())


def test_a_body_that_never_ends_and_bodies_that_are_too_many_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path, arriving={"seconds_max": 0.3, "arriving_bytes_max": 1000}) as slack:
            host, port = slack.world.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
            writer.write(head.encode() + b"payload=")
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
            writer.close()
            idle = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
            for _, each in idle:  # they promise much and send nothing
                each.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode())
            assert await slack.send(signed(None, form=b"x" * 500)) == 400
            for _, each in idle:
                each.close()
            assert await slack.send(signed({}, form=b"x" * 1001)) == 503
            assert await slack.send(signed(None, form=b"y" * 500)) == 400
            assert {*await slack.outcomes()} == {"busy", "malformed"}  # what broke off is malformed as well

    run(test())


# --- when it cannot be done ------------------------------------------------------------------------------------


def test_a_full_disk_is_a_503_and_the_person_hears_of_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            slack.world.disk.full = True
            assert await slack.press("Acknowledge") == 503
            assert "try again" in (await slack.whispered())[0]
            slack.world.disk.full = False
            assert await slack.outcomes() == {"failed": 1.0}
            assert (await slack.incident())["status"] == "open"

    run(test())


def test_slack_is_answered_in_time_also_when_nothing_is_decided(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path, acts={"seconds_max": 0.1}) as slack:
            slack.world.disk.committing.clear()
            assert await slack.press("Acknowledge") == 503
            assert "not decided yet" in (await slack.whispered())[0]
            slack.world.disk.committing.set()
            await slack.told(2)
            assert (await slack.incident())["acknowledged_by"] == "ana"

    run(test())


# --- where a reply goes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://hooks.slack.com/actions/x",
        "https://hooks.slack.com:444/actions/x",
        "https://hooks.slack.com.evil.example/x",
        "https://evil.example/hooks.slack.com",
        "https://slack.com/actions/x",
        "https://[",
        "file:///etc/passwd",
        "//hooks.slack.com/x",
        "https://hooks.slack.com/" + "x" * 1000,
        "http://127.0.0.1:1/actions/x",
    ],
)
def test_a_reply_goes_to_slack_only(address: str) -> None:
    async def test() -> None:
        untold: list[str] = []
        replies = SlackReplies(on_untold=lambda: untold.append("one"))
        replies.tell(address, "a text", frozenset({"https://slack.com/api/"}))
        assert untold == ["one"]
        await replies.close()

    run(test())


def test_no_reply_follows_a_redirect_and_what_is_not_taken_is_counted(tmp_path: Path) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            answers = (Reply(302, headers={"Location": "/actions/y"}), Reply(404), Reply(500), None)
            for each in answers:
                slack.sink.scripted.append(each)
                action = {"type": "button", "action_id": "tocsin_resolve", "value": "gone T-1 #ops"}
                sent = payload(action, posted=None, by=ANA, reply_to=slack.sink.url)
                assert await slack.send(signed({**sent, "trigger_id": str(each)})) == 200
                await slack.world.until(lambda: not slack.sink.scripted)
            name = "tocsin_receiver_slack_replies_untold_total"
            registry = slack.world.metrics.registry
            await slack.world.until(lambda: registry.get_sample_value(name) == len(answers))
            assert slack.sink.whispered == []

    run(test())


def test_so_many_replies_wait_and_no_more(tmp_path: Path) -> None:
    async def test() -> None:
        sink, untold = SlackSink(), []
        with serving(sink):
            replies = SlackReplies(on_untold=lambda: untold.append("one"))
            for number in range(WAITING_MAX + 3):
                replies.tell(f"{sink.url}/actions/{number}", "<!channel> & so on\n", frozenset({f"{sink.url}/api/"}))
            await replies.close()
        assert len(untold) == 3
        assert sink.whispered == ["&lt;!channel&gt; &amp; so on\\n"] * WAITING_MAX
        assert sink.faults == []

    run(test())


@pytest.mark.parametrize("seed", range(4))
def test_bodies_that_are_broken_anywhere_are_answered_and_never_with_a_mistake_of_ours(
    tmp_path: Path, seed: int
) -> None:
    async def test() -> None:
        async with chat(tmp_path) as slack:
            document = pressed(slack.posted, "Snooze", option="for 1 hour", reply_to=slack.sink.url)
            plain = f"payload={quote_plus(json.dumps(document), safe=PUNCTUATION)}".encode()
            for body in broken(plain, random.Random(seed), count=60):
                assert await slack.send(signed(None, form=body)) in (200, 400, 409)
            assert (await slack.incident())["status"] in ("open", "snoozed")
            assert await slack.press("Acknowledge") == 200
            assert (await slack.incident())["status"] == "acknowledged"

    run(test())


# --- anything from anywhere ------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    st.text(max_size=40),
    st.one_of(st.text(max_size=200), st.lists(st.text("ab-#1", max_size=9), max_size=5).map(" ".join)),
)
def test_what_is_read_of_a_button_is_what_was_written_or_nothing(action: str, value: str) -> None:
    for name in (action, "tocsin_acknowledge", "tocsin_resolve", "tocsin_snooze"):
        found = read(name, value)
        if found is None:
            continue
        assert isinstance(found, Pressed)
        assert value.endswith(found.button.value)
        assert found.act(by="ana", via="slack").incident == found.button.incident


@settings(max_examples=100)
@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_from_slack_is_short_and_can_be_printed_and_is_nobodys_of_the_policy(member: str, name: str) -> None:
    policy = policy_from("people: {ana: {notify: [{slack: U024BE7LH}]}}\nchannels: {chat: {type: terminal}}\n")
    by = by_member(policy, member, name)
    assert by.isprintable()
    assert 0 < len(by) <= 100
    assert (by == "ana") == (member == "U024BE7LH")


def test_what_came_lately_is_forgotten_in_its_order() -> None:
    lately = Lately(2)
    for key in ("a", "b", "c"):
        lately.add(key)
    assert [key in lately for key in ("a", "b", "c")] == [False, True, True]


def test_as_many_people_as_a_policy_takes_hold_up_no_reload(tmp_path: Path) -> None:
    """Each way to a person is a channel with the same secret: they are looked at once, not each beside each."""
    secret = str(tmp_path / "signing.secret")
    channels = {
        f"p{number}@chat": SlackFile(token_file="t", channel=f"U{number}", signing_secret_file=secret)
        for number in range(PEOPLE_MAX)
    }

    async def test() -> float:
        async with receiver(tmp_path) as world:
            routes = world.app.router.routes()
            press = next(each.handler for each in routes if each.resource and each.resource.canonical == PATH)
            began = time.process_time()
            press.__self__.replace_channels(channels)  # type: ignore[attr-defined]
            return time.process_time() - began

    assert asyncio.run(test()) < 2.0
