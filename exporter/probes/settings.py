"""What exporter.yml says of probes, as frozen values, and what can be wrong with them besides their shape.

The keys of modules are blackbox_exporter's where it has the same. Light: nothing here asks anybody anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.duration import parse as parse_duration
from exporter.duration import parse_timeout
from exporter.probes import allow
from exporter.probes.modules import Dns, File, Http, PostgresHandshake, Process, Redis, Tcp

MODULES_MAX = 200
ALLOW_MAX = 1_000
# What can be asked of a name server.
NAME = re.compile(r"\.|(?:[A-Za-z0-9_*-]{1,63}\.)*[A-Za-z0-9_*-]{1,63}\.?")
MODULE_NAME = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$"

Where = tuple[str | int, ...]
_Timeout = Annotated[
    str,
    Meta(
        description="How long it may take at most; less where the scraper waits less.",
        examples=["5s", "500ms"],
        extra_json_schema={"format": "timeout"},
    ),
]


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A way of asking, by a name that `module=` says."""

    prober: Annotated[
        Literal["http", "tcp", "dns", "redis", "postgres", "process", "file"], Meta(description="Who asks.")
    ]
    timeout: _Timeout = "5s"
    http: Annotated[Http, Meta(description="For the prober http.")] = Http()
    tcp: Annotated[Tcp, Meta(description="For the prober tcp.")] = Tcp()
    dns: Annotated[Dns, Meta(description="For the prober dns.")] = Dns()
    redis: Annotated[Redis, Meta(description="For the prober redis.")] = Redis()
    postgres: Annotated[PostgresHandshake, Meta(description="For the prober postgres.")] = PostgresHandshake()
    process: Annotated[Process, Meta(description="For the prober process.")] = Process()
    file: Annotated[File, Meta(description="For the prober file.")] = File()

    @property
    def seconds(self) -> float:
        return parse_timeout(self.timeout)


BUNDLED: Mapping[str, Module] = {
    "http_2xx": Module(prober="http"),
    "http_post_2xx": Module(prober="http", http=Http(method="POST")),
    "tcp_connect": Module(prober="tcp"),
    "tls_connect": Module(prober="tcp", tcp=Tcp(tls=True)),
    "redis": Module(prober="redis"),
    "postgres": Module(prober="postgres"),
    "process": Module(prober="process"),
    "file": Module(prober="file"),
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
FORMATS: Mapping[str, Callable[[str], object]] = {
    "probe_target": allow.parse,
    "age": lambda text: text and parse_duration(text),
}


def wrong(probes: ProbesSettings) -> Iterator[tuple[Where, str, str]]:
    """What their shape cannot say: where, what was found, what was expected."""
    for name, module in probes.modules.items():
        default = Module(prober=module.prober)
        for other in Module.__struct_fields__:
            if other in ("prober", "timeout", module.prober):
                continue
            if getattr(module, other) != getattr(default, other):
                yield ("modules", name, other), f"it with prober: {module.prober}", f"prober: {other}, or nothing here"
        for place in ("http", "tcp", "dns", "redis", "postgres"):
            tls = getattr(module, place).tls_config
            if (tls.cert_file is None) is not (tls.key_file is None):
                yield ("modules", name, place, "tls_config"), "one of two", "both cert_file and key_file, or neither"
        if module.http.basic_auth is not None and module.http.bearer_token_file is not None:
            yield ("modules", name, "http"), "basic_auth and bearer_token_file", "one of them"
        if module.prober == "dns":
            yield from _wrong_question(module.dns, ("modules", name, "dns"))
        if module.process.max is not None and module.process.max < module.process.min:
            yield ("modules", name, "process", "max"), str(module.process.max), f"at least {module.process.min}, as min"


def _wrong_question(dns: Dns, where: Where) -> Iterator[tuple[Where, str, str]]:
    if not NAME.fullmatch(dns.query_name):
        yield (*where, "query_name"), repr(dns.query_name), "a name such as example.org, or . for the root"
    if dns.dns_over_tls and dns.transport_protocol != "tcp":
        yield (*where, "transport_protocol"), dns.transport_protocol, "tcp, as with dns_over_tls"


def shown(module: Module) -> str:
    """For people, as JSON, without what may be secret."""
    settings = msgspec.to_builtins(getattr(module, module.prober))
    for key in ("headers", "body"):
        if settings.get(key):
            settings[key] = "(not shown)"
    # A conversation may be a login.
    for step in settings.get("query_response", ()):
        if step["send"]:
            step["send"] = "(not shown)"
    found = {"prober": module.prober, "timeout": module.timeout, module.prober: settings}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
