"""What all detectors share: settings, cooldown, warm-up, dry runs, reload, and what is said of them."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter

import pytest

from exporter.detection import FOUND_MAX, TURN_EVENTS, Detection, Watched
from exporter.detectors import Held
from exporter.detectors.counting import Counts
from exporter.detectors.settings import BruteForceAddress, DetectorsSettings, alike
from exporter.event import Batch, Fields
from exporter.finding import Finding
from exporter.identity import Address, written
from tests.exporter.builders import SURELY, sample
from tests.exporter.detecting import Watch, failed, succeeded
from tests.exporter.mapped import faults
from tests.exporter.program import started

FEW = "detectors: {brute_force_address: {threshold: 2, cooldown: 1m, %s}}"


def test_without_a_file_the_defaults_are_in_force() -> None:
    watch = Watch()
    assert watch.take(*[failed(user=None)] * 50) == []
    (found,) = watch.take(failed(user=None))
    assert found.address is not None
    assert (found.detector, written(found.address), found.value) == ("brute_force_address", "203.0.113.7", 51)
    assert "203.0.113.7" not in found.why


def test_the_same_is_found_again_when_the_cooldown_is_over_and_not_before() -> None:
    watch = Watch(FEW % "")
    assert len(watch.take(*[failed()] * 3)) == 1
    assert watch.take(failed(), after=59) == []
    assert len(watch.take(failed("203.0.113.8"), failed("203.0.113.8"), failed("203.0.113.8"))) == 1
    assert len(watch.take(failed(), after=1)) == 1
    assert watch.metrics()["security_detector_held_back_total"]["brute_force_address", "cooldown"] == 1


def test_what_is_over_is_forgotten_also_where_nothing_happens() -> None:
    watch = Watch(FEW % "window: 1m")
    watch.take(*[failed()] * 3, succeeded(), {"event": "graphql_validation", "accepted": False, "ip": "203.0.113.7"})
    counting = [
        (name,) for name in ("brute_force_address", "brute_force_person", "credential_stuffing", "graphql_bomb")
    ]
    assert all(watch.metrics()["security_detector_keys"][name] for name in counting)
    watch.now += 3_600
    watch.detection.tick(now=watch.now)
    assert not any(watch.metrics()["security_detector_keys"][name] for name in counting)


def test_a_clock_that_is_set_back_ends_a_cooldown() -> None:
    watch = Watch(FEW % "")
    watch.take(*[failed()] * 3)
    assert len(watch.take(*[failed()] * 3, after=-86_400)) == 1


def test_while_it_warms_up_a_detector_finds_nothing_and_learns() -> None:
    watch = Watch(FEW % "warm_up: 10m")
    assert watch.take(*[failed()] * 30, after=599) == []
    assert len(watch.take(failed(), after=1)) == 1
    assert watch.metrics()["security_detector_held_back_total"]["brute_force_address", "warm_up"] == 1


def test_what_a_dry_run_finds_says_so_and_severity_is_as_it_is_set() -> None:
    (found,) = Watch(FEW % "dry_run: true, severity: low").take(*[failed()] * 3)
    assert (found.dry_run, found.severity) == (True, "low")


def test_a_detector_that_is_off_asks_for_nothing() -> None:
    off = ", ".join(f"{name}: {{enabled: false}}" for name in DetectorsSettings.__struct_fields__ if name != "own")
    assert Watch(f"detectors: {{{off}}}").detection.asked == {}
    watch = Watch(FEW % "enabled: false")
    assert watch.take(*[failed()] * 3) == []
    assert watch.metrics()["security_detector_enabled"]["brute_force_address",] == 0
    assert ("brute_force_address", "high") not in watch.detection.foreseen


def test_a_reload_keeps_what_a_detector_remembers_unless_it_looks_in_another_way() -> None:
    watch = Watch(FEW % "dry_run: true")
    watch.take(failed(), failed())
    watch.reload(FEW % "severity: low")
    assert [found.severity for found in watch.take(failed())] == ["low"]
    watch.reload(FEW % "window: 2h")
    assert watch.take(failed(), after=60) == []
    watch.reload(FEW % "enabled: false")
    assert watch.take(*[failed()] * 3) == []
    watch.reload(FEW % "")
    assert len(watch.take(*[failed()] * 3)) == 1


def test_settings_are_alike_where_they_differ_only_in_what_follows() -> None:
    one = BruteForceAddress()
    assert alike(one, BruteForceAddress(severity="low", cooldown="1s", warm_up="1s", dry_run=True))
    assert not alike(one, BruteForceAddress(threshold=3))
    assert not alike(one, BruteForceAddress(window="2h"))


def test_every_series_is_there_at_zero() -> None:
    watch = Watch()
    names = {*DetectorsSettings.__struct_fields__} - {"own"}
    metrics = watch.metrics()
    assert {name for (name,) in metrics["security_detector_enabled"]} == names
    for each, samples in metrics.items():
        if each not in ("security_detector_enabled", "security_addresses_unreadable_total"):
            assert set(samples.values()) == {0}
    assert metrics["security_addresses_unreadable_total"] == {(): 0}
    assert {name for name, _ in watch.detection.foreseen} == {
        name for (name,), on in metrics["security_detector_enabled"].items() if on
    }


def test_addresses_that_cannot_be_read_are_counted_and_those_that_are_not_there_are_none() -> None:
    watch = Watch()
    watch.take(failed("shop-7"), failed(["203.0.113.7"]), failed(None), failed("203.0.113.7"), {"event": "auth"})
    assert watch.metrics()["security_addresses_unreadable_total"] == {(): 2}
    assert watch.metrics()["security_detector_events_total"]["brute_force_address",] == 5


class Everybody:
    name = "everybody"
    asked = {"auth": Fields(addresses=("ip",))}  # noqa: RUF012 - a detector's own, and never changed
    held = Held()

    def look(self, batch: Batch, *, now: float) -> list[Finding]:
        return [
            Finding("everybody", "low", now, "somebody came", 1, 0, 60, address=who)
            for who in batch.addresses("ip")
            if who is not None
        ]


def test_whom_it_has_found_is_remembered_within_bounds() -> None:
    found: list[Finding] = []
    detection = Detection(told=found.extend)
    detection.use([Watched(Everybody(), BruteForceAddress())], now=0.0)

    def take(*who: int) -> int:
        before = len(found)
        column = [Address(each) for each in who]
        detection.take(Batch("auth", "", places=who, texts={}, numbers={}, addresses={"ip": column}), now=1.0)
        return len(found) - before

    assert take(*range(1, FOUND_MAX + 2)) == FOUND_MAX + 1
    assert take(FOUND_MAX + 1, 2) == 0
    assert take(1) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("detectors: {brute_force: {}}", "brute_force_address"),
        ("detectors: {brute_force_address: {threshold: 0}}", "1"),
        ("detectors: {brute_force_address: {window: 5s}}", "between 6s and 24h"),
        ("detectors: {brute_force_address: {window: 2000h}}", "between 6s and 24h"),
        ("detectors: {brute_force_address: {cooldown: 25h}}", "at most 24h"),
        ("detectors: {brute_force_address: {severity: bad}}", "critical"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert expected in fault


def test_a_brute_force_through_the_door_is_found_and_shown_without_a_file() -> None:
    """Of IPv6, it is the customer who did it."""
    body = "\n".join(json.dumps(failed(f"2001:db8:1:2::{each:x}")) for each in range(51)).encode()
    series = 'security_findings_total{detector="brute_force_address",severity="high"}'
    with started() as program:
        assert sample(program.get("/metrics/security"), series) == 0
        with urllib.request.urlopen(
            urllib.request.Request(program.url + "/events", data=body), timeout=SURELY
        ) as answer:
            assert json.load(answer)["accepted"] == 51
        page = program.get("/metrics/security")
        assert sample(page, series) == 1
        assert sample(page, 'security_detector_events_total{detector="brute_force_address"}') == 51
        assert "2001:db8:1:2" not in page + program.said("security finding")


class Filling(Everybody):
    """Counts who came, and has no room for many."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counts = Counts(60.0, keys_max=100 * TURN_EVENTS)

    def look(self, batch: Batch, *, now: float) -> list[Finding]:
        self._counts.add(Counter(who for who in batch.addresses("ip") if who is not None), now=now)
        return []

    def thin(self) -> bool:
        return self._counts.thin()

    @property
    def full(self) -> bool:
        return self._counts.forgotten == 0


def test_of_detectors_that_are_full_together_one_forgets_at_a_time() -> None:
    detection = Detection(told=lambda _: None)
    detectors = [Filling(name) for name in ("one", "two", "three")]
    detection.use([Watched(detector, BruteForceAddress()) for detector in detectors], now=0.0)
    full = []
    for turn in range(100):
        who = [Address(turn * TURN_EVENTS + each) for each in range(TURN_EVENTS)]
        detection.take(Batch("auth", "", places=range(len(who)), texts={}, numbers={}, addresses={"ip": who}), now=1.0)
        full.append(sum(detector.full for detector in detectors))
    assert full == [3] * 94 + [2, 1, 0] + [0] * 3
