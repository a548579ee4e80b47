"""The key `findings` of exporter.yml: who is told of findings, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from exporter.duration import parse

URLS_MAX = 8
LABELS_MAX = 20
LABEL_CHARACTERS_MAX = 200
RESOLVE_AFTER_SECONDS_MIN = 120.0
RESOLVE_AFTER_SECONDS_MAX = 86_400.0
# What each alert says by itself.
OWN_LABELS = ("alertname", "detector", "severity", "source")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NAME = r"[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_HOST = re.compile(rf"{_NAME}(?:\.{_NAME})*\.?")
_PRINTABLE = re.compile(r"[!-~]+")
_URL = "a URL such as http://alertmanager:9093, without a login, a query or a fragment"

Place = tuple[str | int, ...]


class BasicAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A login."""

    username: Annotated[str, Meta(description="Who logs in.", min_length=1)]
    password_file: Annotated[str, Meta(description="A file with the password, read for each post.")]


class FindingsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of what detectors find."""

    alertmanager_url: Annotated[
        str | tuple[str, ...],
        Meta(description="Where the Alertmanager is that is told, or each member of a cluster. Empty: nobody is told."),
    ] = ""
    resolve_after: Annotated[
        str,
        Meta(
            description="So long after the last finding an alert ends; from 2m to 24h. Longer than"
            " the cooldown of detectors, so that what goes on is one alert.",
            extra_json_schema={"format": "resolve_after"},
        ),
    ] = "15m"
    labels: Annotated[
        dict[str, Annotated[str, Meta(min_length=1, max_length=LABEL_CHARACTERS_MAX)]],
        Meta(description="Labels of every alert, such as the cluster. `instance` is this machine's name otherwise."),
    ] = {}
    external_url: Annotated[
        str, Meta(description="Under which address people reach this exporter; alerts lead to its /findings.")
    ] = ""
    networks: Annotated[
        bool,
        Meta(description="Whether log lines and annotations of alerts name networks (/24, of IPv6 /48) of findings."),
    ] = False
    token_file: Annotated[
        str | None, Meta(description="A file with the bearer token for Alertmanager, read for each post.")
    ] = None
    basic_auth: Annotated[BasicAuth | None, Meta(description="The login at Alertmanager.")] = None
    ca_file: Annotated[
        str | None, Meta(description="Authorities of Alertmanager's certificate, as PEM, instead of the system's.")
    ] = None

    @property
    def urls(self) -> tuple[str, ...]:
        found = (self.alertmanager_url,) if isinstance(self.alertmanager_url, str) else self.alertmanager_url
        return tuple(url for url in found if url)


def resolve_after_seconds(text: str) -> float:
    """Raises ValueError."""
    seconds = parse(text)
    if not RESOLVE_AFTER_SECONDS_MIN <= seconds <= RESOLVE_AFTER_SECONDS_MAX:
        raise ValueError(f"found {text!r}, expected a duration from 2m to 24h")
    return seconds


def wrong(settings: FindingsSettings) -> Iterator[tuple[Place, str, str]]:
    """What their shape cannot say: where, what was found, what was expected. No URL is told: it may hold a secret."""
    single = isinstance(settings.alertmanager_url, str)
    given = [settings.alertmanager_url] if isinstance(settings.alertmanager_url, str) else settings.alertmanager_url
    for number, said, expected in _wrong_urls([url for url in given if url or not single]):
        yield ("alertmanager_url", *(() if single or number is None else (number,))), said, expected
    if settings.external_url and (found := fault_of(settings.external_url)) is not None:
        yield ("external_url",), found, _URL
    if settings.token_file is not None and settings.basic_auth is not None:
        yield ("basic_auth",), "it beside token_file", "one of them"
    yield from _wrong_labels(settings.labels)


def parse_urls(text: str) -> tuple[str, ...]:
    """Of a flag, with commas between. Raises ValueError."""
    given = tuple(url for url in map(str.strip, text.split(",")) if url)
    for _, found, expected in _wrong_urls(given):
        raise ValueError(f"found {found}, expected {expected}")
    return given


def _wrong_urls(given: Sequence[str]) -> Iterator[tuple[int | None, str, str]]:
    if len(given) > URLS_MAX:
        yield None, f"{len(given)} of them", f"at most {URLS_MAX}"
    seen: set[str] = set()
    for number, url in enumerate(given):
        if (found := fault_of(url)) is not None:
            yield number, found, _URL
        elif address_of(url) in seen:
            yield number, "an address that is there already", "each member once"
        else:
            seen.add(address_of(url))


def _wrong_labels(labels: Mapping[str, str]) -> Iterator[tuple[Place, str, str]]:
    if len(labels) > LABELS_MAX:
        yield ("labels",), f"{len(labels)} of them", f"at most {LABELS_MAX}"
    for name in labels:
        if not _LABEL.fullmatch(name) or len(name) > LABEL_CHARACTERS_MAX:
            yield ("labels",), "a name that is none", "letters, digits and underscores, no digit first"
        elif name in OWN_LABELS:
            yield ("labels", name), "a label that each alert has by itself", f"others than {', '.join(OWN_LABELS)}"


def fault_of(url: str) -> str | None:
    """What is wrong with it, without telling it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "what is no URL"
    if parts.scheme not in ("http", "https"):
        return "a URL that begins neither with http:// nor with https://"
    host = parts.hostname or ""
    # Of other names TLS cannot be asked for; a URL with brackets has an address between them.
    if not (_HOST.fullmatch(host) or ":" in host) or port == 0 or not _PRINTABLE.fullmatch(url):
        return "a URL without a host, or with signs that belong in none"
    if "@" in parts.netloc:
        return "a login in a URL"
    if parts.query or parts.fragment:
        return "a URL with a query or a fragment"
    return None


def address_of(url: str) -> str:
    """Host and port, by which metrics and log lines call it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{port_of(url)}"


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
