"""Identifiers from a webhook's sender to whom the receiver posts to, over real programs, and in the lines between."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.servers import JSON, alert, alertmanager, receiver, sink, tocsin, until, webhook, webhook_policy

pytestmark = pytest.mark.real

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
ROUTES = """
route: {{receiver: tocsin, group_wait: 0s, group_interval: 1s}}
receivers: [{{name: tocsin, webhook_configs: [{{url: '{url}/webhook/am'}}]}}]
"""


def test_a_trace_goes_from_the_webhook_door_to_whom_is_told(tmp_path: Path) -> None:
    flags = ["--log.format=json", "--log.level=debug", f"--log.output={tmp_path}/tocsin.log"]
    with sink() as told, receiver(tmp_path, policy=webhook_policy(told.url), flags=flags) as ours:
        body = json.dumps(webhook(alert("Down"), group="g")).encode()
        headers = {**JSON, "traceparent": PARENT, "X-Correlation-ID": "deploy-4711"}
        assert ours.ask("/webhook/am", body, headers=headers)[0] == 200
        until(lambda: told.headers, what="the message arrives")
        assert told.headers[0]["traceparent"] == PARENT
        assert told.headers[0]["x-correlation-id"] == "deploy-4711"
        assert ours.ended(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in (tmp_path / "tocsin.log").read_text().splitlines()]
    mine = [line for line in lines if line.get("correlation_id") == "deploy-4711"]
    assert [(line["message"], line["trace_id"], line["status"]) for line in mine] == [
        ("a request was answered", TRACE, 200)
    ]
    found = tocsin(
        "audit", "list", f"--storage.url=sqlite:///{tmp_path}/data/receiver.db", "--text=deploy-4711", folder=tmp_path
    )
    assert "posted 1 alert (1 firing, 0 resolved) of the group g: Down, as deploy-4711" in found.stdout
    verified = tocsin("audit", "verify", f"--storage.url=sqlite:///{tmp_path}/data/receiver.db", folder=tmp_path)
    assert verified.returncode == 0, verified.stdout


def test_what_alertmanager_posts_has_an_identifier_as_well(needs: Callable[[str], str], tmp_path: Path) -> None:
    with sink() as told, receiver(tmp_path, policy=webhook_policy(told.url)) as ours:
        routes = ROUTES.format(url=ours.url)
        with alertmanager(needs("prometheus-alertmanager"), tmp_path, configuration=routes) as theirs:
            alerts = json.dumps([{"labels": {"alertname": "Down"}}]).encode()
            assert theirs.ask("/api/v2/alerts", alerts, headers=JSON)[0] == 200
            until(lambda: told.headers, what="the message arrives")
        name = told.headers[0]["x-correlation-id"]
        _, journal, position = name.split("-")
        assert told.messages[0][0].startswith(f"{journal}-T-{position}-")
        assert told.headers[0]["traceparent"].endswith("-00")
