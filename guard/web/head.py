"""The bytes before a body, and what they ask for. Strict: a head that two programs could read differently is refused.

Refused are, beside what the parser refuses (folded lines, line ends without a carriage return, white space before a
colon, control characters, two lengths, a length beside an encoding): a request line that is not three words, versions
other than 1.0 and 1.1, a header of which there can be only one and there are two, HTTP/1.1 without a host, encodings
other than `chunked`, and expectations other than `100-continue`. Upgrades are not offered, so nobody gets one.
"""

import re
from http import HTTPStatus

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from guard.judge import Refusal

HEAD_BYTES_MAX = 16_384
HEADERS_MAX = 100
# As many as the largest length that the parser can hold has; more are zeros in front.
LENGTH_DIGITS_MAX = 20

END = b"\r\n\r\n"
# With which a head can begin, however little of it is there: what is no HTTP is told apart at its first byte.
_BEGINNING = re.compile(rb"[A-Z][A-Z-]{0,19}(?: |\Z)")
_ONLY_ONCE = frozenset(["authorization", "content-length", "content-type", "expect", "host", "transfer-encoding"])
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)
NOT_HTTP = "this is no HTTP request"


class Head(msgspec.Struct, frozen=True):
    """`path` is as it was sent. `body_bytes` is None where the body comes in chunks."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body_bytes: int | None
    keeps_alive: bool
    expects: bool = False  # to be told to go on before it sends the body
    old: bool = False  # HTTP/1.0, which has to be told that a connection stays


class _Told:
    """What the parser tells."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def find_head(unread: bytes) -> int | None:
    """Where the head ends with which these bytes begin, or None while it is not whole. Raises Refusal."""
    end = unread.find(END, 0, HEAD_BYTES_MAX)
    if end >= 0:
        return end + len(END)
    if unread and (not _BEGINNING.match(unread) or unread.count(b"\n") != unread.count(b"\r\n")):
        raise Refusal(400, NOT_HTTP)
    if len(unread) >= HEAD_BYTES_MAX:
        raise Refusal(431, f"the head is larger than {HEAD_BYTES_MAX} bytes")
    return None


def read_head(head: bytes) -> Head:
    """Raises Refusal."""
    told = _Told()
    parser = HttpRequestParser(told)
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        pass  # as if it had not been asked for
    except HttpParserError:
        raise Refusal(400, NOT_HTTP) from None
    words = head[: head.index(b"\r\n")].split(b" ")
    if len(words) != 3 or words[2] not in _VERSIONS:
        raise Refusal(400, NOT_HTTP)
    method, target, version = words
    if len(told.headers) > HEADERS_MAX:
        raise Refusal(431, f"there are more than {HEADERS_MAX} headers")
    headers = _by_name(told.headers)
    path, query = _where(target, headers)
    old = version == b"HTTP/1.0"
    if not old and "host" not in headers:
        raise Refusal(400, "there is no header Host")
    said = {word.strip() for word in headers.get("connection", "").lower().split(",")}
    return Head(
        method=method.decode(),
        path=path,
        query=query,
        headers=headers,
        body_bytes=_body_bytes(headers, old=old),
        keeps_alive="keep-alive" in said if old else "close" not in said,
        expects=_expects(headers.get("expect"), old=old),
        old=old,
    )


def _by_name(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in pairs:
        name = name_bytes.lower().decode("ascii")
        value = value_bytes.strip(b" \t").decode("utf-8", "surrogateescape")
        if name not in headers:
            headers[name] = value
        elif name in _ONLY_ONCE:
            raise Refusal(400, f"the header {name} is there twice")
        else:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def _where(target: bytes, headers: dict[str, str]) -> tuple[str, str]:
    """Path and query. A proxy may send the whole address, whose host then counts."""
    if target[:1] != b"/":
        absolute = _ABSOLUTE.match(target)
        if absolute is None:
            raise Refusal(400, "the target is no path")
        headers["host"] = absolute[1].decode("latin-1")
        target = target[absolute.end() :]
    path, _, query = target.partition(b"#")[0].decode("latin-1").partition("?")
    return path or "/", query


def _body_bytes(headers: dict[str, str], *, old: bool) -> int | None:
    """The parser has seen to it that a length is a number, and that not both are there."""
    encoding = headers.get("transfer-encoding")
    if encoding is None:
        length = headers.get("content-length", "0")
        if len(length) > LENGTH_DIGITS_MAX:
            raise Refusal(400, NOT_HTTP)
        return int(length)
    if old or encoding.lower() != "chunked":
        raise Refusal(HTTPStatus.NOT_IMPLEMENTED, "of transfer encodings only chunked is known, from HTTP/1.1 on")
    return None


def _expects(expectation: str | None, *, old: bool) -> bool:
    if expectation is None or old:
        return False
    if expectation.lower() != "100-continue":
        raise Refusal(417, "of expectations only 100-continue is known")
    return True
