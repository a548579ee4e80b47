"""What a program wrote, fit for a story that many read: as text, and without what looks like a secret.

This is a net, not a promise: a program should not print secrets. What follows a word such as `password` goes, and so
does what has the shape of a known kind of token.
"""

from __future__ import annotations

import re

_HIDDEN = "[hidden]"
_NAMES = (
    r"pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth(?:orization)?"
)
_RULES = (
    # The key itself, to its end or to the end of what was kept.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), _HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (
        re.compile(rf"(?i)((?:\b|_|-)(?:{_NAMES})[\"']?\s*[:=]\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"']+)"),
        rf"\1{_HIDDEN}",
    ),
    # From its beginning: to look for one behind each dash takes long in a text of nothing but dashes.
    (re.compile(rf"(?i)((?<![\w-])--?(?:[a-z]+-)*(?:{_NAMES})\s+)[^\s-]\S*"), rf"\1{_HIDDEN}"),
    (re.compile(r"://[^\s/@:]*:[^\s/@]*@"), f"://{_HIDDEN}@"),
    (re.compile(r"\b(?:xox[a-z]-[\w-]{6,}|gh[a-z]_\w{16,}|glpat-[\w-]{16,}|AKIA[A-Z0-9]{12,}|sk-[\w-]{16,})"), _HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), _HIDDEN),
)


def readable(output: bytes) -> str:
    """Lines stay lines; other characters that do not print become escapes."""
    text = output.decode(errors="replace")
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    lines = (line.expandtabs(8).rstrip() for line in text.splitlines())
    return "\n".join(
        "".join(each if each.isprintable() else repr(each)[1:-1] for each in line) for line in lines
    ).strip()
