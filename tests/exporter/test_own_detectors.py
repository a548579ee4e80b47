"""Detectors of a user's own: what is written in exporter.yml, through the program's own reading, against events."""

import re
from pathlib import Path

import pytest

from exporter.detectors.unusual import STREAMS_MAX
from exporter.identity import address_of
from tests.exporter.detecting import Watch, failed
from tests.exporter.mapped import faults

DOCUMENTED = next(
    block
    for block in re.findall(r"```yaml\n(.*?)```", Path("docs/detectors.md").read_text(), re.DOTALL)
    if "\n  own:\n" in block
)
BUNDLED_OFF = "message_flood: {enabled: false}"


def own(text: str) -> Watch:
    return Watch(f"detectors: {{own: [{{name: mine, {text}}}]}}")


def accustomed(watch: Watch, *events: dict[str, object], windows: int, seconds: float) -> None:
    for _ in range(windows):
        assert watch.take(*events) == []
        watch.now += seconds
        watch.detection.tick(now=watch.now)


# --- the examples ----------------------------------------------------------------------------------------------


def test_the_documented_payments_of_one_person_are_found() -> None:
    watch = Watch(DOCUMENTED)
    payment = {"event": "transaction", "outcome": "failed"}
    assert watch.take(*[{**payment, "user": "ana"}] * 10, *[{**payment, "user": "ben"}] * 10) == []
    assert watch.take({**payment, "user": "ana", "outcome": "success"}) == []
    (found,) = watch.take({**payment, "user": "ANA"}, after=60)
    assert (found.detector, found.value, found.address) == ("failed_payments", 11, None)
    assert found.person is not None
    assert found.why == "11 transaction events of one person within 10m, more than 10"
    assert watch.take(*[{**payment, "user": "ben"}], after=700) == [], "the window has gone on"


def test_the_documented_spray_is_found_by_names_and_not_by_attempts() -> None:
    watch = Watch(DOCUMENTED.replace("detectors:\n", "detectors:\n  credential_stuffing: {enabled: false}\n"))
    assert watch.take(*[failed(user=f"user{number % 30}") for number in range(50)]) == []
    (found,) = watch.take(failed(user="one-more"), failed("203.0.113.8", "user1"), after=3_600)
    assert (found.detector, found.address) == ("password_spray", address_of("203.0.113.7"))
    assert found.why == "31 different values of user in auth events from one address within 24h, more than 30"


def test_the_documented_silence_is_found_by_the_clock() -> None:
    watch = Watch(DOCUMENTED)
    accustomed(watch, *[{"event": "transaction", "outcome": "success"}] * 40, windows=15, seconds=60)
    watch.now += 60
    watch.detection.tick(now=watch.now)
    (found,) = watch.found
    assert (found.detector, found.severity, found.value) == ("checkout_silence", "critical", 0)
    assert found.why == "0 transaction in 60 s; going by what is usual, at least 20 may be expected"


def test_the_documented_slow_route_is_found_when_it_lasts() -> None:
    watch = Watch(DOCUMENTED)
    usual = [{"event": "http_request", "route": "/cart", "duration_seconds": 0.1 + row / 1_000} for row in range(20)]
    accustomed(watch, *usual, windows=70, seconds=10)
    for _ in range(3):
        assert watch.found == []
        watch.take(*[{**each, "duration_seconds": 1.0} for each in usual])
        watch.now += 10
        watch.detection.tick(now=watch.now)
    (found,) = watch.found
    assert (found.detector, found.stream) == ("slow_route", "/cart")
    assert "p95" in found.why


def test_the_documented_burst_names_who_is_behind_it_in_a_dry_run() -> None:
    watch = Watch(DOCUMENTED)
    request = {"event": "http_request_started"}
    accustomed(watch, *[{**request, "ip": "198.51.100.1"}] * 60, windows=70, seconds=10)
    found = watch.take(*[{**request, "ip": "203.0.113.7"}] * 601)
    assert [(each.detector, each.address, each.dry_run) for each in found] == [
        ("request_burst", address_of("203.0.113.7"), True),
        ("request_burst", None, True),
    ]


# --- thresholds ------------------------------------------------------------------------------------------------


def test_more_than_the_threshold_in_all_is_found_over_several_kinds_of_event() -> None:
    watch = own("event: [deploy, rollback], threshold: 3, window: 1m")
    assert watch.take({"event": "deploy"}, {"event": "rollback"}, {"event": "deploy"}) == []
    (found,) = watch.take({"event": "rollback"}, after=40)
    assert found.why == "4 deploy and rollback events within 1m, more than 3"
    assert (found.address, found.person, found.stream) == (None, None, "")


def test_each_value_of_a_field_is_counted_by_itself_with_a_cooldown_of_its_own() -> None:
    watch = own("event: error, by: component, threshold: 2, window: 1m")
    assert watch.take(*[{"event": "error", "component": name} for name in ("disk", "net", "disk", "net")]) == []
    found = watch.take({"event": "error", "component": "disk"}, {"event": "error", "component": "net"})
    assert [each.why for each in found] == [
        "3 error events within 1m, component disk, more than 2",
        "3 error events within 1m, component net, more than 2",
    ]


def test_values_beyond_the_limit_count_together_and_make_room_when_their_window_is_over() -> None:
    watch = own("event: error, by: component, threshold: 150, window: 1m")
    many = [{"event": "error", "component": f"c{number}"} for number in range(STREAMS_MAX - 1 + 151)]
    (found,) = watch.take(*many)
    assert (found.stream, found.value) == ("other", 151)
    assert watch.metrics()["security_detector_forgotten_total"]["mine",] == 151
    (later,) = watch.take(*[{"event": "error", "component": "new"}] * 151, after=120)
    assert later.stream == "new"


def test_a_threshold_for_a_number_is_one_for_each_window() -> None:
    watch = own("event: queue, measure: max, field: length, threshold: 100, window: 10s, samples: 1")
    assert watch.take({"event": "queue", "length": 100}) == []
    (found,) = watch.take({"event": "queue", "length": 101}, after=10)
    assert found.why == "a max of 101 of length of queue in 10 s; at most 100 may be"


def test_a_number_that_is_too_low_is_found_at_the_end_of_its_window() -> None:
    watch = own("event: stock, measure: mean, field: left, threshold: 5, direction: down, window: 10s, samples: 2")
    watch.take({"event": "stock", "left": 1})
    watch.take({"event": "stock", "left": 4}, {"event": "stock", "left": 5}, after=10)
    assert watch.found == [], "one is no measurement"
    watch.now += 10
    watch.detection.tick(now=watch.now)
    assert [each.value for each in watch.found] == [4.5]


def test_severity_and_what_becomes_of_findings_are_as_they_are_set() -> None:
    watch = own("event: deploy, threshold: 0, severity: info, cooldown: 1m, dry_run: true")
    (found,) = watch.take({"event": "deploy"})
    assert (found.severity, found.dry_run) == ("info", True)
    assert watch.take({"event": "deploy"}, after=59) == []
    assert len(watch.take({"event": "deploy"}, after=1)) == 1
    assert ("mine", "info") in watch.detection.foreseen


def test_one_that_is_off_asks_for_nothing_and_a_reload_keeps_what_others_know() -> None:
    text = "detectors: {own: [{name: mine, event: deploy, threshold: 2, window: 1h, severity: %s, enabled: %s}]}"
    watch = Watch(text % ("low", "true"))
    watch.take({"event": "deploy"}, {"event": "deploy"})
    watch.reload(text % ("high", "true"))
    assert [each.severity for each in watch.take({"event": "deploy"})] == ["high"]
    watch.reload(text % ("high", "false"))
    assert "deploy" not in watch.detection.asked
    assert watch.metrics()["security_detector_enabled"]["mine",] == 0


# --- what can be wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event: a", "detectors.own[0].threshold: found nothing, expected either a threshold or a method"),
        ("event: a, threshold: 1, method: ratio", "threshold: found a threshold beside a method"),
        ("event: a, threshold: 1, limit: 3", "limit: found it beside a threshold, expected a method instead"),
        ("event: a, threshold: 1, blame: ip", "blame: found it beside a threshold"),
        ("event: a, threshold: -1", "threshold: found the number -1, expected a number that is not negative"),
        ("event: a, threshold: 1, direction: down", "direction: found 'down', expected a method"),
        ("event: a, threshold: 1, in_a_row: 2", "in_a_row: found it beside a threshold for events"),
        ("event: a, threshold: 1, window: 2s", "window: found '2s', expected between 6s and 24h"),
        (
            "event: a, threshold: 60000, measure: distinct, field: x",
            "threshold: found the number 60000, expected at most",
        ),
        ("event: a, threshold: 1, field: x", "field: found 'x', expected a measure other than count, or no field"),
        (
            "event: a, threshold: 1, measure: distinct",
            "field: found nothing, expected the field of which it is the distinct",
        ),
        ("event: a, threshold: 1, by: x, by_address: ip", "by_address: found it beside by, expected one of them"),
        ("event: a, threshold: 1, by: source", "by: found 'source', expected a field of its own kind"),
        ("event: a, threshold: 1, where: ['x>3']", "where[0]: found"),
        ("event: a, threshold: 1, where: ['x=~\"(\"']", "where[0]: found"),
        ("event: a, threshold: 1, where: ['at=\"1\"']", "where[0]: found"),
        ("event: a, method: ratio, by_address: ip", "by_address: found 'ip', expected a threshold"),
        ("event: a, method: ratio, limit: 1", "limit: found the number 1, expected more than 1, of a ratio"),
        ("event: a, method: ratio, window: 2h", "window: found '2h', expected between 1s and 1h"),
        ("event: a, method: ratio, window: 10m", "baseline: found '1h', which is 6 windows, expected from 10 to 1440"),
        ("event: a, method: zscore, samples: 5", "samples: found it of a count, expected a measure of numbers"),
        ("event: a, method: ratio, blame: ip, by: x", "blame: found 'ip', expected it where all events are counted"),
        ("event: a, method: magic", "ewma"),
        ("event: a, threshold: 1, window: 500ms", "between 1s and 24h"),
        ("threshold: 1", "event"),
        ("event: finding, threshold: 1", "event: found 'finding', expected another kind"),
        ("event: [a, finding], threshold: 1", "event: found 'finding', expected another kind"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, expected: str) -> None:
    found = faults(f"detectors: {{own: [{{name: mine, {text}}}]}}")
    assert any(expected in each for each in found), found


def test_a_name_is_nobody_elses() -> None:
    entry = "{name: %s, event: a, threshold: 1}"
    taken = faults(f"detectors: {{own: [{entry % 'message_flood'}, {entry % 'mine'}, {entry % 'mine'}]}}")
    assert len(taken) == 2
    assert "own[0].name: found 'message_flood', expected another name than that of a bundled detector" in taken[0]
    assert "own[2].name: found 'mine', expected another name than that of detectors.own[1]" in taken[1]
    assert len(faults(f"detectors: {{own: [{entry % 'Mine'}]}}")) == 1
