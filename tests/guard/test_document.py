"""YAML documents: what the plain values are, on which lines, and with either loader."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.document import DEPTH_MAX, LOADER, NODES_MAX, PLAIN_LOADER, Unparsable, parse
from guard.faults import Problem

LOADERS = pytest.mark.parametrize("loader", [LOADER, PLAIN_LOADER], ids=["fast", "plain"])


@LOADERS
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-0x1f", -31), ("010", 8), ("1_000", 1000), ("5.5", 5.5), ("1.0e+3", 1000.0), ("0", 0),
        ("on", True), ("No", False), ("~", None), ("", None), ("'5'", "5"), ("!!str 5", "5"), ("!!int '5'", 5),
        ("2026-01-05", "2026-01-05"), ("2026-01-05T09:00:00Z", "2026-01-05T09:00:00Z"), ("12:30", "12:30"),
        ("12:30:45.5", "12:30:45.5"), ("=", "="), ("1.2.3", "1.2.3"), ("5m", "5m"), ("[1, a]", [1, "a"]),
        ("{a: {b: c}}", {"a": {"b": "c"}}), ("|\n a\n b\n", "a\nb\n"), ("\"\\u00e9\"", "é"),
    ],
)  # fmt: skip
def test_a_plain_value_is_what_people_mean_by_it(text: str, value: object, loader: Any) -> None:
    document = parse(text, loader=loader)
    assert (document.value, type(document.value), document.problems) == (value, type(value), ())


def test_half_of_a_surrogate_pair_is_a_problem_also_where_it_is_escaped() -> None:
    document = parse('a: "\\ud800"', loader=PLAIN_LOADER)
    assert document.problems == (Problem(("a",), "half of a surrogate pair", "text"),)


@LOADERS
def test_every_place_knows_its_line_and_a_place_that_is_not_there_the_nearest(loader: Any) -> None:
    document = parse("# first\na:\n  - b: 1\n    c:\n      5\n  - d\ne: {f: 1,\n  g: 2}\n", loader=loader)
    lines = {("a",): 2, ("a", 0): 3, ("a", 0, "b"): 3, ("a", 0, "c"): 4, ("a", 1): 6, ("e", "f"): 7, ("e", "g"): 8}
    assert {path: document.line(path) for path in lines} == lines
    assert document.line(("a", 0, "missing", 3)) == 3
    assert document.line(()) == 2


@LOADERS
def test_a_merged_key_is_on_the_line_where_it_is_written(loader: Any) -> None:
    document = parse("base: &b\n  x: 1\n  y: 2\nuse:\n  <<: *b\n  y: 3\n", loader=loader)
    assert document.value == {"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}}
    assert (document.line(("use", "x")), document.line(("use", "y"))) == (2, 6)


@LOADERS
def test_a_key_said_twice_counts_at_every_level_and_the_last_one_stands(loader: Any) -> None:
    document = parse("a: {b: 1, 'b': 2}\nc: 1\na: 3\n", loader=loader)
    assert document.value == {"a": 3, "c": 1}
    assert document.problems == (
        Problem(("a", "b"), "the key a second time (first on line 1)", "each key once"),
        Problem(("a",), "the key a second time (first on line 1)", "each key once"),
    )


@LOADERS
def test_depth_and_size_are_held_exactly_at_their_limits(loader: Any) -> None:
    assert parse("[" * DEPTH_MAX + "]" * DEPTH_MAX, loader=loader).problems == ()
    with pytest.raises(Unparsable, match="levels of nesting"):
        parse("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1), loader=loader)


def test_a_document_may_have_as_many_values_as_the_limit_says() -> None:
    # The line that is named is the first that is too many, so those before it were taken.
    with pytest.raises(Unparsable, match=f"line {NODES_MAX}: found more than {NODES_MAX} values"):
        parse("- x\n" * NODES_MAX)


@LOADERS
def test_nesting_by_way_of_aliases_is_held_to_the_same_depth(loader: Any) -> None:
    chain = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, DEPTH_MAX + 1)]
    with pytest.raises(Unparsable, match="levels of nesting"):
        parse("\n".join(chain), loader=loader)


def looked_at(text: str, loader: Any) -> tuple[int, object]:
    try:
        return 1, parse(text, loader=loader).value
    except Unparsable as error:
        return error.line, None


def plain(value: object) -> bool:
    match value:
        case dict():
            return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
        case list():
            return all(map(plain, value))
    return value is None or type(value) in (bool, int, float, str)


@LOADERS
@given(text=st.text() | st.text(alphabet="ab1.:-?!&*<#'\"|>[]{},\\ux~= \n\t0"))
def test_no_text_fails_in_another_way_and_every_document_is_plain(text: str, loader: Any) -> None:
    line, value = looked_at(text, loader)
    assert 1 <= line <= max(1, len(text.splitlines()))
    assert plain(value)
