"""The quick way to the webhook door answers what the framework's way answers, whatever comes and however it is cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guard import listen
from guard.access import Approach
from receiver.doors.quick import AHEAD_BYTES_MAX, HEAD_BYTES_MAX, Quick, read_head
from receiver.sources import Sources
from tests.receiver.builders import SURELY, named, webhook
from tests.receiver.world import World, receiver, run

POLICY = "sources: {am: {}, eu1: {token_file: eu1.token}}\n"
BODY = webhook()
HEAD = b"POST /webhook/am HTTP/1.1\r\nHost: t\r\n"
LAST = HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
# The longest by which a body may be shorter than its length says, so that LAST is never wholly part of a body.
SWALLOWED_MAX = 20


class Wire(asyncio.Transport):
    """A connection in memory: what is written is kept, and closing is told to the protocol."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = b""
        self.reading = asyncio.Event()
        self.reading.set()
        self.closed = asyncio.Event()
        self._protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def write(self, data: Any) -> None:
        if not self.closed.is_set():
            self.written += bytes(data)

    def close(self) -> None:
        if not self.closed.is_set() and self._protocol is not None:
            self.closed.set()
            self.reading.set()  # nobody need wait for that any more
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()


class OneByOne(asyncio.Protocol):
    """The framework, fed so that it sees one request at a time: of bytes that come at once and end in what is no HTTP,
    it answers nothing but that."""

    def __init__(self, framework: Any) -> None:
        self._framework = framework
        self._waiting = bytearray()
        self._feeding: asyncio.Task[None] | None = None
        self.connection_made = framework.connection_made  # type: ignore[method-assign]
        self.connection_lost = framework.connection_lost  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        if self._feeding is None or self._feeding.done():
            self._feeding = asyncio.create_task(self._feed())

    async def _feed(self) -> None:
        while self._waiting and self._framework.transport is not None:
            self._framework.data_received(bytes(self._waiting[:1]))
            del self._waiting[:1]
            # Once its connection is closed it looks at nothing more.
            while self._framework._messages and self._framework.transport is not None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)


async def answers(protocol: asyncio.Protocol, pieces: Sequence[bytes]) -> list[tuple[int, Any]]:
    """What is answered to bytes that come in these pieces, until the connection is closed."""
    wire = Wire()
    wire.set_protocol(protocol)
    protocol.connection_made(wire)
    async with asyncio.timeout(SURELY):
        for piece in pieces:
            await wire.reading.wait()
            if not wire.closed.is_set():
                wire.get_protocol().data_received(piece)
            await asyncio.sleep(0)
        await wire.closed.wait()
    return split(wire.written)


def split(written: bytes) -> list[tuple[int, Any]]:
    """Status and what is said, of each answer; the position in the journal is a different one each time."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n"))}
        length = int(headers.get(b"content-length", 0))  # 100 Continue has none
        body, written = rest[:length], rest[length:]
        said = json.loads(body) if headers.get(b"content-type", b"").startswith(b"application/json") else ""
        if isinstance(said, dict):
            said.pop("position", None)
        extra = [headers.get(name) for name in (b"retry-after", b"www-authenticate", b"allow")]
        found.append((int(head[9:12]), (said, extra)))
    return found


def post(
    body: bytes = BODY, *, length: object = None, more: bytes = b"", line: bytes = b"POST /webhook/am HTTP/1.1"
) -> bytes:
    length = len(body) if length is None else length
    return line + b"\r\nHost: t\r\n" + more + f"Content-Length: {length}\r\n\r\n".encode() + body


BODIES = st.sampled_from(
    [BODY, webhook([]), webhook(version="3"), b"", b"{", b"[1]", BODY * 2, b"\xff\xfe", b"x" * 300]
)
LINES = st.sampled_from(
    [
        b"POST /webhook/am HTTP/1.1",
        b"POST /webhook/eu1 HTTP/1.1",
        b"POST /webhook/eu2 HTTP/1.1",
        b"POST /webhook/.am HTTP/1.1",
        b"POST /webhook/a%6d HTTP/1.1",
        b"POST /webhook/am?x=1 HTTP/1.1",
        b"POST /webhook/am/ HTTP/1.1",
        b"POST /webhook/am HTTP/1.0",
        b"POST /webhook/am  HTTP/1.1",
        b"POST /webhook/am",
        b"PUT /webhook/am HTTP/1.1",
        b"post /webhook/am HTTP/1.1",
        b"POST http://t/webhook/am HTTP/1.1",
        b"\r\nPOST /webhook/am HTTP/1.1",
        b"GET /-/healthy HTTP/1.1",
        b"nonsense",
    ]
)
MORE = st.sampled_from(
    [
        b"Authorization: Bearer one\r\n",
        b"Authorization: Bearer two\r\n",
        b"authorization:Bearer one\r\n",
        b"Authorization: Bearer one\r\nAuthorization: Bearer two\r\n",
        b"User-Agent: Alertmanager/0.28.0\r\nContent-Type: application/json\r\n",
        b"X-Anything: \x01\r\n",
        b"X-Anything: caf\xc3\xa9\r\n",
        b"X-Null: a\x00b\r\n",
        b"X-Folded: a\r\n b\r\n",
        b"X-Bare: a\nX-Other: b\r\n",
        b"X-Return: a\rb\r\n",
        b"Content-Length : 3\r\n",
        b" Content-Length: 3\r\n",
        b"Content-Length: 3\r\n",
        b"Host: other\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\n",
        b"Origin: http://evil.example\r\n",
        b"Connection: keep-alive\r\n",
        b"No colon\r\n",
        b": no name\r\n",
        b"X-Empty:\r\n",
        b"X-Long: " + b"x" * HEAD_BYTES_MAX + b"\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(130)),
    ]
)
LENGTHS = st.sampled_from(["+5", "-1", "0x5", "5 5", "5,5", "", "007", "1e1", "99999999999999999999", "\t5 "])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    body, more = draw(BODIES), b"".join(draw(st.lists(MORE, max_size=2)))
    off_by = draw(st.sampled_from([0, 0, 0, 0, -1, 1, SWALLOWED_MAX]))
    length: object = draw(LENGTHS) if draw(st.integers(0, 9)) == 0 else max(0, len(body) + off_by)
    return post(body, length=length, more=more, line=draw(LINES))


PLAIN = st.builds(
    post,
    BODIES,
    more=st.sampled_from([b"", b"Authorization: Bearer one\r\n"]),
    line=LINES.filter(lambda line: b"webhook/eu1" in line or line == b"POST /webhook/am HTTP/1.1"),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Asks the quick way and the framework's way the same, in front of one door."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "eu1.token").write_text("one\n")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> tuple[World, Any]:
            world = await stack.enter_async_context(receiver(folder, policy=POLICY))
            behind = web.AppRunner(world.app, access_log=None)
            await behind.setup()
            stack.push_async_callback(behind.cleanup)
            server: Any = behind.server
            return world, lambda: OneByOne(server())

        world, behind = runner.run(start())

        async def ask(pieces: Sequence[bytes]) -> tuple[Any, Any]:
            found = []
            for protocol in (Quick(world.door).connection(behind), behind()):
                before = await world.refused()
                said = await answers(protocol, pieces)
                after = await world.refused()
                counted = {reason: after[reason] - before.get(reason, 0) for reason in after}
                found.append((said, {reason: count for reason, count in counted.items() if count}))
            return found[0], found[1]

        yield lambda pieces: runner.run(ask(pieces))
        runner.run(stack.aclose())


@settings(max_examples=120)
@given(st.lists(st.one_of(PLAIN, requests()), min_size=1, max_size=4), st.lists(st.integers(0, 10_000), max_size=6))
@example([post(length=3)], [])
@example([post(more=b"Content-Length: 3\r\n")], [1])
@example([post(BODY * 2, line=b"POST /webhook/eu2 HTTP/1.1"), post()], [40, 300])
@example([post()] * 4, list(range(0, 1000, 170)))
def test_the_answers_are_those_of_the_framework_wherever_the_bytes_are_cut(
    both: Any, asked: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(asked) + LAST
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    quick, framework = both([stream[begin:end] for begin, end in pairwise(places) if begin < end])
    assert quick == framework
    assert quick[0]


def test_byte_by_byte_is_one_webhook(both: Any) -> None:
    stream = post() + LAST
    quick, framework = both([stream[place : place + 1] for place in range(len(stream))])
    assert quick == framework
    assert [status for status, _ in quick[0]] == [200, 400]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /webhook/am HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n",
        b"POST /webhook/am HTTP/1.1\r\nhost: [::1]:29093\r\ncontent-length:5\r\nX-Any: \t thing \r\n\r\n",
    ],
)
def test_what_alertmanager_sends_is_understood(head: bytes) -> None:
    understood = read_head(head)
    assert understood is not None
    assert (understood.source, understood.body_bytes) == ("am", 5)


@pytest.mark.parametrize(
    "more",
    [
        *(b"Content-Length: 5\r\n", b"content-length:5\r\n", b"Host: t\r\n", b"X: a\r\nX: b\r\n", b"X: a\r\n b\r\n"),
        *(b"X : a\r\n", b" X: a\r\n", b"X: a\nY: b\r\n", b"X: a\rY\r\n", b"X: \x00\r\n", b"X: \x7f\r\n", b"X\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: x\r\n", b"Expect: 100-continue\r\n"),
        *(b"Content-Encoding: gzip\r\n", b"Upgrade: h2c\r\n", b"Origin: null\r\n", b"Connection: close\r\n"),
    ],
)
def test_what_is_not_plainly_a_webhook_is_left_to_the_framework(more: bytes) -> None:
    assert read_head(HEAD + b"Content-Length: 5\r\n\r\n") is not None
    assert read_head(HEAD + more + b"Content-Length: 5\r\n\r\n") is None


def begun(front: Quick) -> tuple[asyncio.Protocol, Wire]:
    """A connection in memory, behind which is nothing."""
    wire, protocol = Wire(), front.connection(asyncio.Protocol)
    wire.set_protocol(protocol)
    protocol.connection_made(wire)
    return protocol, wire


async def connected(world: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))


@pytest.mark.parametrize("loop", [run, listen.run], ids=["asyncio", "uvloop"])
def test_on_one_connection_webhooks_and_everything_else_take_turns(tmp_path: Path, loop: Any) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            reader, writer = await connected(world)
            asked = [post(webhook([named(f"N{number}")])) for number in range(50)]
            asked[30:30] = [b"GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\n"]
            writer.write(b"".join(asked) + LAST)
            said = split(await asyncio.wait_for(reader.read(), SURELY))
            assert [status for status, _ in said] == [200] * 51 + [400]
            writer.close()

    loop(test())


@pytest.mark.parametrize("loop", [run, listen.run], ids=["asyncio", "uvloop"])
def test_a_sender_that_half_closes_is_answered(tmp_path: Path, loop: Any) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            reader, writer = await connected(world)
            writer.write(post() * 3)
            writer.write_eof()
            said = split(await asyncio.wait_for(reader.read(), SURELY))
            assert [status for status, _ in said] == [200] * 3
            writer.close()

    loop(test())


@pytest.mark.parametrize("loop", [run, listen.run], ids=["asyncio", "uvloop"])
def test_a_sender_that_vanishes_loses_nothing_that_was_whole_and_holds_no_room(tmp_path: Path, loop: Any) -> None:
    async def test() -> None:
        async with receiver(tmp_path, door={"arriving_bytes_max": 1100}) as world:
            _, writer = await connected(world)
            writer.write(post() + post(length=1000))
            await writer.drain()
            await world.until(lambda: world.metrics.webhooks._value.get() == 2)
            writer.transport.abort()
            async with asyncio.timeout(SURELY):
                while (await world.post(webhook()))[0] != 200:
                    pass
            await world.decided()
            (only,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            assert only["alerts"] == {"firing": 1, "resolved": 0}

    loop(test())


class Mistaken(Sources):
    """A door-keeper with a fault."""

    def _has_own_token(self, name: str, approach: Approach) -> bool:
        raise ZeroDivisionError("secret")


@pytest.mark.parametrize("loop", [run, listen.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("body_bytes", [len(BODY), 10])
def test_a_mistake_before_the_body_is_read_is_answered_500_counted_and_logged_as_by_the_framework(
    body_bytes: int, tmp_path: Path, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            world.door.sources = Mistaken({})
            reader, writer = await connected(world)
            writer.write(post(BODY[:body_bytes], length=len(BODY)))  # whole, or with more to come
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SURELY)
            said = json.loads(await asyncio.wait_for(reader.readuntil(b"}"), SURELY))
            assert head.startswith(b"HTTP/1.1 500 ")
            assert said == {"error": "internal error; the log of this process says more"}
            assert world.metrics.webhooks._value.get() == 1
            assert await world.refused() == {}
            if body_bytes == len(BODY):
                assert b"\r\nConnection: close\r\n" in head
                assert await asyncio.wait_for(reader.read(), SURELY) == b""
            writer.close()

    loop(test())
    (logged,) = [each for each in caplog.records if each.message == "a handler failed"]
    assert logged.exc_info
    assert (logged.__dict__["method"], logged.__dict__["route"]) == ("POST", "/webhook/{source}")


def test_a_sender_that_reads_no_answers_is_read_from_no_longer(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            protocol, wire = begun(Quick(world.door))
            protocol.data_received(post())
            protocol.pause_writing()  # by the transport, whose answers nobody reads
            while wire.reading.is_set():
                protocol.data_received(post())
            await world.decided()
            assert [status for status, _ in split(wire.written)] == [200]
            protocol.resume_writing()
            await asyncio.wait_for(wire.reading.wait(), SURELY)
            assert len(split(wire.written)) > AHEAD_BYTES_MAX / len(post())

    run(test())


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            front = Quick(world.door, keepalive_seconds=0.05)
            (_, idle), (protocol, busy) = begun(front), begun(front)
            protocol.data_received(post(length=len(BODY) + 1))
            await asyncio.wait_for(idle.closed.wait(), SURELY)
            assert (idle.written, busy.is_closing()) == (b"", False)
            protocol.data_received(b" ")
            await asyncio.wait_for(busy.closed.wait(), SURELY)
            assert [status for status, _ in split(busy.written)] == [200]
            await front.close(1.0)

    run(test())


def test_at_the_end_what_is_in_progress_is_answered_and_what_never_ends_is_cut(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            front = Quick(world.door)
            (_, idle), (asks, whole), (begins, half) = begun(front), begun(front), begun(front)
            asks.data_received(post() * 2)
            begins.data_received(post(length=1000))
            await asyncio.wait_for(front.close(0.2), SURELY)
            assert all(wire.is_closing() for wire in (idle, whole, half))
            assert (idle.written, half.written) == (b"", b"")
            assert [status for status, _ in split(whole.written)] == [200]
            assert b"\r\nConnection: close\r\n" in whole.written

    run(test())
