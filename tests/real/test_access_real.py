"""Real clients at guarded doors: Prometheus scrapes over TLS with a login, also while certificates change; Alertmanager
posts with a token, with a login, and with its certificate."""

from __future__ import annotations

import json
import ssl
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guard.certificates import authority, signed
from tests.guard.test_access import HASH, digest
from tests.real.servers import (
    JSON,
    TOCSIN,
    Server,
    alertmanager,
    environment,
    free_port,
    prometheus,
    receiver_command,
    started,
    until,
)

pytestmark = pytest.mark.real


def test_prometheus_scrapes_both_programs_over_tls_with_a_login_and_through_a_rotation(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus")
    trusting = authority(tmp_path)
    ours, next_one = signed(tmp_path, trusting, "localhost"), signed(tmp_path, trusting, "localhost", file="next")
    (tmp_path / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {ours.certificate.name}, key_file: {ours.key.name}}}\n"
        f"basic_auth_users: {{prometheus: {HASH}}}\n"
    )
    (tmp_path / "receiver.yml").write_text("channels: {chat: {type: terminal}}\n")
    (tmp_path / "password").write_text("right")
    ports = {"exporter": free_port(), "receiver": free_port()}
    targets = ", ".join(f"'localhost:{port}'" for port in ports.values())
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs:\n"
        "  - job_name: tocsin\n"
        "    scrape_interval: 1s\n"
        "    scheme: https\n"
        "    tls_config: {ca_file: authority.pem, server_name: localhost}\n"
        "    basic_auth: {username: prometheus, password_file: password}\n"
        f"    static_configs: [{{targets: [{targets}]}}]\n"
    )
    first = ours.certificate.read_text()

    def command(name: str, *more: str) -> list[str]:
        where = f"--web.listen-address=127.0.0.1:{ports[name]}"
        return [TOCSIN, name, where, f"--web.config.file={tmp_path}/web.yml", *more]

    store = f"--storage.url=sqlite:///{tmp_path}/data/receiver.db"
    policy = f"--config.file={tmp_path}/receiver.yml"
    with (
        started(command("exporter"), url="", log=tmp_path / "e.log", ready=None, env=environment()),
        started(command("receiver", policy, store), url="", log=tmp_path / "r.log", ready=None, env=environment()),
        prometheus(program, tmp_path, configuration=tmp_path / "prometheus.yml", port=free_port()) as server,
    ):

        def up() -> list[str]:
            return sorted(each["value"][1] for each in server.get("/api/v1/query?query=up")["data"]["result"])

        until(lambda: up() == ["1", "1"], what="both targets are up")
        before = [scrapes(server, port) for port in ports.values()]
        # The files as a tool renews them, one after the other; no restart.
        ours.key.write_bytes(next_one.key.read_bytes())
        assert [shown(port) for port in ports.values()] == [first, first]
        ours.certificate.write_bytes(next_one.certificate.read_bytes())
        assert [shown(port) for port in ports.values()] == [next_one.certificate.read_text()] * 2
        until(
            lambda: all(scrapes(server, port) > known for port, known in zip(ports.values(), before, strict=True)),
            what="both are scraped on",
        )
        assert up() == ["1", "1"]


def shown(port: int) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def scrapes(server: Server, port: int) -> float:
    """When it was last scraped."""
    query = urllib.parse.quote(f'timestamp(up{{instance="localhost:{port}"}})')
    (found,) = server.get(f"/api/v1/query?query={query}")["data"]["result"]
    return float(found["value"][1])


ALERTMANAGER = """
route: {receiver: tocsin, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: tocsin
    webhook_configs:
      - url: https://localhost:PORT/webhook/eu1
        http_config: {tls_config: {ca_file: FOLDER/authority.pem MORE}, AUTH}
"""


@pytest.mark.parametrize("how", ["token", "login", "certificate"])
def test_alertmanager_posts_over_tls_with_whatever_proves_who_it_is(
    tmp_path: Path, needs: Callable[[str], str], how: str
) -> None:
    program = needs("prometheus-alertmanager")
    trusting = authority(tmp_path)
    ours, its = signed(tmp_path, trusting, "localhost"), signed(tmp_path, trusting, "alertmanager")
    tls = f"cert_file: {ours.certificate.name}, key_file: {ours.key.name}"
    match how:
        case "token":
            web = f"tokens: [{{name: am, role: source, sources: [eu1], hash: '{digest('am-token')}'}}]\n"
            auth, more = "authorization: {credentials: am-token}", ""
        case "login":
            web = f"basic_auth_users: {{am: {HASH}}}\nroles: {{am: source}}\n"
            auth, more = "basic_auth: {username: am, password: right}", ""
        case _:
            web = "roles: {alertmanager: source}\n"
            tls += f", client_ca_file: {trusting.certificate}, client_auth_type: RequireAndVerifyClientCert"
            auth, more = "follow_redirects: false", f", cert_file: {its.certificate}, key_file: {its.key}"
    (tmp_path / "web.yml").write_text(f"tls_server_config: {{{tls}}}\n{web}")
    port = free_port()
    command = receiver_command(tmp_path, policy="channels: {chat: {type: terminal}}\n", port=port)
    configuration = ALERTMANAGER.replace("PORT", str(port)).replace("FOLDER", str(tmp_path))
    configuration = configuration.replace(" MORE", more).replace("AUTH", auth)
    log = tmp_path / "receiver.log"
    with (
        started([*command, f"--web.config.file={tmp_path}/web.yml"], url="", log=log, ready=None, env=environment()),
        alertmanager(program, tmp_path, configuration=configuration) as server,
    ):
        until(lambda: "listening on https" in log.read_text(), what="the receiver listens")
        fired = json.dumps([{"labels": {"alertname": "ShopDown", "severity": "critical"}}]).encode()
        assert server.ask("/api/v2/alerts", fired, headers=JSON)[0] == 200
        until(lambda: "critical: ShopDown" in log.read_text(), what="the alert is told")
