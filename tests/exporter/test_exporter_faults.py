"""Files of the kernel that say something else than they should: whoever reads them fails alone, and says where.

Each file of each made-up machine in turn is replaced by garbage, emptied, made a folder (root may read anything, but
not a folder as a file), or removed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.collectors import BuiltIn, Collector, build
from exporter.collectors.files import Paths
from exporter.exposition import Format, render
from exporter.outcome import Outcome, Reason, snapshot
from exporter.registry import attempt
from tests.exporter import machine
from tests.exporter.watching import readers

FOREVER = float("inf")
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
    """What collectors read on any machine; of those whose paths differ only in numbers, the first and the last."""
    kinds: dict[str, list[File]] = {}
    for root, paths in machines.values():
        for path, who in readers(paths, str(root)).items():
            kind = re.sub(r"\d+", "0", path.removeprefix(str(root)))
            kinds.setdefault(kind, []).append(File(Path(path), Path(path).read_bytes(), paths, who))
    return [file for found in kinds.values() for file in {each.path: each for each in (found[0], found[-1])}.values()]


def is_valid(outcome: Outcome) -> None:
    """Both strict parsers read it, and every number on it is one for Prometheus, which knows none beyond a float."""
    families = snapshot({"one": outcome}).families
    text, openmetrics = (render(families, form).decode() for form in (Format.TEXT, Format.OPENMETRICS))
    list(parse_text(text))
    list(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call]
    numbers = [line.rpartition(" ")[2] for line in text.split("\n") if line and not line.startswith("#")]
    assert all(math.isfinite(float(number)) or number in ("NaN", "+Inf", "-Inf") for number in numbers)


def failed_well(outcome: Outcome, file: File) -> None:
    """Nothing that is absent is a failure; what fails names the file or the metric, and is no bug of ours."""
    if outcome.reason is Reason.ERROR:
        assert file.path.name in outcome.error or re.search(r"node_\w+: a \w+ cannot be ", outcome.error), outcome.error
        assert not re.match(r"\w+(Error|Exception): ", outcome.error), outcome.error
    else:
        assert outcome.reason in (None, Reason.ABSENT)


def complaint(file: File, outcome: Outcome) -> str:
    try:
        is_valid(outcome)
        failed_well(outcome, file)
    except (AssertionError, ValueError, ArithmeticError) as error:
        return f"{file}: {error!s:.300}"
    return ""


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_stands_in_a_file_its_readers_fail_well_and_recover(files: list[File], fault: str) -> None:
    wrong = []
    for file in files:
        running = file.collectors()
        before = [attempt(collector, FOREVER) for collector in running]
        with file.with_fault(FAULTS[fault]):
            # Those that have been running keep files open; those that begin now open them.
            wrong += [complaint(file, attempt(each, FOREVER)) for each in (*running, *file.collectors())]
        after = [attempt(collector, FOREVER) for collector in file.collectors()]
        assert [each.reason for each in after] == [each.reason for each in before], file.path
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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        outcomes = [attempt(each, FOREVER) for each in file.collectors()]
    assert [complaint(file, outcome) for outcome in outcomes if complaint(file, outcome)] == []
