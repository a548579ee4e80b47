"""Middleware: real frameworks, called as their servers call them; what is told is kept in a list."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, MutableMapping
from typing import Any

import flask
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from tocsin import asgi, wsgi
from tocsin.identifiers import CURRENT, accepted

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
Message = MutableMapping[str, Any]


class Told:
    """In place of `tocsin.event`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.events.append({"event": event, **fields})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        return [(each["method"], each["route"], each["status"]) for each in self.of("http_request")]

    @property
    def errors(self) -> list[tuple[str, str]]:
        return [(each["error_type"], each["component"]) for each in self.of("error")]


@pytest.fixture
def told() -> Told:
    return Told()


class OutOfStock(Exception):
    pass


def shop(told: Told) -> FastAPI:
    app = FastAPI()
    app.add_middleware(asgi.Middleware, tell=told)

    @app.get("/cart/{number}")
    def cart(number: int) -> dict[str, int]:
        return {"number": number}

    @app.get("/fails/{number}")
    async def fails(number: int) -> None:
        raise OutOfStock

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "a"
            assert CURRENT.get() is not None
            yield "b"

        return StreamingResponse(parts())

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "a"
            raise OutOfStock

        return StreamingResponse(parts())

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    @app.websocket("/closed")
    async def closed(socket: WebSocket) -> None:
        await socket.close(code=4401)

    @app.websocket("/broken")
    async def broken(socket: WebSocket) -> None:
        raise OutOfStock

    router = APIRouter(prefix="/tenants/{tenant}")
    router.add_api_route("/orders/{order}", cart_of_tenant)
    app.include_router(router)
    inner = Starlette(routes=[Route("/deep/{x}", plain), Mount("/{kind}", routes=[Route("/deeper", plain)])])
    app.mount("/sub/{person}", inner)
    app.mount("/static", StaticFiles(directory="docs"))
    return app


def cart_of_tenant(tenant: str, order: str) -> str:
    return tenant + order


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("fine")


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/cart/12345", "/cart/{number}", 200),
        ("GET", "/cart/ana@example.org", "/cart/{number}", 422),
        ("POST", "/cart/12345", "/cart/{number}", 405),
        ("GET", "/tenants/ana/orders/7", "/tenants/{tenant}/orders/{order}", 200),
        ("GET", "/sub/ana/deep/1", "/sub/{person}/deep/{x}", 200),
        ("GET", "/sub/ana/secret/deeper", "/sub/{person}/{kind}/deeper", 200),
        ("GET", "/static/README.md", "/static/{path}", 200),
        ("GET", "/docs", "/docs", 200),
        ("GET", "/ana@example.org", "unmatched", 404),
    ],
)
def test_fastapi_is_told_by_template_and_never_by_path(
    told: Told, method: str, path: str, route: str, status: int
) -> None:
    assert TestClient(shop(told)).request(method, path).status_code == status
    assert told.requests == [(method, route, status)]
    (began,) = told.of("http_request_started")
    (ended,) = told.of("http_request")
    assert began == {"event": "http_request_started", "method": method, "scheme": "http"}
    assert ended["started"] is True
    assert 0 <= ended["duration_seconds"] < 30
    assert "ana" not in str(told.events)


def test_an_application_that_is_wrapped_from_outside_is_told_as_well(told: Told) -> None:
    app = Starlette(routes=[Mount("/m/{x}", routes=[Route("/a/{y}", plain)]), Route("/b/{z}", plain)])
    client = TestClient(asgi.Middleware(app, tell=told))
    for path in ("/m/1/a/2", "/b/3", "/m/1/none"):
        client.get(path)
    assert [route for _, route, _ in told.requests] == ["/m/{x}/a/{y}", "/b/{z}", "/m/{x}/{path}"]


def test_a_method_that_nobody_knows_is_other(told: Told) -> None:
    TestClient(shop(told)).request("PROPFIND4711", "/cart/1")
    assert told.requests == [("OTHER", "/cart/{number}", 405)]


def test_an_exception_is_an_error_and_a_500_and_goes_on(told: Told) -> None:
    with pytest.raises(OutOfStock):
        TestClient(shop(told)).get("/fails/1")
    assert told.errors == [("OutOfStock", "http")]
    assert told.requests == [("GET", "/fails/{number}", 500)]


def test_a_stream_is_told_once_at_its_end(told: Told) -> None:
    with TestClient(shop(told)).stream("GET", "/stream") as answer:
        assert answer.read() == b"ab"
    assert told.requests == [("GET", "/stream", 200)]


def test_a_stream_that_breaks_is_an_error_with_the_status_that_was_sent(told: Told) -> None:
    client = TestClient(shop(told), raise_server_exceptions=False)
    client.get("/breaks")
    assert told.requests == [("GET", "/breaks", 200)]
    assert told.errors[0][1] == "http"


def test_a_websocket_is_told_from_its_attempt_to_its_end(told: Told) -> None:
    with TestClient(shop(told)).websocket_connect("/talk") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
    kinds = [event["event"] for event in told.events]
    assert kinds == [
        *("websocket_attempt", "websocket_opened", "websocket_message", "websocket_message", "websocket_closed"),
    ]
    assert told.events[0] == {"event": "websocket_attempt", "accepted": True}
    assert [event["direction"] for event in told.of("websocket_message")] == ["received", "sent"]


@pytest.mark.parametrize(("path", "reason"), [("/closed", "status_403"), ("/broken", "status_500")])
def test_a_websocket_that_is_not_accepted_is_a_rejected_attempt(told: Told, path: str, reason: str) -> None:
    with pytest.raises(Exception, match=r".*"), TestClient(shop(told)).websocket_connect(path):
        pass
    (attempt,) = told.of("websocket_attempt")
    assert attempt == {"event": "websocket_attempt", "accepted": False, "rejection_reason": reason}
    assert not told.of("websocket_opened")
    assert not told.of("websocket_closed")


def drive(app: asgi.App, *, received: list[Message], cancel: bool = False) -> None:
    """As a server does it, with a client that leaves."""

    async def receive() -> Message:
        if received:
            return received.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        pass

    async def go() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "scheme": "https"}
        task = asyncio.ensure_future(app(scope, receive, send))  # type: ignore[arg-type]
        if cancel:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


@pytest.mark.parametrize("cancel", [True, False])
def test_a_client_that_leaves_before_an_answer_is_a_499_and_no_error(told: Told, cancel: bool) -> None:
    async def app(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    left: list[Message] = [] if cancel else [{"type": "http.disconnect"}]
    drive(asgi.Middleware(app, tell=told), received=left, cancel=cancel)
    assert told.requests == [("GET", "unmatched", 499)]
    assert told.errors == []
    assert told.of("http_request")[0]["scheme"] == "https"


# --- identifiers ------------------------------------------------------------------------------------------------


def test_identifiers_are_accepted_answered_and_there_for_the_application() -> None:
    found = []

    async def look(request: Request) -> PlainTextResponse:
        found.append(CURRENT.get())
        return PlainTextResponse("")

    client = TestClient(asgi.Middleware(Starlette(routes=[Route("/", look)]), tell=Told()))
    answer = client.get("/", headers={"X-Correlation-ID": "order-4711", "traceparent": TRACEPARENT})
    (ids,) = found
    assert ids is not None
    assert (ids.correlation_id, ids.trace_id, ids.flags) == ("order-4711", TRACE, "01")
    assert answer.headers["x-correlation-id"] == "order-4711"
    assert answer.headers["traceparent"] == ids.traceparent != TRACEPARENT
    assert CURRENT.get() is None


@pytest.mark.parametrize(
    "bad",
    [
        *("", "00", TRACEPARENT.upper(), TRACEPARENT + "-x", TRACEPARENT[:-1], "ff" + TRACEPARENT[2:]),
        *(f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01", TRACEPARENT + "\n", "01" + "-" * 300),
    ],
)
def test_a_traceparent_that_is_none_is_made_anew(bad: str) -> None:
    assert TRACE not in accepted(None, bad).traceparent
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", accepted(None, bad).traceparent)


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    assert accepted(None, f"01{TRACEPARENT[2:]}-more").trace_id == TRACE


@given(st.text(max_size=100), st.text(max_size=100))
def test_whatever_the_headers_are_what_comes_back_has_its_form(correlation_id: str, traceparent: str) -> None:
    ids = accepted(correlation_id, traceparent)
    assert re.fullmatch(r"(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{8,64}", ids.correlation_id)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ids.traceparent)


def test_a_telephone_number_is_no_correlation_id() -> None:
    assert accepted("491711234567", None).correlation_id != "491711234567"


# --- WSGI -------------------------------------------------------------------------------------------------------


def kiosk(told: Told) -> flask.Flask:
    app = flask.Flask("kiosk")
    app.wsgi_app = wsgi.Middleware(app.wsgi_app, tell=told)  # type: ignore[method-assign]

    @app.get("/cart/<int:number>")
    def cart(number: int) -> str:
        assert CURRENT.get() is not None
        return str(number)

    @app.get("/fails")
    def fails() -> str:
        raise OutOfStock

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    return app


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/cart/12345", "/cart/<int:number>", 200),
        ("/cart/ana", "unmatched", 404),
        ("/fails", "/fails", 500),
        ("/stream", "/stream", 200),
    ],
)
def test_flask_is_told_by_template(told: Told, path: str, route: str, status: int) -> None:
    with kiosk(told).test_client().get(path, headers={"X-Correlation-ID": "order-4711"}) as answer:
        assert answer.status_code == status
        assert answer.headers["X-Correlation-ID"] == "order-4711"
    assert told.requests == [("GET", route, status)]
    assert told.errors == ([("OutOfStock", "http")] if path == "/fails" else [])
    assert CURRENT.get() is None


def called(app: Callable[..., Iterable[bytes]], **environ: Any) -> Iterable[bytes]:
    return wsgi.Middleware(app, tell=environ.pop("told"))(
        {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", **environ}, lambda *_: None
    )


def test_a_wsgi_application_is_told_when_the_server_closes_its_answer(told: Told) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append(True)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("201 Created", [])
        environ["tocsin.route"] = "/mine/{x}"
        return Body()

    body = called(app, told=told)
    assert list(body) == [b"a", b"b"]
    assert told.requests == []
    body.close()  # type: ignore[attr-defined]
    assert (told.requests, closed) == ([("GET", "/mine/{x}", 201)], [True])


def test_a_wsgi_application_that_raises_is_an_error_and_a_500(told: Told) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise OutOfStock

    with pytest.raises(OutOfStock):
        called(app, told=told)
    assert told.requests == [("GET", "unmatched", 500)]
    assert told.errors == [("OutOfStock", "http")]


def test_a_file_that_the_server_sends_itself_stays_that_file(told: Told) -> None:
    class Wrapper:
        def __init__(self, file: io.BytesIO) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter([self.file.read()])

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Wrapper:
        start_response("200 OK", [])
        return Wrapper(io.BytesIO(b"x"))

    assert isinstance(called(app, told=told, **{"wsgi.file_wrapper": Wrapper}), Wrapper)
    assert told.requests == [("GET", "unmatched", 200)]
