"""By what a request is found again: what is taken, what is replaced, and that each request has its own."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from guard import listen, log
from guard.framework import listening
from guard.listen import parse_address
from guard.trail import CORRELATION_CHARACTERS_MAX, CURRENT, Trail, made, read
from guard.web.server import Limits
from tests.guard.webserver import get, opened, promptly

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
UUID = "0b6f7a9e-93f2-4a3e-8f2f-5d1c2b3a4e5f"
MADE = re.compile("[0-9a-f]{32}")

NOT_TAKEN = [
    "",
    "short",
    "x" * (CORRELATION_CHARACTERS_MAX + 1),
    "two words here",
    "line\\nbreak-x",
    "ana@example.org",
    "192.168.178.23",
    "2001:db8::7334:1",
    "4111111111111111",
    "4111-1111-1111-1111",
    "004915112345678",
    "ünïcödé-id",
    "a" * 8 + "\0",
    "${jndi:ldap://x}",
    "<script>alert",
]


@pytest.mark.parametrize("value", [UUID, TRACE, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "build_42-retry"])
def test_an_identifier_in_a_common_form_is_taken_as_it_is(value: str) -> None:
    assert read(value, None) == Trail(value)


@pytest.mark.parametrize("value", NOT_TAKEN)
def test_what_could_be_anything_is_as_if_it_had_not_come(value: str) -> None:
    assert read(value, None) is None
    assert read(value, PARENT) == Trail(TRACE, PARENT)


@given(st.text())
def test_what_is_taken_can_stand_in_a_header_and_holds_no_address(value: str) -> None:
    trail = read(value, None)
    assert trail is None or (trail.correlation == value and re.fullmatch(r"[\w-]{8,64}", value, re.ASCII))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (PARENT, PARENT),
        (f"00-{TRACE}-00f067aa0ba902b7-00", f"00-{TRACE}-00f067aa0ba902b7-00"),
        (f"00-{TRACE}-00f067aa0ba902b7-ff", f"00-{TRACE}-00f067aa0ba902b7-03"),
        (f"cc-{TRACE}-00f067aa0ba902b7-01", PARENT),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later", PARENT),
    ],
)
def test_a_trace_goes_on_in_the_form_of_version_00(value: str, kept: str) -> None:
    assert read(None, value) == Trail(TRACE, kept)
    assert read(UUID, value) == Trail(UUID, kept)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        TRACE,
        PARENT.upper(),
        PARENT + "-more",
        PARENT[:-1],
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{TRACE}-00f067aa0ba902b7-01" + "-x" * 500,
        PARENT + "\n",
    ],
)
def test_a_trace_in_another_form_is_as_if_it_had_not_come(value: str) -> None:
    assert read(None, value) is None
    assert read(UUID, value) == Trail(UUID)


def test_what_is_made_is_never_made_twice_and_would_be_taken() -> None:
    several = [made().correlation for _ in range(100_000)]
    assert len(set(several)) == len(several)
    assert all(MADE.fullmatch(each) for each in several)
    assert read(several[0], None) == Trail(several[0])


# --- servers ---------------------------------------------------------------------------------------------------


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    stream = io.StringIO()
    log.set_up(format="json", level="debug", stream=stream)
    yield stream
    root.setLevel(level)
    root.handlers[:] = handlers


def identifiers(answers: bytes) -> list[str]:
    return [each.decode() for each in re.findall(rb"X-Correlation-ID: ([^\r]*)\r\n", answers, re.IGNORECASE)]


def told(logged: io.StringIO, message: str) -> list[tuple[object, object]]:
    events = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [(each.get("correlation_id"), each.get("trace_id")) for each in events if each["message"] == message]


FIRST = get("/", f"X-Correlation-ID: {UUID}", f"Traceparent: {PARENT}")
REQUESTS = (
    FIRST,
    get("/nowhere", "x-correlation-id: " + UUID[::-1]),
    get("/"),
    get("/", "X-Correlation-ID: ana@example.org"),
    get("/", f"X-Correlation-ID: {UUID}", "X-Correlation-ID: other-one"),
    get("/broken", f"traceparent: {PARENT}", "Connection: close"),
)


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def broken(_: web.Request) -> web.Response:
    raise LookupError("the secret ingredient is missing")


async def asked_of_ours(requests: tuple[bytes, ...]) -> bytes:
    async with opened() as server:
        return await server.exchange(b"".join(requests))


async def asked_of_the_framework(requests: tuple[bytes, ...]) -> bytes:
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/broken", broken)
    async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=1.0) as (url,):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"".join(requests))
        answers = await reader.read()
        writer.close()
        return answers


@pytest.mark.parametrize("asked", [asked_of_ours, asked_of_the_framework], ids=["ours", "framework"])
@pytest.mark.parametrize("loop", [listen.run, asyncio.run], ids=["uvloop", "asyncio"])
def test_each_request_of_a_connection_has_its_own(asked, loop, logged: io.StringIO) -> None:  # type: ignore[no-untyped-def]
    answers = promptly(lambda: asked(REQUESTS), loop)
    given = identifiers(answers)
    assert [given[0], given[1], given[5]] == [UUID, UUID[::-1], TRACE]
    assert all(MADE.fullmatch(each) for each in given[2:5])
    assert len(set(given)) == 6
    assert b"example.org" not in answers
    # Each line has what the answer has.
    assert told(logged, "a handler failed") == [(TRACE, TRACE)]
    answered = told(logged, "a request was answered")
    assert [one for one, _ in answered] == given
    assert [trace for _, trace in answered] == [TRACE, None, None, None, None, TRACE]
    assert "example.org" not in logged.getvalue()


def test_requests_at_the_same_time_do_not_see_each_other(logged: io.StringIO) -> None:
    seen: dict[str, str] = {}

    async def wait(request: web.Request) -> web.Response:
        arrived.append(request)
        while len(arrived) < 20:  # noqa: ASYNC110 - until all of them are here
            await asyncio.sleep(0.001)
        trail = CURRENT.get()
        seen[request.headers["X-Correlation-ID"]] = trail.correlation if trail else ""
        return web.Response()

    arrived: list[web.Request] = []

    async def scenario() -> None:
        app = web.Application()
        app.router.add_get("/", wait)
        async with (
            listening(app, [parse_address("127.0.0.1:0")], grace_seconds=1.0) as (url,),
            ClientSession() as session,
        ):
            names = [f"request-{number}" for number in range(20)]
            await asyncio.gather(*(session.get(url, headers={"X-Correlation-ID": name}) for name in names))
        assert CURRENT.get() is None

    promptly(scenario, listen.run)
    assert seen == {f"request-{number}": f"request-{number}" for number in range(20)}


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n"])
def test_what_is_no_request_is_refused_with_an_identifier_of_ours(garbage: bytes) -> None:
    (given,) = identifiers(promptly(lambda: asked_of_ours((garbage,)), listen.run))
    assert MADE.fullmatch(given)


def test_a_request_that_cannot_be_read_has_nothing_of_the_one_before() -> None:
    answers = promptly(lambda: asked_of_ours((FIRST, b"GET /\r\n\r\n")), listen.run)
    first, second = identifiers(answers)
    assert first == UUID
    assert MADE.fullmatch(second)


def test_a_connection_that_is_too_slow_has_nothing_of_the_one_before() -> None:
    async def scenario() -> bytes:
        async with opened(limits=Limits(head_seconds=0.05, idle_seconds=0.05)) as server:
            reader, writer = await server.connect()
            writer.write(FIRST)
            first = await reader.readuntil(b"hello")
            writer.write(b"GET / HTTP/1.1\r\n")
            answers = first + await reader.read()
            writer.close()
            return answers

    first, second = identifiers(promptly(scenario, listen.run))
    assert first == UUID
    assert MADE.fullmatch(second)


def test_nothing_is_left_behind_for_what_is_logged_outside_of_requests(logged: io.StringIO) -> None:
    async def scenario() -> None:
        await asked_of_the_framework(REQUESTS)
        await asked_of_ours(REQUESTS)
        logging.getLogger("tocsin").info("between requests")

    promptly(scenario, listen.run)
    assert told(logged, "between requests") == [(None, None)]
