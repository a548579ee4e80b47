"""A real Alertmanager posts to a real receiver: names, fingerprints, ends, silences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.alert import fingerprint_of
from tests.real.servers import JSON, Server, Sink, alertmanager, receiver, sink, until, webhook_policy

pytestmark = pytest.mark.real

CONFIGURATION = """
route:
  receiver: team.a
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: team.a
    webhook_configs:
      - url: URL/webhook/am
        http_config: {authorization: {credentials: one-of-ours}}
"""
LABELS: list[dict[str, str]] = [
    {"alertname": "x"},
    {"alertname": "Down", "severity": "critical", "instance": "host-1:9100", "job": "node"},
    {"alertname": "Ünïcödé", "city": "Köln", "emoji": "🔔"},
    {"alertname": "Quotes", "a": 'she said "no"', "b": "back\\slash", "c": "line\nbreak", "d": "<&>"},
    {"alertname": "Long", **{f"label_{number}": "v" * 200 for number in range(20)}},
]


@dataclass
class Pair:
    alertmanager: Server
    receiver: Server
    sink: Sink

    def fire(self, labels: dict[str, str], *, over: bool = False) -> None:
        now = datetime.now(UTC)
        alert: dict[str, Any] = {"labels": labels, "annotations": {"summary": "a test"}}
        if over:
            alert |= {"endsAt": now.isoformat()}
        self.ask("/api/v2/alerts", [alert])

    def ask(self, path: str, document: object) -> Any:
        status, said = self.alertmanager.ask(path, json.dumps(document).encode(), headers=JSON)
        assert status == 200, said
        return json.loads(said) if said else None

    def incident(self, name: str, status: str) -> dict[str, Any]:
        def look() -> list[dict[str, Any]]:
            return [
                each
                for each in self.receiver.incidents()
                if (each["labels"].get("alertname"), each["status"]) == (name, status)
            ]

        return until(look, what=f"the incident of {name} is {status}")[0]


@pytest.fixture
def pair(tmp_path: Path, needs: Callable[[str], str]) -> Iterator[Pair]:
    program = needs("prometheus-alertmanager")
    (tmp_path / "am.token").write_text("one-of-ours\n")
    with ExitStack() as running:
        standing = running.enter_context(sink())
        policy = webhook_policy(standing.url) + "sources: {am: {token_file: am.token}}\n"
        ours = running.enter_context(receiver(tmp_path, policy=policy))
        configuration = CONFIGURATION.replace("URL", ours.url)
        yield Pair(running.enter_context(alertmanager(program, tmp_path, configuration=configuration)), ours, standing)


def test_every_alert_arrives_under_the_fingerprint_that_alertmanager_gives_it(pair: Pair) -> None:
    for labels in LABELS:
        pair.fire(labels)
    for labels in LABELS:
        incident = pair.incident(labels["alertname"], "open")
        # Alertmanager's receiver is called `team.a`, and says `team\.a` on the wire.
        assert "Alertmanager's receiver 'team.a'" in incident["why"]
        assert incident["labels"] == labels
    theirs = {each["fingerprint"]: each["labels"] for each in pair.alertmanager.get("/api/v2/alerts")}
    ours = {each["fingerprint"]: each["labels"] for each in pair.receiver.get("/api/v1/alerts")["alerts"]}
    assert ours == theirs
    assert len(ours) == len(LABELS)
    for fingerprint, labels in theirs.items():
        assert fingerprint_of(labels) == fingerprint


def test_the_end_of_an_alert_arrives_and_a_new_episode_a_moment_later_opens_it_again(pair: Pair) -> None:
    labels = {"alertname": "Flaps", "severity": "warning"}
    pair.fire(labels)
    first = pair.incident("Flaps", "open")
    pair.fire(labels, over=True)
    ended = pair.incident("Flaps", "resolved")
    assert ended["id"] == first["id"]
    until(lambda: pair.sink.of_kind("resolved", "Flaps"), what="the end is told")
    pair.fire(labels)
    again = pair.incident("Flaps", "open")
    assert (again["id"], again["flaps"]) == (first["id"], 1)
    until(lambda: len(pair.sink.messages) >= 3, what="the second opening is told")
    assert [message["kind"] for _, message in pair.sink.messages] == ["opened", "resolved", "opened"]


def test_a_silenced_alert_is_not_taken_for_one_that_is_over(pair: Pair) -> None:
    shared = {"alertname": "Shared", "severity": "critical"}
    pair.fire({**shared, "instance": "a"})
    pair.fire({**shared, "instance": "b"})
    until(lambda: pair.incident("Shared", "open")["alerts"]["firing"] == 2, what="both fire")
    now = datetime.now(UTC)
    matcher = {"name": "instance", "value": "a", "isRegex": False, "isEqual": True}
    pair.ask(
        "/api/v2/silences",
        {
            "matchers": [matcher],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "a test",
            "comment": "a test",
        },
    )
    pair.fire({**shared, "instance": "c"})
    until(lambda: pair.incident("Shared", "open")["alerts"]["firing"] == 3, what="the third one joins")
    shown = pair.receiver.get(f"/api/v1/incidents/{pair.incident('Shared', 'open')['id']}")["alerts"]
    assert {each["labels"]["instance"]: each["status"] for each in shown} == dict.fromkeys("abc", "firing")


def test_while_the_receiver_is_away_alertmanager_keeps_trying(tmp_path: Path, needs: Callable[[str], str]) -> None:
    program = needs("prometheus-alertmanager")
    with sink() as standing, ExitStack() as running:
        policy = webhook_policy(standing.url)
        with receiver(tmp_path, policy=policy) as first:
            port = int(first.url.rpartition(":")[2])
            configuration = re.sub("        http_config: .*\n", "", CONFIGURATION).replace("URL", first.url)
            theirs = running.enter_context(alertmanager(program, tmp_path, configuration=configuration))
        body = json.dumps([{"labels": {"alertname": "Meanwhile"}}]).encode()
        assert theirs.ask("/api/v2/alerts", body, headers=JSON)[0] == 200
        tried = "alertmanager_notification_requests_failed_total"
        until(
            lambda: re.search(rf'{tried}{{integration="webhook"}} [1-9]', theirs.text("/metrics")), what="it is tried"
        )
        with receiver(tmp_path, policy=policy, port=port):
            until(lambda: standing.of_kind("opened", "Meanwhile"), what="it arrives after all")
