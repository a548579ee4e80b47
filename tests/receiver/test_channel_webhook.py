"""The webhook channel against a real server: what arrives, what is tried again, and what never shows."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from guard.framework import listening
from guard.listen import parse_address
from receiver.channels import Refused, Unreachable
from receiver.channels.webhook import Webhook
from receiver.links import Links
from receiver.message import Kind
from tests.receiver.builders import digest, message

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Sink:
    """Keeps what came, and answers as it is told."""

    answer: web.Response | None = None
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hangs: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((dict(request.headers), await request.read()))
        if self.hangs:
            await self.released.wait()
        return self.answer or web.Response(text="thanks\n")


@asynccontextmanager
async def sink(answer: web.Response | None = None, *, hangs: bool = False) -> AsyncIterator[Sink]:
    standing = Sink(answer=answer, hangs=hangs)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{any:.*}", standing.take)
    async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=0.1) as (url,):
        standing.url = url
        try:
            yield standing
        finally:
            standing.released.set()


@asynccontextmanager
async def channel(url: str, **how: Any) -> AsyncIterator[Webhook]:
    settings = {"headers": {}, "timeout_seconds": 5.0, "retry_seconds_max": 60.0, "secret_file": None, **how}
    made = Webhook(url=url, **settings)
    try:
        yield made
    finally:
        await made.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


async def refusal(answer: web.Response, *, path: str = "/hook") -> Refused | Unreachable:
    async with sink(answer) as standing, channel(standing.url + path) as hook:
        with pytest.raises((Refused, Unreachable)) as raised:
            await hook.send(message())
        assert len(standing.came) == 1
        assert isinstance(raised.value, Refused | Unreachable)
        return raised.value


def test_the_message_arrives_as_it_was_decided_with_its_key() -> None:
    async def test() -> None:
        sent = message()
        async with sink() as standing, channel(standing.url, headers={"X-Team": "db"}) as hook:
            assert await hook.send(sent) == "200 thanks"
            assert await hook.send(sent) == "200 thanks"
        (headers, body), again = standing.came
        assert body == sent.body == again[1]
        assert headers["Idempotency-Key"] == sent.id == again[0]["Idempotency-Key"]
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Team"] == "db"
        assert headers["Accept-Encoding"] == "identity"
        assert "X-Tocsin-Signature" not in headers

    run(test())


@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.RESOLVED])
def test_links_are_added_at_the_end_and_signed_and_the_same_again(tmp_path: Path, kind: Kind) -> None:
    async def test() -> None:
        secret = tmp_path / "hook.secret"
        secret.write_text("s3cret")
        links = Links(external_url="https://tocsin.example.org", key=bytes(32))
        sent = message(kind=kind)
        async with sink() as there, channel(there.url, secret_file=secret, links=links) as hook:
            await hook.send(sent)
            await hook.send(sent)
            assert '"https://tocsin.example.org/incidents/T-1"' in hook.preview(sent)
        (headers, body), again = there.came
        assert body == again[1]
        assert headers["X-Tocsin-Signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        document = json.loads(body)
        told = document.pop("links")
        assert document == json.loads(sent.body)
        assert told["incident"] == "https://tocsin.example.org/incidents/T-1"
        if kind is Kind.RESOLVED:
            assert told["acknowledge"] is None
        else:
            assert links.read(told["acknowledge"].rpartition("/")[2])[:2] == ("T-1", "chat")

    run(test())


def test_a_digest_is_posted_as_it_was_decided() -> None:
    async def test() -> None:
        sent = digest(2)
        links = Links(external_url="https://tocsin.example.org", key=bytes(32))
        async with sink() as there, channel(there.url, links=links) as hook:
            await hook.send(sent)
        assert [body for _, body in there.came] == [sent.body]

    run(test())


def test_a_body_of_megabytes_arrives_whole_with_its_length() -> None:
    async def test() -> None:
        large = message(annotations={"description": "x" * 3_000_000})
        async with sink() as there, channel(there.url) as hook:
            assert await hook.send(large) == "200 thanks"
        ((headers, body),) = there.came
        assert body == large.body
        assert (headers["Content-Length"], headers["Content-Type"]) == (str(len(body)), "application/json")

    run(test())


def test_the_body_is_signed_with_the_key_that_the_file_holds_now(tmp_path: Path) -> None:
    async def test() -> None:
        secret = tmp_path / "hook.secret"
        sent = message()
        async with sink() as standing, channel(standing.url, secret_file=secret) as hook:
            for key in ("first", "second"):
                secret.write_text(f"{key}\n")
                await hook.send(sent)
        for (headers, body), key in zip(standing.came, ("first", "second"), strict=True):
            expected = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
            assert headers["X-Tocsin-Signature"] == f"sha256={expected}"

    run(test())


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_without_its_key_nothing_is_sent_unsigned(tmp_path: Path, content: str | None) -> None:
    async def test() -> None:
        secret = tmp_path / "hook.secret"
        if content is not None:
            secret.write_text(content)
        async with sink() as standing, channel(standing.url, secret_file=secret) as hook:
            with pytest.raises(Unreachable, match=r"the secret file hook\.secret (cannot be read|is empty)"):
                await hook.send(message())
        assert standing.came == []

    run(test())


def test_headers_of_the_policy_cannot_replace_the_key() -> None:
    async def test() -> None:
        sent = message()
        async with sink() as standing, channel(standing.url, headers={"Idempotency-Key": "mine"}) as hook:
            await hook.send(sent)
        assert standing.came[0][0]["Idempotency-Key"] == sent.id

    run(test())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_not_followed(status: int) -> None:
    error = asyncio.run(refusal(web.Response(status=status, headers={"Location": "/elsewhere"})))
    assert isinstance(error, Refused)
    assert "redirect" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
def test_what_offends_the_other_side_is_not_tried_again(status: int) -> None:
    error = asyncio.run(refusal(web.Response(status=status, text="no such room")))
    assert isinstance(error, Refused)
    assert str(error) == f"answered {status} no such room"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_time_may_cure_is_tried_again(status: int) -> None:
    error = asyncio.run(refusal(web.Response(status=status, text="busy")))
    assert isinstance(error, Unreachable)
    assert (str(error), error.seconds) == (f"answered {status} busy", None)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        (" 30 ", 30.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_heeded_within_an_hour(written: str, seconds: float | None) -> None:
    error = asyncio.run(refusal(web.Response(status=429, headers={"Retry-After": written})))
    assert isinstance(error, Unreachable)
    assert error.seconds == seconds


def test_who_asks_for_a_pause_gets_it() -> None:
    async def test() -> None:
        async with sink(web.Response(status=429, headers={"Retry-After": "7"})) as there, channel(there.url) as hook:
            with pytest.raises(Unreachable, match="answered 429"):
                await hook.send(message())
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1 asked for a pause") as raised:
                await hook.send(message("T-2"))
            assert raised.value.seconds is not None
            assert 0 < raised.value.seconds <= 7
            assert len(there.came) == 1

    run(test())


def test_a_long_answer_is_cut() -> None:
    error = asyncio.run(refusal(web.Response(status=500, text="x" * 100_000)))
    assert len(str(error)) < 600


def test_a_server_that_hangs_costs_its_timeout_and_no_more() -> None:
    async def test() -> None:
        async with sink(hangs=True) as standing, channel(standing.url, timeout_seconds=0.1) as hook:
            with pytest.raises(Unreachable, match=r"127\.0\.0\.1 did not answer within 0\.1 seconds"):
                await hook.send(message())
            assert len(standing.came) == 1

    run(test())


def test_a_server_that_hangs_up_is_tried_again() -> None:
    async def test() -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server, channel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token-in-path") as hook:
            with pytest.raises(Unreachable) as raised:
                await hook.send(message())
        assert "token-in-path" not in str(raised.value)

    run(test())


def test_a_server_that_speaks_no_http_is_tried_again() -> None:
    async def test() -> None:
        async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        async with server, channel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as hook:
            with pytest.raises(Unreachable):
                await hook.send(message())

    run(test())


def test_neither_the_path_nor_a_password_nor_a_header_is_in_any_error() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        errors = []
        for url in (f"http://ana:passw0rd@127.0.0.1:{port}/T0KEN?key=T0KEN", "http://nowhere.invalid/T0KEN"):
            async with channel(url, headers={"Authorization": "Bearer T0KEN"}) as hook:
                with pytest.raises(Unreachable) as raised:
                    await hook.send(message())
                errors.append(str(raised.value))
        async with sink(hangs=True) as standing:
            slow = standing.url.replace("//", "//ana:passw0rd@") + "/T0KEN"
            async with channel(slow, timeout_seconds=0.05) as hook:
                with pytest.raises(Unreachable) as raised:
                    await hook.send(message())
                errors.append(str(raised.value))
        errors.append(str(await refusal(web.Response(status=302, headers={"Location": "/T0KEN"}), path="/T0KEN")))
        assert [error for error in errors if "T0KEN" in error or "passw0rd" in error] == []
        assert errors[0].startswith("127.0.0.1: ")
        assert errors[1].startswith("nowhere.invalid: ")

    run(test())
