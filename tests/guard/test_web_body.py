"""Bodies as they come: no more is taken than belongs to them, and no more kept than they may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.judge import Refusal
from guard.web.body import body_of

BEHIND = b"GET / HTTP/1.1\r\n"


def chunked(content: bytes, sizes: list[int], *, trailer: bytes = b"") -> bytes:
    parts, at = [], 0
    for size in sizes:
        part = content[at : at + size]
        if part:
            parts.append(b"%x;note=x\r\n%s\r\n" % (len(part), part))
        at += len(part)
    if content[at:]:
        parts.append(b"%X\r\n%s\r\n" % (len(content) - at, content[at:]))
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def fed(size: int | None, pieces: list[bytes], bytes_max: int) -> tuple[bytes, bytes]:
    """The body, and what was behind it."""
    body = body_of(size, bytes_max=bytes_max)
    behind = b""
    for piece in pieces:
        behind += piece if body.whole else body.take(piece)
    assert body.whole
    return body.content(), behind


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.data(), st.binary(min_size=1, max_size=60))
def test_a_body_with_a_length_ends_where_it_says(data: st.DataObject, content: bytes) -> None:
    pieces = data.draw(cut(content + BEHIND))
    assert fed(len(content), pieces, bytes_max=60) == (content, BEHIND)


@given(
    st.data(),
    st.binary(max_size=60) | st.text("\r\n0 a;:", max_size=60).map(str.encode),
    st.lists(st.integers(1, 20), max_size=6),
    st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC: d\r\n"]),
)
def test_a_body_in_chunks_ends_at_its_last_one(
    data: st.DataObject, content: bytes, sizes: list[int], trailer: bytes
) -> None:
    pieces = data.draw(cut(chunked(content, sizes, trailer=trailer) + BEHIND))
    assert fed(None, pieces, bytes_max=60) == (content, BEHIND)


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"-1\r\n",
        b"fffffffffffffffff\r\n",
        b"3 \r\nabc\r\n",
        b"0\r\nA b\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal, match="chunks cannot be read") as raised:
        body_of(None, bytes_max=100).take(data)
    assert raised.value.status == 400


def test_a_body_that_is_too_large_is_refused() -> None:
    assert fed(10, [b"x" * 10], bytes_max=10)[0] == b"x" * 10
    with pytest.raises(Refusal, match="larger than 10 bytes") as raised:
        body_of(11, bytes_max=10)
    assert raised.value.status == 413
    assert fed(None, [chunked(b"x" * 10, [3])], bytes_max=10)[0] == b"x" * 10
    with pytest.raises(Refusal, match="larger than 10 bytes"):
        body_of(None, bytes_max=10).take(chunked(b"x" * 11, [3]))


@pytest.mark.parametrize("line", [b"3;" + b"x" * 10_000, b"0\r\nA: " + b"x" * 10_000, b"0\r\n" + b"A: b\r\n" * 2_000])
def test_what_is_around_the_chunks_is_limited_too(line: bytes) -> None:
    body = body_of(None, bytes_max=10)

    def dripped() -> None:
        for at in range(len(line)):
            body.take(line[at : at + 1])

    with pytest.raises(Refusal, match="larger than 10 bytes"):
        dripped()
