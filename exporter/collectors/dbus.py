"""Asks questions over D-Bus, in as much of its protocol as that takes, without a library.

Speaks to a Unix socket: it authenticates as the user it runs as, sends calls whose arguments are texts, and reads what
is answered. Every message has a limit, every wait ends at the deadline, and an answer belongs to a question by its
number, whatever else arrives in between. Nothing here knows what the answers mean.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from exporter.collectors.dbusmessage import ORDERS, Answer, Call, Garbled, aligned, answer_of, message

MESSAGE_BYTES_MAX = 16 << 20
HEADER_BYTES_MAX = 1 << 16
LINE_BYTES_MAX = 1024
# Calls that wait for their answers at the same time; a bus allows at least so many, and their answers fit its queue.
PENDING_MAX = 64
PATIENCE_SECONDS_MAX = 10.0

BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"


class Connection:
    """One conversation; `destination` is whom to ask on a bus, or nobody where there is no bus between."""

    def __init__(self, path: str, *, destination: str, deadline: float) -> None:
        self._path = path
        self._destination = destination
        self._deadline = min(deadline, time.monotonic() + PATIENCE_SECONDS_MAX)
        self._received = bytearray()
        self._serial = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> "Connection":
        try:
            with self._naming_itself():
                self._wait()
                self._socket.connect(self._path)
                self._authenticate()
                if self._destination:
                    self._hello()
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers to all calls, in their order."""
        answers: list[Answer] = []
        with self._naming_itself():
            for start in range(0, len(calls), PENDING_MAX):
                answers += self._ask_together(calls[start : start + PENDING_MAX], self._destination)
        return answers

    @contextmanager
    def _naming_itself(self) -> Iterator[None]:
        """Whatever goes wrong is said with the name of the socket."""
        try:
            yield
        except OSError as error:
            raise type(error)(f"{self._path}: {error.strerror or str(error)}") from None
        except Garbled as error:
            raise Garbled(f"{self._path}: {error}") from None
        except (struct.error, IndexError, KeyError):
            raise Garbled(f"{self._path}: found a message that ends too soon, expected a whole one") from None

    def _hello(self) -> None:
        """A bus serves only those who have introduced themselves."""
        (answer,) = self._ask_together([Call(BUS_PATH, BUS, "Hello")], BUS)
        if answer.error:
            raise Garbled(f"found {answer.error}, expected to be welcome")

    def _ask_together(self, calls: Sequence[Call], destination: str) -> list[Answer]:
        first = self._serial + 1
        self._serial += len(calls)
        self._wait()
        self._socket.sendall(b"".join(message(first + index, call, destination) for index, call in enumerate(calls)))
        answers: dict[int, Answer] = {}
        while len(answers) < len(calls):
            serial, answer = self._receive()
            if answer is not None and first <= serial <= self._serial:
                answers[serial] = answer
        return [answers[serial] for serial in range(first, self._serial + 1)]

    def _authenticate(self) -> None:
        """The kernel tells the other side who we are; the line only claims it."""
        claim = str(os.getuid()).encode().hex()
        self._socket.sendall(f"\0AUTH EXTERNAL {claim}\r\n".encode())
        while b"\r\n" not in self._received:
            if len(self._received) > LINE_BYTES_MAX:
                raise Garbled("found a line without an end, expected OK")
            self._fill(len(self._received) + 1)
        line, _, rest = self._received.partition(b"\r\n")
        if not line.startswith(b"OK"):
            raise Garbled(f"found {bytes(line[:80])!r}, expected OK")
        self._received = rest
        self._socket.sendall(b"BEGIN\r\n")

    def _receive(self) -> tuple[int, Answer | None]:
        """The next message: the number of the call that it answers, and what it says, if it is an answer."""
        self._fill(16)
        order = ORDERS.get(self._received[0])
        if order is None or self._received[3] != 1:
            raise Garbled(f"found {bytes(self._received[:16])!r}, expected a message")
        body_bytes, _, fields_bytes = struct.unpack_from(f"{order}III", self._received, 4)
        start = aligned(16 + fields_bytes, 8)
        if fields_bytes > HEADER_BYTES_MAX or body_bytes > MESSAGE_BYTES_MAX:
            found = f"a message of {start + body_bytes} bytes"
            raise Garbled(f"found {found}, expected at most {MESSAGE_BYTES_MAX}")
        self._fill(start + body_bytes)
        content = bytes(self._received[: start + body_bytes])
        del self._received[: start + body_bytes]
        return answer_of(content, order, start)

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            self._wait()
            part = self._socket.recv(1 << 16)
            if not part:
                raise ConnectionError("the other side hung up")
            self._received += part

    def _wait(self) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(remaining)
