"""Arrays of events that come in pieces: what is cut is what would be decoded at once, or refused as that would be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.intake.body import Unreadable, parts_of_array, plain
from exporter.reader import said

WHOLE = msgspec.json.Decoder(list[msgspec.Raw])
VALUES = st.recursive(
    st.sampled_from([None, 1, "", 'a "},{"event" within', "\\", "]"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["event", "a", '"']), inner, max_size=3)
    ),
    max_leaves=8,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n ", " : ")])


def cut(data: bytes, size: int) -> list[list[bytes]]:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return [list(map(bytes, parts)) for parts in parts_of_array(pieces)]


@given(st.lists(st.fixed_dictionaries({"event": VALUES, "a": VALUES}), max_size=12), SEPARATORS, st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_in_pieces_it_has_the_same_events(events: list[object], separators: tuple[str, str], size: int) -> None:
    data = b" \n" + json.dumps(events, separators=separators).encode() + b"\n"
    assert list(chain(*cut(data, size))) == list(map(bytes, WHOLE.decode(data)))


@given(st.lists(st.fixed_dictionaries({"event": VALUES}), min_size=1, max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_broken_somewhere_is_refused_as_it_is_at_once(events: list[object], draw: st.DataObject) -> None:
    data = bytearray(json.dumps(events).encode())
    at = draw.draw(st.integers(1, len(data) - 1))
    data[at : at + 1] = draw.draw(st.sampled_from([b"", b"]", b",", b"{", b"}", b'"', b"\x0b"]))
    size = draw.draw(st.integers(1, 60))
    expected: list[bytes] = []
    fault = ""
    try:
        expected = list(map(bytes, WHOLE.decode(bytes(data))))
    except ValueError as error:
        fault = said(error)
    if not fault:
        assert list(chain(*cut(bytes(data), size))) == expected
        return
    with pytest.raises(Unreadable) as found:
        cut(bytes(data), size)
    # Also the place is that in the whole body.
    assert str(found.value).endswith(fault)


def events_of(count: int) -> Iterator[dict[str, object]]:
    for number in range(count):
        yield {"event": "order", "lines": [{"name": "tea", "count": number}, {"name": "jam"}], "at": {"country": "it"}}


@pytest.mark.parametrize("indent", [None, 2])
def test_no_more_than_two_pieces_are_decoded_at_once(indent: int | None) -> None:
    """Also where events have lists and objects within."""
    data = json.dumps(list(events_of(20_000)), indent=indent).encode()
    sizes = [sum(map(len, map(bytes, parts))) for parts in parts_of_array(plain(data))]
    pieces = [len(piece) for piece in plain(data)]
    assert len(sizes) == len(pieces) > 5
    assert max(sizes) <= 2 * max(pieces)
