"""The picture in mails, read back point by point: what fired is drawn, and at its place."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from receiver.channels.chart import HEIGHT, WIDTH, Chart, chart_of
from receiver.message import Document, read
from receiver.view import AlertView
from tests.receiver.builders import AT, digest, message

HOUR = timedelta(hours=1)
SAMPLE = read(message()).alerts[0]
BACKGROUND, AREA, EDGE, OPENED = "ffffff", "f2c9c5", "b3261e", "59636e"


def points(png: bytes) -> list[list[str]]:
    """Rows of colors, as a reader of PNG sees them; every length and every checksum is looked at."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, parts = 8, []
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length) == (zlib.crc32(kind + data),)
        parts.append((kind, data))
        place += 12 + length
    (_, header), (_, palette), (_, packed), _ = parts
    assert [kind for kind, _ in parts] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", header) == (WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    colors = [palette[each : each + 3].hex() for each in range(0, len(palette), 3)]
    raw = zlib.decompress(packed)
    assert len(raw) == HEIGHT * (WIDTH + 1)
    rows = [raw[each : each + WIDTH + 1] for each in range(0, len(raw), WIDTH + 1)]
    assert all(row[0] == 0 for row in rows)
    return [[colors[point] for point in row[1:]] for row in rows]


def alert(begins: datetime, ends: datetime | None = None) -> AlertView:
    return replace(SAMPLE, starts_at=begins, ends_at=ends, status="firing" if ends is None else "resolved")


def document(*alerts: AlertView, opened: datetime = AT, left_out: int = 0) -> Document:
    whole = read(message())
    incident = replace(whole.incident, opened_at=opened)
    return replace(whole, incident=incident, alerts=list(alerts), alerts_left_out=left_out)


def drawn(of: Document, at: datetime) -> Chart:
    chart = chart_of(of, at=at)
    assert chart is not None
    return chart


def heights(chart: Chart) -> list[int]:
    rows = points(chart.png)
    return [sum(rows[y][x] in (AREA, EDGE) for y in range(HEIGHT)) for x in range(WIDTH)]


def test_what_fired_stands_where_it_fired_and_as_high_as_there_were_alerts() -> None:
    one, two = alert(AT, AT + 3 * HOUR), alert(AT + HOUR, AT + 2 * HOUR)
    chart = drawn(document(one, two), AT + 4 * HOUR)
    seen = heights(chart)
    quarters = [seen[WIDTH * quarter // 4 + WIDTH // 8] for quarter in range(4)]
    assert quarters[3] == 0
    assert quarters[0] == quarters[2] > 0
    assert abs(quarters[1] - 2 * quarters[0]) <= 2  # the edge is a point thicker
    assert chart.caption == ("from 2026-03-01 08:00:00Z to 2026-03-01 12:00:00Z, at most 2 at a time, 0 at last")


def test_what_still_fires_reaches_the_end_and_what_was_short_is_seen() -> None:
    blip = alert(AT + HOUR, AT + HOUR + timedelta(seconds=1))
    seen = heights(drawn(document(alert(AT), blip), AT + 10 * HOUR))
    assert min(seen) > 0
    assert max(seen) > seen[-1]
    assert [x for x in range(WIDTH) if seen[x] == max(seen)] == [WIDTH // 10]


def test_an_incident_that_was_opened_now_has_its_alerts_at_the_end() -> None:
    chart = drawn(document(alert(AT)), AT)
    assert heights(chart)[-1] > 0
    assert "from 2026-03-01 07:50:00Z to 2026-03-01 08:00:00Z, at most 1 at a time, 1 at last" in chart.caption


def test_what_fired_for_years_does_not_make_the_rest_a_line() -> None:
    chart = drawn(document(alert(datetime(1, 1, 1, tzinfo=UTC)), alert(AT)), AT + HOUR)
    assert chart.caption.startswith("from 2026-03-01 07:00:00Z to 2026-03-01 09:00:00Z, at most 2")
    column = [row[WIDTH // 2] for row in points(chart.png)]
    assert column.count(OPENED) > HEIGHT // 3  # where it was opened


def test_alerts_that_a_message_leaves_out_are_said() -> None:
    assert drawn(document(alert(AT), left_out=7), AT).caption.endswith(", of the first 1 alerts")


def test_without_alerts_there_is_no_picture() -> None:
    assert chart_of(document(), at=AT) is None
    assert chart_of(document(alert(AT + HOUR)), at=AT) is None  # somebody's clock is ahead
    assert chart_of(document(replace(alert(AT), moved_on=True)), at=AT) is None
    assert chart_of(read(digest(2)), at=AT) is None


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(
    alerts=st.lists(st.builds(alert, MOMENTS, st.none() | MOMENTS), max_size=30),
    opened=st.timedeltas(timedelta(), timedelta(days=400)),
)
def test_whatever_the_times_are_it_is_a_picture_that_agrees_with_its_caption(
    alerts: list[AlertView], opened: timedelta
) -> None:
    made = document(*alerts, opened=AT - opened)
    chart = chart_of(made, at=AT)
    assert chart == chart_of(made, at=AT)
    if chart is None:
        return
    assert len(chart.png) < 20_000
    assert (max(heights(chart)) == 0) is ("at most 0" in chart.caption)
    assert BACKGROUND in points(chart.png)[0]
