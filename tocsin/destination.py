"""Where events go, and who says them: from the environment, or from a call of `tocsin.configure`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:29100/events"
# As the exporter has it.
_SOURCE = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}")
_OFF = ("off", "0", "no", "false")
# What an address may be made of: nothing that could end a line of a request.
_ADDRESS = re.compile(r"[!-~]{1,1000}")


class Destination(NamedTuple):
    """A token file is read at each new connection, so a token can be replaced."""

    host: str
    port: int
    path: str
    tls: bool = False
    token: str = ""
    token_file: str = ""
    ca_file: str = ""
    source: str = ""


def chosen(environ: Mapping[str, str], **said: str | None) -> Destination | None:
    """What a call said, else the environment, else the default; None where events are switched off.

    Raises ValueError for what cannot be used.
    """
    if environ.get("TOCSIN_EVENTS", "").strip().lower() in _OFF:
        return None

    def setting(name: str) -> str:
        value = said.get(name)
        return environ.get(f"TOCSIN_EVENTS_{name.upper()}", "").strip() if value is None else value

    source = setting("source")
    if source and not _SOURCE.fullmatch(source):
        raise ValueError(
            f"source: found {source[:80]!r}, expected at most 64 letters, digits, dots, hyphens and underscores"
        )
    token = setting("token")
    if token and not _ADDRESS.fullmatch(token):
        raise ValueError("token: expected at most 1000 printable characters without spaces")
    return _parsed(setting("url") or DEFAULT_URL)._replace(
        token=token, token_file=setting("token_file"), ca_file=setting("ca_file"), source=source
    )


def _parsed(url: str) -> Destination:
    expected = f"expected an address such as {DEFAULT_URL}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"url: found no address, {expected}") from None
    if parts.username is not None or parts.password is not None:  # it is not repeated here
        raise ValueError(f"url: found a login in the address, {expected}, and a token beside it")
    if parts.scheme not in ("http", "https") or not host or not _ADDRESS.fullmatch(url):
        raise ValueError(f"url: found {url[:200]!r}, {expected}")
    tls = parts.scheme == "https"
    path = parts.path if parts.path not in ("", "/") else "/events"
    query = f"?{parts.query}" if parts.query else ""
    return Destination(host, port or (443 if tls else 80), path + query, tls)
