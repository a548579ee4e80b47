"""Signed links over HTTP: what scanners do changes nothing, what a person presses is done, every refusal is a page."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from receiver.channels.making import channel_of
from receiver.clock import SystemClock
from receiver.doors.ack import BAD_TOKENS_MAX, FORM_BYTES_MAX
from receiver.doors.incidentpage import ALERTS_CHARACTERS_MAX, ALERTS_SHOWN_MAX, Known, body, head
from receiver.doors.sheet import sheet
from receiver.incident import Step
from receiver.view import alert_view, incident_view
from tests.contract.values import alert as alert_record
from tests.contract.values import incident as incident_record
from tests.receiver.builders import AT, alert, named, webhook
from tests.receiver.forms import Sheet
from tests.receiver.mailserver import inbox
from tests.receiver.world import World, receiver, run

POLICY = """
people: {ana: {notify: [{channel: anas}, {channel: both}]}, ben: {notify: [{channel: both}, {channel: chat}]}}
channels: {chat: {type: terminal}, anas: {type: terminal}, both: {type: terminal}}
escalations: {one: {stages: [{notify: [chat, {person: ana}]}]}}
"""
GRAPH = "http://prometheus/graph"  # of the sample alerts
NASTY = "<script>alert(1)</script>\x1b[2J\r\n\"'><img src=x onerror=alert(1)> \u202e\u2028"
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "b", "br", "a", "dl", "dt", "dd"),
    *("article", "ol", "li", "span", "form", "input", "label", "button"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "class", "href", "rel", "method", "type", "value", "required"),
    *("maxlength", "autocomplete", "role"),
}


async def opened(world: World, body: bytes | None = None) -> str:
    await world.post(body or webhook())
    await world.decided()
    return str((await world.get("/api/v1/incidents"))[1]["incidents"][0]["id"])


def path(world: World, incident: str, channel: str = "anas", **sooner: float) -> str:
    ends = SystemClock().now() + timedelta(hours=1) - timedelta(**sooner)
    return f"/ack/{world.links.token(incident, channel, ends)}"


async def page(world: World, where: str, method: str = "GET", **how: Any) -> tuple[int, Sheet]:
    status, text = await world.ask(method, where, **how)
    shown = Sheet(text)
    assert {*shown.elements} <= ELEMENTS
    assert shown.attributes <= ATTRIBUTES
    return status, shown


async def press(world: World, where: str, button: str, **filled: str) -> tuple[int, Sheet]:
    _, shown = await page(world, where)
    return await page(world, where, "POST", data=shown.pressed(button, **filled))


async def incident(world: World, identifier: str) -> Any:
    return (await world.get(f"/api/v1/incidents/{identifier}"))[1]


def outcomes(world: World) -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for family in world.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "tocsin_receiver_links_total" and sample.value
    }


def test_a_link_to_one_person_answers_in_that_persons_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            status, shown = await page(world, path(world, identifier))
            assert (status, shown.method, shown.asked) == (200, "post", [])
            assert "critical: Down" in shown.text
            assert "You answer as ana" in shown.text
            assert [each["value"] for each in shown.buttons] == ["acknowledge", "snooze-1h", "snooze-4h", "resolve"]
            status, shown = await press(world, path(world, identifier), "acknowledge")
            assert status == 200
            assert "ana has it now" in shown.text
            assert "acknowledged by ana" in shown.text
            assert shown.buttons == []
            story = (await incident(world, identifier))["timeline"]
            assert [(each["what"], each["by"]) for each in story if each.get("via") == "link"] == [
                ("acknowledged", "ana")
            ]
            assert outcomes(world) == {"shown": 2, "acknowledged": 1}

    run(test())


@pytest.mark.parametrize(
    ("button", "state", "said"),
    [
        ("snooze-1h", "snoozed", "ana put it off for 1 h"),
        ("snooze-4h", "snoozed", "ana put it off for 4 h"),
        ("resolve", "resolved", "ana resolved it"),
    ],
)
def test_every_button_does_what_it_says(tmp_path: Path, button: str, state: str, said: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            status, shown = await press(world, path(world, identifier), button)
            assert (status, (await incident(world, identifier))["status"]) == (200, state)
            assert said in shown.text

    run(test())


@pytest.mark.parametrize("channel", ["chat", "both", "gone"])
def test_a_link_that_several_people_have_asks_for_the_name(tmp_path: Path, channel: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            where = path(world, identifier, channel)
            _, shown = await page(world, where)
            assert shown.asked == ["by"]
            for name in ("", "  ", "x" * 101, "ana\x07", "ana\u202e"):
                status, again = await press(world, where, "acknowledge", by=name)
                assert (status, again.asked) == (400, ["by"])
                assert "Say who you are" in again.text
            assert (await incident(world, identifier))["status"] == "open"
            status, shown = await press(world, where, "acknowledge", by=" Cleo  O'Neil<b> ")
            assert status == 200
            assert "Cleo O'Neil<b> has it now" in shown.text
            assert (await incident(world, identifier))["acknowledged_by"] == "Cleo O'Neil<b>"

    run(test())


def test_who_comes_second_reads_who_has_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            await press(world, path(world, identifier, "chat"), "acknowledge", by="ben")
            _, shown = await page(world, path(world, identifier))
            assert "acknowledged by ben" in shown.text
            status, shown = await press(world, path(world, identifier), "acknowledge")
            assert status == 200
            assert "ben has it already" in shown.text
            _, shown = await press(world, path(world, identifier), "snooze-1h")
            assert "ben had acknowledged it" in shown.text

    run(test())


def test_a_scanner_that_follows_every_link_does_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            before = await incident(world, identifier)
            where = path(world, identifier)
            _, shown = await page(world, where)
            assert shown.links == [GRAPH]
            for link in (where, f"{where}?act=acknowledge&by=eve&page={shown.fields['page']}"):
                for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
                    await world.ask(method, link)
            sealed = shown.fields["page"]
            for fields in (
                {},
                {"act": "acknowledge"},
                {"act": "acknowledge", "page": ""},
                {"act": "acknowledge", "page": sealed[:-1]},
                {"act": "acknowledge", "page": "ä"},
                {"List-Unsubscribe": "One-Click"},
                {"page": sealed},
                {"page": sealed, "act": "merge"},
            ):
                status, shown = await page(world, where, "POST", data=fields)
                assert status == 400
                assert shown.buttons
            assert await incident(world, identifier) == before

    run(test())


def test_the_forms_own_field_is_that_of_this_link_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            _, other = await page(world, path(world, identifier, "chat"))
            sent = other.pressed("acknowledge", by="eve")
            assert (await page(world, path(world, identifier), "POST", data=sent))[0] == 400
            assert (await incident(world, identifier))["status"] == "open"

    run(test())


def test_every_refusal_is_a_page_with_its_own_status(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            where = path(world, identifier)
            sent = (await page(world, where))[1].pressed("acknowledge")
            for method in ("GET", "POST"):
                status, shown = await page(world, path(world, identifier, hours=1), method, data=sent)
                assert (status, "This link has ended" in shown.text, shown.buttons) == (410, True, [])
                status, shown = await page(world, where + "A", method, data=sent)
                assert (status, "no link of ours" in shown.text, shown.buttons) == (403, True, [])
                status, shown = await page(world, path(world, "T-99"), method, data=sent)
                assert (status, "No such incident" in shown.text, shown.buttons) == (404, True, [])
            assert (await page(world, where, "POST", data=b"x" * (FORM_BYTES_MAX + 1)))[0] == 413
            assert (await page(world, where, "POST", data=b"page=%ff%fe"))[0] == 400
            assert (await page(world, where, "POST", data=b"&".join([b"a=b"] * 99)))[0] == 400
            world.disk.full = True
            status, shown = await page(world, where, "POST", data=sent)
            assert (status, "try again" in shown.text) == (503, True)
            world.disk.full = False
            assert (await press(world, where, "resolve"))[0] == 200
            status, shown = await page(world, where)
            assert (status, shown.buttons, "resolved by ana" in shown.text) == (200, [], True)
            status, shown = await page(world, where, "POST", data=sent)
            assert (status, "is resolved" in shown.text) == (409, True)
            words = ["shown", "resolved", "expired", "not_genuine", "unknown", "incomplete", "store", "not_allowed"]
            assert outcomes(world) == dict(zip(words, (3, 1, 2, 2, 2, 3, 1, 1), strict=True))

    run(test())


def test_bad_tokens_are_slowed_down_and_good_ones_never(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            statuses = [(await page(world, f"/ack/guess{number}"))[0] for number in range(BAD_TOKENS_MAX + 3)]
            assert statuses == [403] * BAD_TOKENS_MAX + [429] * 3
            async with world.client.get(f"{world.url}/ack/guess") as answer:
                assert 1 <= int(answer.headers["Retry-After"]) <= 60
            assert (await page(world, path(world, identifier)))[0] == 200
            assert outcomes(world)["too_many"] == 4

    run(test())


def test_an_address_is_slowed_down_alone_or_with_its_whole_network_of_ipv6(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            request = make_mocked_request("GET", "/ack/guess", match_info={"token": "guess"}, app=world.app)
            (ack,) = (
                route.handler
                for route in world.app.router.routes()
                if route.method == "GET" and route.resource and route.resource.canonical == "/ack/{token}"
            )

            async def guess(address: str) -> int:
                return int((await ack(request.clone(remote=address))).status)  # type: ignore[arg-type]

            for number in range(BAD_TOKENS_MAX):
                assert await guess("192.0.2.1") == 403
                assert await guess(f"2001:db8::{number:x}") == 403
            assert await guess("192.0.2.1") == 429
            assert await guess("192.0.2.2") == 403
            assert await guess("2001:db8::ffff:1") == 429
            assert await guess("2001:db8:0:1::1") == 403

    run(test())


def test_a_page_can_do_nothing_and_is_kept_nowhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            for where in (path(world, identifier), "/ack/none", f"/incidents/{identifier}", "/incidents/T-99"):
                async with world.client.get(world.url + where) as answer:
                    policy = answer.headers["Content-Security-Policy"]
                    assert "default-src 'none'" in policy
                    assert "unsafe" not in policy
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert answer.headers["Referrer-Policy"] == "no-referrer"
                    assert answer.headers["X-Robots-Tag"].startswith("noindex")

    run(test())


def test_the_page_of_an_incident_shows_the_same_and_has_no_buttons(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            alerts = [
                named("Down", annotations={"summary": NASTY, "runbook_url": "https://wiki/x?a=1&b=2", "x": "y" * 5000}),
                alert(labels={"alertname": NASTY, "severity": NASTY}, generatorURL="javascript:alert(1)"),
            ]
            identifier = await opened(world, webhook(alerts))
            status, shown = await page(world, f"/incidents/{identifier}")
            assert (status, shown.buttons, shown.links) == (200, [], ["https://wiki/x?a=1&b=2", GRAPH])
            assert "y" * 5000 in shown.text
            assert shown.text in (await page(world, path(world, identifier)))[1].text.replace(
                "You answer as ana : this link was sent to nobody else. ", ""
            ).replace("Acknowledge Snooze 1 h Snooze 4 h Resolve ", "")
            start = Sheet((await world.get("/"))[1])
            assert f"/incidents/{identifier}" in start.links
            status, shown = await page(world, f"/incidents/{NASTY.replace('/', '')}".split("\r")[0])
            assert status == 404

    run(test())


TEXTS = st.one_of(st.text(max_size=200), st.just(NASTY), st.text(alphabet="<>&\"'\0\r\n =/x", max_size=80))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(title=TEXTS, name=st.text(max_size=30), text=TEXTS, by=TEXTS, count=st.integers(0, 3))
def test_nothing_of_an_alert_or_a_story_becomes_markup(title: str, name: str, text: str, by: str, count: int) -> None:
    alerts = [
        replace(
            alert_record(number, incident=1, changed=1),
            labels={name: text},
            annotations={name: text, "summary": title},
            generator_url=text,
        )
        for number in range(count)
    ]
    shown = replace(incident_record(1, title=title), labels={name: text}, why=text, assigned_to=by, severity=text)
    steps = [Step("T-1", 1, AT, text, title, by, via=name)]
    known = Known(incident_view(shown), [alert_view(each) for each in alerts], steps)
    read = Sheet(sheet(known.title, head(known.incident, AT), *body(known)).text or "")
    assert {*read.elements} <= ELEMENTS
    assert read.attributes <= ATTRIBUTES
    assert all(link.startswith(("http://", "https://")) for link in read.links)
    assert "\x1b" not in read.text


def test_a_link_shows_no_more_than_the_message_that_it_came_with(tmp_path: Path) -> None:
    async def test() -> None:
        rules = "redact: [{labels: ['*'], as: shown, channels: [anas]}, {labels: [user, note], as: hashed}]\n"
        async with receiver(tmp_path, policy=POLICY + rules) as world:
            labels = {"alertname": "Down", "severity": "critical", "user": "mallory"}
            texts = {"summary": "mallory is out", "note": "555-0123"}
            identifier = await opened(world, webhook([alert(labels=labels, annotations=texts)]))
            await world.ask(
                "POST", f"/api/v1/incidents/{identifier}/note", json={"by": "ben", "text": "I rang mallory at 555-0123"}
            )
            for channel in ("chat", "both", "gone"):
                where = path(world, identifier, channel)
                _, first = await page(world, where)
                _, refused = await press(world, where, "acknowledge", by="")
                _, done = await press(world, where, "acknowledge", by="ben")
                for shown in (first, refused, done):
                    assert "mallory" not in shown.text
                    assert "555-0123" not in shown.text
                assert re.search(r"user=#[0-9a-f]{12}", first.text)
                assert re.search(r"note : I rang #[0-9a-f]{12} at", first.text)
            for where in (path(world, identifier, "anas"), f"/incidents/{identifier}"):
                _, shown = await page(world, where)
                assert "user=mallory" in shown.text
                assert "I rang mallory at 555-0123" in shown.text

    run(test())


def test_alerts_with_very_long_texts_are_fewer_on_a_page(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            texts = {f"text{number}": "y" * 100_000 for number in range(12)}
            many = [
                alert(labels={"alertname": "Down", "instance": f"i{number}"}, annotations=texts) for number in range(20)
            ]
            identifier = await opened(world, webhook(many))
            status, shown = await page(world, f"/incidents/{identifier}")
            count = shown.elements.count("article")
            assert (status, count) == (200, ALERTS_CHARACTERS_MAX // (12 * 8192))
            assert f"and {20 - count} more" in shown.text
            assert len(shown.text) < ALERTS_CHARACTERS_MAX

    run(test())


def test_what_was_merged_leads_to_where_it_is_now_also_under_a_path(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            one = await opened(world)
            await world.post(webhook([named("Slow")], groupKey="slow"))
            await world.decided()
            (other,) = {each["id"] for each in (await world.get("/api/v1/incidents"))[1]["incidents"]} - {one}
            merged = {"by": "ben", "into": other}
            assert (await world.ask("POST", f"/api/v1/incidents/{one}/merge", json=merged))[0] == 200
            for where in (path(world, one), f"/incidents/{one}"):
                status, shown = await page(world, where)
                assert (status, shown.buttons, shown.links[0]) == (200, [], f"../incidents/{other}")
            sent = (await page(world, path(world, other)))[1].pressed("acknowledge")
            status, shown = await page(world, path(world, one), "POST", data=sent)
            assert status == 400  # the form of another incident's page

    run(test())


def test_many_alerts_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            many = [
                alert(labels={"alertname": "Down", "instance": f"i{number}"}, fingerprint=f"{number:016x}")
                for number in range(ALERTS_SHOWN_MAX + 7)
            ]
            identifier = await opened(world, webhook(many))
            _, shown = await page(world, f"/incidents/{identifier}")
            assert shown.elements.count("article") == ALERTS_SHOWN_MAX
            assert "and 7 more" in shown.text
            over = [{**each, "status": "resolved", "endsAt": "2026-03-01T09:00:00Z"} for each in many[:-1]]
            await opened(world, webhook([*over, many[-1]]))
            _, shown = await page(world, f"/incidents/{identifier}")
            assert shown.text.partition("Alerts ")[2].startswith("firing when")  # what fires comes first

    run(test())


def test_the_link_in_a_mail_answers_in_the_name_of_whom_it_was_sent_to(tmp_path: Path) -> None:
    async def test() -> None:
        async with inbox() as box:
            policy = f"""
people: {{ana: {{notify: [{{email: ana@example.org}}]}}}}
channels: {{mail: {{type: email, smarthost: '127.0.0.1:{box.port}', from: t@example.org, to: [a@example.org],
         attach_chart: true}}}}
escalations: {{one: {{stages: [{{notify: [{{person: ana}}]}}]}}}}
"""
            async with receiver(
                tmp_path,
                policy=policy,
                external_url="https://tocsin.example.org",
                make=lambda file, links: channel_of(file, links=links),
            ) as world:
                identifier = await opened(world)
                (mail,) = box.came
                (link,) = [line for line in mail.text().splitlines() if "/ack/" in line]
                assert Sheet(mail.text("html")).links.count(link) == 2
                assert "image/png" in [part.get_content_type() for part in mail.parsed.walk()]
                where = link.removeprefix("https://tocsin.example.org")
                assert (await press(world, where, "acknowledge"))[0] == 200
                await world.decided()
                step = [each for each in (await incident(world, identifier))["timeline"] if each.get("via") == "link"]
                assert [(each["what"], each["by"]) for each in step] == [("acknowledged", "ana")]
                assert [mail.parsed["Subject"] for mail in box.came] == [
                    f"critical: Down: it is down ({identifier})",
                    f"Re: critical: Down: it is down ({identifier})",
                ]

    run(test())


def test_several_who_press_at_once_have_one_who_has_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            identifier = await opened(world)
            where = path(world, identifier, "chat")
            _, shown = await page(world, where)
            answers = await asyncio.gather(
                *(
                    page(world, where, "POST", data=shown.pressed("acknowledge", by=f"person {number}"))
                    for number in range(8)
                )
            )
            assert [status for status, _ in answers] == [200] * 8
            assert sum("has it now" in each.text for _, each in answers) == 1
            holder = (await incident(world, identifier))["acknowledged_by"]
            assert sum(f"{holder} has it already" in each.text for _, each in answers) == 7

    run(test())
