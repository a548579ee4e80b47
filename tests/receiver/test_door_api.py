"""What the receiver tells programs and people: the API, the start page, health."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from guard.configfile import Fault, InvalidConfig
from receiver.channels import Refused, Unreachable
from receiver.message import Message
from receiver.store import StoreFailed
from tests.receiver.builders import SURELY, alert, named, webhook
from tests.receiver.world import POLICY, Quiet, World, receiver, run

EVERYBODY = """
escalations: {all: {stages: [{notify: [chat, hook, pager]}]}}
channels: {chat: {type: terminal}, hook: {type: terminal}, pager: {type: terminal}}
"""
STORMY = POLICY + "storms: {per_channel: {limit: 1, per: 1h}, never_hold: []}\n"


class Broken(Quiet):
    """A channel that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def send(self, message: Message) -> str:
        raise self.error


async def fire(world: World, name: str, **changes: object) -> None:
    status, _ = await world.post(webhook([named(name, **changes)], groupKey=name, groupLabels={}))
    assert status == 200


def test_what_was_sent_and_what_is_owed_is_listed_newest_first(tmp_path: Path) -> None:
    async def test() -> None:
        channels = {"chat": Quiet(), "pager": Broken(Refused("nobody there")), "hook": Broken(Unreachable("no wire"))}
        async with receiver(tmp_path, policy=EVERYBODY, channels=channels) as world:
            await fire(world, "Down")
            await world.until(lambda: world.runner.position >= 2)  # the policy, and this
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]

            async def found(query: str = "") -> list[tuple[str, str]]:
                status, answer = await world.get(f"/api/v1/deliveries{query}")
                assert (status, list(answer)) == (200, ["deliveries"])
                return [(each["channel"], each["outcome"]) for each in answer["deliveries"]]

            async with asyncio.timeout(SURELY):
                while len(await found("?outcome=owed")) > 1:  # noqa: ASYNC110 - the store knows nothing of tests
                    await asyncio.sleep(0.01)
            assert await found() == [("pager", "refused"), ("hook", "owed"), ("chat", "delivered")]
            assert await found("?limit=1") == [("pager", "refused")]
            assert await found("?channel=chat") == await found("?outcome=delivered") == [("chat", "delivered")]
            assert len(await found(f"?incident={incident['id']}")) == 3
            assert await found("?incident=T-99") == []
            refused, owed, delivered = (await world.get("/api/v1/deliveries"))[1]["deliveries"]
            assert (refused["answer"], refused["attempts"], refused["seconds"]) == ("nobody there", 1, None)
            assert (owed["settled_at"], owed["attempts"], owed["incident"]) == (None, None, incident["id"])
            assert delivered["message"] == channels["chat"].messages[0].id
            assert (delivered["kind"], delivered["attempts"], delivered["answer"]) == ("opened", 1, "ok")
            assert delivered["seconds"] >= 0
            assert delivered["created_at"] <= delivered["settled_at"]
            status, answer = await world.get("/api/v1/deliveries?outcome=lost")
            assert status == 400
            assert answer["error"] == "outcome: found 'lost', expected one of: owed, delivered, refused, withdrawn"

    run(test())


def test_incidents_are_listed_newest_first_and_resolved_ones_on_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            for name in ("First", "Second", "Third"):
                await fire(world, name)
            await fire(world, "Second", status="resolved", endsAt="2026-03-01T09:00:00Z")
            await world.decided()

            async def titles(query: str = "") -> list[str]:
                status, answer = await world.get(f"/api/v1/incidents{query}")
                assert (status, list(answer)) == (200, ["incidents"])
                return [each["title"].removesuffix(": it is down") for each in answer["incidents"]]

            assert await titles() == ["Third", "First"]
            assert await titles("?status=open") == ["Third", "First"]
            assert await titles("?status=resolved") == ["Second"]
            assert await titles("?status=all") == ["Third", "Second", "First"]
            assert await titles("?limit=1") == ["Third"]
            assert await titles("?q=FIRS") == ["First"]
            assert await titles("?q=severity=critical") == ["Third", "First"]
            assert await titles("?q=nothing") == []
            assert await titles("?q=%25") == []

    run(test())


def test_one_incident_comes_with_its_alerts_and_the_reason_for_each_step(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await world.post(webhook([named("Down"), named("Slow", annotations={})]))
            await world.decided()
            (listed,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            assert set(listed) >= {
                "id", "status", "severity", "title", "opened_at", "updated_at", "resolved_at", "acknowledged_by",
                "source", "labels", "alerts", "route", "escalation", "why",
            }  # fmt: skip
            assert listed["alerts"] == {"firing": 2, "resolved": 0}
            assert (listed["status"], listed["severity"], listed["source"]) == ("open", "critical", "am")
            status, whole = await world.get(f"/api/v1/incidents/{listed['id']}")
            assert status == 200
            assert [each["labels"]["alertname"] for each in whole["alerts"]] == ["Down", "Slow"]
            assert {key: whole[key] for key in listed if key != "alerts"} | {"alerts": listed["alerts"]} == listed
            assert all(step["at"] and step["what"] and step["why"] and step["by"] for step in whole["timeline"])
            assert [step["what"] for step in whole["timeline"]] == ["opened", "routed", "stage 1 of 1", "delivered"]

    run(test())


@pytest.mark.parametrize("identifier", ["T-999", "x", "%FF", "%00", "..%2F..", "T-1%27--", "a" * 3000])
def test_an_incident_that_is_not_there_is_said_so(tmp_path: Path, identifier: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.get(f"/api/v1/incidents/{identifier}")
            assert (status, list(answer)) == (404, ["error"])

    run(test())


@pytest.mark.parametrize(
    "limit",
    ["abc", "0", "-1", "1.5", "", "10001", "1e3", "%D9%A3", "0000010000" + "9" * 5000, "0" * 4000 + "1", "%20" + "1"],
)
def test_a_limit_that_is_none_is_refused_with_what_was_expected(tmp_path: Path, limit: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            for path in ("incidents", "alerts"):
                status, answer = await world.get(f"/api/v1/{path}?limit={limit}")
                assert status == 400
                assert "expected a whole number from 1 to 10000" in answer["error"]

    run(test())


def test_other_queries_that_make_no_sense_never_break_the_door(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await fire(world, "Down")
            await world.decided()
            status, answer = await world.get("/api/v1/incidents?status=burning")
            assert (status, answer["error"]) == (
                400,
                "status: found 'burning', expected one of: active, all, open, acknowledged, snoozed, resolved",
            )  # fmt: skip
            for query in ("%FF", "%00", "%ED%A0%80", "a" * 5000, "';--"):
                assert await world.get(f"/api/v1/incidents?q={query}") == (200, {"incidents": []})

    run(test())


def test_alerts_are_listed_with_their_incident(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await fire(world, "Down", startsAt="2026-03-01T10:00:00+02:00")
            await fire(world, "Slow")
            await world.decided()
            status, answer = await world.get("/api/v1/alerts")
            assert (status, list(answer)) == (200, ["alerts"])
            assert [each["labels"]["alertname"] for each in answer["alerts"]] == ["Slow", "Down"]
            down = answer["alerts"][1]
            assert (down["status"], down["starts_at"], down["ends_at"]) == ("firing", "2026-03-01T08:00:00Z", None)
            assert re.fullmatch(r"[0-9a-f]{16}", down["fingerprint"])
            assert (await world.get(f"/api/v1/incidents/{down['incident']}"))[1]["title"] == "Down: it is down"
            assert len((await world.get("/api/v1/alerts?limit=1"))[1]["alerts"]) == 1

    run(test())


def test_status_tells_versions_policy_journal_and_what_is_owed(tmp_path: Path) -> None:
    async def test() -> None:
        broken = Broken(Unreachable("the wire is cut"))
        async with receiver(tmp_path, channels={"chat": broken}) as world:
            await fire(world, "Down")
            await world.until(lambda: world.outbox.by_channel()["chat"][2].failures > 0)
            status, shown = await world.get("/api/v1/status")
            assert (status, shown["role"], shown["lag"]) == (200, "leader", 0)
            assert shown["policy"] == world.runner.state.policy.digest
            assert (shown["journal"]["entries"], shown["journal"]["decided"]) == (2, 2)
            assert shown["journal"]["writable"] is True
            chat = shown["channels"]["chat"]
            assert (chat["owed"], chat["error"], chat["delivered"]) == (1, "the wire is cut", 0)
            assert (await world.get("/health"))[1] == {"status": "degraded"}
            status, detailed = await world.get("/health/detailed")
            assert (status, detailed["status"]) == (200, "degraded")
            assert detailed["channels"]["chat"] == {"status": "degraded", "owed": 1, "error": "the wire is cut"}

    run(test())


def test_a_message_that_is_refused_is_in_the_story_and_in_the_metrics(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, channels={"chat": Broken(Refused("no such room"))}) as world:
            await fire(world, "Down")
            await world.decided()
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            whole = (await world.get(f"/api/v1/incidents/{incident['id']}"))[1]
            assert whole["timeline"][-1]["what"] == "not delivered"
            assert "no such room" in whole["timeline"][-1]["why"]
            assert 'tocsin_receiver_messages_refused_total{channel="chat"} 1.0' in (await world.get("/metrics"))[1]

    run(test())


def test_what_a_storm_holds_back_is_in_the_status_the_incident_and_the_metrics(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=STORMY, channels={"chat": Quiet()}) as world:
            status = (await world.get("/api/v1/status"))[1]
            assert status["channels"]["chat"]["held"] == {"incidents": 0, "since": None, "digest_at": None}
            for name in ("Down", "Slow", "Late"):
                await fire(world, name)
            await world.decided()
            held = (await world.get("/api/v1/status"))[1]["channels"]["chat"]["held"]
            found = (await world.get("/api/v1/incidents"))[1]["incidents"]
            late, slow, down = found
            assert [each["held_from"] for each in found] == [["chat"], ["chat"], []]
            assert (held["incidents"], held["since"]) == (2, slow["opened_at"])
            assert held["digest_at"][14:] == down["opened_at"][14:]  # an hour later
            story = (await world.get(f"/api/v1/incidents/{late['id']}"))[1]["timeline"]
            assert story[-1]["what"] == "held back from chat"
            page = (await world.get("/metrics"))[1]
            assert 'tocsin_receiver_messages_held{channel="chat"} 2.0' in page
            assert "tocsin_receiver_messages_held_back_total 2.0" in page

    run(test())


def test_health_doors_speak_prometheus_conventions(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            assert await world.get("/-/healthy") == (200, "Tocsin's receiver is healthy.\n")
            assert await world.get("/-/ready") == (200, "Tocsin's receiver is ready.\n")
            assert await world.get("/health") == (200, {"status": "healthy"})
            status, detailed = await world.get("/health/detailed")
            assert (status, detailed["store"]) == (200, {"status": "healthy", "error": None})

    run(test())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("POST", "/metrics", 405),
        ("GET", "/-/reload", 405),
        ("DELETE", "/api/v1/incidents", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/webhook/", 404),
        ("POST", "/webhook/a/b", 404),
    ],
)
def test_other_doors_and_methods_are_refused_in_json(tmp_path: Path, method: str, path: str, status: int) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            found, answer = await world.ask(method, path)
            assert (found, list(answer)) == (status, ["error"])

    run(test())


def test_the_reload_door_tells_the_new_policy_or_every_fault(tmp_path: Path) -> None:
    async def test() -> None:
        outcomes: list[str | Exception] = [
            "abc123",
            InvalidConfig([Fault("r.yml", 3, "routes", "x", "y"), Fault("r.yml", 9, "channels", "u", "v")]),
            StoreFailed("database or disk is full"),
        ]

        async def reload() -> str:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        async with receiver(tmp_path, reload=reload) as world:
            assert await world.ask("POST", "/-/reload") == (200, {"policy": "abc123"})
            status, answer = await world.ask("POST", "/-/reload")
            assert (status, answer["error"]) == (500, "the old policy stays in force")
            assert answer["faults"] == [
                {"file": "r.yml", "line": 3, "path": "routes", "found": "x", "expected": "y"},
                {"file": "r.yml", "line": 9, "path": "channels", "found": "u", "expected": "v"},
            ]
            status, answer = await world.ask("POST", "/-/reload")
            assert status == 503
            assert "database or disk is full" in answer["error"]

    run(test())


def test_the_start_page_shows_what_is_open_and_lets_nothing_through(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            assert "Nothing is open" in (await world.get("/"))[1]
            nasty = "<script>alert(1)</script>\"'&"
            await world.post(webhook([named(nasty)], groupLabels={"a": nasty}, groupKey="nasty"), source="am")
            await fire(world, "Down")
            await world.decided()
            page = (await world.get("/"))[1]
            assert "2 open" in page
            assert "<b>Down: it is down</b>" in page
            assert "<script>" not in page
            assert "&lt;script&gt;alert(1)" in page
            assert f"{world.url}/webhook/my-alertmanager" in page
            await fire(world, "Down", status="resolved", endsAt="2026-03-01T09:00:00Z")
            await world.decided()
            page = (await world.get("/"))[1]
            assert "1 open" in page
            assert 'class="resolved"' in page

    run(test())


def test_the_host_that_a_browser_names_cannot_write_into_the_page(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            _, page = await world.ask("GET", "/", headers={"Host": "a<b>&c"})
            assert "a<b>" not in page
            assert "a&lt;b&gt;&amp;c" in page

    run(test())


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_metrics_speak_both_formats_and_count_what_happened(tmp_path: Path, accept: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await fire(world, "Down")
            await fire(world, "Down")
            await fire(world, "Down", status="resolved", endsAt="2026-03-01T09:00:00Z")
            await world.post(b"garbage")
            await world.decided()
            _, page = await world.ask("GET", "/metrics", headers={"Accept": accept} if accept else {})
            parse: Any = parse_openmetrics if accept else parse_text
            samples = {
                (sample.name, *sample.labels.values()): sample.value
                for family in parse(page)
                for sample in family.samples
            }
            assert samples["tocsin_receiver_webhooks_total",] == 4
            assert samples["tocsin_receiver_webhooks_refused_total", "not_json"] == 1
            assert samples["tocsin_receiver_webhook_duration_seconds_count",] == 3
            for outcome in ("new", "repeated", "resolved"):
                assert samples["tocsin_receiver_alerts_total", outcome] == 1
            for kind in ("opened", "resolved"):
                assert samples["tocsin_receiver_messages_total", kind] == 1
            assert samples["tocsin_receiver_messages_delivered_total", "chat"] == 2
            assert samples["tocsin_receiver_incidents_opened_total",] == 1
            assert samples["tocsin_receiver_incidents_open",] == 0
            assert samples["tocsin_receiver_alerts_active",] == 0
            assert samples["tocsin_receiver_store_writable",] == 1

    run(test())


def test_alerts_that_nobody_is_told_of_are_counted(tmp_path: Path) -> None:
    async def test() -> None:
        policy = "routes: [{matchers: [team=db], escalation: x}]\nescalations: {x: {stages: [{notify: [chat]}]}}\n"
        async with receiver(tmp_path, policy=policy + "channels: {chat: {type: terminal}}\n") as world:
            await world.post(webhook([alert()]))
            await world.decided()
            assert "tocsin_receiver_incidents_unrouted_total 1.0" in (await world.get("/metrics"))[1]

    run(test())
