"""Names of metrics and labels beyond ASCII: which are legal, how they are quoted, and how they are escaped.

Until version 3, Prometheus knew letters, digits, underscores and (in metrics) colons. Now it knows all of UTF-8, in
quotes, where the scraper says that it does; for other scrapers such a name is rewritten by one of three schemes. A name
that was legal before is never rewritten by any of them, as with Prometheus' own library.
"""

import re
from collections.abc import Callable
from enum import StrEnum

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Nobody needs a longer one, and every line repeats it.
NAME_CHARACTERS_MAX = 256


class Escaping(StrEnum):
    """The value is that of the parameter `escaping`."""

    ALLOW_UTF8 = "allow-utf-8"
    UNDERSCORES = "underscores"
    DOTS = "dots"
    VALUES = "values"


def is_legal(name: str) -> bool:
    """Whether it can be written between quotes: printable characters that UTF-8 can carry."""
    return 0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()


def series(name: str, pairs: str) -> str:
    """What stands before the number. A name that needs quotes goes to the labels."""
    if not METRIC_NAME.fullmatch(name):
        return f"{{{quoted(name)},{pairs}}}" if pairs else f"{{{quoted(name)}}}"
    return f"{name}{{{pairs}}}" if pairs else name


def metric(name: str) -> str:
    """The name in a line of metadata."""
    return name if METRIC_NAME.fullmatch(name) else quoted(name)


def label(name: str) -> str:
    return name if LABEL_NAME.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """A text between double quotes."""
    if '"' in text or "\\" in text or "\n" in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text


def escape_metric(name: str, scheme: Escaping) -> str:
    return name if METRIC_NAME.fullmatch(name) else REWRITE[scheme](name, ":")


def escape_label(name: str, scheme: Escaping) -> str:
    return name if LABEL_NAME.fullmatch(name) else REWRITE[scheme](name, "")


def _underscores(name: str, also: str) -> str:
    return "".join(character if _stays(index, character, also) else "_" for index, character in enumerate(name))


def _dots(name: str, also: str) -> str:
    words = {".": "_dot_", "_": "__"}
    return "".join(
        words.get(character) or (character if _stays(index, character, also) else "__")
        for index, character in enumerate(name)
    )


def _values(name: str, also: str) -> str:
    return "U__" + "".join(
        "__" if character == "_" else character if _stays(index, character, also) else f"_{ord(character):x}_"
        for index, character in enumerate(name)
    )


def _stays(index: int, character: str, also: str) -> bool:
    is_letter = character.isascii() and character.isalpha()
    is_digit = character.isascii() and character.isdecimal() and index > 0
    return is_letter or is_digit or character == "_" or (bool(also) and character == also)


REWRITE: dict[Escaping, Callable[[str, str], str]] = {
    Escaping.ALLOW_UTF8: lambda name, _: name,
    Escaping.UNDERSCORES: _underscores,
    Escaping.DOTS: _dots,
    Escaping.VALUES: _values,
}
