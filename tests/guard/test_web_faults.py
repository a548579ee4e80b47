"""Whoever is slow, silent, greedy or gone costs little, and nobody else anything."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from guard import listen
from guard.web.connection import AHEAD_BYTES_MAX, PIECE_BYTES
from guard.web.server import Limits
from guard.webconfig import WebConfig
from tests.guard.certificates import authority, signed
from tests.guard.webserver import BIG, Open, get, opened, promptly, statuses, until

LOOPS = pytest.mark.parametrize("loop", [listen.run, asyncio.run], ids=["uvloop", "asyncio"])
Loop = Callable[..., Any]
CLOSE = "Connection: close"
BEGUN = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


@LOOPS
@pytest.mark.parametrize(
    ("sent", "status"), [(b"GET / HTTP/1.1\r\nHost", [408]), (BEGUN + b"a", [408]), (b"", []), (b"\r\n", [])]
)
def test_a_request_that_does_not_come_to_its_end_is_given_up(loop: Loop, sent: bytes, status: list[int]) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(head_seconds=0.2, body_seconds=0.2)) as server:
            assert statuses(await server.exchange(sent)) == status
            assert server.told.cut == ({"slow": 1} if status else {})

    promptly(scenario, loop)


def test_a_head_that_drips_is_not_waited_for_longer_than_one_that_stalls() -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(head_seconds=0.3)) as server:
            reader, writer = await server.connect()
            answer = asyncio.ensure_future(reader.read())
            writer.write(b"GET / HTTP/1.1\r\nA: ")
            began = asyncio.get_running_loop().time()
            while not answer.done():
                writer.write(b"b")
                await asyncio.sleep(0.01)
            assert statuses(answer.result()) == [408]
            assert asyncio.get_running_loop().time() - began < 5
            writer.close()

    promptly(scenario, listen.run)


def test_who_asks_nothing_more_is_let_go_and_who_does_is_not() -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(idle_seconds=0.3, head_seconds=30)) as server:
            reader, writer = await server.connect()
            for _ in range(3):
                writer.write(get("/"))
                assert await reader.readuntil(b"hello")
            assert await reader.read() == b""
            assert server.told.cut == {}
            writer.close()

    promptly(scenario, listen.run)


@LOOPS
def test_a_door_may_take_its_time(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(head_seconds=0.05, body_seconds=0.05, idle_seconds=0.05)) as server:
            asking = asyncio.ensure_future(server.exchange(get("/slow", CLOSE)))
            await server.told.begun.wait()
            asyncio.get_running_loop().call_later(0.3, server.told.go_on.set)
            assert statuses(await asking) == [200]

    promptly(scenario, loop)


@LOOPS
def test_who_never_reads_costs_pieces_and_not_pages_and_is_cut_off(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(answer_seconds=0.5)) as server:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", server.port))
            small.setblocking(False)
            small.sendall(get("/big") * 20)
            await until(lambda: len(server.server) == 1)
            (connection,) = server.server.connections
            held = 0
            while not server.told.cut["slow"]:
                held = max(held, connection.held_bytes)
                await asyncio.sleep(0.001)
            # One page's pieces, and what was asked behind it; the other nineteen were not even begun.
            assert held <= 2 * PIECE_BYTES + AHEAD_BYTES_MAX
            await until(lambda: len(server.server) == 0)
            small.close()
            assert statuses(await server.exchange(get("/", CLOSE))) == [200]

    promptly(scenario, loop)


@LOOPS
def test_who_reads_slowly_gets_all_of_it(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
            writer.write(get("/big", CLOSE))
            await reader.readuntil(b"\r\n\r\n")
            parts = []
            while part := await reader.read(50_000):
                parts.append(part)
                await asyncio.sleep(0)
            assert b"".join(parts) == BIG
            writer.close()

    promptly(scenario, loop)


@LOOPS
def test_a_deadline_that_is_over_already_costs_nobody_else_anything(loop: Loop) -> None:
    """As of a connection that is cut, and is not gone yet, when others go on."""

    async def scenario() -> None:
        async with opened() as server:
            reader, writer = await server.connect()
            await until(lambda: len(server.server) == 1)
            (connection,) = server.server.connections
            now = asyncio.get_running_loop().time()
            for ago in (1.0, 2.0, 3.0):
                server.server.watch(now - ago)
            connection.deadline = now - 1.0
            connection.overdue()
            assert connection.deadline is None or connection.deadline > now
            assert statuses(await server.exchange(get("/", CLOSE))) == [200]
            assert await reader.read() == b""
            writer.close()

    promptly(scenario, loop)


@LOOPS
def test_connections_for_nothing_keep_out_nobody_who_asks_something(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(connections=50)) as server:
            idle = [await server.connect() for _ in range(200)]
            assert statuses(await server.exchange(get("/", CLOSE))) == [200]
            await until(lambda: len(server.server) <= 50)
            assert server.told.cut["crowded"] >= 150
            # Those who came first went first.
            assert await idle[0][0].read() == b""
            idle[-1][1].write(get("/", CLOSE))
            assert statuses(await idle[-1][0].read()) == [200]
            for _, writer in idle:
                writer.close()

    promptly(scenario, loop)


def test_when_all_are_at_work_a_new_one_is_told_to_come_back() -> None:
    async def scenario() -> None:
        async with opened(limits=Limits(connections=2)) as server:
            busy = [await server.connect() for _ in range(2)]
            for _, writer in busy:
                writer.write(get("/slow", CLOSE))
            await server.told.begun.wait()
            await until(lambda: not any(each.can_be_spared for each in server.server.connections))
            refused = await server.exchange()
            assert statuses(refused) == [503]
            assert b"Retry-After: 1\r\n" in refused
            server.told.go_on.set()
            for reader, writer in busy:
                assert statuses(await reader.read()) == [200]
                writer.close()

    promptly(scenario, listen.run)


@LOOPS
@pytest.mark.parametrize(
    "asked", [BEGUN, get("/big")], ids=["a body that does not come", "an answer that nobody reads"]
)
def test_one_address_that_is_waited_for_keeps_out_no_other(loop: Loop, asked: bytes) -> None:
    def greedy(port: int) -> socket.socket:
        ours = socket.socket()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        ours.bind(("127.0.0.2", 0))
        ours.connect(("127.0.0.1", port))
        ours.sendall(asked)
        return ours

    async def scenario() -> None:
        async with opened(limits=Limits(connections=5)) as server:
            with ExitStack() as all_of_them:
                for _ in range(5):
                    all_of_them.enter_context(greedy(server.port))
                await until(lambda: [each.holds_a_place for each in server.server.connections] == [True] * 5)
                refused = all_of_them.enter_context(greedy(server.port))
                await until(lambda: server.told.cut["crowded"] == 1)
                assert statuses(refused.recv(4_096)) == [503]
                for _ in range(2):
                    assert statuses(await server.exchange(get("/", CLOSE))) == [200]
                assert server.told.cut["crowded"] >= 2

    promptly(scenario, loop)


@LOOPS
def test_more_requests_at_once_than_are_kept_are_all_answered_in_the_end(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened() as server:
            many = 5_000
            answers = await server.exchange(get("/") * many + get("/", CLOSE))
            assert statuses(answers) == [200] * (many + 1)

    promptly(scenario, loop)


@LOOPS
def test_what_was_asked_by_one_who_sends_no_more_is_answered(loop: Loop) -> None:
    async def scenario() -> None:
        async with opened() as server:
            reader, writer = await server.connect()
            writer.write(get("/") * 3 + b"GET / HTT")
            writer.write_eof()
            assert statuses(await reader.read()) == [200] * 3 + [400]
            writer.close()
            reader, writer = await server.connect()
            writer.write(BEGUN + b"a")
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()

    promptly(scenario, loop)


async def answered(server: Open, trusted: ssl.SSLContext) -> None:
    """Who asks over TLS as one should is told."""
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=trusted)
    writer.write(get("/", CLOSE))
    assert statuses(await reader.read()) == [200]
    writer.close()


@LOOPS
def test_a_handshake_that_stalls_keeps_out_nobody_and_is_cut_off(tmp_path: Path, loop: Loop) -> None:
    tls, trusted = both_ends_of_tls(tmp_path)

    async def scenario() -> None:
        async with opened(tls=tls, limits=Limits(handshake_seconds=1.0)) as server:
            stalled = [await server.connect() for _ in range(20)]
            for _, writer in stalled[:10]:
                writer.write(b"\x16\x03\x01\x02\x00\x01")
            plain = [await server.connect() for _ in range(5)]
            for _, writer in plain:
                writer.write(get("/"))
            await answered(server, trusted)
            for each, each_writer in stalled + plain:
                assert b"HTTP" not in await ended(each)
                each_writer.close()
            assert server.told.cut == {"slow": 20}

    promptly(scenario, loop)


@LOOPS
def test_only_so_many_may_be_at_a_handshake(tmp_path: Path, loop: Loop) -> None:
    tls, trusted = both_ends_of_tls(tmp_path)

    async def scenario() -> None:
        async with opened(tls=tls, limits=Limits(handshakes=5)) as server:
            stalled = [await server.connect() for _ in range(20)]
            await until(lambda: server.told.cut["crowded"] == 15)
            # Those who came first went first; who comes now does not wait for those who stall.
            assert await stalled[0][0].read() == b""
            await answered(server, trusted)
            for _, each_writer in stalled:
                each_writer.close()

    promptly(scenario, loop)


@LOOPS
def test_who_never_reads_over_tls_costs_pieces_too(tmp_path: Path, loop: Loop) -> None:
    tls, trusted = both_ends_of_tls(tmp_path)

    async def scenario() -> None:
        async with opened(tls=tls, limits=Limits(answer_seconds=0.5)) as server:
            reader, writer = await asyncio.open_connection("localhost", server.port, ssl=trusted, limit=1000)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(get("/big") * 20)
            await until(lambda: len(server.server) == 1)
            (connection,) = server.server.connections
            held = 0
            while not server.told.cut["slow"]:
                held = max(held, connection.held_bytes)
                await asyncio.sleep(0.001)
            assert held <= 3 * PIECE_BYTES + AHEAD_BYTES_MAX
            await until(lambda: len(server.server) == 0)
            writer.transport.abort()
            del reader

    promptly(scenario, loop)


def both_ends_of_tls(folder: Path) -> tuple[ssl.SSLContext | None, ssl.SSLContext]:
    """What a server listens with, and a client that believes it."""
    trusting = authority(folder)
    ours = signed(folder, trusting, "localhost")
    named = f"{{cert_file: {ours.certificate.name}, key_file: {ours.key.name}}}"
    (folder / "web.yml").write_text(f"tls_server_config: {named}\n")
    web = WebConfig(folder / "web.yml", environ={})
    return web.server_context(), ssl.create_default_context(cafile=trusting.certificate)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came before the end, however the end came."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""
