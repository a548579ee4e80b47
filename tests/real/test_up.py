"""`tocsin up` and the commands beside it, as somebody types them on the first evening."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.real.servers import (
    REPOSITORY,
    TOCSIN,
    Server,
    alive,
    children_of,
    environment,
    free_port,
    started,
    tocsin,
    until,
)
from tests.receiver.test_policy import FAULTY

pytestmark = pytest.mark.real


@dataclass
class Up:
    """A running `tocsin up`; `server` speaks to its receiver."""

    server: Server
    exporter: str

    @property
    def url(self) -> str:
        return f"--url={self.server.url}"


@contextmanager
def up(folder: Path, *flags: str) -> Iterator[Up]:
    receiver, exporter = free_port(), free_port()
    command = [
        TOCSIN,
        "up",
        "--data-dir=kept",
        f"--receiver.web.listen-address=127.0.0.1:{receiver}",
        f"--exporter.web.listen-address=127.0.0.1:{exporter}",
        *flags,
    ]
    log = folder / f"up-{receiver}.log"
    url = f"http://127.0.0.1:{receiver}"
    with started(command, url=url, log=log, ready=None, cwd=folder, env=environment()) as server:

        def is_up() -> bool:
            if server.process.poll() is not None:
                raise AssertionError(server.said)
            return "Tocsin is up." in server.said

        until(is_up, what="tocsin up says where to look")
        yield Up(server, f"http://127.0.0.1:{exporter}")


def test_the_first_evening(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        for place in (first.server.url, first.exporter, f"{tmp_path}/kept", f"{first.url} alertname=Demo"):
            assert place in first.server.said
        fired = tocsin("fire", first.url, "alertname=Demo", "severity=critical", "a=é\x1b[2J", folder=tmp_path)
        assert (fired.returncode, fired.stderr) == (0, "")
        until(lambda: "critical: Demo" in first.server.said, what="the message is printed", seconds=1)
        assert "\x1b" not in first.server.said
        assert "<b>Demo</b>" in first.server.text("/")
        family = first.server.process.pid
        children = children_of(family)
        assert len(children) == 2
        assert first.server.ended(signal.SIGINT) == 0
        assert [child for child in children if alive(child)] == []
        assert "Traceback" not in first.server.said
    with up(tmp_path) as second:
        assert "<b>Demo</b>" in second.server.text("/")
        assert "[OPENED]" not in second.server.said
        labels = ("alertname=Demo", "severity=critical", "a=é\x1b[2J")
        assert tocsin("fire", second.url, *labels, "--resolve", folder=tmp_path).returncode == 0
        until(lambda: "[RESOLVED]" in second.server.said, what="the end is printed", seconds=1)
        assert second.server.incidents("active") == []


def test_the_message_of_a_test_alert_is_there_within_a_second(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        began = time.monotonic()
        assert tocsin("fire", running.url, "alertname=Quick", "severity=critical", folder=tmp_path).returncode == 0
        until(lambda: "critical: Quick" in running.server.said, what="the message is printed", seconds=1)
        assert time.monotonic() - began < 2  # the second, and the start of the command itself


def test_incidents_are_listed_and_shown(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        nothing = tocsin("incident", "list", running.url, folder=tmp_path)
        assert (nothing.returncode, nothing.stdout) == (0, "nothing is open\n")
        tocsin("fire", running.url, "alertname=Demo", "severity=critical", "team=db", folder=tmp_path)
        (incident,) = until(running.server.incidents, what="the incident is there")
        listed = tocsin("incident", running.url, "list", folder=tmp_path)
        head, row = listed.stdout.splitlines()
        assert head.split() == ["ID", "STATUS", "SEVERITY", "AGE", "WHO", "FIRING", "TITLE"]
        assert row.split()[:3] == [incident["id"], "open", "critical"]
        documents = tocsin("incident", "list", "--output=json", running.url, folder=tmp_path)
        assert json.loads(documents.stdout)["incidents"][0]["id"] == incident["id"]
        until(
            lambda: "delivered" in tocsin("incident", "show", incident["id"], running.url, folder=tmp_path).stdout,
            what="the story tells that the message was delivered",
        )
        shown = tocsin("incident", "show", incident["id"], running.url, folder=tmp_path)
        assert shown.returncode == 0
        for part in ("Demo", "alertname=Demo, severity=critical, team=db", "story", "opened", "routed", "stage 1 of"):
            assert part in shown.stdout
        whole = json.loads(
            tocsin("incident", "show", incident["id"], "--output=json", running.url, folder=tmp_path).stdout
        )
        assert whole["alerts"][0]["labels"]["team"] == "db"
        unknown = tocsin("incident", "show", "T-999", running.url, folder=tmp_path)
        assert unknown.returncode == 1
        assert "there is no incident 'T-999'" in unknown.stderr


def test_a_command_without_a_receiver_says_what_to_do(tmp_path: Path) -> None:
    url = f"--url=http://127.0.0.1:{free_port()}"
    for command in (["fire", url, "alertname=Demo"], ["incident", "list", url]):
        ended = tocsin(*command, folder=tmp_path)
        assert ended.returncode == 1
        assert "cannot reach http://127.0.0.1:" in ended.stderr
        assert "`tocsin up` starts it" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_killed_without_a_warning_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        children = children_of(running.server.process.pid)
        assert len(children) == 2
        try:
            assert running.server.ended(signal.SIGKILL) == -signal.SIGKILL
            until(lambda: not any(map(alive, children)), what="the children end", seconds=20)
        finally:
            for child in filter(alive, children):
                os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("name", ["receiver", "exporter"])
def test_when_one_of_them_ends_all_end_and_it_is_named(tmp_path: Path, name: str) -> None:
    with up(tmp_path) as running:
        children = children_of(running.server.process.pid)
        (victim,) = [each for each in children if name in Path(f"/proc/{each}/cmdline").read_text().split("\0")]
        os.kill(victim, signal.SIGKILL)
        assert running.server.ended() == 1
        assert f"tocsin up: {name} ended with status -9" in running.server.said
        assert [child for child in children if alive(child)] == []


def test_a_port_that_is_taken_ends_it_with_the_reason(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        taken = running.server.url.removeprefix("http://")
        other = (f"--receiver.web.listen-address={taken}", f"--exporter.web.listen-address=127.0.0.1:{free_port()}")
        ended = tocsin("up", "--data-dir=other", *other, folder=tmp_path)
        assert ended.returncode == 1
        assert f"cannot listen on {taken}: the port is taken" in ended.stderr
        assert "tocsin up: receiver ended with status 1" in ended.stderr


def test_a_policy_with_five_faults_is_told_whole(tmp_path: Path) -> None:
    (tmp_path / "receiver.yml").write_text(FAULTY)
    checked = tocsin("check", "receiver.yml", folder=tmp_path)
    assert checked.returncode == 1
    assert len([line for line in checked.stdout.splitlines() if line.startswith("receiver.yml:")]) == 5
    assert checked.stdout.splitlines()[-1] == "checked 1 file: 5 faults"
    ended = tocsin("receiver", "--config.file=receiver.yml", "--web.listen-address=127.0.0.1:0", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[0] == "tocsin receiver: the configuration has 5 faults:"
    assert len(ended.stderr.splitlines()) == 6
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["exorcise"],
        ["fire"],
        ["fire", "Demo"],
        ["fire", "severity=critical"],
        ["incident"],
        ["incident", "forget"],
        ["incident", "show"],
        ["receiver", "--web.listen-adress=:1"],
        ["receiver", "--web.listen-address=nowhere"],
        ["receiver", "--storage.url=postgres://user:secret@host/x"],
        ["up", "--receiver.web.listen-address=:0"],
        ["check", "--format=xml"],
    ],
)
def test_a_wrong_command_line_ends_with_two_and_without_a_trace(tmp_path: Path, arguments: list[str]) -> None:
    ended = tocsin(*arguments, folder=tmp_path)
    assert ended.returncode == 2, ended
    assert ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


def test_the_whole_stack_runs_on_a_laptop(tmp_path: Path, needs: Callable[[str], str]) -> None:
    needs("prometheus")
    needs("prometheus-alertmanager")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("prometheus", "alertmanager")}
    flags = [f"--{name}.web.listen-address={address}" for name, address in addresses.items()]
    with up(tmp_path, "--stack", *flags) as running:
        assert all(f"http://{address}/" in running.server.said for address in addresses.values())
        watchdog = until(
            lambda: [
                each
                for each in running.server.incidents()
                if each["labels"] == {"alertname": "Watchdog", "severity": "none"}
            ],
            what="the watchdog arrives",
        )[0]
        assert (watchdog["source"], watchdog["severity"], watchdog["status"]) == ("alertmanager", "none", "open")
        prometheus = Server(running.server.process, f"http://{addresses['prometheus']}", running.server.log)

        jobs = yaml.safe_load((REPOSITORY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

        def all_scraped() -> bool:
            active = prometheus.get("/api/v1/targets")["data"]["activeTargets"]
            return len(active) == len(jobs) and all(each["health"] == "up" for each in active)

        until(all_scraped, what="every target of the bundled configuration is scraped")
        exporter = Server(running.server.process, running.exporter, running.server.log)
        failed = b'{"event": "auth", "outcome": "failed", "ip": "203.0.113.7"}\n'
        assert exporter.ask("/events", failed * 51)[0] == 202

        def attack() -> bool:
            found = running.server.incidents()
            return any(each["labels"].get("detector") == "brute_force_address" for each in found)

        until(attack, what="what a detector finds is an incident")
        children = children_of(running.server.process.pid)
        assert len(children) == 4
        assert running.server.ended(signal.SIGINT) == 0
        assert [child for child in children if alive(child)] == []
