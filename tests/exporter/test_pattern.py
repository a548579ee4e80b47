"""Regular expressions over texts of strangers end in time, or are refused before they meet one."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mapping.pattern import LOOKED_AT_CHARACTERS_MAX, Replaced, compiled, template

# Generous, as machines differ: the worst ones that were refused need longer than anybody waits.
SECONDS_MAX = 5.0


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+b",
        "(a*)*",
        "(?:a|b)*c",
        "(a|aa)+b",
        "(a?){30}a{30}",
        "((ab)*c)+",
        "(?P<x>.*x){20}",
        "(a{1,20}){1,20}",
        "(?=a+)+",
        "(?:(?:a+))+",
        "[)](a+)+",
        r"\)(a+)+",
        "(?i:a+)+b",
        "((a+)b?)+",
        "((a+){2}){3}",
        "(?:a+){2,}",
        "(?:a?){5}",
    ],
)
def test_a_repetition_inside_of_a_repetition_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="inside of a repetition"):
        compiled(expression)


@pytest.mark.parametrize("expression", [".*a.*b.*c.*", "(?:a+b){2}c+d+", "a+b+c+d+", "(x*)(y*)(z*)[ab]{1,9}"])
def test_many_repetitions_in_a_row_are_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="at most 3 repetitions"):
        compiled(expression)


def test_many_choices_beside_a_repetition_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 4 choices"):
        compiled("a?a?a?a?a?.*")
    compiled("get|post|put|delete|head|patch|options")


def test_an_expression_in_which_a_comment_could_hide_something_is_refused() -> None:
    with pytest.raises(ValueError, match="without the flag x"):
        compiled("(?x)(a+ #)\n)+")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"/users/\d+/.*", "/users/12/x"),
        (r"v?(\d+)\.(\d+)\..*", "v1.2.3"),
        (r"([^/]++)/([^/]++)/([^/]++)/([^/]++)/.*", "a/b/c/d/e"),
        (r"(?:/[a-z]++){2}/x", "/a/b/x"),
        (r"[]+*]+", "]+*"),
        (r"a{2}b{,3}", "aab"),
        (r"(?i)get|POST", "Post"),
        (r"(a)(?P<n>b)\1(?P=n)", "abab"),
        (r"x{y}", "x{y}"),
        (r"\(\*\)", "(*)"),
        ("5..", "503"),
        ("(?:foo.*)?bar", "bar"),
        (r"(?:\d{1,3}\.){2}x", "10.20.x"),
        ("(?:a?b){1,2}", "abb"),
    ],
)
def test_what_people_write_is_taken(expression: str, text: str) -> None:
    assert compiled(expression).fullmatch(text)


@pytest.mark.parametrize("expression", [".*a.*a.*b", "a*a*a*b", "(.*)(.*)(.*)x", "(?:a*){3}b", "a?a?a?a?a*a*a*b"])
def test_the_worst_that_is_taken_ends_in_time(expression: str) -> None:
    began = time.perf_counter()
    assert compiled(expression).fullmatch("a" * LOOKED_AT_CHARACTERS_MAX) is None
    assert time.perf_counter() - began < SECONDS_MAX


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of a bracket inside of brackets
@given(st.text("ab()[]|*+?{},0123\\^-.", max_size=14))
def test_any_expression_is_refused_or_ends_in_time(expression: str) -> None:
    try:
        found = compiled(expression)
    except ValueError:
        return
    began = time.perf_counter()
    for text in ("a" * LOOKED_AT_CHARACTERS_MAX, "ab" * (LOOKED_AT_CHARACTERS_MAX // 2), "0" * 200 + "c"):
        found.fullmatch(text)
    assert time.perf_counter() - began < SECONDS_MAX


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    replaced = Replaced([("a+", "short")])
    assert replaced["a" * 10_000] == "short"


def test_references_are_to_groups_of_the_expression() -> None:
    expression = re.compile(r"(a)|(b)")
    match = expression.fullmatch("b")
    assert match is not None
    assert template("<$1$2$0$$1>", expression)(match) == "<bb$1>"
    for wrong in ("$3", "a$99"):
        with pytest.raises(ValueError, match="to be a group"):
            template(wrong, expression)
