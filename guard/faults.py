"""What is wrong with a configuration file, and what a kind of such file is. Reading one is the business of configfile.

Apart from it, because a program that is given no file does not pay for what reads one: YAML and JSON schemas
take 12 MB.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]
Format: TypeAlias = Callable[[str], None]


class Problem(msgspec.Struct, frozen=True):
    """Something wrong at one place of a document: what is there, and what should be."""

    path: Path
    found: str
    expected: str


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a file. Line 0 speaks of the file as a whole."""

    file: str
    line: int
    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        inside = f" {self.path}:" if self.path else ""
        return f"{where}:{inside} found {self.found}" + (f", expected {self.expected}" if self.expected else "")


class InvalidConfig(Exception):
    """A configuration file with faults; its text has one line for each."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def _nothing_to_add(_: object) -> Iterable[Problem]:
    return ()


def _no_others(_: object) -> "Iterable[tuple[FilePath, Kind[Any]]]":
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """One kind of configuration file.

    `check` says what the schema cannot: it is given the plain document, with references replaced, and must
    bear any shape. `prove` says of a value what only the files that it names can tell. `warn` says of a value what is
    no fault, and hardly meant; its paths are the file's.
    `formats` are the schema's formats; each raises `ValueError` with what was expected.
    `others` are configuration files that a value names, each with its kind; who reads the value reads them too.
    """

    name: str
    struct: type[T]
    title: str
    description: str = ""
    file_names: tuple[str, ...] = ()
    check: Callable[[object], Iterable[Problem]] = _nothing_to_add
    prove: Callable[[T], Iterable[Problem]] = _nothing_to_add
    warn: Callable[[T], Iterable[Problem]] = _nothing_to_add
    formats: Mapping[str, Format] = field(default_factory=dict)
    others: "Callable[[T], Iterable[tuple[FilePath, Kind[Any]]]]" = _no_others
