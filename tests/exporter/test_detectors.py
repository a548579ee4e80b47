"""Each detector: what it finds, that it does not find one less, and what is well-behaved and looks like that."""

from __future__ import annotations

import pytest

from exporter.detectors.impossible_travel import ImpossibleTravel, Place, kilometers
from exporter.detectors.settings import ImpossibleTravel as TravelSettings
from exporter.event import Batch
from exporter.identity import Person, people, written
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


# --- travel ------------------------------------------------------------------------------------------------------

BERLIN, PARIS, SYDNEY = (52.52, 13.40), (48.86, 2.35), (-33.87, 151.21)


def there(place: tuple[float, float], user: str = "ana", **more: object) -> Event:
    return succeeded(None, user, latitude=place[0], longitude=place[1], **more)


def travelling() -> Watch:
    return Watch("detectors: {impossible_travel: {enabled: true}}")


def test_a_person_in_two_places_is_found_without_an_address() -> None:
    watch = travelling()
    watch.take(there(BERLIN))
    (found,) = watch.take(there(SYDNEY), there(PARIS, "bob"), after=3_600)
    assert (found.detector, found.person, found.address) == ("impossible_travel", people(b"key")("ana"), None)
    assert found.value == pytest.approx(16_100, rel=0.01)
    assert "151" not in found.why


@pytest.mark.parametrize(
    ("place", "seconds"), [(SYDNEY, 20 * 3_600), (PARIS, 3_600), ((52.40, 13.06), 1), (BERLIN, 0), (BERLIN, -60)]
)
def test_who_may_have_travelled_is_not_found(place: tuple[float, float], seconds: int) -> None:
    watch = travelling()
    watch.take(there(BERLIN))
    assert names(watch, there(place), after=seconds) == []


def test_what_is_read_late_counts_when_it_happened_in_whichever_order() -> None:
    watch = travelling()
    at = watch.now - 86_400
    day = [
        there(BERLIN, at=at),
        there(SYDNEY, at=at + 80_000),
        there(PARIS, at=at + 7_200),
        there(SYDNEY, at=at + 80_100),
    ]
    assert names(watch, *day) == []
    assert names(watch, there(BERLIN, at=at + 83_600)) == ["impossible_travel"]


def test_where_the_clock_was_set_back_people_are_somewhere_anew() -> None:
    watch = travelling()
    watch.take(there(PARIS))
    assert names(watch, there(BERLIN), after=-10 * 365 * 86_400) == []
    assert names(watch, there(SYDNEY), after=3_600) == ["impossible_travel"]


def test_who_did_not_get_in_or_is_nowhere_was_nowhere() -> None:
    watch = travelling()
    watch.take(there(BERLIN))
    nowhere = [there(SYDNEY, outcome="failed"), there((91.0, 0.0)), there((0.0, 181.0)), succeeded(None, "ana")]
    assert names(watch, *nowhere, succeeded(None, "ana", latitude=1.0)) == []
    assert names(watch, there(SYDNEY)) == ["impossible_travel"]


def test_without_being_enabled_it_reads_no_places_and_rejects_nothing() -> None:
    watch = Watch()
    assert watch.take(succeeded(latitude="somewhere")) == []
    assert travelling().outcome(succeeded(latitude="somewhere")).accepted == 0


def test_distances_are_those_on_the_earth() -> None:
    assert kilometers(Place(0, 0, 0), Place(0, 0, 180)) == pytest.approx(20_015, abs=1)
    assert kilometers(Place(0, 0, 179.9), Place(0, 0, -179.9)) == pytest.approx(22.2, abs=0.1)
    assert kilometers(Place(0, *BERLIN), Place(0, *PARIS)) == pytest.approx(878, abs=5)


def test_places_are_remembered_of_so_many_people() -> None:
    travel = ImpossibleTravel(TravelSettings(enabled=True), people_max=2)
    for who in (1, 2, 1, 3):
        travel.look(
            Batch(
                "auth",
                "",
                places=[0],
                texts={},
                numbers={"latitude": [0.0], "longitude": [0.0]},
                people={"user": [Person(who)]},
            ),
            now=float(who),
        )
    assert travel.held == (2, 1, 0.0)
