"""The server over real connections: what it answers, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from guard import listen
from guard.access import Access
from guard.listen import CannotListen, parse_address
from guard.web.server import serving
from guard.webconfig import WebConfig
from tests.guard.certificates import authority, signed
from tests.guard.test_webconfig import certificate_of, put
from tests.guard.webserver import BIG, BODY_BYTES_MAX, get, opened, promptly, statuses

LOOPS = pytest.mark.parametrize("loop", [listen.run, asyncio.run], ids=["uvloop", "asyncio"])
Loop = Callable[..., Any]
CLOSE = "Connection: close"


def answered(*pieces: bytes, loop: Loop = listen.run, access: Access | None = None) -> bytes:
    async def scenario() -> bytes:
        async with opened(access=access) as server:
            return await server.exchange(*pieces)

    return bytes(promptly(scenario, loop))


@LOOPS
def test_an_answer_has_all_that_it_needs_and_nothing_else(loop: Loop) -> None:
    head, _, body = answered(get("/", CLOSE), loop=loop).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    names = [line.partition(":")[0] for line in lines[1:]]
    assert names == ["Content-Type", "Content-Length", "Date", "Connection", "X-Correlation-ID"]
    assert body == b"hello"


@LOOPS
def test_requests_that_come_at_once_are_answered_in_their_order(loop: Loop) -> None:
    posted = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    chunks = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
    answers = answered(
        get("/say/a/b") + posted + b"\r\n" + chunks + get("/nowhere") + get("/", CLOSE) + get("/"), loop=loop
    )
    assert statuses(answers) == [200, 200, 200, 404, 200]
    # A header with an identifier may hold some of these letters too.
    bodies = (b'{"word": "a", "other": "b"}', b"abc", b"de", b'{"error": "not found"}', b"hello")
    places = [answers.index(b"\r\n\r\n" + body) for body in bodies]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (get("/", version="1.0"), False),
        (get("/", "Connection: keep-alive", version="1.0"), True),
        (get("/", CLOSE), False),
        (get("/"), True),
    ],
)
def test_a_connection_stays_where_both_ends_can_know_it(request_: bytes, kept: bool) -> None:
    answers = answered(request_ + get("/", CLOSE))
    assert statuses(answers) == ([200, 200] if kept else [200])
    assert (b"Connection: keep-alive" in answers) is (kept and b"HTTP/1.0" in request_)


def test_head_is_get_without_the_body() -> None:
    answers = answered(get("/big").replace(b"GET", b"HEAD") + get("/", CLOSE))
    assert f"Content-Length: {len(BIG)}".encode() in answers
    assert len(answers) < 1000
    assert answers.endswith(b"hello")


def test_who_waits_to_be_told_to_go_on_is_told_and_who_does_not_is_not() -> None:
    async def scenario() -> None:
        async with opened() as server:
            reader, writer = await server.connect()
            writer.write(b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc" + get("/", CLOSE))
            assert statuses(await reader.read()) == [200, 200]
            writer.close()
            at_once = (
                b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n" + CLOSE.encode()
            )
            assert statuses(await server.exchange(at_once + b"\r\n\r\nabc")) == [200]
            too_much = at_once.replace(b"Length: 3", b"Length: 11") + b"\r\n\r\n"
            assert statuses(await server.exchange(too_much)) == [413]

    promptly(scenario, listen.run)


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (get("/nowhere", CLOSE), 404, "not found"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method not allowed"),
        (b"hello\r\n\r\n", 400, "this is no HTTP request"),
        (get("/", "Host: y"), 400, "the header host is there twice"),
        (get("/", "X: " + "y" * 20_000), 431, "the head is larger than 16384 bytes"),
        (
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n",
            413,
            f"the body is larger than {BODY_BYTES_MAX} bytes",
        ),
    ],
)
def test_each_refusal_is_json_and_says_why(request_: bytes, status: int, error: str) -> None:
    head, _, body = answered(request_).partition(b"\r\n\r\n")
    assert statuses(head) == [status]
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"error": error}


@LOOPS
def test_a_refusal_arrives_although_the_sender_goes_on_with_its_body(loop: Loop) -> None:
    large = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert statuses(answered(large, *[b"x" * 100_000] * 10, loop=loop)) == [413]


def test_a_mistake_of_ours_is_logged_whole_and_answered_without_details(caplog: pytest.LogCaptureFixture) -> None:
    answers = answered(get("/broken") + get("/", CLOSE))
    assert statuses(answers) == [500, 200]
    assert b"secret" not in answers
    (record,) = [each for each in caplog.records if each.name == "tocsin.listen"]
    assert (record.levelno, record.method, record.route) == (logging.ERROR, "GET", "/broken")  # type: ignore[attr-defined]
    assert "the secret ingredient is missing" in logging.Formatter().format(record)


def test_what_a_request_holds_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for data in (b"sesame\r\n\r\n", get("/", "Authorization: sesame", "Authorization: sesame"), get("/sesame\xff")):
        assert statuses(answered(data)) == [400]
    assert "sesame" not in " ".join(logging.Formatter().format(record) for record in caplog.records)


def test_headers_of_the_web_configuration_are_on_every_answer(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    access = Access(WebConfig(tmp_path / "web.yml", environ={}))
    for data in (get("/", CLOSE), get("/nowhere", CLOSE), get("/broken", CLOSE), b"hello\r\n\r\n", get("/", "Host: y")):
        assert answered(data, access=access).count(b"\r\nX-Frame-Options: deny\r\n") == 1


def test_a_request_tells_where_it_came_from(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened() as server:
            await server.exchange(get("/?a=1&a=&b", CLOSE))
            (request,) = server.told.requests
            assert (request.remote, request.local, request.secure) == ("127.0.0.1", ("127.0.0.1", server.port), False)
            assert (request.host, request.fields()) == ("x", [("a", "1"), ("a", ""), ("b", "")])

    promptly(scenario, listen.run)


@LOOPS
def test_over_tls_it_is_the_same(tmp_path: Path, loop: Loop) -> None:
    trusting = authority(tmp_path)
    ours = signed(tmp_path, trusting, "localhost")
    named = f"cert_file: {ours.certificate.name}, key_file: {ours.key.name}, client_ca_file: authority.pem"
    text = f"tls_server_config: {{{named}, client_auth_type: RequireAndVerifyClientCert}}\n"
    (tmp_path / "web.yml").write_text(text)
    client = signed(tmp_path, trusting, "client").client_context(trusting.certificate)

    async def scenario() -> None:
        web = WebConfig(tmp_path / "web.yml", environ={})
        async with (
            opened(tls=web.server_context()) as server,
            aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(ssl=client)) as session,
        ):
            assert server.url.startswith("https://")
            for _ in range(2):
                async with session.get("/big") as answer:
                    assert await answer.read() == BIG
            async with session.get("/") as answer:
                assert await answer.text() == "hello"
            assert server.told.requests[0].secure
            assert len(server.server) == 1
            async with session.post("/body", data=b"x" * 11) as answer:
                assert answer.status == 413

    promptly(scenario, loop)


@LOOPS
def test_a_new_certificate_is_shown_to_the_next_connection(tmp_path: Path, loop: Loop) -> None:
    trusting = authority(tmp_path)
    first, second = (signed(tmp_path, trusting, name) for name in ("first", "second"))
    put(first, tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    trusted = ssl.create_default_context(cafile=trusting.certificate)

    async def scenario() -> None:
        web = WebConfig(tmp_path / "web.yml", environ={})
        async with opened(tls=web.server_context()) as server:
            assert await certificate_of(server.port, trusted) == "first"
            put(second, tmp_path)
            assert await certificate_of(server.port, trusted) == "second"

    promptly(scenario, loop)


@LOOPS
def test_a_request_in_progress_is_answered_before_the_doors_are_closed(loop: Loop) -> None:
    async def scenario() -> bytes:
        async with opened(grace_seconds=30) as server:
            idle, idle_writer = await server.connect()
            reader, writer = await server.connect()
            writer.write(get("/slow") + get("/"))
            await server.told.begun.wait()
            asyncio.get_running_loop().call_later(0.05, server.told.go_on.set)
        assert await idle.read() == b""
        idle_writer.close()
        answers = await reader.read()
        writer.close()
        return answers

    answers = promptly(scenario, loop)
    assert statuses(answers) == [200]
    assert b"Connection: close" in answers


@LOOPS
def test_a_request_that_outlasts_the_grace_period_is_cut(loop: Loop) -> None:
    async def scenario() -> bytes:
        async with opened(grace_seconds=0) as server:
            reader, writer = await server.connect()
            writer.write(get("/slow"))
            await server.told.begun.wait()
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    assert promptly(scenario, loop) == b""


@LOOPS
def test_a_sender_that_hangs_up_does_not_interrupt_a_door(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened() as server:
            _, writer = await server.connect()
            writer.write(get("/slow"))
            await server.told.begun.wait()
            # With what is unread thrown away, as a process that is killed leaves it.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            while len(server.server):  # noqa: ASYNC110 - nothing else tells of it
                await asyncio.sleep(0.001)
            server.told.go_on.set()
            await server.told.finished.wait()

    promptly(scenario, loop)


@LOOPS
@pytest.mark.parametrize("secure", [False, True])
def test_when_one_address_fails_none_stays_open(loop: Loop, secure: bool) -> None:
    async def scenario() -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secure else None
        async with opened() as first:
            addresses = [parse_address("127.0.0.1:0"), parse_address(f"127.0.0.1:{first.port}")]
            with pytest.raises(CannotListen, match="the port is taken"):
                async with serving(first.server, addresses, grace_seconds=1, tls=tls):
                    pass

    promptly(scenario, loop)
