"""`${NAME}` in the text of a document, from the environment.

The replacement happens in values that are parsed already, never in YAML text: a variable cannot add a key.
`$${NAME}` stands for `${NAME}` itself. What was replaced is remembered as it was written, so that nothing
that came from the environment needs to be shown to say where a fault is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from guard.faults import Path, Problem
from guard.wording import quote

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")
# Something shorter is replaced only where it stands alone; else every 5 of a message would vanish.
HIDDEN_ANYWHERE_CHARACTERS_MIN = 4


@dataclass(frozen=True, slots=True)
class Expanded:
    """A document with every reference replaced, and what is needed to speak of it without showing it."""

    value: object
    written: Mapping[Path, str]
    problems: tuple[Problem, ...]
    _hidden: tuple[tuple[str, str], ...] = field(repr=False)

    def hide(self, text: str, literals: Mapping[str, str]) -> str:
        """Puts the reference in place of whatever came from the environment, and `literals` likewise."""
        hidden = [(form, name) for value, name in [*self._hidden, *literals.items()] for form in _forms(value)]
        for value, name in sorted(hidden, key=lambda pair: -len(pair[0])):
            pattern = re.escape(value)
            if len(value) < HIDDEN_ANYWHERE_CHARACTERS_MIN:
                pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
            text = re.sub(pattern, name.replace("\\", r"\\"), text)
        return text


def expand(value: object, environ: Mapping[str, str]) -> Expanded:
    """A new document; the old one stays as it is. What is missing stays as written and is a problem."""
    walk = _Walk(environ)
    expanded = walk.value(value, ())
    return Expanded(expanded, walk.written, tuple(walk.problems), tuple(walk.hidden.items()))


def only_references(text: str) -> bool:
    """Whether a text as it was written has nothing of its own."""
    return not _REFERENCE.sub(lambda match: "$" if match["escape"] or not match["name"] else "", text)


def names(text: str) -> Iterator[str]:
    """The variables that a text as it was written refers to."""
    return (match["name"] for match in _REFERENCE.finditer(text) if match["name"] and not match["escape"])


def _forms(value: str) -> set[str]:
    """How a message may show a value: as it is, escaped in one way or another, or cut short."""
    return {value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value)[1:-1]}


class _Walk:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.written: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self.hidden: dict[str, str] = {}

    def value(self, value: object, path: Path) -> object:
        match value:
            case str():
                return self._text(value, path)
            case list():
                return [self.value(inner, (*path, at)) for at, inner in enumerate(value)]
            case dict():
                return {key: self.value(inner, (*path, key)) for key, inner in value.items()}
        return value

    def _text(self, text: str, path: Path) -> str:
        if "${" not in text:
            return text
        missing = [
            _missing(match["name"], path)
            for match in _REFERENCE.finditer(text)
            if not match["escape"] and (match["name"] or "") not in self._environ
        ]
        self.problems += missing
        if any(names(text)):
            self.written[path] = text
        if missing:
            return text
        result = _REFERENCE.sub(self._replacement, text)
        if result and path in self.written:
            self.hidden[result] = text
        return result

    def _replacement(self, match: re.Match[str]) -> str:
        if match["escape"]:
            return match.group()[1:]
        value = self._environ[match["name"]]
        if value:
            self.hidden.setdefault(value, match.group())
        return value


def _missing(name: str | None, path: Path) -> Problem:
    if name is None:
        return Problem(path, "${ without the name of a variable", "${NAME}, or $${ for the characters themselves")
    return Problem(path, f"${{{name}}}, which is not set", f"the environment variable {name}")
