"""Every program in bench/ is run by `make bench`, and listed."""

from __future__ import annotations

from pathlib import Path

import bench
from bench.__main__ import PAGE, PARTS, section

FOLDER = Path(__file__).parents[1] / "bench"
FILES = {path.name for path in FOLDER.glob("*.py") if not path.name.startswith("__")}


def test_each_program_is_a_part_of_the_page_and_each_part_is_a_program() -> None:
    programs = {f"bench.{name.removesuffix('.py')}" for name in FILES if "__main__" in (FOLDER / name).read_text()}
    assert programs == set(PARTS.values())


def test_the_docstring_lists_each_file_and_no_others() -> None:
    assert bench.__doc__ is not None
    assert {line.split()[0] for line in bench.__doc__.splitlines() if ".py " in line} == FILES


def test_each_program_says_how_it_is_run() -> None:
    for module in PARTS.values():
        name = module.rpartition(".")[2]
        assert f"    python -m {module}" in (FOLDER / f"{name}.py").read_text(), module


def test_a_part_that_is_not_measured_again_stays_as_it_stands_on_the_page() -> None:
    page = PAGE.read_text()
    parts = [section(page, title) for title in PARTS]
    assert all(part is not None and part.endswith("\n") for part in parts)
    assert "\n".join(part for part in parts if part is not None) in page
    assert section(page, "Nothing") is None
