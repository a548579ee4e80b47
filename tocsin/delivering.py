"""One batch of events to the exporter, over a connection that is kept. It has a deadline, whatever the other side does.

An event counts at most once: what was sent whole and never answered may have been counted, so it is not sent again.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
import select
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.destination import Destination
from tocsin.sending import Away, Refused, Taken, Unanswered

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

CONNECT_SECONDS_MAX = 2.0
ANSWER_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = 65_536
RETRY_AFTER_SECONDS_MAX = 30.0
TOKEN_BYTES_MAX = 4_096
SAID_CHARACTERS_MAX = 200
# A smaller body is sent as it is.
GZIP_BYTES = 16_384
# Counts nothing, and shows whether somebody answers.
PROBE = b"[]"
# Nothing of the batch has counted with these.
_LATER = (408, 429, 502, 503)


class Door:
    """The exporter's door for events. Used by one thread."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._connection: tuple[http.client.HTTPConnection, _Bounded] | None = None
        self._headers: dict[str, str] = {}
        # After a batch without an answer, first something that cannot count twice.
        self._is_doubtful = False

    def send(self, body: bytes) -> Taken:
        """Raises Away, Unanswered or Refused."""
        if self._is_doubtful:
            try:
                self._post(PROBE)
            except Unanswered as error:
                raise Away(str(error)) from None
            self._is_doubtful = False
        try:
            return self._post(body)
        except Unanswered:
            self._is_doubtful = True
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection[0].close()
            connection[1].end()

    def _post(self, body: bytes) -> Taken:
        deadline = time.monotonic() + CONNECT_SECONDS_MAX + ANSWER_SECONDS_MAX
        try:
            connection = self._connected(deadline)
            headers = dict(self._headers)
            if len(body) >= GZIP_BYTES:
                body = gzip.compress(body, 1)
                headers["Content-Encoding"] = "gzip"
            connection.request("POST", self._destination.path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            # Where not all could be sent, there is nothing whole to count.
            self.close()
            raise Away(_said(error)) from None
        try:
            answer = connection.getresponse()
            said = answer.read(ANSWER_BYTES_MAX)
            if answer.will_close or not answer.isclosed():
                self.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unanswered(_said(error)) from None
        return _judged(answer.status, said, answer.headers.get("Retry-After", ""))

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        if self._connection is not None:
            connection, bounded = self._connection
            if not _ended(bounded):
                bounded.deadline = deadline
                return connection
            self.close()
        there = self._destination
        self._headers = self._written_headers()
        connection = http.client.HTTPConnection(there.host, there.port)
        plain = socket.create_connection((there.host, there.port), timeout=CONNECT_SECONDS_MAX)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if there.tls:
                context = ssl.create_default_context(cafile=there.ca_file or None)
                plain = context.wrap_socket(plain, server_hostname=there.host)
        except BaseException:
            plain.close()
            raise
        bounded = _Bounded(plain, deadline)
        connection.sock = bounded
        self._connection = connection, bounded
        return connection

    def _written_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-ndjson", "User-Agent": "tocsin"}
        token = self._destination.token
        if self._destination.token_file:
            with Path(self._destination.token_file).open("rb") as file:
                token = file.read(TOKEN_BYTES_MAX).decode("ascii", "replace").strip()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


class _Bounded:
    """A socket with one deadline for all that is sent and received, for bytes that come one by one as well."""

    def __init__(self, inner: socket.socket, deadline: float) -> None:
        self._inner = inner
        self.deadline = deadline

    def _hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._inner.settimeout(left)

    def sendall(self, data: ReadableBuffer) -> None:
        self._hurry()
        self._inner.sendall(data)

    def recv_into(self, data: WriteableBuffer) -> int:
        self._hurry()
        return self._inner.recv_into(data)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - as http.client calls it
        return io.BufferedReader(_Received(self))

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        """What http.client calls while there is still an answer to be read."""

    def end(self) -> None:
        self._inner.close()


class _Received(io.RawIOBase):
    def __init__(self, bounded: _Bounded) -> None:
        self._bounded = bounded

    def readable(self) -> bool:
        return True

    def readinto(self, data: WriteableBuffer, /) -> int:
        return self._bounded.recv_into(data)


def _ended(there: _Bounded) -> bool:
    """Whether the other side has closed a connection on which nothing is on its way."""
    if not hasattr(select, "poll"):
        return bool(select.select([there], [], [], 0)[0])
    poll = select.poll()
    poll.register(there, select.POLLIN)
    return bool(poll.poll(0))


def _judged(status: int, said: bytes, retry_after: str) -> Taken:
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if status in _LATER:
        raise Away(f"it answered {status}", after_seconds=_seconds(retry_after))
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    error = str((first.get("error") if isinstance(first, dict) else None) or answer.get("error") or "")
    error = "".join(each for each in error if each.isprintable())[:SAID_CHARACTERS_MAX]
    rejected = answer.get("rejected")
    if 200 <= status < 300 or (status == 400 and isinstance(rejected, int)):
        return Taken(rejected if isinstance(rejected, int) else 0, error)
    raise Refused(f"it answered {status}{': ' if error else ''}{error}")


def _seconds(retry_after: str) -> float:
    return min(float(retry_after), RETRY_AFTER_SECONDS_MAX) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _said(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:SAID_CHARACTERS_MAX]
