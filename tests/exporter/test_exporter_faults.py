"""Files of the kernel that say something else than they should: whoever reads them fails alone, and says where.

Each file of each made-up machine in turn is replaced by garbage, emptied, made a folder (root may read anything, but
not a folder as a file), or removed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.collectors import BuiltIn, Collector, build
from exporter.collectors.files import Malformed, Paths
from exporter.exposition import Format, render
from exporter.family import Family
from exporter.points import InvalidFamily
from tests.exporter import machine
from tests.exporter.watching import Said, asked, readers

GARBAGE = b'\x00\xff{"x"} = \\ \n-1 nan 1e999 ' + b"9" * 40 + b" \xc3\x28\n"
# More than a float can hold, which is no number for Prometheus either.
HUGE = b"9" * 400 + b"\n"


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FAULTS: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(GARBAGE),
    "a huge number": lambda path: path.write_bytes(HUGE),
    "minus one": lambda path: path.write_bytes(b"-1\n"),
    "emptied": lambda path: path.write_bytes(b""),
    "a folder": make_folder,
    "removed": Path.unlink,
}


class File(NamedTuple):
    """A file that somebody reads, and how those are made that do."""

    path: Path
    content: bytes
    paths: Paths
    readers: list[type[BuiltIn]]

    def __repr__(self) -> str:
        return f"{[kind.name for kind in self.readers]} {self.path}"

    def collectors(self) -> list[Collector]:
        return [build(kind, self.paths) for kind in self.readers]

    @contextmanager
    def with_fault(self, fault: Callable[[Path], object]) -> Iterator[None]:
        try:
            fault(self.path)
            yield
        finally:
            if self.path.is_dir():
                self.path.rmdir()
            self.path.write_bytes(self.content)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Paths]]:
    roots = {name: tmp_path_factory.mktemp(name).resolve() for name in machine.NAMES}
    return {name: (root, machine.unpack(name, root)) for name, root in roots.items()}


@pytest.fixture(scope="module")
def files(machines: dict[str, tuple[Path, Paths]]) -> list[File]:
    """What collectors read on any machine; of those whose paths differ only in numbers, the last."""
    kinds: dict[str, File] = {}
    for root, paths in machines.values():
        for path, who in readers(paths, str(root)).items():
            kind = re.sub(r"\d+", "0", path.removeprefix(str(root)))
            kinds[kind] = File(Path(path), Path(path).read_bytes(), paths, who)
    return list(kinds.values())


def is_valid(families: Iterable[Family]) -> None:
    are_valid(*(render(families, form).decode() for form in (Format.TEXT, Format.OPENMETRICS)))


@lru_cache(maxsize=4096)
def are_valid(text: str, openmetrics: str) -> None:
    """Both strict parsers read it, and every number on it is one for Prometheus, which knows none beyond a float.

    Most files change nothing of most pages, so what was read well once is not read again.
    """
    list(parse_text(text))
    list(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call]
    numbers = [line.rpartition(" ")[2] for line in text.split("\n") if line and not line.startswith("#")]
    assert all(math.isfinite(float(number)) or number in ("NaN", "+Inf", "-Inf") for number in numbers)


def failed_well(said: Said, file: File) -> None:
    """Where nothing is there, nothing has failed; what fails names the file or the metric, and is no bug of ours."""
    if said.error is None or said.is_absent:
        return
    assert isinstance(said.error, OSError | Malformed | InvalidFamily), repr(said.error)
    assert isinstance(said.error, InvalidFamily) or file.path.name in str(said.error), repr(said.error)


def complaint(file: File, said: Said) -> str:
    try:
        is_valid(said.families)
        failed_well(said, file)
    except (AssertionError, ValueError, ArithmeticError) as error:
        return f"{file}: {error!s:.300}"
    return ""


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_stands_in_a_file_its_readers_fail_well_and_recover(files: list[File], fault: str) -> None:
    wrong = []
    for file in files:
        running = file.collectors()
        before = [asked(collector) for collector in running]
        with file.with_fault(FAULTS[fault]):
            # Those that have been running keep files open; those that begin now open them.
            wrong += [complaint(file, asked(each)) for each in (*running, *file.collectors())]
        after = [asked(collector) for collector in file.collectors()]
        assert [each.ended for each in after] == [each.ended for each in before], file.path
    assert [each for each in wrong if each] == []


# What is changed in a file: a piece of it becomes something else.
CHANGES = st.tuples(
    st.floats(0, 1),
    st.integers(0, 40),
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"", b"\n", b" ", b":", b"-1", b"nan", b"Inf", b"1e400", b"\xff\xfe", b"9" * 25, b"\x00", b"{}"]
        ),
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(min_value=0), st.lists(CHANGES, min_size=1, max_size=3))
def test_whatever_changes_in_a_file_its_readers_fail_well(
    files: list[File], which: int, changes: list[tuple[float, int, bytes]]
) -> None:
    file = files[which % len(files)]
    content = file.content
    for place, length, piece in changes:
        at = int(place * len(content))
        content = content[:at] + piece + content[at + length :]
    with file.with_fault(lambda path: path.write_bytes(content)):
        answers = [asked(each) for each in file.collectors()]
    assert [complaint(file, each) for each in answers if complaint(file, each)] == []
