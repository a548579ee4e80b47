"""What a detector finds becomes an alert of a real Alertmanager, and an incident of a real receiver; then it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.finding import Finding
from exporter.findings.alerts import Alerts, Choice
from exporter.findings.client import targets_of
from exporter.findings.poster import PATH, Pace, Poster
from exporter.findings.settings import FindingsSettings
from exporter.findings.tally import Posts
from tests.exporter.test_findings import FOUND
from tests.pages import fenced, text_of
from tests.real.servers import (
    SURELY,
    TOCSIN,
    Server,
    alertmanager,
    environment,
    free_port,
    receiver,
    sink,
    started,
    until,
    webhook_policy,
)

pytestmark = pytest.mark.real

ROUTES = """
route: {receiver: tocsin, group_by: [detector], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: tocsin
    webhook_configs: [{url: 'URL/webhook/alertmanager', send_resolved: true}]
"""
QUICK = Pace(again=0.5, apart=0.1, answer=10.0, retry=0.1, retry_longest=0.2)


class Exporter:
    """Findings on their way to Alertmanagers, in this very process, with less patience than the program has."""

    def __init__(self, *urls: str, resolve_after_seconds: float, answer_seconds: float = 10.0) -> None:
        targets = targets_of(urls, FindingsSettings(), path=PATH)
        self.alerts = Alerts(dropped=lambda _: None)
        labels = {"instance": "crow", "cluster": "eu1"}
        self.alerts.use(Choice(resolve_after_seconds, labels, networks=True), [each.name for each in targets])
        self.posts = [Posts() for _ in targets]
        self.posters = [
            Poster(each, self.alerts, posts, pace=QUICK._replace(answer=answer_seconds))
            for each, posts in zip(targets, self.posts, strict=True)
        ]

    def find(self, finding: Finding) -> None:
        if self.alerts.take([finding]):
            for poster in self.posters:
                poster.wake()

    def stop(self) -> None:
        for poster in self.posters:
            poster.stop()


async def there(look: Callable[[], Any], what: str) -> Any:
    """Asks in a thread, so that posting goes on."""
    return await asyncio.to_thread(until, look, what=what)


def alerts_of(server: Server) -> list[dict[str, Any]]:
    return list(server.get("/api/v2/alerts"))


def test_a_finding_becomes_an_incident_and_resolves_after_the_last_one(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus-alertmanager")

    async def scenario(ours: Server, theirs: Server) -> None:
        exporter = Exporter(theirs.url, resolve_after_seconds=2.0)
        try:
            began = time.time()
            for after in (0.0, 0.5, 1.0):
                exporter.find(replace(FOUND, at=began + after, source="shop"))

            def opened() -> Any:
                return [each for each in ours.incidents() if each["status"] == "open"]

            (incident,) = await there(opened, "the finding is an incident")
            assert incident["severity"] == "critical"
            (alert,) = ours.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
            assert alert["labels"] == {
                "alertname": "SecurityFinding",
                "cluster": "eu1",
                "detector": "brute_force_address",
                "instance": "crow",
                "severity": "critical",
                "source": "shop",
            }
            assert "203.0.113.7" not in json.dumps([incident, alert])

            def resolved() -> Any:
                return [each for each in ours.incidents() if each["status"] == "resolved"]

            (over,) = await there(resolved, "the incident is over")
            assert over["id"] == incident["id"]
        finally:
            exporter.stop()

    with sink() as standing, receiver(tmp_path, policy=webhook_policy(standing.url)) as ours:
        routes = ROUTES.replace("URL", ours.url)
        with alertmanager(program, tmp_path, configuration=routes) as theirs:
            asyncio.run(asyncio.wait_for(scenario(ours, theirs), 2 * SURELY))
        until(lambda: standing.of_kind("resolved", "SecurityFinding"), what="people hear that it is over")


def test_each_member_is_told_and_one_that_comes_back_without_memory_is_told_again(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus-alertmanager")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    port = free_port()
    configuration = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

    async def scenario(one: Server) -> None:
        exporter = Exporter(one.url, f"http://127.0.0.1:{port}", resolve_after_seconds=600.0)
        try:
            exporter.find(replace(FOUND, at=time.time()))
            (known,) = await there(lambda: alerts_of(one), "the first one knows")
            assert known["annotations"]["networks"] == "203.0.113.0/24"
            await there(lambda: exporter.posts[1].failures["unreachable"], "the second one is away")
            for _ in range(2):
                with alertmanager(program, second, configuration=configuration, port=port) as two:
                    (told,) = await there(lambda two=two: alerts_of(two), "the second one knows")  # type: ignore[misc]
                    assert told["fingerprint"] == known["fingerprint"]
                    assert told["startsAt"] == known["startsAt"]
        finally:
            exporter.stop()

    with alertmanager(program, first, configuration=configuration) as one:
        asyncio.run(asyncio.wait_for(scenario(one), 2 * SURELY))


def test_an_alertmanager_that_stands_still_is_told_when_it_goes_on(tmp_path: Path, needs: Callable[[str], str]) -> None:
    program = needs("prometheus-alertmanager")

    async def scenario(theirs: Server) -> None:
        theirs.process.send_signal(signal.SIGSTOP)
        exporter = Exporter(theirs.url, resolve_after_seconds=600.0, answer_seconds=0.3)
        try:
            exporter.find(replace(FOUND, at=time.time()))
            await there(lambda: exporter.posts[0].failures["timeout"] >= 2, "it stands still")
            assert exporter.alerts.owed(exporter.posters[0].target.name) == 1
            theirs.process.send_signal(signal.SIGCONT)
            (told,) = await there(lambda: alerts_of(theirs), "it was told")
            assert told["labels"]["detector"] == "brute_force_address"
            await there(lambda: not exporter.alerts.owed(exporter.posters[0].target.name), "nothing is owed")
        finally:
            theirs.process.send_signal(signal.SIGCONT)
            exporter.stop()

    configuration = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
    with alertmanager(program, tmp_path, configuration=configuration) as theirs:
        asyncio.run(asyncio.wait_for(scenario(theirs), 2 * SURELY))


def steps() -> list[tuple[str, str]]:
    """The commands of the page's example, and what each answers."""
    (block,) = (each for each in fenced(text_of("findings.md"), "text") if each.startswith("$ for n"))
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def test_from_an_event_to_an_incident_as_the_page_says(tmp_path: Path, needs: Callable[[str], str]) -> None:
    programs = {name: needs(name) for name in ("prometheus-alertmanager", "promtool", "curl")}
    ports = {"29100": free_port(), "9093": free_port()}
    (example,) = (each for each in fenced(text_of("findings.md"), "yaml") if "instance: crow" in each)

    def here(text: str) -> str:
        for bundled, port in ports.items():
            text = text.replace(f"127.0.0.1:{bundled}", f"127.0.0.1:{port}")
        return text

    with ExitStack() as running:
        standing = running.enter_context(sink())
        ours = running.enter_context(receiver(tmp_path, policy=webhook_policy(standing.url)))
        ports["29093"] = int(ours.url.rpartition(":")[2])
        running.enter_context(
            alertmanager(
                programs["prometheus-alertmanager"],
                tmp_path,
                configuration=ROUTES.replace("URL", ours.url),
                port=ports["9093"],
            )
        )
        (tmp_path / "exporter.yml").write_text(here(example))
        listen = f"--web.listen-address=127.0.0.1:{ports['29100']}"
        command = [TOCSIN, "exporter", f"--config.file={tmp_path}/exporter.yml", listen, "--statsd.listen-udp="]
        exporter = running.enter_context(
            started(command, url=f"http://127.0.0.1:{ports['29100']}", log=tmp_path / "exporter.log", env=environment())
        )
        assert len(steps()) == 4
        for line, expected in steps():

            def answered(line: str = line, expected: str = expected) -> bool:
                said = subprocess.run(["bash", "-c", here(line)], capture_output=True, text=True, timeout=SURELY)
                return said.stdout.rstrip() == expected.rstrip()

            until(answered, what=line)
        (message,) = until(lambda: standing.of_kind("opened", "SecurityFinding"), what="people are told")
        everything = json.dumps(message) + exporter.text("/metrics") + exporter.said
        assert "203.0.113.7" not in everything
        assert '"address":"203.0.113.7"' in exporter.text("/findings")
        page = exporter.text("/metrics/security")
        check = subprocess.run([programs["promtool"], "check", "metrics"], input=page, capture_output=True, text=True)
        assert (check.stdout + check.stderr, check.returncode) == ("", 0)
        name = f"127.0.0.1:{ports['9093']}"
        itself = exporter.text("/metrics/self").splitlines()
        assert f'tocsin_exporter_findings_alerts_owed{{alertmanager="{name}"}} 0' in itself
