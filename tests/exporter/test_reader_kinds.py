"""Kinds of event may be called anything: whoever asks for one gets it, and any other is no fault."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from exporter.event import Fields
from exporter.reader import KIND_CHARACTERS_MAX, Reader

KINDS = st.text(
    st.sampled_from('aé日😀"\\/\t\n\x00\x7f. ') | st.characters(codec="utf-8"), min_size=1, max_size=KIND_CHARACTERS_MAX
)


@given(KINDS, KINDS, st.booleans())
def test_a_kind_may_be_called_anything(asked: str, other: str, escaped: bool) -> None:
    lines = [json.dumps({"event": kind, "x": "1"}, ensure_ascii=escaped).encode() for kind in (asked, other)]
    reader = Reader({asked: Fields(texts=("x",))})
    for found in (reader.lines(b"\n".join(lines)), reader.array(b"[%b]" % b",".join(lines))):
        assert not found.faults
        assert {raw.kind for raw in found.events} == {asked}
        assert found.unmatched == ({} if other == asked else {other: 1})
