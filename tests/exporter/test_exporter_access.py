"""The exporter's doors against each caller, and the program over TLS."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from exporter.doors import NEEDS
from guard.access import Access, Approach
from guard.callers import Role
from guard.webconfig import WebConfig
from tests.exporter.builders import SURELY, Running, Says, gauge, promptly, running, sample
from tests.exporter.program import started
from tests.guard.certificates import authority, signed
from tests.guard.test_access import HASH

ROLES = ("viewer", "responder", "admin", "source")
WEB = "tokens:\n" + "".join(
    f"  - {{name: {role}-bot, role: {role}, hash: 'sha256:{hashlib.sha256(role.encode()).hexdigest()}'}}\n"
    for role in ROLES
)
MAY = {
    "nothing": {"viewer", "responder", "admin", "source", "nobody"},
    "viewer": {"viewer", "responder", "admin"},
    "responder": {"responder", "admin"},
    "admin": {"admin"},
    "any source": {"source", "admin"},
}


async def statuses(exporter: Running, token: str | None) -> dict[str, int]:
    found = {}
    for door in NEEDS:
        method, path = door.split()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with exporter.client.request(method, path.replace("{role}", "self"), headers=headers) as answer:
            found[door] = answer.status
    return found


@pytest.mark.parametrize("who", [*ROLES, "nobody"])
def test_each_door_opens_to_whom_it_should_and_to_nobody_else(tmp_path: Path, who: str) -> None:
    async def scenario() -> None:
        (tmp_path / "web.yml").write_text(WEB)
        access = Access(WebConfig(tmp_path / "web.yml", environ={}), strangers=Role.VIEWER)
        async with running(Says("x", gauge("node_x")), access=access) as exporter:
            found = await statuses(exporter, None if who == "nobody" else who)
            closed = {door for door, status in found.items() if status in (401, 403)}
            assert closed == {door for door, need in NEEDS.items() if who not in MAY[need.value]}
            assert {found[door] for door in closed} <= ({401} if who == "nobody" else {403})
            async with exporter.client.get("/metrics/self", headers={"Authorization": "Bearer viewer"}) as answer:
                reason = "anonymous" if who == "nobody" else "role"
                series = f'tocsin_exporter_requests_refused_total{{reason="{reason}"}}'
                assert sample(await answer.text(), series) == len(closed)

    promptly(scenario())


def test_every_door_says_what_it_needs() -> None:
    async def scenario() -> None:
        async with running() as exporter:
            found = await statuses(exporter, None)
            # This one says that nothing came.
            assert found.pop("POST /events") == 400
            # And this is no address.
            assert {found.pop(f"{verb} /blocklist/{{address}}") for verb in ("PUT", "DELETE")} == {400}
            assert found.pop("GET /reputation/{address}") == 400
            # Nor was it said what is to be probed.
            assert found.pop("GET /probe") == 400
            # Nor has any source said something.
            assert found.pop("GET /metrics/app/{source}") == found.pop("GET /series") == 404
            assert set(found.values()) == {200}

    promptly(scenario())


def test_without_users_and_tokens_callers_from_elsewhere_scrape_and_do_not_reload() -> None:
    caller = Access(None, strangers=Role.VIEWER).at_once(Approach("192.0.2.7", None))
    refused = {door for door, need in NEEDS.items() if MAY[need.value] != MAY["nothing"] and not caller.may(need)}
    blocklist = {
        "GET /blocklist",
        "GET /blocklist/history",
        "GET /reputation/{address}",
        "PUT /blocklist/{address}",
        "DELETE /blocklist/{address}",
    }
    assert refused == {"POST /-/reload", "POST /events"} | blocklist


def test_the_program_speaks_tls_and_asks_for_a_login(tmp_path: Path) -> None:
    trusting = authority(tmp_path)
    ours = signed(tmp_path, trusting, "localhost")
    (tmp_path / "web.yml").write_text(
        f"tls_server_config: {{cert_file: {ours.certificate.name}, key_file: {ours.key.name}}}\n"
        f"basic_auth_users: {{prometheus: {HASH}}}\n"
    )
    trusted = ssl.create_default_context(cafile=trusting.certificate)

    def ask(url: str, password: str) -> tuple[int, str]:
        login = base64.b64encode(f"prometheus:{password}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
        try:
            with urllib.request.urlopen(request, timeout=SURELY, context=trusted) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    with started(f"--web.config.file={tmp_path}/web.yml") as program:
        assert program.url.startswith("https://")
        status, page = ask(f"{program.url}/metrics/self", "right")
        assert (status, sample(page, "tocsin_exporter_web_config_last_reload_successful")) == (200, 1)
        assert ask(f"{program.url}/metrics", "wrong")[0] == 401
        assert '"__scheme__": "https"' in ask(f"{program.url}/sd", "right")[1]
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(program.url, timeout=SURELY)


def test_a_web_configuration_with_faults_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {ana: hunter2}\ntokens: 5\n")
    with (
        pytest.raises(AssertionError, match=r"web\.yml:2: tokens: found the number 5") as raised,
        started(f"--web.config.file={tmp_path}/web.yml"),
    ):
        pass
    assert "basic_auth_users.ana: found a value that is not shown" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_all_requests_together_are_limited_and_load_balancers_are_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "web.yml").write_text("rate_limit: {interval: 1h, burst: 3}\n")
        access = Access(WebConfig(tmp_path / "web.yml", environ={}), strangers=Role.VIEWER)
        async with running(Says("x", gauge("node_x")), access=access) as exporter:
            assert "node_x" in await exporter.text("/metrics")
            await exporter.text("/sd")
            page = await exporter.text("/metrics/self")
            assert sample(page, 'tocsin_exporter_requests_refused_total{reason="requests"}') == 0
            async with exporter.client.get("/metrics") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (429, "3600")
            async with exporter.client.get("/-/healthy") as answer:
                assert answer.status == 200
            (tmp_path / "web.yml").write_text("rate_limit: {interval: 0s}\n")
            page = await exporter.text("/metrics/self")
            assert sample(page, 'tocsin_exporter_requests_refused_total{reason="requests"}') == 1

    promptly(scenario())


def test_a_body_that_cannot_come_any_more_is_not_waited_for(tmp_path: Path) -> None:
    """Its sender hung up while the password was being verified."""

    async def scenario() -> bytes:
        (tmp_path / "web.yml").write_text(f"basic_auth_users: {{ana: '{HASH}'}}\nroles: {{ana: admin}}\n")
        access = Access(WebConfig(tmp_path / "web.yml", environ={}))
        async with running(access=access) as exporter:
            host, _, port = exporter.url.rpartition("/")[2].partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            login = base64.b64encode(b"ana:right").decode()
            head = ("POST /-/reload HTTP/1.1", "Host: x", f"Authorization: Basic {login}", "Content-Length: 3", "", "a")
            writer.write("\r\n".join(head).encode())
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    answer = promptly(scenario())
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("allowed", "status"), [("[elsewhere, localhost]", 200), ("['0:0:0:0:0:0:0:1']", 200), ("[known, 192.0.2.1]", 403)]
)
def test_a_certificate_must_have_a_name_that_is_let_in(tmp_path: Path, allowed: str, status: int) -> None:
    trusting = authority(tmp_path)
    ours = signed(tmp_path, trusting, "server")
    known = signed(tmp_path, trusting, "known").client_context(trusting.certificate)
    named = f"cert_file: {ours.certificate.name}, key_file: {ours.key.name}, client_ca_file: authority.pem"
    kind = f"client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: {allowed}"
    (tmp_path / "web.yml").write_text(f"tls_server_config: {{{named}, {kind}}}\n")
    with started(f"--web.config.file={tmp_path}/web.yml") as program:
        try:
            with urllib.request.urlopen(f"{program.url}/metrics/self", timeout=SURELY, context=known) as answer:
                found, said = answer.status, ""
        except urllib.error.HTTPError as error:
            with error:
                found, said = error.code, error.read().decode()
        assert found == status
        assert ("none of the names that are let in" in said) is (status == 403)
