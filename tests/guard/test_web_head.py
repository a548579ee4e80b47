"""Heads: what is plain is read, and what two programs could read differently is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.judge import Refusal
from guard.web.head import HEAD_BYTES_MAX, HEADERS_MAX, Head, find_head, read_head


def head(*lines: str, host: bool = True) -> bytes:
    return "\r\n".join([lines[0], *(["Host: x"] if host else []), *lines[1:], "", ""]).encode("latin-1")


def refused(data: bytes) -> int:
    with pytest.raises(Refusal) as raised:
        read_head(data)
    return raised.value.status


def test_a_scrape_is_read() -> None:
    found = read_head(
        head(
            "GET /metrics?collect[]=cpu&collect[]=stat HTTP/1.1",
            "Accept: text/plain;q=0.5",
            "ACCEPT:application/openmetrics-text",
            "X-Empty:",
            "X-Strange:\t caf\xe9 ",
        )
    )
    assert found == Head(
        method="GET",
        path="/metrics",
        query="collect[]=cpu&collect[]=stat",
        headers={
            "host": "x",
            "accept": "text/plain;q=0.5, application/openmetrics-text",
            "x-empty": "",
            "x-strange": "caf\udce9",
        },
        body_bytes=0,
        keeps_alive=True,
    )


@pytest.mark.parametrize(
    ("lines", "keeps_alive", "body_bytes", "expects"),
    [
        (("GET / HTTP/1.1",), True, 0, False),
        (("GET / HTTP/1.1", "Connection: Close"), False, 0, False),
        (("GET / HTTP/1.1", "Connection: x, close"), False, 0, False),
        (("GET / HTTP/1.0",), False, 0, False),
        (("GET / HTTP/1.0", "Connection: Keep-Alive"), True, 0, False),
        (("POST / HTTP/1.1", "Content-Length: 12"), True, 12, False),
        (("POST / HTTP/1.1", "Content-Length: 12 "), True, 12, False),
        (("POST / HTTP/1.1", "Transfer-Encoding: Chunked"), True, None, False),
        (("POST / HTTP/1.1", "Content-Length: 1", "Expect: 100-Continue"), True, 1, True),
        (("POST / HTTP/1.0", "Content-Length: 1", "Expect: 100-continue"), False, 1, False),
        # Nobody is upgraded, and nobody is refused for asking.
        (("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"), True, 0, False),
    ],
)
def test_how_a_connection_goes_on_and_what_follows(
    lines: tuple[str, ...], keeps_alive: bool, body_bytes: int | None, expects: bool
) -> None:
    found = read_head(head(*lines))
    assert (found.keeps_alive, found.body_bytes, found.expects) == (keeps_alive, body_bytes, expects)


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        ("/a%2Fb?c=%20", "/a%2Fb", "c=%20", "x"),
        ("/?", "/", "", "x"),
        ("http://y:1/a?b", "/a", "b", "y:1"),
        ("HTTPS://y", "/", "", "y"),
        ("http://y?b", "/", "b", "y"),
        ("/a?b?c#d", "/a", "b?c", "x"),
    ],
)
def test_a_target_is_a_path_or_a_whole_address(target: str, path: str, query: str, host: str) -> None:
    found = read_head(head(f"GET {target} HTTP/1.1"))
    assert (found.path, found.query, found.headers["host"]) == (path, query, host)


@pytest.mark.parametrize(
    "data",
    [
        # What a proxy in front could read as two requests, or as another one.
        head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 1"),
        head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"),
        head("POST / HTTP/1.1", "Content-Length: 1, 1"),
        head("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 1"),
        head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        head("POST / HTTP/1.1", "Content-Length: +1"),
        head("POST / HTTP/1.1", "Content-Length: -1"),
        head("POST / HTTP/1.1", "Content-Length: 0x1"),
        head("POST / HTTP/1.1", "Content-Length:"),
        head("POST / HTTP/1.1", "Content-Length: 99999999999999999999999"),
        head("POST / HTTP/1.1", f"Content-Length: {'0' * 20}1"),
        head("POST / HTTP/1.1", f"Content-Length: {'0' * 5_000}1"),  # more digits than Python makes a number of
        head("POST / HTTP/1.1", "Content-Length : 1"),
        head("GET / HTTP/1.1", "A: b", " folded"),
        head("GET / HTTP/1.1", "A: b", "\tfolded"),
        b"GET / HTTP/1.1\nHost: x\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x7fc\r\n\r\n",
        head("GET / HTTP/1.1", "Host: y"),
        head("GET / HTTP/1.1", "Authorization: a", "Authorization: b"),
        head("GET / HTTP/1.1", "\xe9: b"),
        head("GET / HTTP/1.1", "nothing"),
        head("GET / HTTP/1.1", ": b"),
        # No request line.
        head("GET / HTTP/1.1", host=False),
        head("GET /"),
        head("GET  / HTTP/1.1"),
        head("GET / HTTP/1.1 "),
        head("GET /a b HTTP/1.1"),
        head("GET / HTTP/0.9"),
        head("GET / HTTP/1.2"),
        head("GET / HTTP/2.0"),
        head("GET / ICE/1.0"),
        head("SOURCE / ICE/1.0"),
        head("get / HTTP/1.1"),
        head("BREW / HTTP/1.1"),
        head("GET x HTTP/1.1"),
        head("OPTIONS * HTTP/1.1"),
        head("CONNECT x:443 HTTP/1.1"),
        head("GET ftp://x/ HTTP/1.1"),
        head("GET /\xff HTTP/1.1"),
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_refused(data: bytes) -> None:
    assert refused(data) == 400


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), 501),
        (("POST / HTTP/1.0", "Transfer-Encoding: chunked"), 501),
        (("POST / HTTP/1.1", "Content-Length: 1", "Expect: tea"), 417),
        (("GET / HTTP/1.1", *(f"X-{number}: y" for number in range(HEADERS_MAX))), 431),
    ],
)
def test_what_is_not_known_is_refused_by_name(lines: tuple[str, ...], status: int) -> None:
    assert refused(head(*lines)) == status


def test_the_end_of_a_head_is_found_and_its_size_is_limited() -> None:
    assert find_head(b"") is None
    assert find_head(b"GET / HTTP/1.1\r\nHost: x\r\n\r") is None
    assert find_head(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore\r\n\r\n") == 27
    longest = b"GET / HTTP/1.1\r\nA: " + b"b" * (HEAD_BYTES_MAX - 23) + b"\r\n\r\n"
    assert find_head(longest) == len(longest) == HEAD_BYTES_MAX
    with pytest.raises(Refusal, match="larger than 16384 bytes"):
        find_head(longest.replace(b"A: ", b"A: b"))


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02", b"hello", b"GET\t/", b" GET /", b"\x00", b"1", b"GETGETGETGETGETGETGETGET"]
)
def test_what_cannot_become_a_request_is_refused_at_its_first_bytes(data: bytes) -> None:
    with pytest.raises(Refusal, match="no HTTP request"):
        find_head(data)


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_fail_in_another_way(data: bytes) -> None:
    for each in (data, b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n", data + b"\r\n\r\n"):
        try:
            end = find_head(each)
            if end is not None:
                read_head(each[:end])
        except Refusal:
            continue


@given(st.data())
def test_a_plain_head_is_not_refused_at_any_of_its_beginnings(data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(["GET", "M-SEARCH", "UNSUBSCRIBE"]))
    whole = head(f"{method} / HTTP/1.1", "A: b")
    assert find_head(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
