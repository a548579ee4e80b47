"""An answer over HTTP/1.1 as it comes, bounded in every direction. Nothing here knows of sockets."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exporter.probes.attempt import Failed

HEAD_BYTES_MAX = 65_536
HEADERS_MAX = 200
# What may be around a body in chunks, besides as much as the body has.
FRAMING_BYTES_MAX = 262_144
# Of a body, what regular expressions look at.
MATCHED_BYTES_MAX = 1_048_576
# The parser is given so much at once.
PIECE_BYTES = 16_384


class Response:
    """`headers` have names in lower case; `body` is the beginning of it, if it is kept."""

    def __init__(self, *, method: str, body_bytes_max: int, keep: bool) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.body_bytes = 0
        self.head_done = False
        self.done = False
        self._method = method
        self._body_bytes_max = body_bytes_max
        self._keep = keep
        self._bytes = 0
        self._parser = HttpResponseParser(self)

    def take(self, data: bytes) -> None:
        """Raises Failed."""
        for start in range(0, len(data), PIECE_BYTES):
            if self.done:
                return
            piece = data[start : start + PIECE_BYTES]
            self._bytes += len(piece)
            try:
                self._parser.feed_data(piece)
            except HttpParserUpgrade:
                self.done = True
            except HttpParserError as error:
                raise Failed("protocol", f"no answer over HTTP/1.1: {error}") from None
            if self.head_done and self._method == "HEAD":
                self.done = True
            self._check()

    def end(self) -> None:
        """No more comes. Raises Failed where something is missing."""
        if self.done:
            return
        if not self.head_done:
            raise Failed("closed", "the connection was ended before the head of an answer was whole")
        if self.first("content-length") is not None or self.first("transfer-encoding") is not None:
            raise Failed("closed", "the connection was ended in the middle of the body")
        self.done = True

    def first(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each == name), None)

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name.lower()]

    def _check(self) -> None:
        if not self.head_done and self._bytes > HEAD_BYTES_MAX:
            raise Failed("too_large", f"the head has more than {HEAD_BYTES_MAX} bytes")
        if len(self.headers) > HEADERS_MAX:
            raise Failed("too_large", f"the head has more than {HEADERS_MAX} headers")
        if self.body_bytes > self._body_bytes_max:
            raise Failed("too_large", f"the body has more than {self._body_bytes_max} bytes (body_bytes_max)")
        if self._bytes - self.body_bytes > HEAD_BYTES_MAX + FRAMING_BYTES_MAX + self.body_bytes:
            raise Failed("too_large", "what is around the chunks of the body is larger than the body")

    # --- what the parser calls ---------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done and len(self.headers) <= HEADERS_MAX:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.version = self._parser.get_http_version()
        if self.status < 200 and self.status != 101:  # told on the way; the answer comes after it
            self.headers.clear()
            return
        self.head_done = True

    def on_body(self, part: bytes) -> None:
        self.body_bytes += len(part)
        if self._keep and len(self.body) < MATCHED_BYTES_MAX:
            self.body += part[: MATCHED_BYTES_MAX - len(self.body)]

    def on_message_complete(self) -> None:
        if self.head_done:
            self.done = True
