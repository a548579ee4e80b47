"""A stream of requests is judged the same wherever it is cut, and no kinder than the web framework judges it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import listen
from guard.framework import listening
from guard.listen import parse_address
from tests.guard.webserver import BODY_BYTES_MAX, SURELY, Open, get, opened, statuses, until

CLOSE = "Connection: close"
NAMES = st.sampled_from(["X-A", "accept", "Cookie", "Via", "TE", "Upgrade", "Referer"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One that is well formed, whatever is answered."""
    path = draw(
        st.sampled_from(["/", "/say/a/b", "/say/%C3%A9/x?y=z", "/nowhere", "/body", "/a b".replace(" ", "%20")])
    )
    lines = ["Host: x", *(f"{name}: {value}" for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4)))]
    kind = draw(st.sampled_from(["get", "head", "length", "chunks"]))
    if kind in ("get", "head"):
        return "\r\n".join([f"{kind.upper()} {path} HTTP/1.1", *lines, "", ""]).encode()
    content = draw(st.binary(max_size=BODY_BYTES_MAX))
    start = f"POST {path} HTTP/1.1"
    if kind == "length":
        return "\r\n".join([start, *lines, f"Content-Length: {len(content)}", "", ""]).encode() + content
    chunk = b"%x\r\n%s\r\n" % (len(content), content) if content else b""
    return "\r\n".join([start, *lines, "Transfer-Encoding: chunked", "", ""]).encode() + chunk + b"0\r\n\r\n"


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """Requests behind each other, perhaps with something odd among them, and where to cut it all."""
    parts = draw(st.lists(requests(), min_size=1, max_size=4))
    if draw(st.booleans()):
        odd = draw(
            st.binary(min_size=1, max_size=20) | st.sampled_from([b"\r\n", b"\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n"])
        )
        parts.insert(draw(st.integers(0, len(parts))), odd)
    data = b"".join(parts) + get("/", CLOSE)
    return data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))


async def answered(server: Open, pieces: list[bytes]) -> bytes:
    """Without what differs each time: the date, and the identifier of a request that came without one."""
    reader, writer = await server.connect()
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(3):  # so that the pieces arrive as pieces
                await asyncio.sleep(0)
        writer.write_eof()
        answers = await reader.read()
    except ConnectionError:
        return b"cut"
    finally:
        writer.close()
    differs = (b"Date: ", b"X-Correlation-ID: ")
    return b"\r\n".join(line for line in answers.split(b"\r\n") if not line.startswith(differs))


@settings(max_examples=60)
@given(st.lists(streams(), min_size=5, max_size=5))
def test_wherever_a_stream_is_cut_the_answers_are_the_same(several: list[tuple[bytes, list[int]]]) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(SURELY), opened() as server:
            for data, places in several:
                pieces = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
                whole = await answered(server, [data])
                assert statuses(whole), data
                assert await answered(server, pieces) == whole

    listen.run(scenario())


BROKEN = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [b"GET ", b"POST /body", b" HTTP/1.1", b"\r\n", b"\r", b"\n", b"Host: x", b"Content-Length: ", b"9", b"-1"]
    )
    | st.sampled_from(
        [b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Connection: close", b"0", b"a;b", b":", b"\0"]
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=40)
@given(st.lists(BROKEN, min_size=10, max_size=10))
def test_no_bytes_at_all_make_the_server_fail(several: list[bytes]) -> None:
    wrong: list[dict[str, object]] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        async with asyncio.timeout(SURELY), opened() as server:
            for data in several:
                found = statuses(await answered(server, [data[: len(data) // 2], data[len(data) // 2 :]]))
                assert [status for status in found if status >= 500 and status != 501] == []
            assert statuses(await answered(server, [get("/", CLOSE)])) == [200]
            await until(lambda: len(server.server) == 0)

    listen.run(scenario())
    assert wrong == []


# --- the framework's judgement -----------------------------------------------------------------------------------


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def body(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


def application() -> web.Application:
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_get("/", hello)
    app.router.add_get("/say/{word}/{other}", hello)
    app.router.add_post("/body", body)
    return app


async def both(data: bytes) -> tuple[int, int]:
    """The class of the first answer: ours, and the framework's."""
    async with (
        opened() as ours,
        listening(application(), [parse_address("127.0.0.1:0")], grace_seconds=0.1) as (url,),
    ):
        theirs = Open(ours.server, url, ours.told)
        first = [statuses(await answered(each, [data])) for each in (ours, theirs)]
        return tuple((found[0] if found else 0) // 100 for found in first)  # type: ignore[return-value]


def judged(data: bytes) -> tuple[int, int]:
    async def scenario() -> tuple[int, int]:
        async with asyncio.timeout(SURELY):
            return await both(data)

    return listen.run(scenario())


@settings(max_examples=60)
@given(requests())
def test_of_well_formed_requests_the_framework_thinks_the_same(data: bytes) -> None:
    ours, theirs = judged(data)
    assert ours == theirs


POST = "POST /body HTTP/1.1\r\nHost: x\r\n"
ODD = {
    "a folded line": "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a bare line feed": "GET / HTTP/1.1\nHost: x\n\n",
    "a bare carriage return": "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "white space before a colon": "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "a null byte": "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "two lengths that differ": f"{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length with a sign": f"{POST}Content-Length: +1\r\n\r\na",
    "a length beside chunks": f"{POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another encoding last": f"{POST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a chunk without its end": f"{POST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a chunk with a sign": f"{POST}Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
    "a lower-case method": "get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol": "GET / HTTQ/1.1\r\nHost: x\r\n\r\n",
    "no header but a word": "GET / HTTP/1.1\r\nHost: x\r\nword\r\n\r\n",
    "a body that is too large": f"{POST}Content-Length: 11\r\n\r\n12345678901",
    "a body for nobody": "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
    "a head that is too large": "GET / HTTP/1.1\r\nHost: x\r\nA: " + "b" * 20_000 + "\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "a tunnel": "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
}
# Here the framework answers, and we refuse: what it takes could be taken for something else by a proxy.
STRICTER = {
    "no version": "GET /\r\nHost: x\r\n\r\n",
    "an old version": "GET / HTTP/0.9\r\nHost: x\r\n\r\n",
    "a newer version": "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "chunks in an old version": "POST /body HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two words of who asks": "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_what_the_framework_refuses_is_refused(name: str) -> None:
    assert judged(ODD[name].encode()) == (4, 4)


@pytest.mark.parametrize("name", STRICTER)
def test_where_we_are_stricter_is_known(name: str) -> None:
    ours, theirs = judged(STRICTER[name].encode())
    assert ours in (4, 5)
    assert theirs == 2
