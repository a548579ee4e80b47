"""Matchers are Alertmanager's: four operators, anchored, and an absent label is empty."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.matcher import FIELD, Matcher, matches_all, parse_matcher

names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ('severity="critical"', Matcher("severity", "=", "critical")),
        ("severity=critical", Matcher("severity", "=", "critical")),
        (' severity != "x y" ', Matcher("severity", "!=", "x y")),
        ('job=~"node|db"', Matcher("job", "=~", "node|db")),
        ('job!~"a.*"', Matcher("job", "!~", "a.*")),
        ('path="C:\\\\temp \\"x\\""', Matcher("path", "=", 'C:\\temp "x"')),
        ('a=""', Matcher("a", "=", "")),
        ("a=", Matcher("a", "=", "")),
        ('a="="', Matcher("a", "=", "=")),
        ('city="Köln"', Matcher("city", "=", "Köln")),
    ],
)
def test_matchers_are_read_as_alertmanager_reads_them(text: str, matcher: Matcher) -> None:
    assert parse_matcher(text) == matcher


@pytest.mark.parametrize(
    "text",
    [
        "",
        "severity",
        '="x"',
        'sev erity="x"',
        '1a="x"',
        'a="x',
        'a=x"',
        "a=x y",
        'a=="x"',
        'a="x" b',
        "a={x}",
        "a~x",
        'a=~"("',
        'a!~"[z-a]"',
        'a=~"*"',
        'a=~"x{99999999999}"',
    ],
)
def test_a_matcher_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"matcher such as|double quotes|regular expression"):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ('a="b"', {"a": "b"}, True),
        ('a="b"', {"a": "bb"}, False),
        ('a="b"', {}, False),
        ('a=""', {}, True),
        ('a!="b"', {}, True),
        ('a!=""', {}, False),
        ('a=~"b"', {"a": "abc"}, False),
        ('a=~".*b.*"', {"a": "abc"}, True),
        ('a=~"b|c"', {"a": "c"}, True),
        ('a=~"b|c"', {"a": "bc"}, False),
        ('a=~""', {}, True),
        ('a=~".+"', {}, False),
        ('a=~"x.y"', {"a": "x\ny"}, True),
        ('a=~"b"', {"a": "b\n"}, False),
        ('a!~"b.*"', {"a": "bcd"}, False),
        ('a!~"b"', {"a": "abc"}, True),
    ],
)
def test_regular_expressions_are_anchored_and_an_absent_label_is_empty(
    text: str, labels: dict[str, str], matches: bool
) -> None:
    assert parse_matcher(text).matches(labels) is matches


def test_all_must_hold_and_none_holds_for_everything() -> None:
    both = (parse_matcher("a=1"), parse_matcher("b=2"))
    assert matches_all(both, {"a": "1", "b": "2", "c": "3"})
    assert not matches_all(both, {"a": "1"})
    assert matches_all((), {})


@given(names, st.sampled_from(["=", "!="]), values)
def test_what_is_written_is_read_back(name: str, operator: str, value: str) -> None:
    matcher = Matcher(name, operator, value)
    assert parse_matcher(str(matcher)) == matcher


@given(names, values)
def test_a_matcher_and_its_opposite_never_agree(name: str, value: str) -> None:
    for labels in ({}, {name: value}, {name: value + "x"}):
        assert Matcher(name, "=", value).matches(labels) is not Matcher(name, "!=", value).matches(labels)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_matcher(text).matches({"a": "b"}) in (True, False)


@pytest.mark.parametrize("name", ["http.status", "@timestamp", "user-agent", "größe", "1", "a/b[0]"])
def test_a_field_of_an_event_may_have_a_name_that_no_label_has(name: str) -> None:
    assert parse_matcher(f'{name}=~"5.."', name=FIELD) == Matcher(name, "=~", "5..")
    with pytest.raises(ValueError, match="a matcher such as"):
        parse_matcher(f'{name}=~"5.."')


@pytest.mark.parametrize("text", ['="a"', 'a b="c"', "'a'=b", 'a,b="c"', "{a}=b", "a"])
def test_a_field_can_be_told_from_the_operator(text: str) -> None:
    with pytest.raises(ValueError, match="a matcher such as"):
        parse_matcher(text, name=FIELD)
