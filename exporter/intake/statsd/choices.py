"""What can be set about StatsD: the flags, which have statsd_exporter's names, and the same in exporter.yml."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from exporter.intake.statsd.lines import Styles
from guard import flags
from guard.listen import Address, parse_address

DEFAULT_UDP = Address("127.0.0.1", 28125)
# Asked for where nobody says anything else; the kernel grants as much as net.core.rmem_max allows.
READ_BUFFER_BYTES = 16_777_216
READ_BUFFER_BYTES_MAX = 1 << 30


class Chosen(msgspec.Struct, frozen=True):
    """What flags, environment and file together ask for."""

    udp: Address | None = None
    unixgram: str = ""
    mode: int = 0o755
    buffer_bytes: int = READ_BUFFER_BYTES
    styles: Styles = Styles()
    mapping_config: str = ""


# A path that the kernel takes as that of a socket, without the byte that ends it.
SOCKET_PATH_BYTES_MAX = 107


def read_address(text: str) -> Address | None:
    """None where it is empty: then nobody listens."""
    return parse_address(text) if text else None


def read_mode(text: str) -> int:
    """Permissions as chmod writes them."""
    if not (text and len(text) <= 4 and set(text) <= set("01234567")):
        raise ValueError(f"found {text!r}, expected permissions such as 755")
    return int(text, 8)


def read_path(text: str) -> str:
    if len(text.encode()) > SOCKET_PATH_BYTES_MAX:
        raise ValueError(f"found a path of {len(text.encode())} bytes, expected at most {SOCKET_PATH_BYTES_MAX}")
    return text


def read_bytes(text: str) -> int:
    if not (text.isdecimal() and len(text) < 12 and int(text) <= READ_BUFFER_BYTES_MAX):
        raise ValueError(f"found {text!r}, expected a number of bytes from 0 to {READ_BUFFER_BYTES_MAX}")
    return int(text)


class StatsdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """StatsD and DogStatsD lines, which become series of the role app."""

    listen_udp: Annotated[
        str,
        Meta(
            description="Where packets are received; empty: nowhere. The default may be taken by another: then the"
            " exporter starts without it, and says so.",
            extra_json_schema={"format": "statsd-address"},
        ),
    ] = str(DEFAULT_UDP)
    listen_unixgram: Annotated[
        str,
        Meta(
            description="The path of a Unix datagram socket; empty: none.", extra_json_schema={"format": "statsd-path"}
        ),
    ] = ""
    unixsocket_mode: Annotated[
        str,
        Meta(
            description="Who may send there, as permissions of the socket.", extra_json_schema={"format": "statsd-mode"}
        ),
    ] = "755"
    read_buffer: Annotated[
        int,
        Meta(
            description="The buffer in bytes that the kernel is asked for, for packets that wait. It grants no more"
            " than net.core.rmem_max, unless the exporter may administer the network.",
            ge=0,
            le=READ_BUFFER_BYTES_MAX,
        ),
    ] = READ_BUFFER_BYTES
    mapping_config: Annotated[
        str, Meta(description="The path of a mapping file of statsd_exporter; empty: none. A reload reads it again.")
    ] = ""
    parse_dogstatsd_tags: Annotated[bool, Meta(description="Read tags as in `name:1|c|#tag:value`.")] = True
    parse_influxdb_tags: Annotated[bool, Meta(description="Read tags as in `name,tag=value:1|c`.")] = True
    parse_librato_tags: Annotated[bool, Meta(description="Read tags as in `name#tag=value:1|c`.")] = True
    parse_signalfx_tags: Annotated[bool, Meta(description="Read tags as in `name[tag=value]:1|c`.")] = True


FORMATS = {"statsd-address": read_address, "statsd-path": read_path, "statsd-mode": read_mode}
STYLES = ("dogstatsd", "influxdb", "librato", "signalfx")
_DEFAULTS = StatsdSettings()


def said(settings: StatsdSettings) -> dict[str, str | bool]:
    """What the file says, as the flags that say the same."""
    return {
        "--statsd.listen-udp": settings.listen_udp,
        "--statsd.listen-unixgram": settings.listen_unixgram,
        "--statsd.unixsocket-mode": settings.unixsocket_mode,
        "--statsd.read-buffer": str(settings.read_buffer),
        "--statsd.mapping-config": settings.mapping_config,
        **{style_flag(style): getattr(settings, f"parse_{style}_tags") for style in STYLES},
    }


def declare(
    parser: argparse.ArgumentParser, *, file: Mapping[str, str | bool], scope: str, environ: Mapping[str, str]
) -> None:
    usual = said(_DEFAULTS) | dict(file)
    flag = partial(flags.flag, parser, scope=scope, environ=environ)
    flag(
        "--statsd.listen-udp",
        default=usual["--statsd.listen-udp"],
        parse=read_address,
        metavar="ADDRESS",
        help="where StatsD and DogStatsD lines are received; empty: nowhere",
    )
    flag(
        "--statsd.listen-unixgram",
        default=usual["--statsd.listen-unixgram"],
        parse=read_path,
        metavar="PATH",
        help="the Unix datagram socket where they are received too; empty: none",
    )
    flag(
        "--statsd.unixsocket-mode",
        default=usual["--statsd.unixsocket-mode"],
        parse=read_mode,
        help="the permissions of that socket",
    )
    flag(
        "--statsd.read-buffer",
        default=usual["--statsd.read-buffer"],
        parse=read_bytes,
        metavar="BYTES",
        help="the buffer for packets that wait, which the kernel is asked for",
    )
    flag(
        "--statsd.mapping-config",
        default=usual["--statsd.mapping-config"],
        metavar="FILE",
        help="a mapping file of statsd_exporter",
    )
    for style in STYLES:
        flags.switch(
            parser,
            style_flag(style),
            default=bool(usual[style_flag(style)]),
            scope=scope,
            environ=environ,
            help=f"read tags in the style of {style}",
        )


def chosen(arguments: argparse.Namespace) -> Chosen:
    return Chosen(
        udp=arguments.statsd_listen_udp,
        unixgram=arguments.statsd_listen_unixgram,
        mode=arguments.statsd_unixsocket_mode,
        buffer_bytes=arguments.statsd_read_buffer,
        mapping_config=arguments.statsd_mapping_config,
        styles=Styles(**{style: getattr(arguments, flags.destination(style_flag(style))) for style in STYLES}),
    )


def style_flag(style: str) -> str:
    return f"--statsd.parse-{style}-tags"
