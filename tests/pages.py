"""Markdown pages as the tests of the documentation read them: headings, tables, links, fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@cache
def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of the two highest levels."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#{{1,2}} |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/{page} has no heading {heading!r}"
    return found[1]


def rows(page: str, heading: str) -> dict[str, str]:
    """The rows of a heading's tables: what stands in backticks first, and the rest of the row."""
    return dict(_ROW.findall(section(page, heading)))


def fenced(text: str, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall(text) if found == language]


def links(text: str) -> list[str]:
    found: list[str] = _LINK.findall(prose(text))
    return found


def anchors(text: str) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    plain = (re.sub(r"[`*]", "", heading).strip().lower() for heading in _HEADING.findall(prose(text)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken_links(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page, whose text is handed in, that lead to no file or to no heading."""
    for target in links(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8") if file else text):
            yield f"{target}: no such heading"


def doubled(text: str) -> Iterator[str]:
    """What stands twice: a row in one table, an entry in one list."""
    for block in re.split(r"\n(?:[ \t]*\n)+|\n(?=#)", prose(text)):
        seen: set[str] = set()
        for each in re.split(r"\n(?=[-|] ?)", block):
            if each.startswith(("- ", "| ")) and each in seen:
                yield each
            seen.add(each)
