"""What exporter.yml says of PostgreSQL servers, and what can be wrong with it besides its shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.duration import parse, parse_timeout

SERVERS_MAX = 20
# Of databases, tables, statements and standbys that one server has series of.
TOP_MAX = 100
NAME = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$"
EVERY_SECONDS_MIN = 5.0

Tls = Literal["disable", "prefer", "require", "verify-full"]
_Duration = Meta(extra_json_schema={"format": "timeout"})
_Top = Meta(ge=0, le=TOP_MAX)


class Postgres(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A PostgreSQL server, from version 13 on."""

    name: Annotated[str, Meta(description="The label server of its metrics.", pattern=NAME)]
    host: Annotated[
        str, Meta(description="A name, an address, or the folder of its Unix socket.", min_length=1, max_length=255)
    ] = "127.0.0.1"
    port: Annotated[int, Meta(description="Its port.", ge=1, le=65_535)] = 5432
    database: Annotated[
        str,
        Meta(
            description="The database that is connected to: tables are those of this one.", min_length=1, max_length=63
        ),
    ] = "postgres"
    user: Annotated[
        str, Meta(description="Who asks; a member of pg_monitor sees enough.", min_length=1, max_length=63)
    ] = "tocsin"
    password_file: Annotated[str | None, Meta(description="A file with the password.")] = None
    tls: Annotated[
        Tls,
        Meta(
            description="disable; prefer: where the server has it; require: without looking at the certificate;"
            " verify-full: with a certificate for this host."
        ),
    ] = "prefer"
    ca_file: Annotated[
        str | None, Meta(description="Who signs certificates, for verify-full; else those that the system trusts.")
    ] = None
    every: Annotated[str, Meta(description="How often it is asked."), _Duration] = "30s"
    timeout: Annotated[str, Meta(description="How long all answers may take together."), _Duration] = "5s"
    tables: Annotated[int, Meta(description="The largest tables, so many, have series of their own."), _Top] = 20
    statements: Annotated[
        int,
        Meta(description="The statements that took longest, so many, have series; needs pg_stat_statements."),
        _Top,
    ] = 20
    bloat: Annotated[int, Meta(description="The tables that waste most, so many, have series."), _Top] = 20
    bloat_every: Annotated[
        str, Meta(description="How often waste is estimated.", extra_json_schema={"format": "duration"})
    ] = "10m"

    @property
    def every_seconds(self) -> float:
        return parse_timeout(self.every)

    @property
    def timeout_seconds(self) -> float:
        return parse_timeout(self.timeout)

    @property
    def bloat_every_seconds(self) -> float:
        return parse(self.bloat_every)


def wrong(servers: Sequence[Postgres]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What their shape cannot say: where, what was found, what was expected."""
    names: dict[str, int] = {}
    for number, server in enumerate(servers):
        if server.name in names:
            yield (number, "name"), repr(server.name), f"another name than that of postgres[{names[server.name]}]"
        names.setdefault(server.name, number)
        if server.every_seconds < EVERY_SECONDS_MIN:
            yield (number, "every"), repr(server.every), f"at least {EVERY_SECONDS_MIN:g}s"
        if server.timeout_seconds > server.every_seconds:
            yield (number, "timeout"), repr(server.timeout), f"no more than every, which is {server.every}"
        if server.ca_file is not None and server.tls != "verify-full":
            yield (number, "ca_file"), "it with tls: " + server.tls, "tls: verify-full, or no ca_file"
