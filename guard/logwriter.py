"""Where log lines go: standard error, a file, or syslog; written by a thread of their own.

A pipe that nobody reads, a disk that hangs and a syslog that is gone hold up nobody who logs: lines wait, so many
bytes of them, and further ones are dropped and counted. A file is opened anew when it was moved away or removed, so
that it can be rotated without being copied; a socket when the other end was. Nothing is raised here once it runs.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

WAITING_BYTES_MAX = 4 * 1024 * 1024
# A destination that takes nothing for so long loses the line.
WRITE_SECONDS_MAX = 1.0
# At the end of the program, for what waits.
FLUSH_SECONDS_MAX = 1.0
# How often a file is looked after, and a lost destination tried again.
LOOK_SECONDS = 1.0
STANDARD_ERROR = 2
_FILE_MODE = 0o640


class Destination(Protocol):
    def write(self, line: bytes) -> None:
        """All of it, or OSError."""
        ...

    def reopen(self) -> None:
        """Somebody has moved what was written so far."""
        ...

    def close(self) -> None: ...


class Writer:
    """Lines in, in their order. `dropped` is told of each that was lost."""

    def __init__(self, destination: Destination, dropped: Callable[[], None]) -> None:
        self._destination = destination
        self._dropped = dropped
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._busy = False
        self._reopen = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        with self._changed:
            if self._closing or (self._bytes and self._bytes + len(line) > WAITING_BYTES_MAX):
                self._dropped()
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify_all()

    def reopen(self) -> None:
        """Before the next line."""
        self._reopen = True

    def flush(self, seconds: float = FLUSH_SECONDS_MAX) -> bool:
        """Waits for what is there, but no longer than so. False: not all of it is written."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lines and not self._busy, seconds)

    def close(self) -> None:
        done = self.flush()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if done:
            self._thread.join(WRITE_SECONDS_MAX)

    def _run(self) -> None:
        while (line := self._next()) is not None:
            try:
                if self._reopen:
                    self._reopen = False
                    self._destination.reopen()
                self._destination.write(line)
            except (OSError, ValueError):
                with self._changed:
                    self._dropped()
        self._destination.close()

    def _next(self) -> bytes | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._closing)
            if not self._lines:
                return None
            line = self._lines.popleft()
            self._bytes -= len(line)
            self._busy = True
            return line


class Stderr:
    def __init__(self, descriptor: int = STANDARD_ERROR) -> None:
        self._descriptor = descriptor

    def write(self, line: bytes) -> None:
        _write(self._descriptor, line + b"\n")

    def reopen(self) -> None:
        """It is not ours to open."""

    def close(self) -> None:
        """Nor to close."""


class File:
    """Opened at once, so that a start can say what is wrong with it. Raises OSError."""

    def __init__(self, path: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._torn = False  # the last line in it has no end
        self._looks_at = 0.0
        self._descriptor = self._opened()

    def write(self, line: bytes) -> None:
        if self._clock() >= self._looks_at and self._was_moved():
            self.reopen()
        whole = b"\n" + line + b"\n" if self._torn else line + b"\n"
        self._torn = True
        _write(self._descriptor, whole)
        self._torn = False

    def reopen(self) -> None:
        """Where that cannot be, writing goes on where it was."""
        try:
            fresh = self._opened()
        except OSError:
            return
        os.close(self._descriptor)
        self._descriptor, self._torn = fresh, False

    def close(self) -> None:
        os.close(self._descriptor)

    def _opened(self) -> int:
        self._looks_at = self._clock() + LOOK_SECONDS
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, _FILE_MODE)

    def _was_moved(self) -> bool:
        self._looks_at = self._clock() + LOOK_SECONDS
        try:
            there, ours = os.stat(self._path), os.fstat(self._descriptor)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


class Datagrams:
    """To a Unix socket by its path, or to a host and port over UDP; each line is one datagram."""

    def __init__(self, where: str | tuple[str, int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._clock = clock
        self._socket: socket.socket | None = None
        self._tries_at = 0.0

    def write(self, line: bytes) -> None:
        if self._socket is None:
            self._socket = self._connected()
        try:
            self._socket.send(line)
        except OSError:
            self.reopen()
            # A syslog that was started again has a socket of its own; UDP tells of the datagram before this one.
            self._socket = self._connected()
            self._socket.send(line)

    def reopen(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        self.reopen()

    def _connected(self) -> socket.socket:
        if self._clock() < self._tries_at:
            raise BlockingIOError("it was tried a moment ago")
        self._tries_at = self._clock() + LOOK_SECONDS
        family, address = _found(self._where)
        connecting = socket.socket(family, socket.SOCK_DGRAM)
        try:
            connecting.settimeout(WRITE_SECONDS_MAX)
            connecting.connect(address)
        except BaseException:
            connecting.close()
            raise
        self._tries_at = 0.0
        return connecting


def _found(where: str | tuple[str, int]) -> tuple[socket.AddressFamily, Any]:
    if isinstance(where, str):
        return socket.AF_UNIX, where
    family, _, _, _, address = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
    return family, address


def _write(descriptor: int, data: bytes) -> None:
    """A pipe may be full, and set by others not to wait."""
    rest = memoryview(data)
    until = time.monotonic() + WRITE_SECONDS_MAX
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            waits = select.poll()
            waits.register(descriptor, select.POLLOUT)
            if not waits.poll(max(until - time.monotonic(), 0) * 1000):
                raise
