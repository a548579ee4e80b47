"""The prober http, against servers that answer well, badly, and never."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from tests.exporter.builders import SURELY, promptly
from tests.exporter.probing import (
    SHORT_SECONDS,
    Serve,
    ask,
    endless,
    file_with,
    open_files,
    says,
    server,
    silent,
    values,
)
from tests.guard.certificates import authority, signed

ALLOW = "allow: ['127.0.0.1', '::1', localhost]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def module(http: str = "{}") -> str:
    return f"probes: {{{ALLOW}, modules: {{m: {{prober: http, http: {http}}}}}}}"


async def asked(
    serve: Serve, http: str = "{}", *, path: str = "/", seconds: float = SURELY
) -> "tuple[str, dict[str, float]]":
    """Why it failed, and what was found."""
    async with server(serve) as port:
        found = await ask(module(http), "m", f"http://127.0.0.1:{port}{path}", seconds=seconds)
    assert found.success is (found.reason == "")
    return found.reason, dict(values(found))


def test_a_page_is_fetched_and_its_phases_add_up() -> None:
    reason, found = promptly(asked(says(FINE)))
    assert reason == ""
    assert found["probe_http_status_code"] == 200
    assert found["probe_http_content_length"] == 5
    assert found["probe_http_uncompressed_body_length"] == 5
    assert found["probe_http_version"] == 1.1
    assert found["probe_http_ssl"] == 0
    assert found["probe_ip_protocol"] == 4
    assert found["probe_dns_lookup_time_seconds"] == 0
    assert found["probe_http_duration_seconds{processing}"] > 0


@pytest.mark.parametrize(
    ("answer", "http", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "{}", "status"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "{valid_status_codes: [404]}", ""),
        (FINE, "{valid_status_codes: [404]}", "status"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "{}", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "{valid_http_versions: [HTTP/1.1]}", "protocol"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + FINE, "{}", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "{}", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "{method: HEAD}", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "{}", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "{}", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "{}", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-", "{}", "closed"),
        (b"", "{}", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "{}", "protocol"),
        (bytes(range(256)) * 10, "{}", "protocol"),
        (FINE, "{fail_if_body_not_matches_regexp: [hell]}", ""),
        (FINE, "{fail_if_body_not_matches_regexp: ['h.*o', 'l+']}", ""),
        (FINE, "{fail_if_body_not_matches_regexp: ['h.*o', 'z+']}", "content"),
        (FINE, "{fail_if_body_matches_regexp: [hell]}", "content"),
        (FINE, "{fail_if_body_matches_regexp: [HELL]}", ""),
        (FINE, "{fail_if_header_not_matches: [{header: content-length, regexp: '^5$'}]}", ""),
        (FINE, "{fail_if_header_matches: [{header: Content-Length, regexp: '^5$'}]}", "content"),
        (FINE, "{fail_if_header_matches: [{header: X-Gone, regexp: x}]}", "content"),
        (FINE, "{fail_if_header_matches: [{header: X-Gone, regexp: x, allow_missing: true}]}", ""),
        (FINE, "{fail_if_not_ssl: true}", "tls"),
        (FINE, "{body_bytes_max: 4}", "too_large"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", "{}", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\n\r\n", "{}", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: gopher://127.0.0.1/\r\n\r\n", "{}", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://u:p@127.0.0.1/\r\n\r\n", "{}", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "{}", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "{follow_redirects: false}", "status"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", "{valid_status_codes: [302]}", ""),
    ],
)  # fmt: skip
def test_an_answer_is_judged_as_the_module_says(answer: bytes, http: str, reason: str) -> None:
    found, _ = promptly(asked(says(answer), http))
    assert found == reason


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (silent, "timeout"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "too_large"),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000), "too_large"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "too_large"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 60_000), "too_large"),
        (endless(CHUNKED, b"1;" + b"x" * 500 + b"\r\nz\r\n"), "too_large"),
        (endless(CHUNKED + b"0\r\n", b"X-A: bbbbbbb\r\n"), "too_large"),
    ],
)  # fmt: skip
def test_nothing_is_endless_and_nothing_is_left(serve: Serve, reason: str) -> None:
    async def scenario() -> str:
        before, tasks = open_files(), len(asyncio.all_tasks())
        seconds = SHORT_SECONDS if reason == "timeout" else SURELY
        began = time.monotonic()
        found, _ = await asked(serve, seconds=seconds)
        assert reason != "timeout" or time.monotonic() - began < SHORT_SECONDS + 5
        for _ in range(100):
            await asyncio.sleep(0)
        assert open_files() <= before
        assert len(asyncio.all_tasks()) == tasks
        return found

    assert promptly(scenario()) == reason


def test_who_drips_is_given_up_in_time() -> None:
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        for each in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000:
            writer.write(bytes([each]))
            done = loop.create_future()
            loop.call_later(0.02, done.set_result, None)
            await done

    reason, found = promptly(asked(drips, seconds=SHORT_SECONDS))
    assert reason == "timeout"
    assert found["probe_http_status_code"] == 0


def test_a_costly_expression_holds_up_nobody() -> None:
    async def scenario() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"a" * 99 + b"!"
        began = time.monotonic()
        probing = asyncio.create_task(asked(says(answer), "{fail_if_body_matches_regexp: ['(a+)+$']}", seconds=1.0))
        turns = 0
        while not probing.done():
            turns += 1
            await asyncio.wait([probing], timeout=0.01)
        reason, _ = await probing
        assert reason == "timeout"
        assert turns > 10
        assert time.monotonic() - began < 20

    promptly(scenario())


def test_redirects_are_followed_and_credentials_stay_with_who_was_asked(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def scenario() -> None:
        async def second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(FINE)
            await writer.drain()

        async with server(second) as other:

            async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                to = b"/next" if b"/next" not in heads[-1] else b"http://127.0.0.1:%d/there?token=t0p" % other
                writer.write(b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: " + to + b"\r\n\r\n")
                await writer.drain()

            password = file_with(tmp_path, "password", "s3cret\n")
            http = f"{{basic_auth: {{username: ana, password_file: '{password}'}}, headers: {{X-Way: here}}}}"
            async with server(first) as port:
                found = await ask(module(http), "m", f"127.0.0.1:{port}", hostname="shop.example")
            assert found.success, found.notes
            assert values(found)["probe_http_redirects"] == 2
            assert not any("t0p" in note or "s3cret" in note for note in found.notes)

    promptly(scenario())
    assert [b"Authorization: Basic YW5hOnMzY3JldA==" in head for head in heads] == [True, True, False]
    assert [b"Host: shop.example\r\n" in head for head in heads] == [True, True, False]
    assert [b"X-Way: here" in head for head in heads] == [True, True, True]


def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    token = file_with(tmp_path, "token", "abc")

    async def scenario() -> list[str]:
        async def wants(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(FINE if b"Bearer def" in head else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

        text = module(f"{{bearer_token_file: '{token}'}}")
        reasons = []
        async with server(wants) as port:
            reasons.append((await ask(text, "m", f"127.0.0.1:{port}")).reason)
            token.write_text("def\n")
            reasons.append((await ask(text, "m", f"127.0.0.1:{port}")).reason)
            token.write_text("a\nX-Evil: 1")
            reasons.append((await ask(text, "m", f"127.0.0.1:{port}")).reason)
        return reasons

    assert promptly(scenario()) == ["status", "", "secret"]


def test_tls_is_verified_and_its_certificate_told(tmp_path: Path) -> None:
    ours = authority(tmp_path)
    pair = signed(tmp_path, ours, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    async def scenario() -> None:
        listening = await asyncio.start_server(says(FINE), "127.0.0.1", 0, ssl=context)
        async with listening:
            port = listening.sockets[0].getsockname()[1]

            async def over_tls(
                tls: str, host: str = "127.0.0.1", hostname: str = ""
            ) -> "tuple[str, dict[str, float], list[str]]":
                text = module(f"{{tls_config: {tls}}}")
                found = await ask(text, "m", f"https://{host}:{port}/", hostname=hostname)
                return found.reason, dict(values(found)), list(found.notes)

            believed = f"ca_file: '{ours.certificate}'"
            reason, found, notes = await over_tls(f"{{{believed}}}")
            assert reason == "", notes
            assert found["probe_http_ssl"] == 1
            assert found["probe_tls_version_info{TLS 1.3}"] == 1
            assert 0 < found["probe_ssl_earliest_cert_expiry"] - time.time() < 3 * 86_400
            reason, found, notes = await over_tls("{}")
            assert reason == "tls"
            assert "certificate" in notes[-1]
            assert (await over_tls(f"{{{believed}, server_name: other.example}}"))[0] == "tls"
            assert (await over_tls(f"{{{believed}}}", "localhost"))[0] == ""
            assert (await over_tls(f"{{{believed}}}", hostname="localhost:8443"))[0] == ""
            assert (await over_tls(f"{{{believed}}}", hostname="other.example"))[0] == "tls"
            reason, _, notes = await over_tls(f"{{{believed}, server_name: a..b}}")
            assert reason == "tls"
            assert "cannot be one" in notes[-1]
            reason, found, _ = await over_tls("{insecure_skip_verify: true}")
            assert reason == ""
            assert found["probe_ssl_earliest_cert_expiry"] > time.time()

    promptly(scenario())


def test_a_server_without_tls_is_no_server_with_it() -> None:
    async def scenario() -> str:
        async with server(says(FINE)) as port:
            return (await ask(module(), "m", f"https://127.0.0.1:{port}", seconds=SHORT_SECONDS)).reason

    assert promptly(scenario()) in ("tls", "timeout", "closed")


def test_ipv6_is_asked_as_well() -> None:
    async def scenario() -> None:
        async with server(says(FINE), host="::1") as port:
            found = await ask(module(), "m", f"http://[::1]:{port}/")
        assert found.success, found.notes
        assert values(found)["probe_ip_protocol"] == 6

    promptly(scenario())


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://", "http://127.0.0.1:99999", "a b"]
)
def test_what_is_no_url_is_told_so_without_being_repeated(target: str) -> None:
    found = promptly(ask(module(), "m", target))
    assert found.reason == "target"
    assert target not in found.notes[-1]
