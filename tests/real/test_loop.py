"""The whole loop with real programs: Prometheus scrapes the exporter and evaluates a rule, Alertmanager posts, the
receiver sends, the message arrives at somebody's HTTP server; then the condition ends, and that arrives as well."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.real.servers import (
    REPOSITORY,
    Server,
    Sink,
    alertmanager,
    exporter,
    free_port,
    prometheus,
    receiver,
    sink,
    until,
    webhook_policy,
)

pytestmark = pytest.mark.real

RULES = """
groups:
  - name: loop
    rules:
      - alert: VictimDown
        expr: up{job="victim"} == 0
        labels: {severity: critical}
        annotations: {summary: 'The victim {{ $labels.instance }} is down'}
      - alert: ExporterSeen
        expr: node_time_seconds{job="node"} > 0
        labels: {severity: info}
"""


@dataclass
class Loop:
    exporter: Server
    receiver: Server
    alertmanager: Server
    prometheus: Server
    sink: Sink
    victim_port: int


def rendered(folder: Path, ports: dict[str, int], *, url: str) -> Path:
    """The bundled files with other ports and without their patience, one more target, and rules of our own."""
    place = folder / "prometheus"
    place.mkdir()
    text = (REPOSITORY / "prometheus" / "prometheus.yml").read_text()
    for bundled, name in (
        ("29100", "exporter"),
        ("29093", "receiver"),
        ("9090", "prometheus"),
        ("9093", "alertmanager"),
    ):
        assert f"'127.0.0.1:{bundled}'" in text
        text = text.replace(f"'127.0.0.1:{bundled}'", f"'127.0.0.1:{ports[name]}'")
    text = text.replace("_interval: 5s", "_interval: 1s").replace("scrape_timeout: 4s", "scrape_timeout: 1s")
    text += f"\n  - job_name: victim\n    static_configs:\n      - targets: ['127.0.0.1:{ports['victim']}']\n"
    (place / "prometheus.yml").write_text(text)
    (folder / "rules" / "bundled").mkdir(parents=True)
    (folder / "rules" / "bundled" / "loop.yml").write_text(RULES)
    routes = (REPOSITORY / "prometheus" / "alertmanager.yml").read_text()
    assert "http://127.0.0.1:29093/webhook/alertmanager" in routes
    routes = routes.replace("http://127.0.0.1:29093", url).replace("group_interval: 5s", "group_interval: 1s")
    (place / "alertmanager.yml").write_text(routes)
    return place / "prometheus.yml"


@pytest.fixture
def loop(tmp_path: Path, needs: Callable[[str], str]) -> Iterator[Loop]:
    programs = {name: needs(name) for name in ("prometheus", "prometheus-alertmanager")}
    ports = {name: free_port() for name in ("exporter", "receiver", "prometheus", "alertmanager", "victim")}
    with ExitStack() as running:
        enter = running.enter_context
        standing = enter(sink())
        ours = enter(receiver(tmp_path, policy=webhook_policy(standing.url), port=ports["receiver"]))
        configuration = rendered(tmp_path, ports, url=ours.url)
        yield Loop(
            sink=standing,
            receiver=ours,
            exporter=enter(exporter(tmp_path, port=ports["exporter"])),
            alertmanager=enter(
                alertmanager(
                    programs["prometheus-alertmanager"],
                    tmp_path,
                    configuration=(tmp_path / "prometheus" / "alertmanager.yml").read_text(),
                    port=ports["alertmanager"],
                )
            ),
            # Last, as it forgets for a while what fires before it knows of Alertmanager.
            prometheus=enter(
                prometheus(
                    programs["prometheus"],
                    tmp_path,
                    "--rules.alert.resend-delay=2s",
                    configuration=configuration,
                    port=ports["prometheus"],
                )
            ),
            victim_port=ports["victim"],
        )


@contextmanager
def victim(port: int) -> Iterator[None]:
    """A target with nothing to say, but up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_from_a_scrape_to_a_message_and_back(loop: Loop, needs: Callable[[str], str]) -> None:
    opened = until(lambda: loop.sink.of_kind("opened", "VictimDown"), what="the message arrives")[0]
    assert opened["incident"]["severity"] == "critical"
    assert opened["incident"]["source"] == "alertmanager"
    (shown,) = opened["alerts"]
    assert shown["labels"]["instance"] == f"127.0.0.1:{loop.victim_port}"
    assert shown["annotations"]["summary"] == f"The victim 127.0.0.1:{loop.victim_port} is down"
    assert until(lambda: loop.sink.of_kind("opened", "ExporterSeen"), what="the exporter's own metric fires")
    check_targets(loop)
    with victim(loop.victim_port):
        resolved = until(lambda: loop.sink.of_kind("resolved", "VictimDown"), what="the end arrives")[0]
    assert resolved["incident"]["id"] == opened["incident"]["id"]
    assert (resolved["incident"]["status"], resolved["alerts"][0]["status"]) == ("resolved", "resolved")
    keys = [key for key, message in loop.sink.messages if message["incident"]["id"] == opened["incident"]["id"]]
    assert len(set(keys)) == len(keys)
    assert {opened["id"], resolved["id"]} <= set(keys)
    check_fingerprints(loop)
    check_pages(loop, needs("promtool"))


def check_targets(loop: Loop) -> None:
    """Both programs are scraped as the bundled configuration says, and stay within its sample limits."""

    def health() -> dict[str, str]:
        targets = loop.prometheus.get("/api/v1/targets")["data"]["activeTargets"]
        return {each["labels"]["job"]: each["health"] for each in targets}

    jobs = ("node", "app", "security", "probes", "tocsin-exporter", "tocsin-receiver", "prometheus", "alertmanager")
    expected = dict.fromkeys(jobs, "up")
    until(lambda: health() == {**expected, "victim": "down"}, what="all but the victim are up")


def check_fingerprints(loop: Loop) -> None:
    """What Alertmanager calls an alert is what the receiver calls it."""
    theirs = {each["fingerprint"] for each in json.loads(loop.alertmanager.text("/api/v2/alerts"))}
    ours = {each["fingerprint"] for each in loop.receiver.get("/api/v1/alerts")["alerts"] if each["status"] == "firing"}
    assert ours
    assert ours <= theirs


def check_pages(loop: Loop, promtool: str) -> None:
    """After traffic: promtool accepts the receiver's page, and so does the strict parser of OpenMetrics."""
    page = loop.receiver.text("/metrics")
    assert 'tocsin_receiver_messages_delivered_total{channel="hook"}' in page
    check = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    assert (check.stdout + check.stderr, check.returncode) == ("", 0)
    strict: Any = parse_openmetrics
    openmetrics = loop.receiver.text("/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert openmetrics.endswith("# EOF\n")
    assert len(list(strict(openmetrics))) > 20
