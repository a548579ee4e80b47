"""web.yml: what Prometheus' own format says, every fault at once, and what a change of it does to a running program."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from pathlib import Path

import bcrypt
import pytest
from aiohttp import web

from guard.callers import Caller, Role
from guard.configfile import InvalidConfig, read_text
from guard.framework import listening
from guard.listen import parse_address, run
from guard.tls import CIPHER_NAMES
from guard.webconfig import KIND, WebConfig
from guard.webfile import HEADERS, interval_seconds
from tests.guard.certificates import Pair, authority, signed

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
DIGEST = "sha256:" + hashlib.sha256(b"token").hexdigest()


def faults(text: str, folder: Path = Path()) -> list[str]:
    with pytest.raises(InvalidConfig) as raised:
        read_text(text, str(folder / "web.yml"), KIND, environ={})
    return [f"{each.line} {each.path}: {each.found} | {each.expected}" for each in raised.value.faults]


def test_the_format_of_prometheus_is_taken_as_it_is(tmp_path: Path) -> None:
    ours = signed(tmp_path, authority(tmp_path), "localhost")
    text = f"""
tls_server_config:
  cert_file: {ours.certificate.name}
  key_file: {ours.key.name}
  client_ca_file: authority.pem
  client_auth_type: RequireAndVerifyClientCert
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: ''
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m
"""
    (tmp_path / "web.yml").write_text(text)
    config = WebConfig(tmp_path / "web.yml", environ={})
    assert config.speaks_tls
    assert set(config.now().users) == {"alice", "bob"}
    assert config.now().headers["X-Frame-Options"] == "deny"
    assert "X-XSS-Protection" not in config.now().headers
    assert config.now().role_of("alice") is Role.VIEWER


def test_every_fault_is_told_at_once_and_no_hash_is_shown() -> None:
    text = f"""
http_server_config:
  headers: {{X-Frame-Options: maybe, Server: mine, X-XSS-Protection: "a\\nb"}}
basic_auth_users:
  ana: hunter2
  ben: 12345
  "a:b": {HASH}
tokens:
  - {{name: bot, role: respondr, hash: "{DIGEST}"}}
  - {{name: ana, role: viewer, hash: "sha256:letmein"}}
  - {{name: bot, role: admin, hash: "{DIGEST}", sources: [eu1]}}
roles: {{cleo: viewer, ana: source}}
rate_limit: {{burst: 0, interval: soon}}
request_limit: 1
"""
    found = faults(text)
    hash_wanted = "a bcrypt hash with a cost from 4 to 15, such as `htpasswd -nBC 12 NAME` writes after the name"
    keys = "tls_server_config, http_server_config, basic_auth_users, rate_limit, tokens, roles"
    assert found == [
        "3 http_server_config.headers.X-Frame-Options: 'maybe' | one of: deny, sameorigin",
        f"3 http_server_config.headers.Server: a header that cannot be set | one of: {', '.join(HEADERS)}",
        "3 http_server_config.headers.X-XSS-Protection: characters that no header can carry | printable ASCII",
        f"5 basic_auth_users.ana: a value that is not shown | {hash_wanted}",
        f"6 basic_auth_users.ben: a value that is not shown | {hash_wanted}",
        "7 basic_auth_users['a:b']: this key | text that matches ^[^\\s:()\\u0000-\\u001f\\u007f]+$",
        "9 tokens[0].role: 'respondr' | one of: admin, responder, source, viewer (did you mean 'responder'?)",
        "10 tokens[1].hash: a value that is not shown | text that matches ^sha256:[0-9a-f]{64}$",
        "10 tokens[1].name: the name of a user | a name of its own: it tells who did what",
        "11 tokens[2].name: the name of tokens[0] | a name of its own",
        "11 tokens[2].hash: the hash of tokens[0] | a hash of its own",
        "11 tokens[2].sources: role admin | role source: only that one posts",
        "12 roles.cleo: a name that is no user | a name of basic_auth_users",
        "13 rate_limit.interval: 'soon' | a duration such as 1s or 500ms, at most 1h",
        "13 rate_limit.burst: the number 0 | a number of at least 1",
        f"14 request_limit: an unknown key | one of: {keys} (did you mean 'rate_limit'?)",
    ]
    assert not any(secret in line for line in found for secret in ("hunter2", "12345", "letmein", DIGEST))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("0s", 0), ("1s", 1), ("1.5s", 1.5), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600)]
)
def test_an_interval_is_written_as_go_writes_it(text: str, seconds: float) -> None:
    assert interval_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "-1s", "1d", "1s ", "61m", "1h1s", "9" * 20 + "s"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as 1s"):
        interval_seconds(text)


def test_faults_of_tls(tmp_path: Path) -> None:
    ours = signed(tmp_path, authority(tmp_path), "localhost")
    other = signed(tmp_path, authority(tmp_path, "other"), "localhost", file="second")
    kind = "1 tls_server_config.client_auth_type"
    choices = "NoClientCert, RequireAndVerifyClientCert, VerifyClientCertIfGiven"
    verifying = "RequireAndVerifyClientCert or VerifyClientCertIfGiven"
    files = f"cert_file: {ours.certificate}, key_file: {ours.key}"

    assert faults("tls_server_config: {cert_file: gone.pem}", tmp_path) == [
        "1 tls_server_config.key_file: nothing | text (required)",
        "1 tls_server_config.cert_file: 'gone.pem' | a file that exists and can be read",
    ]
    assert faults(f"tls_server_config: {{{files}, min_version: TLS13, max_version: TLS12, cipher_suites: [RC4]}}") == [
        f"1 tls_server_config.cipher_suites[0]: 'RC4' | one of: {', '.join(CIPHER_NAMES)}",
        "1 tls_server_config.min_version: 'TLS13' | a version that is not above max_version, TLS12",
    ]
    assert faults(f"tls_server_config: {{{files}, client_auth_type: RequireAndVerifyClientCert}}") == [
        "1 tls_server_config.client_ca_file: nothing | a file of authorities: client_auth_type verifies by them"
    ]
    some = f"client_ca_file: {ours.certificate}, client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [x]"
    assert faults(f"tls_server_config: {{{files}, {some}}}") == [
        f"{kind}: certificates that may be left out | RequireAndVerifyClientCert: there are client_allowed_sans"
    ]
    assert faults(f"tls_server_config: {{{files}, client_ca_file: {ours.certificate}}}") == [
        f"{kind}: no verification of clients | {verifying}: there is a client_ca_file"
    ]
    assert faults(f"tls_server_config: {{{files}, client_auth_type: RequestClientCert}}") == [
        f"{kind}: 'RequestClientCert' | one of: {choices} (did you mean 'RequireAndVerifyClientCert'?)"
    ]
    wanted = "a certificate, its own key without a password, and certificates of authorities, as PEM"
    (mixed,) = faults(f"tls_server_config: {{cert_file: {ours.certificate}, key_file: {other.key}}}")
    assert mixed == f"1 tls_server_config: files that cannot be used (key values mismatch) | {wanted}"
    (tmp_path / "nonsense").write_text("nonsense")
    (broken,) = faults(f"tls_server_config: {{cert_file: {tmp_path}/nonsense, key_file: {other.key}}}")
    assert broken.endswith(f"| {wanted}")


# --- what a change does ----------------------------------------------------------------------------------------


def test_users_tokens_and_roles_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{ana: {HASH}}}\n")
    config = WebConfig(path, environ={})
    assert config.now().asks_everybody
    path.write_text(f"tokens: [{{name: bot, role: responder, hash: '{DIGEST}'}}]\n")
    assert config.now().users == {}
    assert config.now().tokens == {bytes.fromhex(DIGEST[7:]): Caller(Role.RESPONDER, "bot")}


@pytest.mark.parametrize("half", ["", "{}\n", "roles: {}\n"])
def test_a_file_that_is_just_being_written_lets_nobody_in_unasked(
    tmp_path: Path, half: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "web.yml"
    path.write_text("{}\n")
    config = WebConfig(path, environ={})
    assert not config.now().asks_everybody
    path.write_text(f"basic_auth_users: {{ana: {HASH}}}\n")
    assert config.now().asks_everybody
    path.write_text(half)
    assert set(config.now().users) == {"ana"}
    assert not config.successful
    assert "or a restart" in caplog.records[-1].__dict__["faults"]
    path.write_text(f"basic_auth_users: {{ben: {HASH}}}\n")
    assert set(config.now().users) == {"ben"}


@pytest.mark.parametrize("after", ["tokens: [\n", "tokens: 5\n", None])
def test_a_file_with_faults_leaves_the_one_before(
    tmp_path: Path, after: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{ana: {HASH}}}\n")
    config = WebConfig(path, environ={})
    path.unlink() if after is None else path.write_text(after)
    for _ in range(5):
        assert set(config.now().users) == {"ana"}
    assert not config.successful
    assert len(caplog.records) == 1  # said once, not with each request
    path.write_text(f"basic_auth_users: {{ben: {HASH}}}\n")
    assert set(config.now().users) == {"ben"}
    assert config.successful


def test_a_file_that_has_settled_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{ana: {HASH}}}\n")
    now = path.stat().st_mtime
    config = WebConfig(path, environ={}, clock=lambda: now + 3600)
    changed = path.stat()
    path.write_text(f"basic_auth_users: {{ben: {HASH}}}\n")  # as long, and made to look as old
    os.utime(path, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert set(config.now().users) == {"ben"}  # its inode still says that it changed
    path.write_text(f"basic_auth_users: {{cleo: {HASH}}}\n")
    assert set(config.now().users) == {"cleo"}


def test_tls_cannot_be_turned_on_while_a_program_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours = signed(tmp_path, authority(tmp_path), "localhost")
    path = tmp_path / "web.yml"
    path.write_text("{}\n")
    config = WebConfig(path, environ={})
    assert config.server_context() is None
    path.write_text(f"tls_server_config: {{cert_file: {ours.certificate}, key_file: {ours.key}}}\n")
    assert config.now().users == {}
    assert (config.speaks_tls, config.successful) == (False, False)
    assert "restart" in caplog.records[-1].__dict__["faults"]


# --- real connections ------------------------------------------------------------------------------------------


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def certificate_of(port: int, trusted: ssl.SSLContext) -> str:
    """The common name that the server shows, once it has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname="localhost")
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        if not (await reader.read()).endswith(b"hello"):  # by TLS 1.3 a client may write before it is refused
            raise ConnectionError("no answer")
        found = dict(part for parts in writer.get_extra_info("peercert")["subject"] for part in parts)
        return str(found["commonName"])
    finally:
        writer.close()


def put(pair: Pair, folder: Path) -> None:
    """As the certificate that the server uses."""
    (folder / "server.pem").write_bytes(pair.certificate.read_bytes())
    (folder / "server.key").write_bytes(pair.key.read_bytes())


@pytest.mark.parametrize("loop", [run, asyncio.run], ids=["uvloop", "asyncio"])
def test_a_new_certificate_is_shown_to_the_next_connection_and_half_a_change_is_not(
    tmp_path: Path, loop: object
) -> None:
    trusting = authority(tmp_path)
    first, second = (signed(tmp_path, trusting, name) for name in ("first", "second"))
    put(first, tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")

    async def test() -> None:
        config = WebConfig(tmp_path / "web.yml", environ={})
        app = web.Application()
        app.add_routes([web.get("/", hello)])
        trusted = ssl.create_default_context(cafile=trusting.certificate)
        address = parse_address("127.0.0.1:0")
        async with listening(app, [address], grace_seconds=1, tls=config.server_context()) as (url,):
            assert url.startswith("https://127.0.0.1:")
            port = int(url.rpartition(":")[2])
            assert await certificate_of(port, trusted) == "first"
            (tmp_path / "server.pem").write_bytes(second.certificate.read_bytes())
            assert await certificate_of(port, trusted) == "first"  # its key is not there yet
            assert not config.successful
            (tmp_path / "server.key").write_bytes(second.key.read_bytes())
            assert await certificate_of(port, trusted) == "second"
            assert config.successful

    loop(asyncio.wait_for(test(), 60))  # type: ignore[operator]


@pytest.mark.parametrize("loop", [run, asyncio.run], ids=["uvloop", "asyncio"])
def test_clients_show_certificates_of_the_authority_and_the_authority_can_change(tmp_path: Path, loop: object) -> None:
    trusting, stranger = authority(tmp_path), authority(tmp_path, "stranger")
    put(signed(tmp_path, trusting, "server-name"), tmp_path)
    known = signed(tmp_path, trusting, "known").client_context(trusting.certificate)
    unknown = signed(tmp_path, stranger, "unknown").client_context(trusting.certificate)
    bare = ssl.create_default_context(cafile=trusting.certificate)
    (tmp_path / "clients.pem").write_bytes(trusting.certificate.read_bytes())
    text = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: clients.pem, "
    (tmp_path / "web.yml").write_text(f"{text} client_auth_type: RequireAndVerifyClientCert}}\n")

    async def served(port: int, context: ssl.SSLContext) -> bool:
        try:
            return await certificate_of(port, context) == "server-name"
        except (ssl.SSLError, ConnectionError):
            return False

    async def test() -> None:
        config = WebConfig(tmp_path / "web.yml", environ={})
        app = web.Application()
        app.add_routes([web.get("/", hello)])
        address = parse_address("127.0.0.1:0")
        async with listening(app, [address], grace_seconds=1, tls=config.server_context()) as (url,):
            port = int(url.rpartition(":")[2])
            assert [await served(port, each) for each in (known, unknown, bare)] == [True, False, False]
            (tmp_path / "clients.pem").write_bytes(stranger.certificate.read_bytes())
            assert [await served(port, each) for each in (known, unknown, bare)] == [False, True, False]
            (tmp_path / "web.yml").write_text(f"{text} client_auth_type: VerifyClientCertIfGiven}}\n")
            assert [await served(port, each) for each in (unknown, bare)] == [True, True]

    loop(asyncio.wait_for(test(), 60))  # type: ignore[operator]


def test_versions_are_as_the_file_says(tmp_path: Path) -> None:
    trusting = authority(tmp_path)
    put(signed(tmp_path, trusting, "localhost"), tmp_path)
    text = "tls_server_config: {cert_file: server.pem, key_file: server.key, min_version: TLS13}\n"
    (tmp_path / "web.yml").write_text(text)
    old = ssl.create_default_context(cafile=trusting.certificate)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    async def test() -> None:
        config = WebConfig(tmp_path / "web.yml", environ={})
        app = web.Application()
        app.add_routes([web.get("/", hello)])
        address = parse_address("127.0.0.1:0")
        async with listening(app, [address], grace_seconds=1, tls=config.server_context()) as (url,):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await certificate_of(int(url.rpartition(":")[2]), old)

    run(asyncio.wait_for(test(), 60))
