"""The receiver as a process: a policy is loaded anew, or every fault is told and the old one stays."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.servers import Server, alert, receiver, tocsin, until, webhook
from tests.receiver.test_policy import FAULTY

POLICY = """
sources: {am: {}}
channels: {chat: {type: terminal}}
"""
OTHER = """
sources: {am: {}, second: {}}
routes: [{matchers: [severity=critical], escalation: loud}]
escalations: {loud: {stages: [{notify: [other]}]}}
channels: {other: {type: terminal}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with receiver(tmp_path, policy=POLICY) as running:
        yield running


def digest(server: Server) -> str:
    return str(server.get("/api/v1/status")["policy"])


def reload(server: Server) -> int:
    return server.ask("/-/reload", b"")[0]


def test_a_faulty_policy_is_told_with_every_fault_and_the_old_one_stays(server: Server, tmp_path: Path) -> None:
    before = digest(server)
    (tmp_path / "receiver.yml").write_text(FAULTY)
    status, said = server.ask("/-/reload", b"")
    assert status == 500
    assert b"the old policy stays in force" in said
    assert said.count(b'"expected"') == 5
    assert digest(server) == before
    assert server.post(webhook(alert("Down"), group="Down"))[0] == 200
    assert "tocsin_config_last_reload_successful 0.0" in server.text("/metrics")
    (tmp_path / "receiver.yml").write_text(POLICY)
    assert reload(server) == 200
    assert digest(server) == before
    assert "tocsin_config_last_reload_successful 1.0" in server.text("/metrics")


def test_a_new_policy_is_in_force_with_its_sources_routes_and_channels(server: Server, tmp_path: Path) -> None:
    before = digest(server)
    assert server.post(webhook(alert("Down"), group="g"), source="second")[0] == 404
    (tmp_path / "receiver.yml").write_text(OTHER)
    assert reload(server) == 200
    assert digest(server) != before
    assert server.post(webhook(alert("Down", severity="critical"), group="g"), source="second")[0] == 200
    until(lambda: server.get("/api/v1/status")["channels"]["other"]["delivered"] == 1, what="the new channel is told")
    (incident,) = server.incidents()
    assert (incident["route"], incident["escalation"]) == ('severity="critical"', "loud")


def test_a_hangup_loads_the_policy_as_well(server: Server, tmp_path: Path) -> None:
    before = digest(server)
    (tmp_path / "receiver.yml").write_text(OTHER)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: digest(server) != before, what="the new policy is in force")
    (tmp_path / "receiver.yml").write_text(FAULTY)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "the policy has faults: the old one stays in force" in server.said, what="the faults are logged")
    assert server.ask("/-/ready")[0] == 200


def test_a_token_file_without_a_token_leaves_the_old_policy_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty.token").write_text("\n")
    (tmp_path / "receiver.yml").write_text(OTHER.replace("second: {}", "second: {token_file: empty.token}"))
    before = digest(server)
    status, said = server.ask("/-/reload", b"")
    assert status == 500
    assert b"no token in it" in said
    assert digest(server) == before
    assert list(server.get("/api/v1/status")["channels"]) == ["chat"]


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\xff\xfe\x00")])
def test_a_policy_that_cannot_be_read_is_a_fault_too(
    server: Server, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    change(tmp_path / "receiver.yml")
    assert reload(server) == 500
    assert server.ask("/-/ready")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_ends_with_zero_and_says_where_it_was(server: Server, number: signal.Signals) -> None:
    assert server.post(webhook(alert("Down"), group="Down"))[0] == 200
    assert server.ended(number) == 0
    assert "stopped" in server.said
    assert "Traceback" not in server.said


def test_a_request_that_is_no_http_breaks_nothing(server: Server) -> None:
    port = int(server.url.rpartition(":")[2])
    for request in (b"\x16\x03\x01\x02\x00", b"POST /webhook/am HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x00" * 9000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /webhook/am HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert server.post(webhook(alert("Down"), group="Down"))[0] == 200
    assert "Traceback" not in server.said


def test_the_faults_of_the_policy_and_of_the_web_configuration_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "receiver.yml").write_text("routes: 5\n")
    (tmp_path / "web.yml").write_text("tokens: 5\n")
    files = [f"--config.file={tmp_path}/receiver.yml", f"--web.config.file={tmp_path}/web.yml"]
    ended = tocsin("receiver", *files, folder=tmp_path)
    assert ended.returncode == 1
    first, *told = ended.stderr.splitlines()
    assert first == "tocsin receiver: the configuration has 2 faults:"
    assert [line.removeprefix(f"{tmp_path}/").partition(": found")[0] for line in told] == [
        "receiver.yml:1: routes",
        "web.yml:1: tokens",
    ]


def test_a_template_that_fails_is_counted_each_time_and_logged_once_for_each_reading(tmp_path: Path) -> None:
    policy = """
channels:
  chat: {type: terminal, templates: {text: '{{ 1 // 0 if incident.labels.team else incident.title }}'}}
"""
    counted = 'tocsin_receiver_templates_failed_total{channel="chat"}'
    with receiver(tmp_path, policy=policy) as server:
        assert f"{counted} 0.0" in server.text("/metrics")
        for number in (1, 2):
            assert server.post(webhook(alert(f"Down{number}", team="shop-and-cart"), group=f"{number}"))[0] == 200
        until(lambda: f"{counted} 2.0" in server.text("/metrics"), what="both failures are counted")
        assert reload(server) == 200
        assert server.post(webhook(alert("Down3", team="shop-and-cart"), group="3"))[0] == 200
        until(lambda: f"{counted} 3.0" in server.text("/metrics"), what="the third failure is counted")
        logged = [line for line in server.said.splitlines() if "a template failed" in line]
        assert len(logged) == 2
        assert all("line 1: a division by zero" in line and "shop-and-cart" not in line for line in logged)
        until(lambda: "Down3" in server.said, what="the default is printed")
        until(
            lambda: any(
                "the template 'text' failed, its default went out" in step["why"]
                for step in server.get(f"/api/v1/incidents/{server.incidents()[0]['id']}")["timeline"]
            ),
            what="the story says so",
        )
