"""Every program in bench/ is run by `make bench`, and listed."""

from __future__ import annotations

from pathlib import Path

import bench
from bench.__main__ import PARTS

FOLDER = Path(__file__).parents[1] / "bench"
FILES = {path.name for path in FOLDER.glob("*.py") if not path.name.startswith("__")}


def test_each_program_is_a_part_of_the_page_and_each_part_is_a_program() -> None:
    programs = {f"bench.{name.removesuffix('.py')}" for name in FILES if "__main__" in (FOLDER / name).read_text()}
    assert programs == {module for module, _ in PARTS.values()}


def test_the_docstring_lists_each_file_and_no_others() -> None:
    assert bench.__doc__ is not None
    assert {line.split()[0] for line in bench.__doc__.splitlines() if ".py " in line} == FILES


def test_each_program_says_how_it_is_run() -> None:
    for module, _ in PARTS.values():
        name = module.rpartition(".")[2]
        assert f"    python -m {module}" in (FOLDER / f"{name}.py").read_text(), module
