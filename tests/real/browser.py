"""A real browser, driven over its own protocol: it opens a page, presses a button, and says what a person would read.

Only what Chromium itself enforces can show that a page works under its own policy: styles, forms, and what the browser
says of where a form comes from.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.left_out import left_out
from tests.real.servers import SURELY

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LOOK_SECONDS = 0.05


class Browser:
    """One page of it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []  # what the page's policy forbade, and what failed in it

    async def ask(self, method: str, **parameters: object) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            said = await self._socket.receive_json(timeout=SURELY)
            if said.get("method") == "Log.entryAdded":
                self.complaints.append(said["params"]["entry"]["text"])
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    async def value(self, expression: str) -> Any:
        said = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return said["result"].get("value")

    async def open(self, url: str) -> str:
        await self.ask("Page.navigate", url=url)
        return await self.reads("document.querySelector('h1')")

    async def press(self, value: str, then: str) -> str:
        """Presses a button, and reads the page once it shows what `then` selects."""
        await self.ask("Runtime.evaluate", expression=f"document.querySelector('button[value={value}]').click()")
        return await self.reads(f"document.querySelector({json.dumps(then)})")

    async def reads(self, shown: str) -> str:
        async with asyncio.timeout(SURELY):
            while not await self.value(f"document.readyState === 'complete' && !!({shown})"):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
        return str(await self.value("document.body.innerText"))

    async def picture(self) -> bytes:
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def browser(folder: Path, *flags: str, width: int = 390, height: int = 720) -> AsyncIterator[Browser]:
    """As large as a phone."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = "chromium is not installed (Debian's package chromium; `make test` as root installs it)"
        left_out(reason)
    command, quiet = _command(program, folder, flags), asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (address,) = [each["webSocketDebuggerUrl"] for each in await answer.json() if each["type"] == "page"]
            async with client.ws_connect(address, max_msg_size=0) as socket:
                shown = Browser(socket)
                await shown.ask("Page.enable")
                await shown.ask("Log.enable")
                size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
                await shown.ask("Emulation.setDeviceMetricsOverride", **size)
                yield shown
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _command(program: str, folder: Path, flags: Sequence[str]) -> list[str]:
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [
        *(program, "--headless=new", *alone, *flags, "--remote-debugging-port=0", f"--user-data-dir={folder}"),
        *("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
        "about:blank",
    ]


async def _port(file: Path, process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(SURELY):
        while not file.exists() or not file.read_text().strip():  # noqa: ASYNC240 - a line of a few bytes
            assert process.returncode is None, f"the browser ended with {process.returncode}"
            await asyncio.sleep(LOOK_SECONDS)
    return int(file.read_text().split()[0])  # noqa: ASYNC240
