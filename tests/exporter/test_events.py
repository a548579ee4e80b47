"""POST /events: what is sent, what is answered, and what is then on the page."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.intake.body import (
    ARRAY_BYTES_MAX,
    ARRAY_COMMAS_MAX,
    BLOCK_LINES,
    EVENTS_MAX,
    GZIP_MEMBERS_MAX,
    INFLATED_BYTES_MAX,
    blocks_of_lines,
)
from exporter.intake.events import BODIES_BYTES_MAX, BODY_BYTES_MAX, ERRORS_SHOWN_MAX
from exporter.reader import LINE_BYTES_MAX
from guard.access import Access
from guard.callers import Role
from guard.webconfig import WebConfig
from tests.exporter.builders import SURELY, Running, pipeline_of, promptly, running, sample
from tests.exporter.program import started

EVENT = {"event": "http_request", "method": "GET", "route": "/items", "status": 200, "duration_seconds": 0.02}
LINE = json.dumps(EVENT).encode()
COUNT = "http_server_request_duration_seconds_count"
SERIES = f'{COUNT}{{http_request_method="GET",http_route="/items",http_response_status_code="200"}}'
GZIP = {"Content-Encoding": "gzip"}

Answered = tuple[int, dict[str, Any]]


async def post(exporter: Running, body: Any, headers: Mapping[str, str] | None = None) -> Answered:
    sent = io.BytesIO(body) if isinstance(body, bytes) else body
    async with exporter.client.post("/events", data=sent, headers=headers) as answer:
        return answer.status, await answer.json()


def with_exporter(scenario: Callable[[Running], Awaitable[None]], access: Access | None = None) -> None:
    async def around() -> None:
        async with running(pipeline=pipeline_of(), access=access) as exporter:
            await scenario(exporter)

    promptly(around())


def posted(body: bytes, headers: Mapping[str, str] | None = None) -> Answered:
    found: list[Answered] = []

    async def scenario(exporter: Running) -> None:
        found.append(await post(exporter, body, headers))

    with_exporter(scenario)
    return found[0]


def of(accepted: int, *errors: tuple[int, str], unmatched: int = 0) -> dict[str, Any]:
    shown = [{"event": place, "error": text} for place, text in errors]
    return {"accepted": accepted, "rejected": len(errors), "errors": shown, "unmatched": unmatched}


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (LINE, 1),
        (b"\xef\xbb\xbf" + LINE, 1),
        (LINE + b"\r\n\r\n" + LINE + b"\n", 2),
        (b" \n\t" + LINE, 1),
        (b"[" + LINE + b"]", 1),
        (b"\n [" + LINE + b" , \n" + json.dumps(EVENT, indent=2).encode() + b"]\n", 2),
        (b"[]", 0),
    ],
    ids=["a line", "with a byte order mark", "lines", "white space first", "an array", "a pretty array", "no event"],
)
@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "X-GZIP", "identity, gzip"])
def test_lines_and_arrays_count_plain_and_compressed(body: bytes, count: int, encoding: str) -> None:
    async def scenario(exporter: Running) -> None:
        sent = gzip.compress(body) if "gzip" in encoding.lower() else body
        assert await post(exporter, sent, {"Content-Encoding": encoding} if encoding else {}) == (202, of(count))
        if count:
            assert sample(await exporter.text("/metrics/app"), SERIES) == count
        page = await exporter.text("/metrics/self")
        assert sample(page, 'tocsin_exporter_events_accepted_total{intake="http"}') == count
        assert sample(page, 'tocsin_exporter_intake_bytes_total{intake="http"}') == len(sent)

    with_exporter(scenario)


def test_what_is_right_counts_whatever_is_wrong_beside_it() -> None:
    async def scenario(exporter: Running) -> None:
        lines = [
            LINE,
            b'{"event": "http_request", "duration_seconds": "ana@example.org"}',
            b'{"event": "nobody_asks"}',
            b"",
            b'{"event": "http_request", "dura',
            LINE,
        ]
        assert await post(exporter, b"\n".join(lines)) == (
            202,
            of(
                3,
                (1, "duration_seconds: found a text of 15 characters, expected a finite number"),
                (3, "input data was truncated"),
                unmatched=1,
            ),
        )
        assert sample(await exporter.text("/metrics/app"), SERIES) == 2
        page = await exporter.text("/metrics/self")
        for name, count in (("accepted", 3), ("rejected", 2), ("unmatched", 1)):
            assert sample(page, f'tocsin_exporter_events_{name}_total{{intake="http"}}') == count

    with_exporter(scenario)


def test_events_of_kinds_that_nothing_asks_for_do_not_hide_the_others() -> None:
    async def scenario(exporter: Running) -> None:
        mixed = [LINE, b'{"event": "other", "x": [1, {"y": 2}]}'] * 700
        assert await post(exporter, b"\n".join(mixed)) == (202, of(1400, unmatched=700))
        assert await post(exporter, b"[%b]" % b",".join(mixed)) == (202, of(1400, unmatched=700))
        assert sample(await exporter.text("/metrics/app"), SERIES) == 1400

    with_exporter(scenario)


def test_events_that_count_nowhere_are_told_of() -> None:
    """They are right, and yet their sender has to know that something is missing."""
    nothing = b'{"event": "http_request", "method": "GET"}'
    both = nothing + b'\n{"event": "http_request", "started": true}\n' + LINE
    assert posted(nothing) == (202, of(1, unmatched=1))
    assert posted(both) == (202, of(3, unmatched=1))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"\x00", "JSON is malformed: invalid character (byte 0)"),
        (b'{"event": "http_request", "route": "a\xffb"}', "not in UTF-8"),
        (b'{"event": "http_request", "duration_seconds": 1e999}', "number out of range"),
        (b'{"event": "http_request", "duration_seconds": NaN}', "JSON is malformed"),
        (b'{"event": "http_request", "duration_seconds": -Infinity}', "JSON is malformed"),
        (b'{"event": "http_request", "duration_seconds": "inf"}', "duration_seconds: found a text"),
        (b'{"event": "http_request", "duration_seconds": %b}' % (b"9" * 400), "a number that is too large"),
        (b'{"event": "http_request", "route": "\\ud800"}', "input data was truncated"),
        (b'{"event": "http_request", "at": "2026-11-22T10:00:00"}', "at: expected `datetime` with a timezone"),
        (b'{"event": "http_request", "route": {"a": 1}}', "route: found an object, expected a text"),
        (b'{"event": "http_request", "source": "a b"}', "source: expected at most 64"),
        (b'{"event": "http_request", "x": %b' % (b"[" * 20_000), "nested too deeply"),
        (b'{"event": 5}', "event: expected `str`, got `int`"),
        (b'{"event": ""}', "event: found an empty text"),
        (b'{"event": "%b"}' % (b"x" * 101), "event: expected `str` of length <= 100"),
        (b"{}", "object missing required field `event`"),
        (b"7", "expected `object`, got `int`"),
        (b"-", "JSON is malformed"),
        (b'{"event": "http_request", "x": "%b"}' % (b"y" * LINE_BYTES_MAX), "found an event of more than 65536 bytes"),
        (b"y" * 10_000_000, "found an event of more than 65536 bytes"),
    ],
    ids=range(20),
)
def test_what_is_wrong_is_named_and_stops_no_other(line: bytes, error: str) -> None:
    async def scenario(exporter: Running) -> None:
        status, found = await post(exporter, LINE + b"\n" + line + b"\n" + LINE)
        assert (status, found["accepted"], found["rejected"], found["errors"][0]["event"]) == (202, 2, 1, 1)
        assert error in found["errors"][0]["error"]
        # Alone, nothing counts.
        status, found = await post(exporter, line)
        assert (status, found["rejected"]) == (400, 1)
        assert sample(await exporter.text("/metrics/app"), SERIES) == 2

    with_exporter(scenario)


def test_of_a_field_that_comes_twice_the_last_one_counts() -> None:
    async def scenario(exporter: Running) -> None:
        twice = b'{"event": "http_request", "method": "PUT", "method": "GET", "route": "/items", "status": 200, '
        assert (await post(exporter, twice + b'"duration_seconds": 1}'))[0] == 202
        assert sample(await exporter.text("/metrics/app"), SERIES) == 1

    with_exporter(scenario)


def test_a_part_of_an_array_is_no_longer_than_a_line() -> None:
    long = b'{"event": "job_run", "job": [%b0]}' % (b"0," * (LINE_BYTES_MAX // 2))
    found = posted(b"[%b]" % b",".join([LINE, long, LINE]))
    assert found[:2] == (202, of(2, (1, f"found an event of more than {LINE_BYTES_MAX} bytes")))


def test_only_the_first_errors_are_told_and_all_are_counted() -> None:
    status, found = posted(b"x\n" * 3_000)
    assert (status, found["rejected"], len(found["errors"])) == (400, 3_000, ERRORS_SHOWN_MAX)


@pytest.mark.parametrize("body", [b"", b" \r\n\t\n", gzip.compress(b"\n")])
def test_an_empty_body_is_a_mistake(body: bytes) -> None:
    status, found = posted(body, GZIP if body[:1] == b"\x1f" else None)
    assert (status, found["error"]) == (400, "found an empty body, expected events: lines of JSON, or an array")


@pytest.mark.parametrize(
    ("body", "headers", "status", "error", "reason"),
    [
        (LINE, {"Content-Encoding": "br"}, 415, "only gzip", "encoding"),
        (LINE, {"Content-Encoding": "gzip, gzip"}, 415, "only gzip", "encoding"),
        (LINE, GZIP, 400, "and is not", "unreadable"),
        (b"", GZIP, 400, "empty body", "unreadable"),
        (gzip.compress(LINE)[:-3], GZIP, 400, "ends before", "unreadable"),
        (gzip.compress(LINE) + b"more than a header", GZIP, 400, "and is not", "unreadable"),
        (gzip.compress(b"[" + LINE), GZIP, 400, "expected an array", "unreadable"),
        (b"[" + LINE + b",]", {}, 400, "expected an array", "unreadable"),
        (b"[" * 50_000, {}, 400, "nested too deeply", "unreadable"),
        (gzip.compress(b"\n" * (INFLATED_BYTES_MAX + 1), 1), GZIP, 413, "events: send", "too_large"),
        (gzip.compress(LINE + b" " * INFLATED_BYTES_MAX, 1), GZIP, 413, "bytes of events", "too_large"),
        (gzip.compress(b"[" + b" " * ARRAY_BYTES_MAX, 1), GZIP, 413, "bytes of an array", "too_large"),
        (gzip.compress(b"[%b0]" % (b"0," * ARRAY_COMMAS_MAX) + b","), GZIP, 413, "1000000 values", "too_large"),
        (gzip.compress(b"") * (GZIP_MEMBERS_MAX + 1), GZIP, 413, "1000 gzip files", "too_large"),
        (b"{}\n" * (EVENTS_MAX + 1), {}, 413, "more than 200000 events", "too_large"),
        (b"[%b]" % b",".join([b"1"] * (EVENTS_MAX + 1)), {}, 413, "more than 200000 events", "too_large"),
        (b"x" * (BODY_BYTES_MAX + 1), {}, 413, "16777216 bytes", "too_large"),
    ],
    ids=range(17),
)
def test_a_body_that_is_refused_counts_nothing_of_it(
    body: bytes, headers: Mapping[str, str], status: int, error: str, reason: str
) -> None:
    async def scenario(exporter: Running) -> None:
        found = await post(exporter, body, headers)
        assert (found[0], list(found[1])) == (status, ["error"])
        assert error in found[1]["error"]
        page = await exporter.text("/metrics/self")
        assert sample(page, f'tocsin_exporter_event_bodies_refused_total{{reason="{reason}"}}') == 1
        assert sample(page, 'tocsin_exporter_events_accepted_total{intake="http"}') == 0
        assert sample(page, 'tocsin_exporter_events_rejected_total{intake="http"}') == 0

    with_exporter(scenario)


def test_a_large_body_is_the_same_in_pieces() -> None:
    """Larger than what is looked at in a turn, and than what is kept of what was inflated."""

    async def scenario(exporter: Running) -> None:
        lines = [LINE] * 20_000
        lines[12_345] = b"{"
        for body, headers in ((b"\n".join(lines), {}), (gzip.compress(b"\n".join(lines), 1), GZIP)):
            assert await post(exporter, body, headers) == (202, of(19_999, (12_345, "input data was truncated")))
        lines[12_345] = b"{}"
        status, found = await post(exporter, b"[%b]" % b",".join(lines))
        assert (status, found["accepted"], found["errors"][0]["event"]) == (202, 19_999, 12_345)
        assert sample(await exporter.text("/metrics/app"), SERIES) == 3 * 19_999

    with_exporter(scenario)


@given(
    st.lists(st.sampled_from([b"", b"x", b"y" * 40, b"z" * LINE_BYTES_MAX, b"long" * LINE_BYTES_MAX]), max_size=30),
    st.integers(1, 300_000),
    st.integers(1, 900),
)
@settings(max_examples=40, deadline=None)
def test_blocks_are_whole_lines_and_never_many(lines: list[bytes], size: int, times: int) -> None:
    """However the body comes; what is too long ends behind the limit."""
    short = [line for line in lines if len(line) < LINE_BYTES_MAX] * times
    data = b"\n".join([*lines, *short])
    blocks = list(blocks_of_lines(data[at : at + size] for at in range(0, len(data), size)))
    assert max((block.count(b"\n") for block in blocks), default=0) <= BLOCK_LINES
    found = [line for block in blocks for line in block.split(b"\n") if line]
    assert [line[: LINE_BYTES_MAX + 1] for line in found] == [
        line[: LINE_BYTES_MAX + 1] for line in data.split(b"\n") if line
    ]


@pytest.mark.parametrize("flavour", ["chunks", "killed", "half closed"])
def test_bodies_that_come_slowly_or_never(flavour: str) -> None:
    async def scenario(exporter: Running) -> None:
        host, _, port = exporter.url.rpartition("/")[2].partition(":")
        if flavour == "chunks":

            async def slowly() -> Any:
                for place in range(len(LINE)):
                    yield LINE[place : place + 1]

            assert await post(exporter, slowly()) == (202, of(1))
            return
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + LINE)
        await writer.drain()
        if flavour == "half closed":
            writer.write_eof()
            await reader.read()
        writer.close()
        # Whatever it held is free again, and nothing of it counted.
        assert await post(exporter, LINE) == (202, of(1))

    with_exporter(scenario)


def test_too_many_bodies_at_once_are_told_to_come_again() -> None:
    async def scenario(exporter: Running) -> None:
        host, _, port = exporter.url.rpartition("/")[2].partition(":")
        together = [
            await asyncio.open_connection(host, int(port)) for _ in range(BODIES_BYTES_MAX // BODY_BYTES_MAX + 1)
        ]
        for _, writer in together:
            writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES_MAX)
            # All but the last byte, so that each holds its room.
            writer.write(b" " * (BODY_BYTES_MAX - 1))
        answers = [asyncio.ensure_future(reader.readline()) for reader, _ in together]
        done, waiting = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert {answer.result().split()[1] for answer in done} == {b"503"}
        for answer in waiting:
            answer.cancel()
        page = await exporter.text("/metrics/self")
        assert sample(page, 'tocsin_exporter_event_bodies_refused_total{reason="busy"}') == len(done)
        for _, writer in together:
            writer.close()

    with_exporter(scenario)


def web(folder: Path, sources: str) -> Access:
    hashed = hashlib.sha256(b"secret").hexdigest()
    (folder / "web.yml").write_text(
        f"tokens:\n  - {{name: bot, role: source, sources: {sources}, hash: 'sha256:{hashed}'}}\n"
        f"  - {{name: eye, role: viewer, hash: 'sha256:{hashlib.sha256(b'looks').hexdigest()}'}}\n"
    )
    return Access(WebConfig(folder / "web.yml", environ={}), strangers=Role.VIEWER)


@pytest.mark.parametrize(
    ("sources", "said", "sees"),
    [
        ("[shop]", "", "shop"),
        ("[shop]", "shop", "shop"),
        ("[shop]", "bank", None),
        ("[shop, bank]", "bank", "bank"),
        ("[shop, bank]", "", None),
    ],
)
def test_a_token_speaks_for_its_sources_alone(tmp_path: Path, sources: str, said: str, sees: str | None) -> None:
    pipeline = pipeline_of()

    async def scenario() -> None:
        async with running(pipeline=pipeline, access=web(tmp_path, sources)) as exporter:
            line = json.dumps({**EVENT, **({"source": said} if said else {})}).encode()
            status, found = await post(exporter, line, {"Authorization": "Bearer secret"})
            if sees:
                assert (status, pipeline.sources(now=time.time())) == (202, (sees,))
            else:
                assert (status, pipeline.sources(now=time.time())) == (400, ())
                assert found["errors"][0]["error"] == "source: none of those for which the sender may speak"

    promptly(scenario())


def test_who_may_not_send_events_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    async def scenario(exporter: Running) -> None:
        for token, status in ((None, 401), ("wrong", 401), ("looks", 403)):
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            host, _, port = exporter.url.rpartition("/")[2].partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            lines = ["POST /events HTTP/1.1", "Host: x", "Content-Length: 16000000", *map(": ".join, headers.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            assert (await reader.readline()).split()[1] == str(status).encode()
            writer.close()

    with_exporter(scenario, web(tmp_path, "[]"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["method", "route", "status", "duration_seconds", "source", "at", "trace_id", "x"])
events = st.dictionaries(fields, json_values, max_size=6).map(lambda each: {"event": "http_request", **each})
lines = st.one_of(
    st.binary(max_size=60),
    json_values.map(json.dumps).map(str.encode),
    events.map(json.dumps).map(str.encode),
    st.just(LINE),
)


def test_no_body_breaks_the_page_and_every_line_is_told_of() -> None:
    async def scenario(exporter: Running, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            status, found = await post(exporter, body)
            assert status in (202, 400), found
            if "error" not in found:
                there = len([line for line in body.split(b"\n") if line.strip()])
                assert body.lstrip()[:1] == b"[" or found["accepted"] + found["rejected"] == there
        assert (await post(exporter, LINE))[0] == 202
        assert "http_server_request_duration_seconds" in await exporter.text("/metrics/app")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.lists(lines, max_size=5).map(b"\n".join), max_size=5))
    def check(bodies: list[bytes]) -> None:
        with_exporter(lambda exporter: scenario(exporter, bodies))

    check()


def test_the_program_takes_events_and_a_flag_says_how_large_they_may_be() -> None:
    with started("--events.body-bytes-max=2000") as program:
        answers = []
        for body in (LINE, LINE * 30):
            request = urllib.request.Request(f"{program.url}/events", body)
            try:
                with urllib.request.urlopen(request, timeout=SURELY) as answer:
                    answers.append(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    answers.append(error.code)
        assert answers == [202, 413]
        assert sample(program.get("/metrics"), SERIES) == 1
        with pytest.raises(AssertionError, match="from 1024 to 268435456"), started("--events.body-bytes-max=1k"):
            pass
