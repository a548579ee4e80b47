"""Doors: addresses, what refusals look like, and how doors close."""

import asyncio
import json
import logging
import os
import signal
import socket

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from guard.framework import listening
from guard.listen import Address, CannotListen, parse_address, run, signals

ANY_PORT = (Address("127.0.0.1", 0),)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def broken(request: web.Request) -> web.Response:
    raise LookupError("the secret ingredient is missing")


async def read_body(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def refuse(request: web.Request) -> web.Response:
    raise web.HTTPServiceUnavailable(text="the disk is full", headers={"Retry-After": "5"})


async def refuse_in_json(request: web.Request) -> web.Response:
    raise web.HTTPBadRequest(text='{"error": "no", "at": 3}', content_type="application/json")


async def begin_and_break(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    raise LookupError("too late")


def application() -> web.Application:
    app = web.Application(client_max_size=10)
    app.router.add_get("/", hello)
    app.router.add_get("/broken", broken)
    app.router.add_post("/body", read_body)
    app.router.add_get("/refuse", refuse)
    app.router.add_get("/refuse-in-json", refuse_in_json)
    app.router.add_get("/begin-and-break", begin_and_break)
    return app


def asked(method: str, path: str, **more: object) -> tuple[int, dict[str, str], str]:
    async def ask() -> tuple[int, dict[str, str], str]:
        async with (
            listening(application(), ANY_PORT, grace_seconds=1) as (url,),
            aiohttp.ClientSession() as session,
            session.request(method, url + path, **more) as answer,  # type: ignore[arg-type]
        ):
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, headers, await answer.text()

    return run(ask())


def test_port_zero_is_answered_with_the_port_that_is_really_bound() -> None:
    async def scenario() -> None:
        addresses = (Address("127.0.0.1", 0), Address("127.0.0.1", 0))
        async with (
            listening(application(), addresses, grace_seconds=1) as urls,
            aiohttp.ClientSession() as session,
        ):
            assert len(set(urls)) == 2
            for url in urls:
                async with session.get(url) as answer:
                    assert await answer.text() == "hello"

    run(scenario())


def test_every_interface_is_one_port_that_loopback_reaches() -> None:
    async def scenario() -> None:
        async with listening(application(), (Address(None, 0),), grace_seconds=1) as urls:
            assert len(urls) == 1
            async with aiohttp.ClientSession() as session, session.get(urls[0]) as answer:
                assert answer.status == 200

    run(scenario())


def test_a_taken_port_is_said_in_one_sentence() -> None:
    async def scenario() -> str:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = Address("127.0.0.1", taken.getsockname()[1])
            with pytest.raises(CannotListen) as cannot:
                async with listening(application(), (address,), grace_seconds=1):
                    pass
            return str(cannot.value).replace(str(address), "ADDRESS")

    expected = "cannot listen on ADDRESS: the port is taken (by another tocsin, or by what it replaces?)"
    assert run(scenario()) == expected
    assert asyncio.run(scenario()) == expected


def test_when_one_address_fails_none_stays_open() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as first:
            free = first.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            addresses = (Address("127.0.0.1", free), Address("127.0.0.1", taken.getsockname()[1]))
            with pytest.raises(CannotListen):
                async with listening(application(), addresses, grace_seconds=1):
                    pass
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", free)

    run(scenario())


def test_an_address_that_is_not_here_is_said_to_be_so() -> None:
    async def scenario() -> None:
        async with listening(application(), (Address("192.0.2.1", 0),), grace_seconds=1):
            pass

    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:0: no interface of this machine"):
        run(scenario())


def test_an_unexpected_exception_is_logged_whole_and_answered_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, headers, body = asked("GET", "/broken")
    assert status == 500
    assert headers["content-type"].startswith("application/json")
    assert "secret" not in body
    assert "error" in json.loads(body)
    (record,) = [each for each in caplog.records if each.name == "tocsin.listen"]
    assert record.levelno == logging.ERROR
    assert "the secret ingredient is missing" in logging.Formatter().format(record)


def test_what_is_not_there_is_refused_in_json() -> None:
    status, _, body = asked("GET", "/nowhere")
    assert (status, json.loads(body)) == (404, {"error": "not found"})


def test_a_wrong_method_is_refused_in_json_and_the_right_ones_are_named() -> None:
    status, headers, body = asked("GET", "/body")
    assert (status, json.loads(body)) == (405, {"error": "method not allowed"})
    assert headers["allow"] == "POST"


def test_a_body_that_is_too_large_is_refused_in_json() -> None:
    status, _, body = asked("POST", "/body", data=b"x" * 11)
    assert status == 413
    assert "10" in json.loads(body)["error"]


def test_a_refusal_of_a_handler_keeps_its_words_and_headers() -> None:
    status, headers, body = asked("GET", "/refuse")
    assert (status, json.loads(body)) == (503, {"error": "the disk is full"})
    assert headers["retry-after"] == "5"


def test_a_refusal_that_is_json_already_is_left_alone() -> None:
    assert json.loads(asked("GET", "/refuse-in-json")[2]) == {"error": "no", "at": 3}


async def raw(request: bytes) -> bytes:
    async with listening(application(), ANY_PORT, grace_seconds=1) as (url,):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(request)
        answer = await reader.read(12)
        writer.close()
        return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: sesame\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization sesame\r\n\r\n",
        b"GET /sesame" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"sesame\r\n\r\n",
        b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nsesame\r\n",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nsesame",
    ],
)
def test_a_request_that_is_no_http_is_refused_and_not_logged_with_what_it_holds(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert run(raw(request_)) in (b"HTTP/1.0 400", b"HTTP/1.1 400")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert "sesame" not in " ".join(logging.Formatter().format(record) for record in caplog.records)


def test_an_answer_that_breaks_half_way_is_cut_and_never_looks_complete() -> None:
    with pytest.raises(aiohttp.ClientError):
        asked("GET", "/begin-and-break")


def test_a_request_in_progress_is_answered_before_the_doors_are_closed() -> None:
    async def scenario() -> str:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            begun.set()
            await go_on.wait()
            return web.Response(text="done")

        app = web.Application()
        app.router.add_get("/", slow)
        async with aiohttp.ClientSession() as session:
            async with listening(app, ANY_PORT, grace_seconds=30) as (url,):
                asking = asyncio.ensure_future(session.get(url))
                await begun.wait()
                asyncio.get_running_loop().call_later(0.05, go_on.set)
            return await (await asking).text()

    assert run(scenario()) == "done"


@pytest.mark.parametrize("grace_seconds", [0, 0.2])
def test_a_request_that_outlasts_the_grace_period_is_cut(grace_seconds: float) -> None:
    async def scenario() -> bool:
        begun, cut = asyncio.Event(), asyncio.Event()

        async def endless(request: web.Request) -> web.Response:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cut.set()
            return web.Response()

        app = web.Application()
        app.router.add_get("/", endless)
        async with aiohttp.ClientSession() as session:
            async with asyncio.timeout(5):
                async with listening(app, ANY_PORT, grace_seconds=grace_seconds) as (url,):
                    asking = asyncio.ensure_future(session.get(url))
                    await begun.wait()
                with pytest.raises(aiohttp.ClientError):
                    await asking
                await cut.wait()
        return cut.is_set()

    assert run(scenario()) is True


def test_a_sender_that_hangs_up_does_not_interrupt_a_handler() -> None:
    async def scenario() -> str:
        begun, said = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def careful(request: web.Request) -> web.Response:
            begun.set()
            try:
                while request.transport is not None:  # noqa: ASYNC110 - nothing else tells of it
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
                said.set_result("finished")
            except asyncio.CancelledError:
                said.set_result("cancelled")
                raise
            return web.Response()

        app = web.Application()
        app.router.add_get("/", careful)
        async with listening(app, ANY_PORT, grace_seconds=5) as (url,):
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            writer.transport.abort()
            return str(await said)

    assert run(scenario()) == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_event_that_stops_and_a_second_one_does_no_harm(number: int) -> None:
    async def scenario() -> bool:
        stop = await signals(on_reload=None)
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)
        os.kill(os.getpid(), number)
        return stop.is_set()

    assert run(scenario()) is True


def test_a_hangup_reloads_and_does_not_stop() -> None:
    async def scenario() -> bool:
        reloaded = asyncio.Event()
        stop = await signals(on_reload=reloaded.set)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(reloaded.wait(), 5)
        return stop.is_set()

    assert run(scenario()) is False


def test_a_hangup_without_anything_to_reload_stops() -> None:
    async def scenario() -> None:
        stop = await signals(on_reload=None)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(stop.wait(), 5)

    run(scenario())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9", Address("127.0.0.1", 9)),
        ("[::1]:9", Address("::1", 9)),
        (":9", Address(None, 9)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_an_address_is_read_and_written_the_same_way(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "9", "127.0.0.1", "127.0.0.1:", "::1:9", "127.0.0.1:65536", "a b:9", "[]:9", "http://x:9", "x:-1"],
)
def test_what_is_no_address_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected HOST:PORT such as"):
        parse_address(text)


@given(st.text())
def test_no_text_makes_reading_an_address_fail_in_another_way(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert 0 <= address.port <= 65535
