"""Probes as a configuration file asks for them, of servers that do as a test says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from exporter.control import Plan
from exporter.probes import Probed
from exporter.probes.counts import ProbeCounts
from exporter.probes.part import Probes
from exporter.settings import KIND
from guard import configfile
from tests.exporter.builders import SURELY

# Of a probe that fails for want of an answer: long enough for everything else.
SHORT_SECONDS = 0.5

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def probes_of(text: str) -> Probes:
    """`text` is exporter.yml."""
    settings = configfile.read_text(text, "exporter.yml", KIND, environ={})
    probes = Probes(ProbeCounts())
    probes.prepare(Plan((), 8.0, file=settings))()
    return probes


async def ask(text: str, module: str, target: str, *, seconds: float = SURELY, hostname: str = "") -> Probed:
    probes = probes_of(text)
    return await probes.ask(probes.module(module), target, seconds=seconds, hostname=hostname)


def values(probed: Probed) -> Mapping[str, float]:
    """What has no label, or one, by `name` and `name{value}`."""
    return {
        f"{family.name}{{{key[0]}}}" if key else family.name: value
        for family in probed.families
        for key, value in family.samples
        if isinstance(value, (int, float))
    }


@asynccontextmanager
async def server(serve: Serve, *, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Its port. Whoever is still being served at the end is not any more."""
    tasks: set[asyncio.Task[None]] = set()

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listening = await asyncio.start_server(each, host, 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def says(data: bytes) -> Serve:
    """Reads a request, says this, and ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


def endless(beginning: bytes, again: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(beginning)
        while True:
            writer.write(again)
            await writer.drain()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes what comes, and says nothing."""
    while await reader.read(65_536):
        pass


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def file_with(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path
