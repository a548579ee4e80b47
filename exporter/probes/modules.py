"""What a module can say, prober by prober. The keys are blackbox_exporter's where it has the same."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

TEXTS_MAX = 50
STATUS_CODES_MAX = 100
STEPS_MAX = 50
# Python's $ is also before the end of a last line, which in a header would be the end of all headers.
_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}(?!\n)$"

_Text = Annotated[str, Meta(max_length=1_000)]
_Regex = Annotated[str, Meta(max_length=1_000, extra_json_schema={"format": "regex"})]
_Count = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
_Regexes = Annotated[tuple[_Regex, ...], Meta(max_length=TEXTS_MAX)]
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


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A name and a password for the server."""

    username: Annotated[_Text, Meta(description="Who we are.")]
    password_file: Annotated[str, Meta(description="A file with the password, read at each probe.")]


class HeaderMatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A header, and what stands in it."""

    header: Annotated[str, Meta(description="Its name.", pattern=_HEADER)]
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
            Annotated[str, Meta(pattern=_HEADER)],
            Annotated[str, Meta(max_length=4_000, pattern=r"^[^\r\n\u0000]*(?!\n)$")],
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
    basic_auth: Annotated[Login | None, Meta(description="A name and a password for the server.")] = None
    bearer_token_file: Annotated[str | None, Meta(description="A file with a token, read at each probe.")] = None
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a conversation in lines: first what is awaited, then what is said, then TLS."""

    expect: Annotated[_Regex, Meta(description="Lines are read until it is found in one.")] = ""
    send: Annotated[str, Meta(description="A line that is sent.", max_length=4_000)] = ""
    starttls: Annotated[bool, Meta(description="Speak TLS from here on.")] = False


class Tcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection, perhaps over TLS."""

    tls: Annotated[bool, Meta(description="Speak TLS from the first byte on.")] = False
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    query_response: Annotated[
        tuple[Step, ...], Meta(description="What is awaited and said, one after another.", max_length=STEPS_MAX)
    ] = ()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Records(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What records must be and must not be, each as `NAME<tab>TTL<tab>IN<tab>TYPE<tab>DATA`."""

    fail_if_matches_regexp: Annotated[_Regexes, Meta(description="No record may match.")] = ()
    fail_if_all_match_regexp: Annotated[_Regexes, Meta(description="At least one record must not match.")] = ()
    fail_if_not_matches_regexp: Annotated[_Regexes, Meta(description="Each must match, and there must be one.")] = ()
    fail_if_none_matches_regexp: Annotated[_Regexes, Meta(description="At least one must match.")] = ()


class Dns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question for a name server, which is the target."""

    query_name: Annotated[str, Meta(description="The name that is asked for.", max_length=253)] = ""
    query_type: Annotated[
        Literal["A", "AAAA", "ANY", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"],
        Meta(description="Which records of it."),
    ] = "A"
    transport_protocol: Annotated[Literal["udp", "tcp"], Meta(description="How is asked.")] = "udp"
    dns_over_tls: Annotated[bool, Meta(description="Ask over TLS, with transport_protocol: tcp.")] = False
    recursion_desired: Annotated[bool, Meta(description="Let the server ask others.")] = True
    valid_rcodes: Annotated[
        tuple[Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"], ...],
        Meta(description="Which answers are a success; without any, NOERROR.", max_length=10),
    ] = ()
    validate_answer_rrs: Annotated[Records, Meta(description="The records of the answer.")] = Records()
    validate_authority_rrs: Annotated[Records, Meta(description="Those of the authority.")] = Records()
    validate_additional_rrs: Annotated[Records, Meta(description="Those besides.")] = Records()
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Redis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PING, and what it says of its role."""

    username: Annotated[_Text, Meta(description="Who we are; without it, the default user.")] = ""
    password_file: Annotated[str | None, Meta(description="A file with our password, read at each probe.")] = None
    role: Annotated[
        Literal["", "master", "replica"], Meta(description="What it has to be; a replica has to reach its master.")
    ] = ""
    tls: Annotated[bool, Meta(description="Speak TLS from the first byte on.")] = False
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class PostgresHandshake(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PostgreSQL's own handshake; with a password a login, and a look at its role."""

    user: Annotated[str, Meta(description="Who we are.", min_length=1, max_length=63)] = "postgres"
    database: Annotated[str, Meta(description="Which database; without it, the user's.", max_length=63)] = ""
    password_file: Annotated[str | None, Meta(description="A file with our password, read at each probe.")] = None
    role: Annotated[
        Literal["", "primary", "standby"], Meta(description="What it has to be; to tell it, it has to let us in.")
    ] = ""
    tls: Annotated[bool, Meta(description="Ask for TLS, and fail without it.")] = False
    tls_config: Annotated[Tls, Meta(description="TLS with the server.")] = Tls()
    preferred_ip_protocol: _Prefer = "ip6"
    ip_protocol_fallback: _FallBack = True


class Process(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Processes of this machine, by the name that is the target."""

    cmdline: Annotated[
        tuple[_Text, ...],
        Meta(description="Texts that must all be in the command line as well.", max_length=TEXTS_MAX),
    ] = ()
    pid_path: Annotated[_Text, Meta(description="A file with the number of the process that is meant.")] = ""
    min: Annotated[int, Meta(description="How many there must be.", ge=0, le=1_000_000)] = 1
    max: Annotated[_Count | None, Meta(description="How many there may be; without it, any number.")] = None


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of this machine, whose path is the target; of several, the newest."""

    age_max: Annotated[
        str, Meta(description="It must have been changed since.", extra_json_schema={"format": "age"})
    ] = ""
    bytes_min: Annotated[int, Meta(description="It must have so many bytes.", ge=0)] = 0
    bytes_max: Annotated[_Count | None, Meta(description="It may have so many bytes.")] = None
    regexp: Annotated[_Regex, Meta(description="Found in its beginning.")] = ""
