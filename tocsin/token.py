"""`tocsin token NAME --role=ROLE`: a new bearer token, shown once, and the line of web.yml that lets it in.

The token is 256 random bits, so its plain digest is enough to recognise it, and tells nobody what it is.
"""

from __future__ import annotations

import json
import secrets
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from typing import TextIO

import msgspec

from guard import flags
from guard.callers import Role
from guard.tokens import digest_of
from guard.webfile import TOKEN_SOURCES_MAX, TokenEntry

TOKEN_BYTES = 32
PREFIX = "tocsin_"


def main(arguments: Sequence[str], *, out: TextIO | None = None) -> int:
    out = out or sys.stdout
    command = flags.command("tocsin token", "Make a bearer token. It is shown once; web.yml gets its hash.")
    command.add_argument("name", metavar="NAME", type=_name, help="whose it is: the journal shows who did what")
    command.add_argument(
        "--role",
        required=True,
        choices=tuple(map(str, Role)),
        metavar="ROLE",
        help=f"what it allows: {', '.join(Role)}",
    )
    command.add_argument(
        "--sources", type=_sources, default=(), metavar="NAME,NAME", help="with the role source: only these"
    )
    chosen = command.parse_args(arguments)
    if chosen.sources and chosen.role != Role.SOURCE:
        command.error("--sources is for the role source: only that one posts")
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    out.write(
        f"the token, shown this once:\n\n    {token}\n\n"
        f"below `tokens:` in web.yml:\n\n    - {_line(chosen.name, chosen.role, chosen.sources, token)}\n"
    )
    return 0


def _line(name: str, role: str, sources: Sequence[str], token: str) -> str:
    """As YAML takes it whatever the name is."""
    parts = [f"name: {json.dumps(name)}", f"role: {role}", f'hash: "sha256:{digest_of(token.encode()).hex()}"']
    if sources:
        parts.append(f"sources: {json.dumps(list(sources))}")
    return f"{{{', '.join(parts)}}}"


def _name(text: str) -> str:
    entry = {"name": text, "role": Role.VIEWER, "hash": f"sha256:{'0' * 64}"}
    try:
        return msgspec.convert(entry, TokenEntry).name
    except msgspec.ValidationError:
        expected = "1 to 64 characters without white space, colons and round brackets, such as deploy-bot"
        raise ArgumentTypeError(f"found {text!r}, expected {expected}") from None


def _sources(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names) or len(names) > TOKEN_SOURCES_MAX or any(len(name) > 63 for name in names):
        raise ArgumentTypeError(f"found {text[:80]!r}, expected names of sources with commas between")
    return names
