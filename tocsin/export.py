"""The journal as a file that anybody can check: one JSON object a line, with the hashes. `tocsin audit export`.

The first line says which journal it is, and after which position and hash it begins. Each further line is an entry:
position, time in microseconds since 1970, kind, source, body in base64, hash. A hash is SHA-256 over the hash before,
`position|time|kind|length of source|source|length of body|` and the body.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from receiver.entry import Written
from receiver.store.journal import Journal, link

FORMAT = 1
T = TypeVar("T", "Head", "Line")


class Faulty(Exception):
    """The file is no export, or its chain does not hold; the text says where."""


class Head(msgspec.Struct, frozen=True):
    tocsin_journal: int
    journal: str
    position: int
    hash: str


class Line(msgspec.Struct, frozen=True):
    position: int
    at: int
    kind: str
    source: str
    body: bytes
    hash: str


def write_export(journal: Journal, file: IO[bytes]) -> int:
    """How many entries it wrote."""
    begin = journal.begin()
    _put(file, Head(FORMAT, journal.name, begin.position, begin.hash.hex()))
    count = 0
    for position, at, written, stored in journal.rows(begin.position):
        count += 1
        _put(file, Line(position, at, written.kind, written.source, written.body, stored.hex()))
    return count


def verify_export(path: Path) -> tuple[int, str]:
    """How many entries there are, and the hash of the last; Faulty says which line does not hold."""
    with path.open("rb") as file:
        lines = enumerate(file, start=1)
        head = _read(next(lines, (1, b"")), Head)
        if head.tocsin_journal != FORMAT:
            raise Faulty(f"line 1: found an export of the form {head.tocsin_journal}, expected {FORMAT}")
        position, chain, count = head.position, head.hash, 0
        for number, line in _entries(lines):
            if line.position != position + 1:
                raise Faulty(f"line {number}: found entry {line.position}, expected {position + 1}")
            expected = link(_bytes(number, chain), line.position, line.at, Written(line.kind, line.source, line.body))
            if expected.hex() != line.hash:
                raise Faulty(f"line {number}: entry {line.position} is not what was written, or the one before it")
            position, chain, count = line.position, line.hash, count + 1
    return count, chain


def _entries(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, Line]]:
    return ((numbered[0], _read(numbered, Line)) for numbered in lines)


def _bytes(number: int, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Faulty(f"line {number - 1}: the hash is not hexadecimal") from None


def _read(numbered: tuple[int, bytes], kind: type[T]) -> T:
    number, line = numbered
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Faulty(f"line {number} is no line of an export: {error}") from None


def _put(file: IO[bytes], value: Head | Line) -> None:
    file.write(msgspec.json.encode(value) + b"\n")
