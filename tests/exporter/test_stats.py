"""What happened lately: windows, percentiles, reasons, and who is connected."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mapping.bundled import RULES
from exporter.pipeline import Pipeline
from exporter.stats.graphql import GraphQL
from exporter.stats.minutes import NAMES_MAX
from exporter.stats.websocket import WebSocket
from tests.exporter.builders import SURELY, promptly, running
from tests.exporter.program import started

BEGAN = 1_800_000_000.0  # a whole hour
QUERY = {"event": "graphql_validation", "accepted": True, "complexity": 10, "depth": 2}


class Taking:
    def __init__(self) -> None:
        self.graphql = GraphQL(now=BEGAN)
        self.websocket = WebSocket(now=BEGAN)
        views = (self.graphql, self.websocket)
        self.pipeline = Pipeline(RULES, redact=lambda _, __: str, views=views, now=BEGAN)

    def take(self, *events: dict[str, Any], at: float = 0.0) -> None:
        lines = b"\n".join(json.dumps(event).encode() for event in events)
        assert self.pipeline.lines(lines, now=BEGAN + at).faults == ()


def test_a_window_has_what_happened_in_it() -> None:
    taking = Taking()
    refused = {**QUERY, "accepted": False, "rejection_reason": "depth", "complexity": 1_000}
    taking.take(QUERY, QUERY, at=10)
    taking.take(refused, at=190)
    said = taking.graphql.said(60, now=BEGAN + 200)
    assert (said["total"], said["accepted"], said["rejected"]) == (3, 2, 1)
    assert said["acceptance_rate"] == pytest.approx(2 / 3)
    assert said["reasons"] == {"depth": 1}
    assert said["queries_per_second"] == pytest.approx(3 / 200)
    complexity = said["complexity"]
    assert isinstance(complexity, dict)
    assert (complexity["average"], complexity["max"]) == (340.0, 1_000.0)
    assert complexity["p50"] == pytest.approx(10, rel=0.01)
    assert said["fields"] == {"average": None, "p50": None, "p95": None, "max": None}
    lately = taking.graphql.said(1, now=BEGAN + 200)
    assert (lately["total"], lately["rejected"], lately["acceptance_rate"]) == (1, 1, 0.0)
    later = taking.graphql.said(60, now=BEGAN + 7_200)
    assert (later["total"], later["acceptance_rate"], later["reasons"]) == (0, None, {})
    assert taking.graphql.said(180, now=BEGAN + 7_200)["total"] == 3


@given(st.lists(st.tuples(st.integers(0, 90_000), st.booleans()), max_size=60), st.integers(1, 1_440))
def test_any_window_is_what_a_plain_count_finds(events: list[tuple[int, bool]], minutes: int) -> None:
    taking = Taking()
    events.sort()
    for at, accepted in events:
        taking.take({**QUERY, "accepted": accepted}, at=at)
    now = 90_000
    said = taking.graphql.said(minutes, now=BEGAN + now)
    span, number = (60, minutes) if minutes <= 60 else (3_600, -(-minutes // 60))
    begins = (now // span - number + 1) * span
    within = [accepted for at, accepted in events if at >= begins]
    assert (said["accepted"], said["rejected"]) == (sum(within), len(within) - sum(within))


def test_a_clock_that_was_set_back_loses_nothing_that_comes_after() -> None:
    taking = Taking()
    taking.take(QUERY, at=7_200)
    taking.take(QUERY, at=0)
    assert taking.graphql.said(60, now=BEGAN)["total"] == 1


def test_rates_are_right_though_the_clock_was_ahead_at_the_start() -> None:
    taking = Taking()
    taking.take(*[QUERY] * 60, at=-3_600)
    assert taking.graphql.said(1, now=BEGAN - 3_600 + 30)["queries_per_second"] == 2


def test_connections_are_counted_by_type_and_never_below_zero() -> None:
    taking = Taking()
    opened, closed = ({"event": f"websocket_{what}", "user_type": "member"} for what in ("opened", "closed"))
    taking.take({**closed, "duration_seconds": 5}, opened, opened, {"event": "websocket_opened"})
    taking.take({**closed, "duration_seconds": 20}, at=30)
    taking.take({"event": "websocket_attempt"}, {"event": "websocket_attempt", "accepted": "no"}, at=30)
    taking.take(*[{"event": "websocket_message", "direction": "sent"}] * 60, {"event": "websocket_throttled"}, at=30)
    said = taking.websocket.said(60, now=BEGAN + 60)
    # Of one batch, those who come are counted first.
    assert said["active"] == {"total": 1, "by_user_type": {"unknown": 1}}
    assert (said["attempts"], said["accepted"], said["reasons"]) == (2, 1, {"unknown": 1})
    assert (said["messages"], said["messages_per_second"], said["throttle_hits"]) == ({"sent": 60}, 1.0, 1)
    assert said["duration_seconds"] == pytest.approx({"average": 12.5, "p50": 5, "p95": 5, "max": 20}, rel=0.01)


def test_names_are_bounded_and_places_come_free() -> None:
    taking = Taking()
    reasons = [{**QUERY, "accepted": 0, "rejection_reason": f"reason {number}"} for number in range(200)]
    taking.take(*reasons)
    said = taking.graphql.said(60, now=BEGAN)["reasons"]
    assert isinstance(said, dict)
    assert (len(said), sum(said.values()), said["other"]) == (NAMES_MAX + 1, 200, 150)
    for number in range(NAMES_MAX * 2):
        for what in ("opened", "closed"):
            taking.take({"event": f"websocket_{what}", "user_type": f"type {number}"})
    taking.take({"event": "websocket_opened", "user_type": "late"})
    assert taking.websocket.said(1, now=BEGAN)["active"] == {"total": 1, "by_user_type": {"late": 1}}


def test_types_that_were_one_too_many_come_and_go() -> None:
    taking = Taking()
    types = [f"type {number}" for number in range(NAMES_MAX * 2)]
    for what in ("opened", "closed"):
        taking.take(*({"event": f"websocket_{what}", "user_type": each} for each in types))
    assert taking.websocket.said(1, now=BEGAN)["active"] == {"total": 0, "by_user_type": {}}


def test_the_door_says_what_a_window_may_be() -> None:
    taking = Taking()
    taking.take(QUERY)

    async def scenario() -> None:
        async with running(views=(taking.graphql, taking.websocket), now=BEGAN + 1) as exporter:
            assert json.loads(await exporter.text("/stats/graphql"))["total"] == 1
            assert json.loads(await exporter.text("/stats/graphql?window_minutes=1440"))["window_minutes"] == 1_440
            for wrong in ("0", "1441", "-1", "1.5", "", "x", "%D9%A1", "9" * 5_000):
                async with exporter.client.get(f"/stats/websocket?window_minutes={wrong}") as answer:
                    assert answer.status == 400
                    assert "a whole number from 1 to 1440" in await answer.text()
            async with exporter.client.get("/stats/graphql?minutes=5") as answer:
                assert answer.status == 400

    promptly(scenario())


def test_the_program_tells_what_was_posted_to_it() -> None:
    with started() as program:
        urllib.request.urlopen(f"{program.url}/events", json.dumps(QUERY).encode(), timeout=SURELY).close()
        assert json.loads(program.get("/stats/graphql"))["accepted"] == 1
        assert json.loads(program.get("/stats/websocket"))["attempts"] == 0
