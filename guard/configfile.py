"""YAML in, a frozen typed value out, or every fault of the file at once.

The steps, each over the whole document: YAML, references to the environment, the schema that is generated
from the msgspec structs, what the kind of file knows beyond its schema, secrets and files. Only a document
without a fault becomes a value, so that a value that exists is valid. No message shows a secret or what
came from the environment, and nothing but `InvalidConfig` is ever raised for what a file contains.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from guard import document, secretive, shape
from guard.document import Document, Unparsable
from guard.expansion import Expanded, expand, only_references
from guard.faults import Fault, Format, InvalidConfig, Kind, Problem
from guard.faults import Path as Place
from guard.secretive import Mark
from guard.wording import place, quote

__all__ = [
    "Fault",
    "Format",
    "InvalidConfig",
    "Kind",
    "Problem",
    "read",
    "read_and_warn",
    "read_text",
    "schema",
    "syntax",
]

T = TypeVar("T")
FILE_BYTES_MAX = 4 * 1024 * 1024


def read(path: Path, kind: Kind[T], *, environ: Mapping[str, str]) -> T:
    """The value of a file. Raises `InvalidConfig`."""
    return read_text(_text(path), str(path), kind, environ=environ)


def read_text(text: str, name: str, kind: Kind[T], *, environ: Mapping[str, str]) -> T:
    """The value of a text; relative files are seen from the folder of `name`. Raises `InvalidConfig`."""
    return _value(text, name, kind, environ=environ)[0]


def read_and_warn(path: Path, kind: Kind[T], *, environ: Mapping[str, str]) -> tuple[T, tuple[Fault, ...]]:
    """The value of a file, and what is no fault of it, and hardly meant. Raises `InvalidConfig`."""
    value, say = _value(_text(path), str(path), kind, environ=environ)
    return value, say.faults(map(say.hidden, kind.warn(value)))


def _value(text: str, name: str, kind: Kind[T], *, environ: Mapping[str, str]) -> "tuple[T, _Teller]":
    parsed = _parsed(text, name)
    expanded = expand({} if parsed.value is None else parsed.value, environ)
    form = schema(kind)
    marked = secretive.marks(expanded.value, form)
    files = secretive.files(expanded.value, marked, Path(name).parent)
    say = _Teller(name, parsed, expanded, marked)
    found = [*_problems(parsed, expanded, form, kind, say), *secretive.secret_problems(expanded, marked)]
    found += secretive.file_problems(files, expanded.value)
    if found:
        raise InvalidConfig(say.faults(found))
    try:
        value = msgspec.convert(_with_files(expanded.value, files), kind.struct)
    except msgspec.ValidationError as error:
        raise InvalidConfig(say.faults([say.hidden(_late(error))])) from None
    if unproven := [say.hidden(problem) for problem in kind.prove(value)]:
        raise InvalidConfig(say.faults(unproven))
    return value, say


def syntax(path: Path) -> tuple[Fault, ...]:
    """What is wrong with a file as YAML, whatever it means."""
    try:
        parsed = _parsed(_text(path), str(path))
    except InvalidConfig as invalid:
        return invalid.faults
    return _Teller(str(path), parsed, expand(None, {}), {}).faults(parsed.problems)


def schema(kind: Kind[Any]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind of file, for editors and for the reading itself."""
    (root,), named = msgspec.json.decode(_generated(kind.struct))  # type: ignore[arg-type]
    for definition in named.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    described = {"description": kind.description} if kind.description else {}
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": kind.title, **described, **root, "$defs": named}


@cache
def _generated(struct: type) -> bytes:
    """As JSON, so that it holds nothing but what a JSON file can hold. It takes long, and stays the same."""
    return msgspec.json.encode(msgspec.json.schema_components([struct], ref_template="#/$defs/{name}"))


def _text(path: Path) -> str:
    readable = "a file that exists and can be read"
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = (
            "a directory" if isinstance(error, IsADirectoryError) else getattr(error, "strerror", None) or str(error)
        )
        raise InvalidConfig([Fault(str(path), 0, "", reason[:1].lower() + reason[1:], readable)]) from None
    if len(data) > FILE_BYTES_MAX:
        raise InvalidConfig([Fault(str(path), 0, "", "a larger file", f"at most {FILE_BYTES_MAX} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidConfig([Fault(str(path), line, "", "bytes that are not UTF-8", "UTF-8 text")]) from None


def _parsed(text: str, name: str) -> Document:
    try:
        return document.parse(text)
    except Unparsable as error:
        raise InvalidConfig([Fault(name, error.line, "", error.found, error.expected)]) from None


def _problems(
    parsed: Document, expanded: Expanded, form: dict[str, Any], kind: Kind[Any], say: "_Teller"
) -> Iterator[Problem]:
    """One problem leads to the next: what could not be read or replaced is not held against the rest."""
    yield from parsed.problems
    yield from expanded.problems
    told = parsed.unreadable | {problem.path for problem in expanded.problems}
    formats = {name: say.hiding(check) for name, check in kind.formats.items()}
    ill_formed = [each for each in shape.problems(expanded.value, form, formats) if each.path not in told]
    yield from ill_formed
    told |= {problem.path for problem in ill_formed}
    yield from (say.hidden(each) for each in kind.check(expanded.value) if each.path not in told)


class _Teller:
    """Turns problems into faults: with lines, in order, and without anything that must not be shown."""

    def __init__(self, name: str, parsed: Document, expanded: Expanded, marked: Mapping[Place, Mark]):
        self._name, self._parsed, self._expanded = name, parsed, expanded
        self._secret = {path for path, mark in marked.items() if mark not in (Mark.FILE, Mark.OPEN)}
        texts = (secretive.value_at(expanded.value, path) for path in self._secret - set(expanded.written))
        self._literals = {text: "…" for text in texts if isinstance(text, str) and text}

    def faults(self, problems: Iterable[Problem]) -> tuple[Fault, ...]:
        told = dict.fromkeys(map(self._fault, problems))
        return tuple(sorted(told, key=lambda fault: fault.line))

    def hidden(self, problem: Problem) -> Problem:
        """The same problem, in case that whoever found it quotes what it was found in."""
        return Problem(problem.path, self._hide(problem.found), self._hide(problem.expected))

    def hiding(self, check: Format) -> Format:
        """The same format, likewise."""

        def checked(text: str) -> None:
            try:
                check(text)
            except ValueError as error:
                raise ValueError(self._hide(str(error))) from None

        return checked

    def _fault(self, problem: Problem) -> Fault:
        quotes = problem.found.startswith(("'", "the number "))
        found = (self._as_written(problem.path) if quotes else None) or problem.found
        line = self._parsed.line(problem.path)
        return Fault(self._name, line, place(problem.path), found, problem.expected)

    def _as_written(self, path: Place) -> str | None:
        written = self._expanded.written.get(path)
        if path in self._secret and not (written and only_references(written)):
            return "a value that is not shown"
        return quote(written) if written else None

    def _hide(self, text: str) -> str:
        return self._expanded.hide(text, self._literals)


def _with_files(value: object, files: Mapping[Place, str], path: Place = ()) -> object:
    match value:
        case dict():
            return {key: _with_files(inner, files, (*path, key)) for key, inner in value.items()}
        case list():
            return [_with_files(inner, files, (*path, at)) for at, inner in enumerate(value)]
    return files.get(path, value)


_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")


def _late(error: msgspec.ValidationError) -> Problem:
    """What only the conversion finds, such as a time that is no time. Its path ends where a key is hidden."""
    said, _, where = str(error).partition(" - at `")
    steps = _STEP.findall(where.split("[...]")[0])
    path = tuple(name or int(index) for name, index in steps)
    return Problem(path, "a value that does not fit", said.removeprefix("Expected "))
