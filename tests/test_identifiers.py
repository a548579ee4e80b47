"""What is taken as an identifier of a request is the same in both programs and in applications."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.event import TRACES
from guard import trail
from tocsin import identifiers

ANYTHING = st.text(st.sampled_from("0123456789abcdefAKIZxyz-_.@:/ "), max_size=70) | st.from_regex(
    TRACES["correlation_id"], fullmatch=True
)


@given(ANYTHING)
def test_all_take_the_same(text: str) -> None:
    taken = TRACES["correlation_id"].fullmatch(text) is not None
    assert (trail.read(text, None) == trail.Trail(text)) is taken
    assert (identifiers.accepted(text, None).correlation_id == text) is taken


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "call-491701234567",
        "x4111-1111-1111-1111",
        "host-192-0-2-17",
        "00-1A-2B-3C-4D-5E",
    ],
)
def test_keys_numbers_and_addresses_of_others_are_none(text: str) -> None:
    assert trail.read(text, None) is None
    assert identifiers.accepted(text, None).correlation_id != text


@given(st.text("0123456789abcdef", min_size=32, max_size=32) | st.text("0123456789", min_size=32, max_size=32))
def test_all_take_the_same_traces(trace: str) -> None:
    parent = f"00-{trace}-00f067aa0ba902b7-01"
    taken = TRACES["trace_id"].fullmatch(trace) is not None
    read = trail.read(None, parent)
    assert (read is not None and read.trace == trace) is taken
    assert (identifiers.accepted(None, parent).trace_id == trace) is taken


def test_those_that_are_made_are_taken() -> None:
    for _ in range(200):
        made = trail.made().correlation
        assert re.fullmatch("[0-9a-f]{32}", made)
        assert trail.read(made, None) == trail.Trail(made)
        ours = identifiers.accepted(None, None)
        assert identifiers.accepted(ours.correlation_id, None).correlation_id == ours.correlation_id
