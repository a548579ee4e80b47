"""A detector with a baseline: what it sees in streams of events, and what it leaves alone."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from exporter.detection import Detection, Watched
from exporter.detectors.anomaly.amounts import DISTINCT_MAX
from exporter.detectors.anomaly.intervals import UNSEEN_INTERVALS_MAX
from exporter.detectors.anomaly.stream import Manner
from exporter.detectors.anomaly.suspects import SUSPECTS_MAX
from exporter.detectors.settings import Common
from exporter.detectors.unusual import STREAMS_MAX, Look, Unusual
from exporter.finding import Finding
from exporter.identity import address_of
from exporter.mapping.rule import Condition
from exporter.pipeline import Pipeline

BEGAN = 1_800_000_003.7
TEN = 10.0
FLOOD = Manner(method="ratio", limit=10.0, size=360, known_least=6, least=100.0, counts=True)
MESSAGES = Look(events=("message_sent",), seconds=TEN, manner=FLOOD, who="ip")
SLOW = Manner(method="zscore", limit=3.0, size=360, known_least=6)
LATENCY = Look(
    events=("http_request",), seconds=TEN, manner=SLOW, measure="p95", field="duration_seconds", by="route", samples=10
)


class Watching:
    """Events through a pipeline to one detector, and what it finds."""

    def __init__(self, look: Look) -> None:
        self.found: list[Finding] = []
        self.detector = Unusual("flood", look)
        self._detection = Detection(told=self.found.extend)
        self._detection.use([Watched(self.detector, Common(cooldown="0s"))], now=BEGAN)
        self._pipeline = Pipeline((), redact=lambda _, __: str, views=(self._detection,))
        self.now = BEGAN

    def take(self, kind: str, number: int = 1, **fields: object) -> None:
        self.take_all([{"event": kind, **fields}] * number)

    def take_all(self, events: Sequence[dict[str, Any]]) -> None:
        assert self._pipeline.lines(b"\n".join(json.dumps(each).encode() for each in events), now=self.now).faults == ()

    def wait(self, seconds: float = TEN) -> None:
        """As the timer does."""
        self.now += seconds
        self._detection.tick(now=self.now)

    def usual(self, number: int = 30, *, intervals: int = 20, kind: str = "message_sent", **fields: object) -> None:
        for _ in range(intervals):
            self.take(kind, number, **fields)
            self.wait()
        assert self.found == []

    @property
    def said(self) -> list[str]:
        return [each.why for each in self.found]


def test_a_flood_is_found_when_it_passes_the_bound_and_not_when_its_interval_is_over():
    watching = Watching(MESSAGES)
    watching.usual(30)
    watching.now += 3
    watching.take("message_sent", 300)
    assert watching.found == []
    watching.now += 0.2
    watching.take("message_sent", 1)
    (finding,) = watching.found
    assert (finding.value, finding.threshold, finding.window_seconds, finding.at) == (301, 300, 10, watching.now)
    assert finding.why == "301 message_sent in 10 s; going by what is usual, at most 300 may be expected"
    watching.take("message_sent", 1_000)
    assert len(watching.found) == 1, "once an interval"


def test_a_burst_between_two_scrapes_is_seen():
    """Half a minute of silence, two seconds of flood, silence again: over a minute that is twice the usual rate, which
    no rule over scrapes would tell from a busy minute."""
    watching = Watching(MESSAGES)
    watching.usual(100)
    watching.wait(14)
    watching.take("message_sent", 1_200)
    watching.wait(16)
    assert len(watching.found) == 1


def test_an_address_that_alone_passes_the_bound_of_all_is_named_and_nobody_else_is():
    watching = Watching(MESSAGES)
    watching.usual(30, ip="198.51.100.1")
    for _ in range(8):
        watching.take("message_sent", 20, ip="198.51.100.1")
        watching.take("message_sent", 80, ip="203.0.113.66")
        watching.take("message_sent", 5)
        watching.now += 1
    addressed = [each for each in watching.found if each.address is not None]
    assert [each.address for each in addressed] == [address_of("203.0.113.66")]
    (finding,) = addressed
    assert 300 < finding.value <= 640, "never more than it has sent"
    assert finding.why.startswith(f"{finding.value:g} message_sent from one address in 10 s;")
    assert "203.0" not in finding.why
    assert len([each for each in watching.found if each.address is None]) == 1


def test_a_flood_from_everywhere_is_found_and_names_nobody():
    watching = Watching(MESSAGES)
    watching.usual(30, ip="198.51.100.1")
    for turn in range(10):
        crowd = [
            {"event": "message_sent", "ip": f"10.{turn}.{number // 250}.{number % 250}"}
            for number in range(SUSPECTS_MAX)
        ]
        watching.take_all([*crowd, *[{"event": "message_sent", "ip": "198.51.100.1"}] * 3])
    assert [each.address for each in watching.found] == [None]


def test_nothing_is_found_before_enough_intervals_are_known():
    watching = Watching(MESSAGES)
    for number in (0, 100_000, 3, 50_000, 10):
        watching.take("message_sent", number)
        watching.wait()
    assert watching.found == []


def test_intervals_without_events_are_zeros_even_when_nobody_told_the_time():
    """Ten events in one interval, then nothing for nine: what is usual is a tenth of what it would be otherwise."""
    watching = Watching(MESSAGES)
    for _ in range(10):
        watching.take("message_sent", 200)
        watching.now += 100
    watching.take("message_sent", 250)
    assert len(watching.found) == 1
    assert watching.found[0].threshold == pytest.approx(200, rel=0.2)


def test_a_fall_to_nothing_is_found_by_the_clock_alone():
    down = Manner(method="spike", limit=2.0, size=360, known_least=6, direction="down", least=20.0, counts=True)
    watching = Watching(Look(events=("transaction",), seconds=TEN, manner=down))
    watching.usual(50, kind="transaction")
    watching.wait()
    assert watching.said == ["0 transaction in 10 s; going by what is usual, at least 25 may be expected"]


def test_a_clock_that_was_set_back_or_a_machine_that_slept_begins_anew():
    for seconds in (-3_600.0, (UNSEEN_INTERVALS_MAX + 2) * TEN):
        watching = Watching(MESSAGES)
        watching.usual(30)
        watching.wait(seconds)
        for _ in range(6):
            watching.take("message_sent", 10_000)
            watching.wait()
        assert watching.found == []


def test_who_comes_with_a_moment_that_is_a_little_older_changes_nothing():
    """As an intake does that asked for the time before the timer did."""
    watching = Watching(MESSAGES)
    watching.usual(30)
    watching.now -= TEN - 0.1
    watching.take("message_sent", 300)
    assert watching.found == []
    watching.now += TEN
    watching.take("message_sent", 1)
    assert len(watching.found) == 1, "they are of one interval, and what is usual is still known"


def test_only_events_that_fulfil_the_conditions_count():
    watching = Watching(
        Look(
            events=("auth",),
            seconds=TEN,
            manner=FLOOD,
            where=(Condition("outcome", "=", "failed"), Condition("method", "!=", "sso")),
        )
    )
    watching.usual(10, kind="auth", outcome="failed")
    watching.take("auth", 5_000, outcome="success")
    watching.take("auth", 5_000, outcome="failed", method="sso")
    assert watching.found == []
    watching.take("auth", 101, outcome="failed", method="password")
    assert len(watching.found) == 1


def test_each_value_of_a_field_has_a_baseline_of_its_own_and_a_new_one_has_none():
    watching = Watching(Look(events=("message_sent",), seconds=TEN, manner=FLOOD, by="message_type"))
    for _ in range(20):
        watching.take("message_sent", 500, message_type="mail")
        watching.take("message_sent", 5, message_type="sms")
        watching.wait()
    watching.take("message_sent", 500, message_type="mail")
    watching.take("message_sent", 500, message_type="push")
    assert watching.found == []
    watching.take("message_sent", 101, message_type="sms")
    assert watching.said == [
        "101 message_sent in 10 s, message_type sms; going by what is usual, at most 100 may be expected"
    ]


@pytest.mark.parametrize("value", ["é" * 5, "x" * 61, "a\nb", 'say "x"'])
def test_a_value_that_may_be_anybodys_is_not_told(value: str):
    watching = Watching(Look(events=("message_sent",), seconds=TEN, manner=FLOOD, by="message_type"))
    watching.usual(5, message_type=value)
    watching.take("message_sent", 101, message_type=value)
    assert watching.said == [
        "101 message_sent in 10 s, of one message_type; going by what is usual, at most 100 may be expected"
    ]


def test_values_beyond_the_limit_are_one_stream_and_make_room_when_they_have_been_silent_for_long():
    watching = Watching(
        Look(events=("message_sent",), seconds=TEN, manner=Manner(**{**_said(FLOOD), "size": 12}), by="message_type")
    )
    watching.take_all([{"event": "message_sent", "message_type": f"t{number}"} for number in range(STREAMS_MAX * 3)])
    assert watching.detector.held.keys == STREAMS_MAX
    assert watching.detector.held.forgotten == STREAMS_MAX * 2 + 1
    for _ in range(14):
        watching.take("message_sent", 5, message_type="t7")
        watching.wait()
    assert watching.detector.held.keys == 1


def test_a_slow_route_is_found_by_the_quantile_of_its_own_interval():
    watching = Watching(LATENCY)
    for turn in range(30):
        for route, seconds in (("/cart", 0.1), ("/report", 2.0)):
            watching.take("http_request", 20, route=route, duration_seconds=seconds * (1 + turn % 5 / 50))
        watching.wait()
    assert watching.found == []
    watching.take("http_request", 20, route="/cart", duration_seconds=1.5)
    watching.take("http_request", 20, route="/report", duration_seconds=2.0)
    assert watching.found == [], "a quantile may fall again while its interval goes on"
    watching.wait()
    (finding,) = watching.found
    assert finding.value == pytest.approx(1.5, rel=0.02)
    assert finding.why.startswith(f"a p95 of {finding.value:.6g} of duration_seconds of http_request in 10 s, route /")


def test_an_interval_with_too_few_measurements_says_nothing():
    watching = Watching(LATENCY)
    for _ in range(20):
        watching.take("http_request", 20, route="/", duration_seconds=0.1)
        watching.wait()
    watching.take("http_request", 9, route="/", duration_seconds=30.0)
    watching.wait()
    assert watching.found == []


def test_different_values_are_counted_once_each_and_no_value_is_told():
    look = Look(events=("auth",), seconds=TEN, manner=FLOOD, measure="distinct", field="user")
    watching = Watching(look)
    watching.usual(100, kind="auth", user="ana")
    watching.take("auth", 5_000, user="ben")
    assert watching.found == []
    watching.take_all([{"event": "auth", "user": f"user{number}@example.org"} for number in range(101)])
    assert watching.said == ["102 different user of auth in 10 s; going by what is usual, at most 100 may be expected"]


def test_different_values_beyond_the_limit_are_not_counted_and_that_is_known():
    watching = Watching(Look(events=("auth",), seconds=TEN, manner=FLOOD, measure="distinct", field="user"))
    for start in range(0, DISTINCT_MAX + 1_000, 20_200):
        watching.take_all([{"event": "auth", "user": number} for number in range(start, start + 20_200)])
    assert watching.detector.held.forgotten == 1_000
    watching.wait()
    watching.take("auth", 1, user="again")
    assert watching.detector.held.forgotten == 1_000, "room is made when an interval ends"


def test_a_sum_and_a_maximum_are_streams_too():
    for measure, amounts in (("sum", [50.0] * 20), ("max", [500.0]), ("mean", [400.0])):
        look = Look(events=("transaction",), seconds=TEN, manner=SLOW, measure=measure, field="amount")  # type: ignore[arg-type]
        watching = Watching(look)
        watching.usual(5, kind="transaction", amount=10)
        watching.take_all([{"event": "transaction", "amount": amount} for amount in amounts])
        watching.wait()
        assert len(watching.found) == 1, measure


def _said(manner: Manner) -> dict[str, Any]:
    return {name: getattr(manner, name) for name in manner.__struct_fields__}
