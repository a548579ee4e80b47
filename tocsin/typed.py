"""What several commands take from the command line, and how they write JSON."""

from __future__ import annotations

import json
import os
import pwd
from argparse import ArgumentTypeError
from collections.abc import Mapping


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**31):
        raise ArgumentTypeError(f"found {text!r}, expected a whole number from 1")
    return int(text)


def login_name(environ: Mapping[str, str]) -> str | None:
    """As the login tells it; a container may know a user by number only."""
    said = environ.get("LOGNAME") or environ.get("USER")
    if said:
        return said
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None


def as_json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
