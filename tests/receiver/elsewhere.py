"""A caller at any address: a connection in memory, through the same doors as one from the network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from receiver.doors.quick import Quick
from tests.receiver.builders import SURELY
from tests.receiver.world import World


class Answer(NamedTuple):
    """What was answered."""

    status: int
    headers: dict[str, str]
    said: Any  # JSON, or text where it is none


class Ask(Protocol):
    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
    ) -> Awaitable[Answer]: ...


class Wire(asyncio.Transport):
    """What is written is kept, and closing is told to the protocol."""

    def __init__(self, address: str, certificate: Mapping[str, object] | None) -> None:
        super().__init__({"peername": (address, 50_000), "peercert": certificate})
        self.written = b""
        self.closed = asyncio.Event()
        self._protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@asynccontextmanager
async def elsewhere(
    world: World, address: str = "192.0.2.7", *, certificate: Mapping[str, object] | None = None
) -> AsyncIterator[Ask]:
    """Each request is a connection of its own, from that address."""
    behind = web.AppRunner(world.app, access_log=None)
    await behind.setup()
    server: Any = behind.server

    async def ask(
        method: str, path: str, *, headers: Mapping[str, str] = MappingProxyType({}), body: bytes = b""
    ) -> Answer:
        wire = Wire(address, certificate)
        protocol = Quick(world.door).connection(server)
        wire.set_protocol(protocol)
        protocol.connection_made(wire)
        lines = [f"{method} {path} HTTP/1.1", "Host: tocsin.example", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        last = b"GET /-/healthy HTTP/1.1\r\nHost: tocsin.example\r\nConnection: close\r\n\r\n"
        wire.get_protocol().data_received(request + last)
        async with asyncio.timeout(SURELY):
            await wire.closed.wait()
        return _first(wire.written)

    try:
        yield ask
    finally:
        await behind.cleanup()


def _first(written: bytes) -> Answer:
    head, _, rest = written.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    text = rest[: int(headers.get("content-length", 0))].decode()
    is_json = headers.get("content-type", "").startswith("application/json")
    return Answer(int(first.split()[1]), headers, json.loads(text) if is_json else text)
