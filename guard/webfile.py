"""web.yml as people write it: Prometheus' own format for exporters and servers, and beside it tokens and roles.

What the schema cannot say is said by `problems`. Nothing here opens a file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guard.callers import Role
from guard.faults import Problem

USERS_MAX = 1_000
TOKENS_MAX = 1_000
TOKEN_SOURCES_MAX = 100
ALLOWED_SANS_MAX = 1_000
BURST_MAX = 1_000_000
INTERVAL_SECONDS_MAX = 3_600

_HIDDEN = {"x-hidden": True}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_INTERVAL = re.compile(rf"0|(?:{_PART.pattern})+")
_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
# Who a caller is, in the journal and in what people read. A colon would end a login's name.
CallerName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s:()\u0000-\u001f\u007f]+$")]
SourceName = Annotated[str, Meta(min_length=1, max_length=63)]
PasswordHash = Annotated[str, Meta(extra_json_schema={"format": "bcrypt"})]


class TlsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The certificate, and who must show one."""

    cert_file: Annotated[str, Meta(description="our certificate, and those between it and its authority")]
    key_file: Annotated[str, Meta(description="its key, without a password")]
    client_ca_file: Annotated[str | None, Meta(description="authorities of clients' certificates")] = None
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
        Meta(description="whether clients must show a certificate"),
    ] = "NoClientCert"
    client_allowed_sans: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(
            max_length=ALLOWED_SANS_MAX,
            description="names, addresses, e-mails or URIs, one of which a client's certificate must have; none: any",
        ),
    ] = msgspec.field(default_factory=list)
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"format": "cipher"})]],
        Meta(description="by their names in Go, for TLS up to 1.2; none: what OpenSSL takes for good"),
    ] = msgspec.field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: Annotated[
        list[Literal["CurveP256", "CurveP384", "CurveP521", "X25519"]],
        Meta(description="accepted, without effect: Python leaves the choice to OpenSSL"),
    ] = msgspec.field(default_factory=list)


class HttpFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for every answer."""

    http2: Annotated[bool, Meta(description="accepted, without effect: HTTP/1.1 is spoken")] = True
    headers: Annotated[dict[str, str], Meta(description="sent with each answer; an empty one is left out")] = (
        msgspec.field(default_factory=dict)
    )


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bearer token: who has it, and what it allows. `tocsin token` makes one."""

    name: CallerName
    role: Role
    hash: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$", extra_json_schema=_HIDDEN)]
    sources: Annotated[
        list[SourceName],
        Meta(max_length=TOKEN_SOURCES_MAX, description="with the role source: only these; none: all"),
    ] = msgspec.field(default_factory=list)


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often all callers together may ask."""

    interval: Annotated[
        str,
        Meta(extra_json_schema={"format": "interval"}, description="one request in so long a time; 0s: no limit"),
    ] = "0s"
    burst: Annotated[int, Meta(ge=1, le=BURST_MAX, description="and so many at once")] = 1


class WebFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the doors of a program are guarded."""

    tls_server_config: TlsFile | None = None
    http_server_config: HttpFile = HttpFile()
    basic_auth_users: Annotated[
        dict[CallerName, PasswordHash],
        Meta(max_length=USERS_MAX, description="names and bcrypt hashes of passwords", extra_json_schema=_HIDDEN),
    ] = msgspec.field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()
    tokens: Annotated[list[TokenEntry], Meta(max_length=TOKENS_MAX, description="bearer tokens")] = msgspec.field(
        default_factory=list
    )
    roles: Annotated[
        dict[CallerName, Role],
        Meta(description="of users, and of the common names of clients' certificates; others are viewers"),
    ] = msgspec.field(default_factory=dict)


HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}


def problems(document: object) -> Iterator[Problem]:
    """What the schema cannot say, of a plain document of any shape."""
    root = _mapping(document)
    users = _mapping(root.get("basic_auth_users"))
    tls = _mapping(root.get("tls_server_config"))
    yield from _of_tls(tls)
    yield from _of_headers(_mapping(_mapping(root.get("http_server_config")).get("headers")))
    yield from _of_tokens(root.get("tokens"), users)
    if tls.get("client_auth_type", "NoClientCert") == "NoClientCert":
        for name in _mapping(root.get("roles")):
            if name not in users:
                yield Problem(("roles", name), "a name that is no user", "a name of basic_auth_users")


def _of_tls(tls: Mapping[str, Any]) -> Iterator[Problem]:
    here = ("tls_server_config",)
    least, most = tls.get("min_version", "TLS12"), tls.get("max_version", "TLS13")
    if least in _VERSIONS and most in _VERSIONS and _VERSIONS.index(least) > _VERSIONS.index(most):
        yield Problem((*here, "min_version"), f"'{least}'", f"a version that is not above max_version, {most}")
    asks = tls.get("client_auth_type") in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
    if asks and tls.get("client_ca_file") is None:
        yield Problem((*here, "client_ca_file"), "nothing", "a file of authorities: client_auth_type verifies by them")
    if tls.get("client_allowed_sans") and tls.get("client_auth_type") != "RequireAndVerifyClientCert":
        expected = "RequireAndVerifyClientCert: there are client_allowed_sans"
        yield Problem((*here, "client_auth_type"), "certificates that may be left out", expected)
    if tls.get("client_auth_type", "NoClientCert") == "NoClientCert" and tls.get("client_ca_file") is not None:
        expected = "RequireAndVerifyClientCert or VerifyClientCertIfGiven: there is a client_ca_file"
        yield Problem((*here, "client_auth_type"), "no verification of clients", expected)


def interval_seconds(text: str) -> float:
    """Go's way of writing durations. Raises ValueError with what was expected."""
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if not _INTERVAL.fullmatch(text) or seconds > INTERVAL_SECONDS_MAX:
        raise ValueError("a duration such as 1s or 500ms, at most 1h")
    return seconds


def check_interval(text: str) -> None:
    interval_seconds(text)


def _of_headers(headers: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in headers.items():
        path = ("http_server_config", "headers", name)
        if name not in HEADERS:
            yield Problem(path, "a header that cannot be set", f"one of: {', '.join(HEADERS)}")
        elif isinstance(value, str) and value and HEADERS[name] and value.lower() not in HEADERS[name]:
            yield Problem(path, f"'{value}'", f"one of: {', '.join(HEADERS[name])}")
        elif isinstance(value, str) and not (value.isascii() and value.isprintable()):
            yield Problem(path, "characters that no header can carry", "printable ASCII")


def _of_tokens(tokens: object, users: Mapping[str, Any]) -> Iterator[Problem]:
    seen: dict[object, int] = {}
    for at, token in enumerate(tokens if isinstance(tokens, list) else ()):
        found = _mapping(token)
        name = found.get("name")
        if isinstance(name, str) and name in users:
            yield Problem(("tokens", at, "name"), "the name of a user", "a name of its own: it tells who did what")
        for key in ("name", "hash"):
            value = found.get(key)
            if isinstance(value, str) and seen.setdefault(value, at) != at:
                what = f"the {key} of tokens[{seen[value]}]"
                yield Problem(("tokens", at, key), what, f"a {key} of its own")
        if found.get("sources") and found.get("role") != Role.SOURCE:
            yield Problem(("tokens", at, "sources"), f"role {found.get('role')}", "role source: only that one posts")


def _mapping(value: object) -> Mapping[str, Any]:
    return {key: inner for key, inner in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}
