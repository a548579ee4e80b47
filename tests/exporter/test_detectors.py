"""Each detector: what it finds, that it does not find one less, and what is well-behaved and looks like that."""

from __future__ import annotations

import pytest

from exporter.identity import people, written
from tests.exporter.detecting import Event, Watch, failed, succeeded


def names(watch: Watch, *events: Event, after: float = 0.0) -> list[str]:
    return [found.detector for found in watch.take(*events, after=after)]


def office(ip: str, size: int, wrong: int) -> list[Event]:
    """So many people log in, some of whom mistype before."""
    return [
        *[failed(ip, f"clerk-{each}") for each in range(wrong)],
        *[succeeded(ip, f"clerk-{each}") for each in range(size)],
    ]


# --- logins ------------------------------------------------------------------------------------------------------


def test_fifty_failures_of_one_address_are_none_and_fifty_one_are() -> None:
    watch = Watch()
    events = [failed(user=f"user-{each % 10}") for each in range(51)]
    assert names(watch, *events[:50]) == []
    assert names(watch, events[50]) == ["brute_force_address"]


def test_the_window_slides() -> None:
    watch = Watch()
    for _ in range(6):
        assert names(watch, *[failed(user=None)] * 8, after=600) == []
    assert names(watch, *[failed(user=None)] * 8, after=600) == []
    assert names(watch, *[failed(user=None)] * 11) == ["brute_force_address"]


def test_failures_of_one_person_from_everywhere_are_found_as_that_person() -> None:
    watch = Watch()
    (found,) = watch.take(*[failed(f"198.51.{each}.7", "Ana" if each % 2 else "ana") for each in range(51)])
    assert (found.detector, found.address, found.person) == ("brute_force_person", None, people(b"key")("ana"))
    assert "ana" not in found.why.lower().split()


def test_failures_of_many_people_from_one_address_are_stuffing() -> None:
    watch = Watch()
    events = [failed(user=f"user-{each}") for each in range(21)]
    assert names(watch, *events[:20], *events[:20]) == []
    (found,) = watch.take(events[20])
    assert (found.detector, found.severity, found.value, found.threshold) == ("credential_stuffing", "critical", 21, 20)
    assert found.address is not None
    assert written(found.address) == "203.0.113.7"


def test_an_office_in_which_some_mistype_is_well_behaved() -> None:
    # That people come in crowds is unusual, and nobody's fault.
    watch = Watch("detectors: {unusual_login_rate: {enabled: false}}")
    for batch in range(12):
        assert names(watch, *office("203.0.113.7", 500, 60), after=batch * 120) == []


def test_an_attacker_who_gets_into_some_accounts_is_none() -> None:
    watch = Watch()
    tried = [(succeeded if each % 50 == 0 else failed)(user=f"user-{each}") for each in range(1_000)]
    assert set(names(watch, *tried)) == {"credential_stuffing", "brute_force_address"}


def test_who_logs_in_as_himself_again_and_again_hides_nothing() -> None:
    watch = Watch()
    events = [event for each in range(60) for event in (succeeded(user="mallory"), failed(user=f"user-{each}"))]
    assert set(names(watch, *events)) == {"credential_stuffing", "brute_force_address"}


@pytest.mark.parametrize("event", [{"event": "auth"}, {"event": "auth", "outcome": "failed"}, failed("shop", None)])
def test_what_nobody_did_is_found_of_nobody(event: Event) -> None:
    assert names(Watch(), *[event] * 200) == []


def test_what_is_neither_a_success_nor_a_failure_counts_as_neither() -> None:
    assert names(Watch(), *[failed(outcome="pending")] * 200, *[failed(outcome="skipped")] * 200) == []


@pytest.mark.parametrize("word", ["failed", "FAILURE", "Denied", "invalid", "no", "0", "timeout"])
def test_failures_are_taken_in_the_spellings_that_metrics_know(word: str) -> None:
    assert names(Watch(), *[failed(user=None, outcome=word)] * 51) == ["brute_force_address"]


# --- rejections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detector", "kind", "threshold", "seconds"),
    [("graphql_bomb", "graphql_validation", 10, 300), ("websocket_flood", "websocket_attempt", 20, 60)],
)
def test_rejections_of_one_address_are_found(detector: str, kind: str, threshold: int, seconds: int) -> None:
    watch = Watch()
    event = {"event": kind, "accepted": False, "ip": "203.0.113.7"}
    accepted = {**event, "accepted": True}
    nobody_says = {"event": kind, "ip": "203.0.113.7"}
    assert names(watch, *[event] * threshold, *[accepted] * 200, *[nobody_says] * 200) == []
    assert names(watch, *[event] * threshold, after=seconds) == []
    assert names(watch, event, {**event, "ip": "203.0.113.8"}) == [detector]
