"""A small server of guard/web with a door of each kind, and a raw connection to it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from guard.access import Access
from guard.callers import Need
from guard.judge import Judge
from guard.listen import parse_address
from guard.web.messages import Answer, Request, json_answer, text_answer
from guard.web.routes import Route, Routes
from guard.web.server import Limits, Server, serving

SURELY = 30.0
BODY_BYTES_MAX = 10
BIG = b"0123456789abcdef" * 262_144  # 4 MiB, more than the buffers of a connection hold
NEEDS = {f"GET {path}": Need.NOTHING for path in ("/", "/big", "/broken", "/slow", "/say/{word}/{other}")}
NEEDS |= {"POST /body": Need.NOTHING}


@dataclass
class Told:
    """What the server and its doors met."""

    cut: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Open:
    server: Server
    url: str
    told: Told

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, *pieces: bytes) -> bytes:
        """Everything that is answered to these bytes, until the other end closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            return await reader.read()
        finally:
            writer.close()


def routes(told: Told) -> Routes:
    async def hello(request: Request) -> Answer:
        told.requests.append(request)
        return text_answer("hello")

    async def say(request: Request) -> Answer:
        told.requests.append(request)
        return json_answer(dict(request.parts))

    async def body(request: Request) -> Answer:
        told.requests.append(request)
        return Answer(request.body, "application/octet-stream")

    async def big(_: Request) -> Answer:
        return Answer(BIG, "text/plain")

    async def broken(_: Request) -> Answer:
        raise LookupError("the secret ingredient is missing")

    async def slow(_: Request) -> Answer:
        told.begun.set()
        await told.go_on.wait()
        told.finished.set()
        return text_answer("done")

    return Routes(
        (
            Route("GET", "/", hello),
            Route("GET", "/big", big),
            Route("GET", "/broken", broken),
            Route("GET", "/slow", slow),
            Route("GET", "/say/{word}/{other}", say),
            Route("POST", "/body", body, BODY_BYTES_MAX),
        )
    )


@asynccontextmanager
async def opened(
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    grace_seconds: float = 1.0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Open]:
    told = Told()
    judge = Judge(access or Access(None), NEEDS, on_refused=lambda _: None)
    server = Server(routes(told), judge, limits=limits, on_cut=lambda reason: told.cut.update([reason]))
    async with serving(server, [parse_address("127.0.0.1:0")], grace_seconds=grace_seconds, tls=tls) as (url,):
        yield Open(server, url, told)


def promptly(scenario: Callable[[], Awaitable[Any]], loop: Callable[[Coroutine[Any, Any, Any]], Any]) -> Any:
    """The scenario on that loop, or a failure instead of a hang."""

    async def within() -> Any:
        async with asyncio.timeout(SURELY):
            return await scenario()

    return loop(within())


async def until(condition: Callable[[], bool]) -> None:
    """The loop's turns, until it holds; `promptly` sees to the end."""
    while not condition():  # noqa: ASYNC110 - nothing else tells of it
        await asyncio.sleep(0.001)


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: x", *headers, "", ""]).encode()


def statuses(answers: bytes) -> list[int]:
    """Of a stream of answers, whose bodies hold no status line."""
    return [int(status) for status in re.findall(rb"HTTP/[0-9]\.[0-9] ([0-9]{3}) ", answers)]
