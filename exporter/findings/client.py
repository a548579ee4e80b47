"""One POST of JSON over HTTP/1.1, within a time. A connection is made for each, as there is one a minute.

Loaded where an Alertmanager is configured; a web framework's client would cost more memory than all the rest of this
program may. Redirects are not followed: they would carry the token elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from exporter.findings.settings import BasicAuth, FindingsSettings, address_of, port_of
from exporter.pool import Pool
from guard.secretfile import secret_in
from guard.tokens import Unreadable, first_token
from guard.version import VERSION

ANSWER_BYTES_MAX = 65_536
# Addresses of one name that are tried, in their order, each for its part of the time.
ADDRESSES_TRIED_MAX = 4


class Failed(Exception):
    """`reason` is one of those in tally.py. The text shows neither a token nor more of the URL than its host."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Target(NamedTuple):
    """Where to post, and how to log in there; both files are read for each post."""

    name: str
    host: str
    port: int
    path: str
    context: ssl.SSLContext | None
    token_file: str | None = None
    basic_auth: BasicAuth | None = None

    def authorization(self) -> Mapping[str, str]:
        """Raises Failed."""
        try:
            if self.token_file is not None:
                return {"Authorization": f"Bearer {first_token(self.token_file)}"}
            if self.basic_auth is not None:
                login = f"{self.basic_auth.username}:{secret_in(Path(self.basic_auth.password_file))}"
                return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        except Unreadable as error:
            raise Failed("credentials", str(error)) from None
        return {}


def targets_of(urls: Sequence[str], settings: FindingsSettings, *, path: str) -> list[Target]:
    """Raises OSError or ssl.SSLError where the authorities cannot be read."""
    secure = any(urlsplit(url).scheme == "https" for url in urls)
    context = ssl.create_default_context(cafile=settings.ca_file) if secure else None
    found = []
    for url in urls:
        parts = urlsplit(url)
        found.append(
            Target(
                address_of(url),
                parts.hostname or "",
                port_of(url),
                parts.path.rstrip("/") + path,
                context if parts.scheme == "https" else None,
                settings.token_file,
                settings.basic_auth,
            )
        )
    return found


# The addresses of a name. May take for ever, and raise OSError or UnicodeError.
LookUp = Callable[[str, int], list[str]]


def _looked_up(host: str, port: int) -> list[str]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class Names:
    """Looks a name up in a thread that may never come back, and does not begin anew while it has not."""

    def __init__(self, look_up: LookUp = _looked_up) -> None:
        self._look_up = look_up
        self._pool = Pool("tocsin-alertmanager")
        self._asking: asyncio.Future[list[str]] | None = None

    async def addresses(self, host: str, port: int) -> list[str]:
        if _is_address(host):
            return [host]
        if self._asking is None:
            self._asking = self._ask(host, port)
        try:
            found = await asyncio.shield(self._asking)
        except OSError:
            self._asking = None
            raise
        self._asking = None
        return found

    def close(self) -> None:
        self._pool.close()

    def _ask(self, host: str, port: int) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        asking: asyncio.Future[list[str]] = loop.create_future()

        def answer(found: list[str] | OSError) -> None:
            if isinstance(found, OSError):
                asking.set_exception(found)
                asking.exception()  # nobody may be waiting any more
            else:
                asking.set_result(found)

        def ask() -> None:
            try:
                found: list[str] | OSError = self._look_up(host, port)
            except OSError as error:
                found = error
            except UnicodeError:
                found = OSError("no name that can be looked up")
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answer, found)

        self._pool.submit(ask)
        return asking


async def post(target: Target, body: bytes, *, names: Names, seconds: float) -> None:
    """Until the other side has said that it took it. Raises Failed."""
    head = {
        "Host": target.name,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": f"Tocsin/{VERSION}",
        "Connection": "close",
        **target.authorization(),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    request = f"POST {target.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
    try:
        async with asyncio.timeout(seconds):
            status = await _exchanged(target, request, names, seconds)
    except TimeoutError:
        raise Failed("timeout", f"no whole answer within {seconds:g} seconds") from None
    except ssl.SSLError as error:
        raise Failed("tls", (error.reason or "no TLS").replace("_", " ").lower()) from None
    except OSError as error:
        raise Failed("unreachable", error.strerror or "cannot connect") from None
    if status != 200:
        raise Failed(_reason(status), f"expected status 200, found {status}")


async def _exchanged(target: Target, request: bytes, names: Names, seconds: float) -> int:
    reader, writer = await _connected(target, names, seconds)
    try:
        writer.write(request)
        return await _status(reader)
    finally:
        writer.transport.abort()


async def _connected(target: Target, names: Names, seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    addresses = (await names.addresses(target.host, target.port))[:ADDRESSES_TRIED_MAX]
    trouble: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            async with asyncio.timeout(seconds / len(addresses)):
                return await asyncio.open_connection(
                    address,
                    target.port,
                    ssl=target.context,
                    server_hostname=target.host if target.context is not None else None,
                )
        except OSError as error:  # TimeoutError is one
            trouble = error
    raise trouble


async def _status(reader: asyncio.StreamReader) -> int:
    """When the whole answer is there. Raises Failed."""
    told = _Told()
    parser = HttpResponseParser(told)
    read = 0
    while not told.is_whole:
        part = await reader.read(16_384)
        read += len(part)
        if not part or read > ANSWER_BYTES_MAX:
            # Without a length, the end of the connection is the end of the answer.
            if told.has_head and read <= ANSWER_BYTES_MAX:
                break
            raise Failed("answer", "the answer is cut off" if not part else "the answer is too long")
        try:
            parser.feed_data(part)
        except HttpParserError:
            raise Failed("answer", "what answers is no HTTP server") from None
    return int(parser.get_status_code())


class _Told:
    """What the parser tells."""

    has_head = False
    is_whole = False

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_message_complete(self) -> None:
        self.is_whole = True


def _reason(status: int) -> str:
    if status in (401, 403, 407):
        return "credentials"
    return "unavailable" if status in (408, 429) or status >= 500 else "refused"


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, UnicodeError):
            socket.inet_pton(family, host)
            return True
    return False
