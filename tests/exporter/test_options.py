"""What was chosen for a collector reaches it checked, and a name is kept or left out for ever."""

import pytest

from exporter.collectors.options import FILTER_NAMES_MAX, Chosen, Filter, Kind, Option

OPTIONS = (
    Option("device-exclude", Kind.PATTERN, "^lo$", "devices that are left out"),
    Option("directory", Kind.TEXT, "", "where to look"),
    Option("most", Kind.COUNT, "20", "how many"),
    Option("all", Kind.SWITCH, "false", "everything"),
    Option("wait", Kind.DURATION, "1m30s", "how long"),
)


def test_what_is_said_outweighs_the_default() -> None:
    chosen = Chosen(OPTIONS, {"most": "3", "all": "true"})
    assert (chosen.count("most"), chosen.on("all"), chosen.text("directory")) == (3, True, "")
    assert chosen.seconds("wait") == 90.0
    pattern = chosen.pattern("device-exclude")
    assert pattern is not None
    assert pattern.pattern == "^lo$"


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("device-exclude", "(", "a regular expression"),
        ("device-exclude", r"^\pL", "a regular expression"),
        ("device-exclude", "^[[:alpha:]]+$", "a regular expression"),
        ("device-exclude", "eth(?i)0", "a regular expression"),
        ("most", "-1", "a whole number, from 0 to 999999999"),
        ("most", "9" * 30, "a whole number, from 0 to 999999999"),
        ("all", "yes", "true or false"),
        ("wait", "soon", "a duration such as 8s, 1m30s or 500ms"),
        ("wait", "0s", "more than 0 and at most 1h"),
        ("wait", "1h1ms", "more than 0 and at most 1h"),
    ],
)
def test_a_text_that_is_none_says_what_was_expected(name: str, said: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"expected {expected}"):
        Chosen(OPTIONS, {name: said})


PAIR = (
    Option("device-exclude", Kind.PATTERN, "^lo$", ""),
    Option("device-include", Kind.PATTERN, "", ""),
    Option("unit-exclude", Kind.PATTERN, "scope$", ""),
    Option("unit-include", Kind.PATTERN, ".+", ""),
)


@pytest.mark.parametrize(
    ("said", "option", "expected"),
    [
        ({}, "device-exclude", "^lo$"),
        ({"device-include": "^lo"}, "device-exclude", None),
        ({"device-include": "^lo", "device-exclude": "1$"}, "device-exclude", "1$"),
        ({"unit-include": "^ssh"}, "unit-exclude", "scope$"),
    ],
)
def test_what_is_kept_outdoes_what_is_left_out_by_default(
    said: dict[str, str], option: str, expected: str | None
) -> None:
    pattern = Chosen(PAIR, said).pattern(option)
    assert (pattern and pattern.pattern) == expected


def test_a_filter_keeps_what_is_included_and_not_excluded_however_many_names_there_were() -> None:
    chosen = Chosen((Option("in", Kind.PATTERN, "^eth", ""), Option("out", Kind.PATTERN, "1$", "")))
    devices = Filter(include=chosen.pattern("in"), exclude=chosen.pattern("out"))
    for number in range(FILTER_NAMES_MAX + 10):
        devices.keeps(f"veth{number}")
    assert [name for name in ("eth0", "eth1", "lo", "eth0") if devices.keeps(name)] == ["eth0", "eth0"]
