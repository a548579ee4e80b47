"""Opening a program's doors, closing them gracefully, and the loop that both happen in.

Nothing here knows what a door does, nor what serves it.
"""

import asyncio
import errno
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

# Alertmanager keeps idle connections for five minutes. Were ours the shorter, a webhook would now and then
# meet a connection that is just being closed.
KEEPALIVE_SECONDS = 360.0
# Connections that the kernel holds for us: after a restart Alertmanager flushes every group at once.
BACKLOG = 1024
# Whoever begins to speak TLS and does not go on is cut off.
HANDSHAKE_SECONDS_MAX = 10.0
STANDARD_ERROR = 2

_ADDRESS = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:/@\s]*)):(?P<port>[0-9]{1,5})")
_REASONS = {
    errno.EADDRINUSE: "the port is taken (by another tocsin, or by what it replaces?)",
    errno.EACCES: "not permitted (ports below 1024 need a privilege)",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}


class CannotListen(Exception):
    """A door could not be opened; the text names the address and the reason."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. No host means every interface; port 0 means any free port."""

    host: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def announce(line: str) -> None:
    """To whoever started the program. A full disk below its output, or nobody there, does not keep it from serving."""
    with suppress(OSError):
        if sys.stdout is not None:
            os.write(sys.stdout.fileno(), f"{line}\n".encode())


def parse_address(text: str) -> Address:
    """`127.0.0.1:29100`, `[::1]:29100`, or `:29100` for every interface."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        forms = "HOST:PORT such as 127.0.0.1:29100, [::1]:29100, or :29100 for every interface"
        raise ValueError(f"found {text!r}, expected {forms}")
    return Address(match["bracketed"] or match["plain"] or None, int(match["port"]))


async def signals(*, on_reload: Callable[[], None] | None) -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; SIGHUP calls `on_reload`, and without one it stops as well.

    A second signal does nothing more: a program below `tocsin up` gets one from the terminal and one from
    its parent, and must not die of that. The grace period bounds the wait.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, on_reload or stop.set)
    return stop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a program to its end on the fast event loop."""
    _take_the_standard_numbers()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _take_the_standard_numbers() -> None:
    """The event loop aborts when it closes a file with one of them, which it gets where the program began without."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)


async def open_doors(
    connection: Callable[[], asyncio.Protocol],
    addresses: Sequence[Address],
    *,
    tls: ssl.SSLContext | None,
    sockets: Sequence[socket.socket] = (),
    begin: bool = True,
) -> list[asyncio.Server]:
    """At every address and socket, or at none of them. Without `begin` nobody is let in yet. Raises CannotListen."""
    seconds = None if tls is None else HANDSHAKE_SECONDS_MAX
    how = {"backlog": BACKLOG, "ssl": tls, "ssl_handshake_timeout": seconds, "start_serving": begin}
    servers: list[asyncio.Server] = []
    try:
        for address in addresses:
            servers.append(await _open(connection, address, how))  # noqa: PERF401 - those before are closed
        for each in sockets:
            servers.append(await _serve(connection, each, how))  # noqa: PERF401
    except BaseException:
        for server in servers:
            server.close()
        raise
    return servers


def base_urls(servers: Sequence[asyncio.Server], *, tls: bool) -> tuple[str, ...]:
    """Under which the doors are really reached, each once."""
    bound = [each.getsockname() for server in servers for each in server.sockets]
    return tuple(dict.fromkeys(_base_url(each, "https" if tls else "http") for each in bound))


async def _open(connection: Callable[[], asyncio.Protocol], address: Address, how: Mapping[str, Any]) -> asyncio.Server:
    open_ = partial(asyncio.get_running_loop().create_server, connection, **how)
    try:
        if address.host is None:
            return await open_(sock=_every_interface(address.port))
        return await open_(host=address.host, port=address.port)
    except socket.gaierror:
        raise CannotListen(f"cannot listen on {address}: {address.host!r} is not a known host") from None
    except OSError as error:
        code = error.errno or 0
        reason = _REASONS.get(code) or (os.strerror(code) if code else str(error))
        raise CannotListen(f"cannot listen on {address}: {reason}") from None


async def _serve(
    connection: Callable[[], asyncio.Protocol], listens: socket.socket, how: Mapping[str, Any]
) -> asyncio.Server:
    """At a socket that somebody else has opened."""
    loop = asyncio.get_running_loop()
    if listens.family == socket.AF_UNIX:
        return await loop.create_unix_server(connection, sock=listens, **how)
    return await loop.create_server(connection, sock=listens, **how)


def _every_interface(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, so that any free port is the same port for both."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            # A kernel may know IPv6 and yet have no address for it, as in many containers.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))


def _base_url(bound: Any, scheme: str) -> str:
    if not isinstance(bound, tuple):  # a Unix socket
        return f"unix:{bound}"
    host, port = str(bound[0]), bound[1]
    if host in ("::", "0.0.0.0"):  # noqa: S104 - only recognised here, never asked for
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
