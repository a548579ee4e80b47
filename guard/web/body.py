"""The bytes behind a head, as they come. Neither of the two takes more than a body may have, nor a byte that is behind.

A body in chunks is the parser's, which is given no more than a line at a time: so a body's last byte is the last that
the parser has seen, and what follows is the next request.
"""

from typing import Protocol

from httptools import HttpParserError, HttpRequestParser

from guard.judge import Refusal

# What is around the chunks, and behind the last of them, for each byte that a body may have, and in any case.
FRAMING_SHARE_MAX = 8
FRAMING_BYTES_MIN = 4_096

_BEGINNING = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class Body(Protocol):
    @property
    def whole(self) -> bool: ...

    def take(self, data: bytes) -> bytes:
        """What of the data is behind the body. Raises Refusal."""
        ...

    def content(self) -> bytes: ...


def body_of(size: int | None, *, bytes_max: int) -> Body:
    """`size` is None for a body in chunks. Raises Refusal."""
    if size is None:
        return Chunked(bytes_max)
    if size > bytes_max:
        raise _too_large(bytes_max)
    return Sized(size)


class Sized:
    def __init__(self, size: int) -> None:
        self._missing = size
        self._parts: list[bytes] = []

    @property
    def whole(self) -> bool:
        return self._missing == 0

    def take(self, data: bytes) -> bytes:
        part = data[: self._missing]
        self._parts.append(part)
        self._missing -= len(part)
        return data[len(part) :]

    def content(self) -> bytes:
        return b"".join(self._parts)


class Chunked:
    def __init__(self, bytes_max: int) -> None:
        self.whole = False
        self._bytes_max = bytes_max
        self._bytes = 0
        self._framed = 0
        self._framed_max = bytes_max * FRAMING_SHARE_MAX + FRAMING_BYTES_MIN
        self._parts: list[bytes] = []
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(_BEGINNING)

    def take(self, data: bytes) -> bytes:
        at = 0
        while at < len(data) and not self.whole:
            end = data.find(b"\n", at) + 1 or len(data)
            self._framed += end - at
            if self._framed > self._framed_max:
                raise _too_large(self._bytes_max)
            try:
                self._parser.feed_data(data[at:end])
            except HttpParserError:
                raise Refusal(400, "the body's chunks cannot be read") from None
            if self._bytes > self._bytes_max:
                raise _too_large(self._bytes_max)
            at = end
        return data[at:]

    def content(self) -> bytes:
        return b"".join(self._parts)

    # --- what the parser calls ---------------------------------------------------------------------------------

    def on_body(self, part: bytes) -> None:
        self._bytes += len(part)
        if self._bytes <= self._bytes_max:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        self.whole = True


def _too_large(bytes_max: int) -> Refusal:
    return Refusal(413, f"the body is larger than {bytes_max} bytes")
