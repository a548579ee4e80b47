"""The bundled detectors with a baseline, through the program's own settings and its clock."""

import asyncio
from collections.abc import Mapping

import pytest

from exporter.control import Plan
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.identity import address_of
from tests.exporter.builders import SURELY
from tests.exporter.detecting import Event, Watch
from tests.exporter.mapped import NOW, faults

# What is usual, in how long a window, and how much is too much.
BUNDLED: Mapping[str, tuple[Event, float, int, int]] = {
    "unusual_login_rate": ({"event": "auth", "outcome": "success"}, 60.0, 30, 150),
    "message_flood": ({"event": "message_sent"}, 10.0, 20, 200),
    "connection_flood": ({"event": "connection_opened"}, 10.0, 20, 200),
}


def accustomed(watch: Watch, event: Event, *, window: float, usual: int, windows: int = 90) -> None:
    for _ in range(windows):
        watch.detection.tick(now=watch.now)
        assert usual == 0 or watch.take(*[event] * usual) == []
        watch.now += window


@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_more_than_the_ratio_times_the_usual_is_found_and_no_less(name: str) -> None:
    event, window, usual, bound = BUNDLED[name]
    watch = Watch()
    accustomed(watch, event, window=window, usual=usual)
    assert watch.take(*[event] * bound) == []
    (finding,) = watch.take({**event, "ip": "203.0.113.7"}, after=1)
    assert (finding.detector, finding.value, finding.threshold) == (name, bound + 1, bound)
    assert (finding.address, finding.window_seconds) == (None, window)
    assert watch.take(*[event] * (bound + 1), after=window) == [], "not again before the cooldown is over"
    assert watch.metrics()["security_detector_held_back_total"][name, "cooldown"] == 1


def test_nobody_is_named_for_logins_as_an_office_logs_in_at_nine() -> None:
    event, window, usual, bound = BUNDLED["unusual_login_rate"]
    watch = Watch()
    accustomed(watch, event, window=window, usual=usual)
    found = watch.take(*[{**event, "ip": "203.0.113.7"}] * (bound * 2))
    assert [(each.detector, each.address) for each in found] == [("unusual_login_rate", None)]


@pytest.mark.parametrize("name", ["message_flood", "connection_flood"])
def test_who_alone_sends_more_than_may_be_expected_of_all_is_named(name: str) -> None:
    event, window, usual, bound = BUNDLED[name]
    watch = Watch()
    accustomed(watch, event, window=window, usual=usual)
    found = watch.take(*[{**event, "ip": "203.0.113.7"}] * (bound + 1), *[{**event, "ip": "203.0.113.8"}] * bound)
    assert {each.address for each in found} == {None, address_of("203.0.113.7")}


@pytest.mark.parametrize("name", BUNDLED)
def test_nothing_is_found_in_the_first_minutes_nor_in_what_is_little(name: str) -> None:
    event, window, _, _ = BUNDLED[name]
    watch = Watch()
    assert watch.take(*[event] * 5_000) == []
    watch = Watch()
    accustomed(watch, event, window=window, usual=0)
    least = 20 if window == 60 else 100
    assert watch.take(*[event] * least) == []
    assert len(watch.take(event)) == 1


def test_another_ratio_and_another_window_are_in_force() -> None:
    watch = Watch("detectors: {message_flood: {ratio: 3, least: 5, window: 1s, baseline: 1m, warm_up: 0s}}")
    accustomed(watch, {"event": "message_sent"}, window=1, usual=10, windows=60)
    assert watch.take(*[{"event": "message_sent"}] * 30) == []
    assert len(watch.take({"event": "message_sent"})) == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{window: 500ms}", "detectors.message_flood.window: found '500ms', expected between 1s and 1h"),
        ("{baseline: 5s}", "detectors.message_flood.baseline: found '5s', expected between 10s and 1440h"),
        (
            "{baseline: 90s}",
            "detectors.message_flood.baseline: found '90s', which is 9 windows, expected from 10 to 1440 windows",
        ),
        (
            "{window: 1s, baseline: 25m}",
            "detectors.message_flood.baseline: found '25m', which is 1500 windows, expected from 10 to 1440 windows",
        ),
    ],
)
def test_what_cannot_be_a_baseline_is_a_fault_with_its_place(text: str, fault: str) -> None:
    (found,) = faults(f"detectors: {{message_flood: {text}}}")
    assert fault in found


def test_the_program_tells_detectors_the_time_though_no_event_comes() -> None:
    asked = 0
    detection = Detection(told=[].extend)

    async def watched() -> None:
        often = asyncio.Event()

        def clock() -> float:
            nonlocal asked
            asked += 1
            if asked > 3:
                often.set()
            return NOW + asked

        detecting = Detecting(detection, clock=clock)
        detecting.prepare(Plan((), 8.0))()
        with detecting.ticking(0.001):
            async with asyncio.timeout(SURELY):
                await often.wait()

    asyncio.run(watched())
    (keys,) = (each for each in detection.families(NOW) if each.name == "security_detector_keys")
    assert {name: dict(keys.samples)[name,] for name in BUNDLED} == dict.fromkeys(BUNDLED, 1), (
        "silence is being counted"
    )
