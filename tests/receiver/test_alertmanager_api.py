"""What is asked of Alertmanager's API, and what becomes of answers that are none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from receiver.alertmanager import Alertmanager, NoAnswer
from tests.receiver.amapi import Api, api, group, silence, theirs
from tests.receiver.world import run

GARBAGE = [
    b"",
    b"<html>sign in</html>",
    b"\xff\xfe",
    b"{}",
    b"[1]",
    b"[" * 100_000,
    b'[{"fingerprint": "a"}]',
    b'[{"fingerprint": "a", "endsAt": "yesterday", "status": {"state": "active"}}]',
    b'[{"fingerprint": "a", "endsAt": "2026-03-01T08:00:00", "status": {"state": "active"}}]',
    b'[{"fingerprint": "a", "endsAt": "2026-03-01T08:00:00Z", "status": {"state": "active", "silencedBy": "x"}}]',
]


@asynccontextmanager
async def asking(url: str, **how: Any) -> AsyncIterator[Alertmanager]:
    made = Alertmanager(url, **how)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def pair(**how: Any) -> AsyncIterator[tuple[Api, Alertmanager]]:
    async with api() as standing, asking(standing.url, **how) as made:
        yield standing, made


def test_everything_that_is_asked_is_read() -> None:
    async def test() -> None:
        async with pair() as (standing, alertmanager):
            standing.alerts = [theirs("a"), theirs("b", silenced_by=("s",)), theirs("c", inhibited_by=("a",))]
            standing.silences = [silence("s", ends_at="2026-03-01T10:00:00.000Z")]
            standing.groups = [group("team.a", {"alertname": "a"}, theirs("a"))]
            assert await alertmanager.started_at() == datetime(2026, 3, 1, 7, tzinfo=UTC)
            seen = await alertmanager.alerts()
            assert {name: each.status.state for name, each in seen.items()} == {
                "a": "active", "b": "suppressed", "c": "suppressed",
            }  # fmt: skip
            assert (seen["b"].status.silenced_by, seen["c"].status.inhibited_by) == (("s",), ("a",))
            found = (await alertmanager.silences())["s"]
            assert (found.ends_at.hour, found.created_by, found.comment) == (10, "ana", "patching")
            (only,) = await alertmanager.groups()
            (alert,) = only.alerts
            assert alert.alert().identity == "a"
            assert (alert.alert().status, alert.alert().annotations) == ("firing", {"summary": "a"})
            assert standing.asked == [
                "/api/v2/status",
                "/api/v2/alerts",
                "/api/v2/silences",
                "/api/v2/alerts/groups?silenced=false&inhibited=false",
            ]

    run(test())


def test_an_alert_whose_end_is_past_by_alertmanagers_own_clock_is_over() -> None:
    async def test() -> None:
        async with pair() as (standing, alertmanager):
            standing.alerts = [theirs("a"), {**theirs("over"), "endsAt": "2020-01-01T00:00:00.000Z"}]
            assert list(await alertmanager.alerts()) == ["a"]

    run(test())


@pytest.mark.parametrize("prefix", ["", "/", "/alertmanager", "/alertmanager/"])
def test_an_address_may_have_a_path(prefix: str) -> None:
    async def test() -> None:
        async with api() as standing, asking(standing.url + prefix) as alertmanager:
            await alertmanager.started_at()
            assert standing.asked == [f"{prefix.rstrip('/')}/api/v2/status"]

    run(test())


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_no_answer(body: bytes) -> None:
    async def test() -> None:
        async with pair() as (standing, alertmanager):
            standing.answers["alerts"] = web.Response(body=body)
            with pytest.raises(NoAnswer, match=r"^/api/v2/alerts: expected what Alertmanager answers"):
                await alertmanager.alerts()

    run(test())


@pytest.mark.parametrize("status", [204, 301, 302, 401, 404, 429, 500, 503])
def test_another_status_is_no_answer_and_redirects_are_not_followed(status: int) -> None:
    async def test() -> None:
        async with pair() as (standing, alertmanager):
            standing.answers["status"] = web.Response(status=status, headers={"Location": "/elsewhere"})
            with pytest.raises(NoAnswer, match=f"expected status 200, found {status}"):
                await alertmanager.started_at()
            assert standing.asked == ["/api/v2/status"]

    run(test())


def test_an_answer_is_read_up_to_a_limit() -> None:
    async def test() -> None:
        async with pair(bytes_max=100_000) as (standing, alertmanager):
            standing.answers["alerts"] = web.Response(body=b" " * 99_998 + b"[]")
            assert await alertmanager.alerts() == {}
            standing.answers["alerts"] = web.Response(body=b" " * 99_999 + b"[]")
            with pytest.raises(NoAnswer, match="expected at most 100000 bytes, found more"):
                await alertmanager.alerts()

    run(test())


@pytest.mark.parametrize("how", ["hangs", "trickles"])
def test_an_answer_that_does_not_come_is_not_waited_for(how: str) -> None:
    async def test() -> None:
        async with pair(seconds_max=0.05) as (standing, alertmanager):
            setattr(standing, how, True)
            with pytest.raises(NoAnswer, match=r"no whole answer within 0\.05 seconds"):
                await alertmanager.started_at()

    run(test())


def test_nobody_there_is_told_without_the_address() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        async with asking(f"http://ana:s3cret@127.0.0.1:{port}/") as alertmanager:
            with pytest.raises(NoAnswer) as caught:
                await alertmanager.started_at()
        assert str(caught.value) == "/api/v2/status: Connection refused"

    run(test())


def test_one_that_breaks_off_is_no_answer() -> None:
    async def test() -> None:
        async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        async with server, asking(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as alertmanager:
            with pytest.raises(NoAnswer, match=r"^/api/v2/alerts: "):
                await alertmanager.alerts()

    run(test())


def test_the_token_is_read_for_each_request(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "am.token"
        path.write_text("# ours\nfirst\nsecond\n")
        async with pair(token_file=path) as (standing, alertmanager):
            await alertmanager.started_at()
            path.write_text("third\n")
            await alertmanager.started_at()
            path.write_text("a token\n")
            with pytest.raises(NoAnswer, match="white space inside a token") as caught:
                await alertmanager.started_at()
            assert "a token\n" not in str(caught.value)
            path.write_text("tökèn")
            with pytest.raises(NoAnswer, match="a character in the token that no header can carry"):
                await alertmanager.started_at()
            path.unlink()
            with pytest.raises(NoAnswer, match=r"the token cannot be read: .*No such file or directory"):
                await alertmanager.started_at()
            assert standing.tokens == ["Bearer first", "Bearer third"]

    run(test())
