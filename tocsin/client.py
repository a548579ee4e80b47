"""One request to a receiver, for the commands: an answer, or a sentence that says what to do."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10.0
DEFAULT_URL = "http://127.0.0.1:29093"
T = TypeVar("T")


class Failed(Exception):
    """The text is for the person who typed the command."""


class Refused(Failed):
    """It answered, and this is what it said. Another request may fare better."""

    def __init__(self, url: str, *, status: int, said: str) -> None:
        super().__init__(f"{url} answered {status}: {said}")
        self.status = status
        self.said = said


def ask(
    url: str,
    *,
    body: object = None,
    token_file: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """GET without a body, POST with one. Returns the JSON of the answer, or raises Failed."""
    sent = {"Content-Type": "application/json", **headers}
    if token_file is not None:
        sent["Authorization"] = f"Bearer {_token(token_file)}"
    return _answer(url, data=None if body is None else json.dumps(body).encode(), headers=sent, read=json.loads)


def ask_text(url: str) -> str:
    """GET. Returns the text of the answer as it came, or raises Failed."""
    return _answer(url, data=None, headers={}, read=bytes.decode)


def _answer(url: str, *, data: bytes | None, headers: Mapping[str, str], read: Callable[[bytes], T]) -> T:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Failed(f"found {url!r}, expected an address such as {DEFAULT_URL}")
    sent = {"User-Agent": "tocsin", **headers}
    request = urllib.request.Request(url, data=data, headers=sent)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return read(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(url, status=error.code, said=_said(error.read(4096))) from None
    except urllib.error.URLError as error:
        raise Failed(f"cannot reach {url}: {_reason(error.reason)} (is it running? `tocsin up` starts it)") from None
    except TimeoutError:
        done = "" if data is None else ": it may be done all the same, look before you try again"
        raise Failed(f"{url} did not answer within {TIMEOUT_SECONDS:g} seconds{done}") from None
    except (ValueError, OSError, http.client.HTTPException) as error:
        raise Failed(f"{url} does not answer as Tocsin's receiver does: {error}") from None


def _token(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"the token file {path} cannot be read: {error}") from None


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.decode(errors="replace").split())[:300]


def _reason(reason: object) -> str:
    return str(reason.strerror or reason) if isinstance(reason, OSError) else str(reason)
