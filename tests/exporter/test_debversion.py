"""Versions of Debian packages, compared as the real dpkg compares them."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.debversion import key
from tests.exporter.builders import SURELY
from tests.left_out import left_out

PAIRS = 1_000


def compared(first: str, second: str) -> str:
    one, other = key(first.encode()), key(second.encode())
    return "lt" if one < other else "gt" if one > other else "eq"


@pytest.mark.parametrize(
    ("first", "relation", "second"),
    [
        ("1.2.3", "lt", "1.2.10"),
        ("1.0~rc1", "lt", "1.0"),
        ("1.0", "lt", "1.0+deb12u1"),
        ("1.0-1", "lt", "1.0-1+deb12u1"),
        ("1:0.9", "gt", "9.9"),
        ("1.0", "eq", "1.0-0"),
        ("0:1.00", "eq", "1.0"),
        ("3.0.19-1~deb12u2", "gt", "3.0.19-1~deb12u1"),
        ("1.a", "lt", "1.+"),
        ("9.2p1-2+deb12u3", "lt", "9.2p1-2+deb12u10"),
    ],
)
def test_the_later_version_is_greater(first: str, relation: str, second: str) -> None:
    assert compared(first, second) == relation


def test_any_two_versions_compare_as_dpkg_compares_them() -> None:
    if shutil.which("dpkg") is None:
        left_out("dpkg is not installed: this is no Debian")
    chance = random.Random(7)
    pairs = [_pair(chance) for _ in range(PAIRS)]
    script = "".join(
        f"if dpkg --compare-versions {one} lt {other}; then echo lt;"
        f" elif dpkg --compare-versions {one} eq {other}; then echo eq; else echo gt; fi\n"
        for one, other in pairs
    )
    said = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True, timeout=SURELY).stdout
    expected = said.decode().split()
    assert len(expected) == PAIRS
    assert len(set(expected)) == 3
    assert [(*pair, compared(*pair)) for pair in pairs] == [
        (*pair, each) for pair, each in zip(pairs, expected, strict=True)
    ]


def _pair(chance: random.Random) -> tuple[str, str]:
    """Half of them are nearly the same."""
    one = _version(chance)
    nearly = one + chance.choice(("~", "0", "a", "+", "-0", "-1", ".0", "~~", ""))
    return one, nearly if chance.random() < 0.5 else _version(chance)


def _version(chance: random.Random) -> str:
    upstream = "".join(chance.choices("0129ab~+.", k=chance.randrange(7)))
    revision = "-" + "".join(chance.choices("012a~+.", k=chance.randrange(1, 5)))
    epoch = chance.choice(("", "", "0:", "1:"))
    return epoch + chance.choice("0129") + upstream + chance.choice(("", revision))


@given(one=st.binary(max_size=40), other=st.binary(max_size=40))
def test_whatever_stands_in_place_of_versions_one_is_later_or_they_are_the_same(one: bytes, other: bytes) -> None:
    assert (key(one) < key(other)) + (key(one) == key(other)) + (key(one) > key(other)) == 1
