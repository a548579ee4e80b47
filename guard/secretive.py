"""Which places of a document hold secrets, which hold paths of files, and what is wrong with them.

A secret comes from the environment or from a file of its own; one that is written out is a fault, because a
configuration file is reviewed, copied and committed. The schema marks secrets with `x-secret`. On a mapping
of headers the mark covers only those headers that carry credentials. What is marked `x-hidden`, as hashes of
passwords are, may be written out and is never shown. What is marked `x-open`, as command lines are, is shown to many:
nothing from the environment may stand in it. Secret files are never read here.
"""

import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path as FilePath

from guard.expansion import Expanded, names, only_references
from guard.faults import Path, Problem
from guard.shape import Schema, definitions, meant, resolved
from guard.wording import quote

SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token")
_ELSEWHERE = "a value from ${ENV} or a *_file"


class Mark(Enum):
    """Why a place is special."""

    SECRET = "secret"  # noqa: S105 - the word, not the thing
    HEADER = "header"
    FILE = "file"
    HIDDEN = "hidden"
    OPEN = "open"


def marks(value: object, schema: Schema) -> dict[Path, Mark]:
    """Every special place of a document that holds text."""
    return dict(_marked(value, schema, (), definitions(schema)))


def secret_problems(expanded: Expanded, marked: Mapping[Path, Mark]) -> Iterator[Problem]:
    """Secrets that are written out, that come from a variable which is empty, or that may come where many see them."""
    for path, mark in marked.items():
        written = expanded.written.get(path)
        if mark in (Mark.FILE, Mark.HIDDEN):
            continue
        if mark is Mark.OPEN:
            if written is not None and (named := ", ".join(names(written))):
                yield Problem(path, f"the variable {named} in what many can see", "text without ${ENV}")
        elif written is None or (mark is Mark.SECRET and not only_references(written)):
            yield Problem(path, "a secret that is written out", _ELSEWHERE)
        elif not value_at(expanded.value, path):
            yield Problem(path, f"an empty variable {', '.join(names(written))}", _ELSEWHERE)


def file_problems(files: Mapping[Path, str], document: object) -> Iterator[Problem]:
    """Paths, already absolute, that name no file which this process can read."""
    for path, absolute in files.items():
        if not FilePath(absolute).is_file() or not os.access(absolute, os.R_OK):
            yield Problem(path, quote(str(value_at(document, path))), "a file that exists and can be read")


def files(value: object, marked: Mapping[Path, Mark], folder: FilePath) -> dict[Path, str]:
    """The absolute path of every file that a document names, relative ones seen from `folder`."""
    return {
        path: os.path.abspath(folder / str(value_at(value, path))) for path, mark in marked.items() if mark is Mark.FILE
    }


def value_at(value: object, path: Path) -> object:
    """What stands at a place; nothing where there is no such place."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _marked(value: object, schema: Schema, path: Path, named: Mapping[str, Schema]) -> Iterator[tuple[Path, Mark]]:
    schema = resolved(schema, named)
    if schema.get("x-secret"):
        yield from _secrets(value, path)
    if schema.get("x-hidden"):
        yield from _hidden(value, path)
    if schema.get("x-open") and isinstance(value, list):
        yield from (((*path, at), Mark.OPEN) for at, inner in enumerate(value) if isinstance(inner, str))
    if "anyOf" in schema:
        for branch in meant(schema, value, named):
            yield from _marked(value, branch, path, named)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _of_key(key, inner, schema, path, named)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for at, inner in enumerate(value):
            yield from _marked(inner, schema["items"], (*path, at), named)


def _of_key(
    key: str, value: object, schema: Schema, path: Path, named: Mapping[str, Schema]
) -> Iterator[tuple[Path, Mark]]:
    here = (*path, key)
    if key in schema.get("properties", {}):
        if key.endswith("_file") and isinstance(value, str):
            yield here, Mark.FILE
        yield from _marked(value, schema["properties"][key], here, named)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from _marked(value, schema["additionalProperties"], here, named)


def _secrets(value: object, path: Path) -> Iterator[tuple[Path, Mark]]:
    match value:
        case str():
            yield path, Mark.SECRET
        case list():
            for at, inner in enumerate(value):
                if isinstance(inner, str):
                    yield (*path, at), Mark.SECRET
        case dict():
            for key, inner in value.items():
                if isinstance(inner, str) and str(key).lower() in SECRET_HEADERS:
                    yield (*path, key), Mark.HEADER


def _hidden(value: object, path: Path) -> Iterator[tuple[Path, Mark]]:
    """A password that somebody wrote in place of its hash may be a number."""
    match value:
        case str() | int() | float():
            yield path, Mark.HIDDEN
        case dict():
            for key, inner in value.items():
                yield from _hidden(inner, (*path, key))
