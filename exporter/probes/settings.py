"""What exporter.yml says of probes, as frozen values, and what can be wrong with them besides their shape.

The keys of modules are blackbox_exporter's where it has the same. Light: nothing here asks anybody anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.duration import parse_timeout
from exporter.probes import allow

MODULES_MAX = 200
ALLOW_MAX = 1_000
TEXTS_MAX = 50
STATUS_CODES_MAX = 100
REDIRECTS_MAX = 10
MODULE_NAME = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$"

Where = tuple[str | int, ...]
_Text = Annotated[str, Meta(max_length=1_000)]
_Regex = Annotated[str, Meta(max_length=1_000, extra_json_schema={"format": "regex"})]
_Timeout = Annotated[
    str,
    Meta(
        description="How long it may take at most; less where the scraper waits less.",
        examples=["5s", "500ms"],
        extra_json_schema={"format": "timeout"},
    ),
]
_Prefer = Annotated[
    Literal["ip4", "ip6"], Meta(description="Which address of a name is asked, where it has both kinds.")
]
_FallBack = Annotated[bool, Meta(description="Ask an address of the other kind where there is none of that kind.")]


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the other end is known, and how we make ourselves known."""

    insecure_skip_verify: Annotated[bool, Meta(description="Believe every certificate.")] = False
    ca_file: Annotated[
        str | None, Meta(description="Authorities whose certificates are believed, as PEM; the system's without it.")
    ] = None
    cert_file: Annotated[str | None, Meta(description="Our certificate, as PEM.")] = None
    key_file: Annotated[str | None, Meta(description="The key of our certificate, without a password.")] = None
    server_name: Annotated[
        _Text, Meta(description="What the certificate must be for; the host of the target without it.")
    ] = ""
    min_version: Annotated[Literal["TLS12", "TLS13"], Meta(description="The oldest version that will do.")] = "TLS12"


class BasicAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A name and a password for the server."""

    username: Annotated[_Text, Meta(description="Who we are.")]
    password_file: Annotated[str, Meta(description="A file with the password, read at each probe.")]


class HeaderMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A header, and what stands in it."""

    header: Annotated[str, Meta(description="Its name.", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
    regexp: Annotated[_Regex, Meta(description="Found anywhere in its value.")]
    allow_missing: Annotated[bool, Meta(description="An answer without the header is fine.")] = False


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A request over HTTP/1.1. Redirects go only where probes.allow lets a probe go."""

    valid_status_codes: Annotated[
        tuple[Annotated[int, Meta(ge=100, le=599)], ...],
        Meta(description="Which statuses are a success; without any, 200 to 299.", max_length=STATUS_CODES_MAX),
    ] = ()
    valid_http_versions: Annotated[
        tuple[Literal["HTTP/1.0", "HTTP/1.1"], ...],
        Meta(description="Which versions of the answer are a success; without any, all.", max_length=2),
    ] = ()
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], Meta(description="How is asked.")
    ] = "GET"
    headers: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")],
            Annotated[str, Meta(max_length=4_000, pattern=r"^[^\r\n\u0000]*$")],
        ],
        Meta(
            description="What is sent besides. Those with credentials come from the environment.",
            max_length=TEXTS_MAX,
            extra_json_schema={"x-secret": True},
        ),
    ] = {}
    body: Annotated[str, Meta(description="What is sent as body.", max_length=65_536)] = ""
    follow_redirects: Annotated[bool, Meta(description="Go where the server sends us.")] = True
    fail_if_ssl: Annotated[bool, Meta(description="The last answer must not come over TLS.")] = False
    fail_if_not_ssl: Annotated[bool, Meta(description="The last answer must come over TLS.")] = False
    fail_if_body_matches_regexp: Annotated[
        tuple[_Regex, ...], Meta(description="What must not be found in the body.", max_length=TEXTS_MAX)
    ] = ()
    fail_if_body_not_matches_regexp: Annotated[
        tuple[_Regex, ...], Meta(description="What must be found in the body.", max_length=TEXTS_MAX)
    ] = ()
    fail_if_header_matches: Annotated[
        tuple[HeaderMatch, ...], Meta(description="What must not stand in headers.", max_length=TEXTS_MAX)
    ] = ()
    fail_if_header_not_matches: Annotated[
        tuple[HeaderMatch, ...], Meta(description="What must stand in headers.", max_length=TEXTS_MAX)
    ] = ()
    body_bytes_max: Annotated[
        int, Meta(description="An answer with a larger body is a failure.", ge=0, le=1_073_741_824)
    ] = 10_485_760
    basic_auth: Annotated[BasicAuth | None, Meta(description="A name and a password for the server.")] = None
    bearer_token_file: Annotated[str | None, Meta(description="A file with a token, read at each probe.")] = None
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Tcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection, perhaps over TLS."""

    tls: Annotated[bool, Meta(description="Speak TLS from the first byte on.")] = False
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A way of asking, by a name that `module=` says."""

    prober: Annotated[Literal["http", "tcp"], Meta(description="Who asks.")]
    timeout: _Timeout = "5s"
    http: Annotated[Http, Meta(description="For the prober http.")] = Http()
    tcp: Annotated[Tcp, Meta(description="For the prober tcp.")] = Tcp()

    @property
    def seconds(self) -> float:
        return parse_timeout(self.timeout)


BUNDLED: Mapping[str, Module] = {
    "http_2xx": Module(prober="http"),
    "http_post_2xx": Module(prober="http", http=Http(method="POST")),
    "tcp_connect": Module(prober="tcp"),
    "tls_connect": Module(prober="tcp", tcp=Tcp(tls=True)),
}

_Allow = Annotated[str, Meta(min_length=1, max_length=1_000, extra_json_schema={"format": "probe_target"})]


class ProbesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may be probed, and how."""

    allow: Annotated[
        tuple[_Allow, ...],
        Meta(
            description="What may be probed, and nothing else: hosts, networks and addresses with ports or ranges of"
            " them, unix:PATH, file:PATH, process:NAME. An asterisk stands for anything in a name or a path.",
            examples=[["db.example.org:5432", "*.example.org:443", "10.0.0.0/8", "[::1]:6379"]],
            max_length=ALLOW_MAX,
        ),
    ] = ()
    modules: Annotated[
        dict[Annotated[str, Meta(pattern=MODULE_NAME)], Module],
        Meta(description="Ways of asking, besides those that come with Tocsin.", max_length=MODULES_MAX),
    ] = {}

    @property
    def all_modules(self) -> Mapping[str, Module]:
        return {**BUNDLED, **self.modules}


# What reads a text of that format; ValueError says what was expected.
FORMATS: Mapping[str, Callable[[str], object]] = {"probe_target": allow.parse}


def wrong(probes: ProbesSettings) -> Iterator[tuple[Where, str, str]]:
    """What their shape cannot say: where, what was found, what was expected."""
    for name, module in probes.modules.items():
        default = Module(prober=module.prober)
        for other in Module.__struct_fields__:
            if other in ("prober", "timeout", module.prober):
                continue
            if getattr(module, other) != getattr(default, other):
                yield ("modules", name, other), f"it with prober: {module.prober}", f"prober: {other}, or nothing here"
        for place, tls in (("http", module.http.tls_config), ("tcp", module.tcp.tls_config)):
            if (tls.cert_file is None) is not (tls.key_file is None):
                yield ("modules", name, place, "tls_config"), "one of two", "both cert_file and key_file, or neither"
        if module.http.basic_auth is not None and module.http.bearer_token_file is not None:
            yield ("modules", name, "http"), "basic_auth and bearer_token_file", "one of them"


def shown(module: Module) -> str:
    """For people, as JSON, without what may be secret."""
    settings = msgspec.to_builtins(getattr(module, module.prober))
    for key in ("headers", "body"):
        if settings.get(key):
            settings[key] = "(not shown)"
    found = {"prober": module.prober, "timeout": module.timeout, module.prober: settings}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
