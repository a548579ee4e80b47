"""Statements as templates: literals become `?`, comments go, lists become one.

A statement that was cut in the middle of a literal has a literal to its end. What is in double quotes is a name only
where it can be nothing else, because for some databases it is a text.
"""

import re
from collections.abc import Callable

from guard.redaction.text import redacted

Seen = Callable[[str], object]

CHARACTERS_MAX = 500
_BEGINS = re.compile(
    r"[\s(;]*(?:--[^\n]*\n\s*|/\*[^*]{0,300}\*/\s*)?(?:select|insert|update|delete|with|create|alter|drop|truncate|merge|replace"
    r"|call|exec|execute|explain|grant|revoke|begin|commit|rollback|set|show|copy|values|analyze|vacuum|use|declare|fetch"
    r"|query|mutation|subscription)\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z)|\#(?![>-])[^\n]*)"
    r"|(?P<text>[A-Za-z_&]{0,8}'(?:[^'\\]|''|\\.)*(?:'|\\?\Z)|\$(?P<tag>[A-Za-z_]\w{0,60}|)\$.*?(?:\$(?P=tag)\$|\Z))"
    r'|(?P<quoted>"(?:[^"\\]|""|\\.)*(?:"|\\?\Z))'
    r"|(?P<place>\$[0-9]+|%\([^)]{0,60}\)s|%s|(?<!:):[A-Za-z_]\w*|@[A-Za-z_]\w*|\?)"
    r"|(?P<word>[^\W\d][\w$]*|`[^`]{0,128}`)"
    r"|(?P<number>(?:0[xX][0-9A-Fa-f]+|[0-9][0-9A-Za-z_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?))"
    r"|(?P<space>\s+)",
    re.DOTALL,
)
_BEFORE_A_NAME = frozenset(
    ("FROM", "JOIN", "INTO", "UPDATE", "TABLE", "AS", "BY", "SELECT", "DISTINCT", "INDEX", "RETURNING", ".")
)
_BEHIND_A_NAME = re.compile(r"\s*(?:\.|=|<|>|!=|IS\b|IN\b|LIKE\b|ILIKE\b|BETWEEN\b)", re.IGNORECASE)
_NAME = re.compile(r'"[A-Za-z_][\w$]{0,62}"')
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)")
_LISTS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")
_SIGNED = re.compile(r"(?<=[=<>(,])(\s*)[-+]\s?\?")
_SPACES = re.compile(r"\s+")


def is_statement(text: str) -> bool:
    return _BEGINS.match(text) is not None


def template(text: str, seen: Seen) -> str:
    done: list[str] = []
    at, last, literals = 0, "", 0
    for found in _TOKEN.finditer(text):
        if found.start() > at:
            done.append(text[at : found.start()])
            last = text[found.start() - 1]
        at = found.end()
        match found.lastgroup:
            case "comment" | "space":
                done.append(" ")
                continue
            case "text" | "tag" | "number":
                literals += 1
                done.append("?")
            case "quoted" if not _is_name(found, last):
                literals += 1
                done.append("?")
            case "place":
                done.append("?")
            case _:
                done.append(found[0])
        last = found[0].upper()
    done.append(text[at:])
    if literals:
        seen("literal")
    folded = _SIGNED.sub(r"\1?", _SPACES.sub(" ", "".join(done)).strip(" ;"))
    folded = _LISTS.sub("(?)", _LIST.sub("(?)", folded))
    return redacted(folded, seen=seen)[:CHARACTERS_MAX]


def _is_name(found: re.Match[str], last: str) -> bool:
    if _NAME.fullmatch(found[0]) is None:
        return False
    return last in _BEFORE_A_NAME or _BEHIND_A_NAME.match(found.string, found.end()) is not None
