"""What a document says and what a schema asks for, in words that fit after "found" and "expected".

Nothing here decides whether something is right; it only says it.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHOWN_CHARACTERS_MAX = 60

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_SIMPLE_KEY = re.compile(r"[\w-]+")


def quote(text: str) -> str:
    """Text in quotes, on one line, and no longer than a line can take."""
    cut = text if len(text) <= SHOWN_CHARACTERS_MAX else text[: SHOWN_CHARACTERS_MAX - 1] + "…"
    plain = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in cut)
    return f"'{plain}'"


def describe(value: object) -> str:
    """What YAML made of something: `'x'`, `the number 5`, `true`, `nothing`, `a list`, `a mapping`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list" if value else "an empty list"
    return "a mapping"


def words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a schema asks for."""
    match schema:
        case {"$ref": str(reference)}:
            return words(definitions[reference.rsplit("/", 1)[-1]], definitions)
        case {"anyOf": [*branches]}:
            return " or ".join(dict.fromkeys(words(branch, definitions) for branch in branches))
        case {"enum": [*values]}:
            return one_of(map(str, values))
        case {"type": str(name)}:
            return _TYPES[name]
    return "a value"


def one_of(choices: Iterable[str], *, near: str | None = None) -> str:
    """A choice; with `near`, also which of them was probably meant."""
    listed = list(choices)
    if not listed:
        return "nothing here"
    folded = {choice.lower(): choice for choice in listed}
    close = difflib.get_close_matches(near.lower(), folded, n=1) if near is not None else []
    meant = f" (did you mean {quote(folded[close[0]])}?)" if close else ""
    return f"one of: {', '.join(listed)}{meant}" if len(listed) > 1 else quote(listed[0])


def place(path: Sequence[str | int]) -> str:
    """`routes[0].escalation`; a key that is no simple word stands in brackets and quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _SIMPLE_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quote(step)}]"
    return text
