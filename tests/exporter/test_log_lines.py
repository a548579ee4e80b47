"""Lines of logs as events: formats, names of fields, kinds, times, and everything that a line can be instead."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.event import Fields
from exporter.intake.logs.cut import LINE_BYTES_MAX, cut, records
from exporter.intake.logs.parsing import parser_of
from exporter.intake.logs.patterns import MATCHED_CHARACTERS_MAX
from exporter.intake.logs.settings import Log, Multiline, Pattern, Time, wrong
from exporter.reader import Found

ASKED = {
    "http_request": Fields(("method", "route", "status"), ("duration_seconds",)),
    "job": Fields(("job_name",), moments=True),
}
REQUEST = {"event": "http_request", "method": "GET", "route": "/a b", "status": "200", "duration_seconds": "0.5"}


def log_of(**chosen: Any) -> Log:
    return Log(name="shop", paths=("/x",), **chosen)


def parsed(text: str | bytes, **chosen: Any) -> Found:
    data = text if isinstance(text, bytes) else text.encode()
    return parser_of(log_of(**chosen), ASKED).parse(data)


def column(found: Found, name: str) -> list[Any]:
    return [value for raw in found.events for value in raw.columns.get(name, [])]


def test_lines_of_json_say_their_kind_and_are_from_the_log() -> None:
    found = parsed(json.dumps(REQUEST) + "\n\n" + json.dumps({**REQUEST, "source": "till"}) + "\r\n")
    assert [(raw.kind, raw.source) for raw in found.events] == [("http_request", "shop"), ("http_request", "till")]
    assert column(found, "route") == ["/a b", "/a b"]


@pytest.mark.parametrize("kind", ["json", "logfmt"])
def test_a_log_says_the_kind_of_its_lines_and_what_fields_are_called(kind: str) -> None:
    lines = {"json": '{"verb": "PUT", "took": 0.25, "event": 7}\n', "logfmt": "verb=PUT took=0.25 event=7\n"}
    found = parsed(
        lines[kind], format=kind, event="http_request", fields={"method": "verb", "duration_seconds": "took"}
    )
    assert column(found, "method") == ["PUT"]
    assert [float(each) for each in column(found, "duration_seconds")] == [0.25]


@pytest.mark.parametrize("kind", ["json", "logfmt"])
def test_the_kind_of_a_line_can_be_in_another_field(kind: str) -> None:
    lines = {"json": '{"what": "job", "job_name": "a"}\n', "logfmt": 'what=job job_name="a"\n'}
    found = parsed(lines[kind], format=kind, fields={"event": "what"})
    assert [(raw.kind, list(raw.columns["job_name"])) for raw in found.events] == [("job", ["a"])]


@pytest.mark.parametrize("kind", ["json", "logfmt"])
def test_two_fields_can_be_read_from_one(kind: str) -> None:
    line = {"json": '{"x": "1"}\n', "logfmt": "x=1\n"}[kind]
    found = parsed(line, format=kind, event="http_request", fields={"status": "x", "duration_seconds": "x"})
    assert (column(found, "status"), column(found, "duration_seconds")) == (["1"], ["1"])


@pytest.mark.parametrize("kind", ["json", "logfmt", "pattern"])
def test_lines_of_a_kind_for_which_nobody_asks_are_no_faults(kind: str) -> None:
    patterns = ("(?P<x>.+)",) if kind == "pattern" else ()
    found = parsed('{"x": 1} x=1\n' if kind != "json" else '{"x": 1}\n', format=kind, event="nobody", patterns=patterns)
    assert (found.events, found.faults, found.unmatched) == ([], [], {"nobody": 1})


@pytest.mark.parametrize(
    ("kind", "line"),
    [("json", "{"), ("json", "[]"), ("json", '{"method": "GET"}'), ("logfmt", "no pair"), ("logfmt", "x=1")],
)
def test_what_is_no_event_is_a_fault_that_does_not_repeat_it(kind: str, line: str) -> None:
    good = {"json": json.dumps(REQUEST), "logfmt": "event=http_request method=GET"}[kind]
    found = parsed(f"{good}\n{line}\n{good}\n", format=kind)
    assert len(found.faults) == 1
    assert "GET" not in found.faults[0].text
    assert column(found, "method") == ["GET", "GET"]


def test_a_line_of_json_that_is_deeper_than_any_program_goes_is_a_fault() -> None:
    assert len(parsed(b'{"event": "http_request", "method": ' + b"[" * 100_000 + b"\n").faults) == 1


def test_bytes_that_are_no_text_do_not_spoil_a_line() -> None:
    line = json.dumps(REQUEST).encode().replace(b"/a b", b"/\xff\xc3")
    assert column(parsed(line + b"\n"), "route") == ["/\ufffd\ufffd"]
    assert column(parsed(b"event=job job_name=\xff\n", format="logfmt"), "job_name") == ["\ufffd"]


def test_values_of_logfmt_are_bare_or_quoted() -> None:
    line = r'event=job x="job_name=no" job_name="a \"b\" \\ c\n" y= z' + "\n"
    parser = parser_of(log_of(format="logfmt"), ASKED)
    first, again = parser.parse(line.encode()), parser.parse(line.encode() * 2)
    assert column(first, "job_name") == ['a "b" \\ c\n']
    assert column(again, "job_name") == ['a "b" \\ c\n'] * 2


KEYS = st.sampled_from(["event", "job_name", "method", "status", "other"])
VALUES = st.text(
    st.characters(codec="utf-8", exclude_characters='"\\\r\n\0', exclude_categories=["Z", "C"]), max_size=5
)
PAIRS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


@given(st.lists(st.lists(PAIRS, min_size=1, max_size=5), min_size=1, max_size=4))
def test_lines_of_logfmt_are_the_same_all_at_once_and_one_by_one(chunks: list[list[dict[str, str]]]) -> None:
    """The shape that was learned from one chunk is never wrong for the next."""
    learning = parser_of(log_of(format="logfmt", event="job"), ASKED)
    for chunk in chunks:
        lines = [" ".join(f'{key}="{value}"' for key, value in pairs.items()) for pairs in chunk]
        found = learning.parse(("\n".join(lines) + "\n").encode())
        assert (column(found, "job_name") or [""] * len(chunk)) == [pairs.get("job_name", "") for pairs in chunk]


PATTERNS = (
    Pattern(r'"(?P<method>[A-Z]+) (?P<route>[^ ?"]+)[^"]*" (?P<status>\d{3})', "http_request"),
    Pattern(r"ran (?P<job_name>\w+)", "job"),
)
HITS = '1.2.3.4 "GET /a?x HTTP/1.1" 200\n1.2.3.4 "PUT /b HTTP/1.1" 500\n'


def test_the_first_pattern_that_is_found_in_a_line_counts() -> None:
    found = parsed(HITS + "nothing\n12:00 ran backup\n", format="pattern", patterns=PATTERNS)
    assert column(found, "route") == ["/a", "/b"]
    assert column(found, "job_name") == ["backup"]
    assert found.unmatched == {"": 1}


def test_all_lines_at_once_are_the_same_as_one_by_one() -> None:
    found = parsed(HITS, format="pattern", patterns=PATTERNS)
    assert column(found, "route") == ["/a", "/b"]
    assert column(found, "status") == ["200", "500"]


@given(
    st.sampled_from(
        [
            r"(?P<job_name>a+)",
            r"^(?P<job_name>b*)",
            r"(?P<job_name>[^c]*)c",
            r"(?P<job_name>a|b)\s+a",
            r"(?s)(?P<job_name>.*)",
        ]
    ),
    st.lists(st.text("abc ", max_size=6), max_size=6),
)
def test_whatever_a_pattern_says_it_says_of_each_line_alone(pattern: str, lines: list[str]) -> None:
    """An expression can reach over the end of a line; none of a log does."""
    found = parsed("\n".join(lines) + "\n", format="pattern", event="job", patterns=(pattern,))
    matches = [match for line in lines if line.strip() and (match := re.search(pattern, line))]
    assert column(found, "job_name") == [match["job_name"] or "" for match in matches]


def test_patterns_see_the_beginning_of_a_line_and_no_half_of_what_stands_where_it_is_cut() -> None:
    parser = parser_of(
        Log(name="x", paths=("x",), event="job", format="pattern", patterns=(r"job=(?P<job>\S+)(?: by (?P<by>.+))?",)),
        {"job": Fields(texts=("job", "by"))},
    )
    before = MATCHED_CHARACTERS_MAX - 20
    (raw,) = parser.parse(
        f"job=one by {' ' * before}anna@example.org\njob=two\n{' ' * 3_000}job=three\n".encode()
    ).events
    assert raw.columns["job"] == ("one", "two")
    assert raw.columns["by"][0].strip() == raw.columns["by"][1] == ""


def test_a_long_line_in_which_much_could_be_found_takes_no_time() -> None:
    log = Log(name="x", paths=("x",), event="job", format="pattern", patterns=(r"(?P<job>\d+) ms",))
    assert parser_of(log, {"job": Fields(texts=("job",))}).parse(b"1" * (LINE_BYTES_MAX - 1) + b"\n").unmatched == {
        "": 1
    }


def test_a_group_can_say_the_kind() -> None:
    found = parsed("job backup\nnobody x\n", format="pattern", patterns=(r"^(?P<event>\w+) (?P<job_name>\w+)",))
    assert column(found, "job_name") == ["backup"]
    assert found.unmatched == {"nobody": 1}


def test_a_record_of_several_lines_is_one_event() -> None:
    text = "rest of one\nERROR ran backup\n  Traceback\n  because: x\nINFO ran other\n"
    found = parsed(
        text,
        format="pattern",
        event="job",
        multiline=Multiline("[A-Z]+ "),
        patterns=(r"ran (?P<job_name>\w+).*because", r"^\w+ ran (?P<job_name>\w+)"),
    )
    assert column(found, "job_name") == ["backup", "other"]
    assert found.unmatched == {"": 1}


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("iso", "2026-11-21T08:00:00Z"),
        ("iso", "2026-11-21 08:00:00"),
        ("unix", "1795248000"),
        ("unix_ms", "1795248000000"),
        ("%d/%b/%Y:%H:%M:%S %z", "21/Nov/2026:09:00:00 +0100"),
        ("%Y-%m-%d %H:%M:%S %Z", "2026-11-21 08:00:00 UTC"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "logfmt"])
def test_when_a_line_was_written(kind: str, layout: str, text: str) -> None:
    lines = {"json": json.dumps({"t": text}), "logfmt": f't="{text}"'}
    found = parsed(lines[kind] + "\n", format=kind, event="job", time=Time("t", layout))
    (at,) = column(found, "at")
    assert (at.timestamp() if isinstance(at, datetime) else at) == datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()


def test_a_time_is_not_read_where_nobody_asks_for_it() -> None:
    assert column(parsed('{"at": "soon"}\n', event="http_request"), "at") == []


def test_a_line_is_cut_where_it_ends() -> None:
    assert cut(b"a\nb\nc") == (b"a\nb\n", 4, 0, False)
    assert cut(b"abc") == (b"", 0, 0, False)


def test_a_line_that_is_too_long_is_passed_over_and_counted_once() -> None:
    first = cut(b"x" * LINE_BYTES_MAX)
    assert first == (b"", LINE_BYTES_MAX, 1, True)
    assert cut(b"x" * 10, inside=True) == (b"", 10, 0, True)
    assert cut(b"xx\nnext\nno", inside=True) == (b"next\n", 8, 0, False)


@given(st.text("aS\n", max_size=30))
def test_records_are_all_that_there_is(text: str) -> None:
    starts = re.compile("^S", re.MULTILINE)
    whole = cut(text.encode(), starts=re.compile(b"^S", re.MULTILINE))
    assert whole.whole + text.encode()[whole.taken :] == text.encode()
    assert "".join(records(text, starts)).replace("\n", "") == text.replace("\n", "")
    assert all(each.startswith("S") for each in records(text, starts)[1:])


NAMES = st.sampled_from(["event", "source", "at", "trace_id", "http", "http.route", "route", 'a"b', "a\\b", "\x00", ""])


@example({"source": "event", "event": "source"}, "", None)
@given(st.dictionaries(NAMES, NAMES, max_size=4), st.sampled_from(["", "http_request"]), st.none() | NAMES)
def test_names_of_fields_are_refused_or_work(fields: dict[str, str], kind: str, time: str | None) -> None:
    log = log_of(fields=fields, event=kind, time=None if time is None else Time(field=time or "at"))
    if not list(wrong([log])):
        line = {"event": "http_request", "source": "till", "route": "/a", "at": 1, "http": {"route": "/b"}}
        parser_of(log, ASKED).parse(json.dumps(line).encode())


@pytest.mark.parametrize(
    ("fields", "time", "where", "found"),
    [
        ({"method": 'a"b'}, None, ("fields", "method"), "'a\"b'"),
        ({"method": "a\tb"}, None, ("fields", "method"), "'a\\tb'"),
        ({}, Time(field="a\\b"), ("time", "field"), repr("a\\b")),
        ({"event": "source"}, None, ("fields", "event"), "'source'"),
        ({}, Time(field="event"), ("time", "field"), "'event'"),
    ],
)
def test_names_of_fields_that_cannot_be_are_told(
    fields: dict[str, str], time: Time | None, where: tuple[str, ...], found: str
) -> None:
    assert [each[:2] for each in wrong([log_of(fields=fields, time=time)])] == [((0, *where), found)]


def test_a_time_that_no_clock_shows_stays_what_it_is() -> None:
    log = Log(name="x", paths=("x",), event="job", time=Time("t", "unix_ms"))
    found = parser_of(log, {"job": Fields(moments=True)}).parse(b'{"t": 1%s}\n' % (b"0" * 400))
    assert found.events[0].columns["at"] == [10**400]
