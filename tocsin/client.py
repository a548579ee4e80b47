"""One request to a receiver, for the commands: an answer, or a sentence that says what to do.

Who asks, and whom they trust, is the same four flags for each command. A redirect is not followed: it would carry the
token to somebody else.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO, TypeVar
from urllib.parse import urlsplit

from guard import flags
from guard.printable import printable

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


class Login(NamedTuple):
    """How a command says who asks, and by which authority it knows the receiver."""

    token_file: str | None = None
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None

    @property
    def says_who(self) -> bool:
        return self.token_file is not None or self.user is not None

    def header(self) -> dict[str, str]:
        if self.token_file is not None:
            return {"Authorization": f"Bearer {_secret(self.token_file, what='token')}"}
        if self.user is not None and self.password_file is not None:
            pair = f"{self.user}:{_secret(self.password_file, what='password')}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}


# As they are written, and what each is for.
LOGIN_FLAGS = {
    "--token-file": "file with a bearer token",
    "--user": "instead: the name of a login, with --password-file",
    "--password-file": "file with its password",
    "--ca-file": "authorities that the receiver's certificate is checked against",
}


def declare_login(command: ArgumentParser, environ: Mapping[str, str]) -> None:
    for name, text in LOGIN_FLAGS.items():
        flags.flag(command, name, help=text, metavar=_metavar(name), environ=environ)


def declare_again(verb: ArgumentParser) -> None:
    """For a command of commands: people write these flags where they think of them."""
    verb.add_argument("--output", choices=("text", "json"), default=SUPPRESS, help="text or json")
    verb.add_argument("--url", default=SUPPRESS, help="the receiver")
    for name, text in LOGIN_FLAGS.items():
        verb.add_argument(name, default=SUPPRESS, help=text, metavar=_metavar(name))


def _metavar(name: str) -> str:
    return "NAME" if name == "--user" else "FILE"


def status_of(command: str, base: str, work: Callable[[], int], *, err: TextIO) -> int:
    """What `work` ends with; 1 where the receiver does not answer, or not as it should, and the person reads why."""
    try:
        return work()
    except Failed as error:
        err.write(f"{command}: {printable(str(error))}\n")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        err.write(f"{command}: {base} does not answer as Tocsin's receiver does: {printable(repr(error))}\n")
    return 1


def login_of(chosen: Namespace, command: ArgumentParser) -> Login:
    """Ends with status 2 where half of a login is missing. A token wins over a login."""
    # Empty is absent, as in a variable: so one call can leave out what the environment says.
    login = Login(chosen.token_file or None, chosen.user or None, chosen.password_file or None, chosen.ca_file or None)
    if (login.user is None) != (login.password_file is None):
        command.error("a login needs both --user and --password-file")
    return login


def ask(
    url: str,
    *,
    body: object = None,
    login: Login | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """GET without a body, POST with one. Returns the JSON of the answer, or raises Failed."""
    sent = {"Content-Type": "application/json", **headers}
    data = None if body is None else json.dumps(body).encode()
    return _answer(url, data=data, headers=sent, login=login or Login(), read=json.loads)


def ask_text(url: str, *, login: Login | None = None) -> str:
    """GET. Returns the text of the answer as it came, or raises Failed."""
    return _answer(url, data=None, headers={}, login=login or Login(), read=bytes.decode)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _answer(url: str, *, data: bytes | None, headers: Mapping[str, str], login: Login, read: Callable[[bytes], T]) -> T:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Failed(f"found {url!r}, expected an address such as {DEFAULT_URL}")
    sent = {"User-Agent": "tocsin", **headers, **login.header()}
    request = urllib.request.Request(url, data=data, headers=sent)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=_trust(url, login)))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return read(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            said = _said(error.read(4096))
            hint = " (--token-file, or --user with --password-file)" if error.code == 401 and not login.says_who else ""
            raise Refused(url, status=error.code, said=said + hint) from None
    except urllib.error.URLError as error:
        raise Failed(f"cannot reach {url}: {_reason(error.reason)}") from None
    except TimeoutError:
        done = "" if data is None else ": it may be done all the same, look before you try again"
        raise Failed(f"{url} did not answer within {TIMEOUT_SECONDS:g} seconds{done}") from None
    except (ValueError, OSError, http.client.HTTPException) as error:
        raise Failed(f"{url} does not answer as Tocsin's receiver does: {error}") from None


def _secret(path: str, *, what: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise Failed(f"the {what} file {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Failed(f"the {what} file {path} is no text") from None


def _trust(url: str, login: Login) -> ssl.SSLContext | None:
    if urlsplit(url).scheme != "https":
        return None
    try:
        return ssl.create_default_context(cafile=login.ca_file)
    except (OSError, ValueError) as error:
        raise Failed(f"the file of authorities {login.ca_file} cannot be used: {error}") from None


def _said(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.decode(errors="replace").split())[:300]


def _reason(reason: object) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted, {reason.verify_message}; --ca-file names who signed it"
    said = str(reason.strerror or reason) if isinstance(reason, OSError) else str(reason)
    return f"{said} (is it running? `tocsin up` starts it)"
