"""Lines of a text as HTML. A line that is an address and nothing else is a link, and shows where it leads."""

from __future__ import annotations

import re
from html import escape

STYLE = "font:14px/1.45 -apple-system,Segoe UI,Roboto,Arial,sans-serif"
_LINK = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:[/?#][!-~]*)?")
_NOT_IN_LINKS = re.compile(r"[\"'<>\\^`{|}]")


def linked(line: str) -> str:
    if not _LINK.fullmatch(line) or _NOT_IN_LINKS.search(line):
        return escape(line)
    return f'<a href="{escape(line)}" rel="noopener noreferrer">{escape(line)}</a>'


def page(text: str) -> str:
    """The words of a policy that has none in HTML."""
    lines = "<br>".join(map(linked, text.splitlines()))
    style = f"{STYLE};white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<!DOCTYPE html><html lang="en"><body><div style="{style}">{lines}</div></body></html>\n'
