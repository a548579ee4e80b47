"""A request and an answer as doors know them. Nothing here knows of sockets."""

import json
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import parse_qsl

import msgspec

from guard.callers import Caller

JSON = "application/json; charset=utf-8"
# Further fields of a query are a fault of the sender's.
QUERY_FIELDS_MAX = 100

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Request(msgspec.Struct, frozen=True):
    """Names of headers are in lower case. `parts` are what stands for the braces of a route."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    parts: Mapping[str, str]
    body: bytes
    remote: str | None  # None on a Unix socket
    local: tuple[str, int] | None
    secure: bool
    caller: Caller | None  # where the door's need says that it must be known

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def fields(self) -> list[tuple[str, str]]:
        """The query's, in their order. Raises ValueError where there are too many."""
        return parse_qsl(self.query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)


class Answer(msgspec.Struct, frozen=True):
    """What goes back. Length and date are added on the way."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = NO_HEADERS


def json_answer(value: object, *, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    return Answer(json.dumps(value).encode(), JSON, status, headers)


def text_answer(text: str, content_type: str = "text/plain; charset=utf-8") -> Answer:
    return Answer(text.encode(), content_type)


def error_answer(status: int, text: str, headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    """How each refusal looks."""
    return json_answer({"error": text}, status=status, headers=headers)


def head_of(answer: Answer, *, more: Mapping[str, str], date: bytes, connection: bytes) -> bytes:
    """Everything before the body. `more` are headers for each answer that has none of its own by that name."""
    named = {name.lower() for name in answer.headers}
    pairs = [*answer.headers.items(), *((name, value) for name, value in more.items() if name.lower() not in named)]
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return b"%sContent-Type: %s\r\nContent-Length: %d\r\nDate: %s\r\n%s%s\r\n" % (
        _status_line(answer.status),
        answer.content_type.encode("latin-1"),
        len(answer.body),
        date,
        connection,
        lines.encode("latin-1"),
    )


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
