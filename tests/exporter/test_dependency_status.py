"""What is known of dependencies, and when they are asked: days of it, by a clock of the test's own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.dependencies.breaker import Patience, State
from exporter.dependencies.report import Verdict, details, root_causes, verdict
from exporter.dependencies.report import sick as why
from exporter.dependencies.status import (
    ASKED_AGAIN_SECONDS_MIN,
    FIRST_SECONDS_MAX,
    Answer,
    Dependency,
    Status,
)
from tests.exporter.sickness import DAY, REFUSED, WELL, World, sick

PATIENCE = Patience(failures=3, successes=2, wait_seconds=20.0, wait_seconds_max=80.0)
DB = Dependency("db", "tcp", "127.0.0.1:5432", critical=True, every_seconds=10.0, patience=PATIENCE)
APP = replace(DB, name="app", critical=False, needs=("db",))
CACHE = replace(DB, name="cache", critical=False)


def test_the_first_question_comes_within_a_moment_and_then_as_often_as_is_said() -> None:
    world = World(DB)
    assert world.status("db") is Status.UNKNOWN
    assert verdict(world.dependencies) is Verdict.DEGRADED
    world.run(FIRST_SECONDS_MAX + 1)
    assert world.status("db") is Status.UP
    assert verdict(world.dependencies) is Verdict.HEALTHY
    world.run(3_600)
    assert len(world.asked) in (361, 362)
    assert {round(after - before, 6) for before, after in pairwise(world.times("db")[1:])} == {10.0}


def test_after_the_first_second_the_questions_are_spread_over_the_whole_step() -> None:
    world = World(*[replace(DB, name=f"db{number}") for number in range(100)])
    world.run(100)
    seconds = [int(at % 10) for at, _ in world.asked if at > 20]
    assert all(0 < seconds.count(second) < 3 * len(seconds) / 10 for second in range(10))


def test_what_is_asked_for_the_first_time_is_not_asked_all_at_once() -> None:
    world = World(*[replace(DB, name=f"db{number}") for number in range(100)])
    world.run(FIRST_SECONDS_MAX)
    times = sorted(at for at, _ in world.asked)
    assert len(times) == 100
    assert all(sum(begin <= at < begin + 0.1 for at in times) < 30 for begin in (0.0, 0.2, 0.4, 0.6, 0.8))


def test_one_failure_is_degraded_and_enough_of_them_are_down() -> None:
    world = World(DB, answers=sick("db", since=100.0))
    world.run(99)
    assert verdict(world.dependencies) is Verdict.HEALTHY
    world.run(11)
    assert world.status("db") is Status.FAILING
    assert verdict(world.dependencies) is Verdict.DEGRADED
    world.run(20)
    assert world.status("db") is Status.DOWN
    assert verdict(world.dependencies) is Verdict.DOWN


def test_what_is_not_critical_never_takes_everything_down() -> None:
    world = World(DB, CACHE, answers=sick("cache"))
    world.run(3_600)
    assert world.status("cache") is Status.DOWN
    assert verdict(world.dependencies) is Verdict.DEGRADED


def test_what_is_down_is_asked_less_and_less_often_and_never_given_up() -> None:
    world = World(DB, answers=sick("db"))
    world.run(86_400)
    waits = [after - before for before, after in pairwise(world.times("db"))]
    assert waits[0] <= 10.0
    assert waits[1] == pytest.approx(10.0)
    for wait, longest in zip(waits[2:5], (20.0, 40.0, 80.0), strict=True):
        assert longest * 0.8 <= wait <= longest + 0.1
    assert all(64.0 <= wait <= 80.1 for wait in waits[4:])
    assert len(set(waits[4:])) > 100


def test_what_is_well_again_is_up_within_a_wait_and_a_question() -> None:
    world = World(DB, answers=sick("db", until=1_000.0))
    world.run(1_000)
    assert world.status("db") is Status.DOWN
    world.run(80 + 10 + 0.1)
    assert world.status("db") is Status.UP
    assert world.dependencies.known["db"].breaker.state is State.CLOSED
    assert [change.after for _, change in world.changes] == [Status.FAILING, Status.DOWN, Status.UP]


def test_a_slow_answer_is_degraded_even_of_something_critical() -> None:
    slow = replace(DB, slow_seconds=0.5)
    world = World(slow, answers=lambda name, now: Answer(0.6 if now < 100 else 0.5))
    world.run(50)
    assert world.status("db") is Status.SLOW
    assert verdict(world.dependencies) is Verdict.DEGRADED
    assert why(world.dependencies) == {"db": "slow"}
    world.run(70)
    assert verdict(world.dependencies) is Verdict.HEALTHY


def test_a_question_that_takes_longer_than_the_step_delays_itself_and_nobody_else() -> None:
    world = World(DB, CACHE, answers=lambda name, now: Answer(34.0, "timeout") if name == "db" else WELL)
    world.run(100)
    began = world.times("db")
    assert [after - before for before, after in pairwise(began)][1] == pytest.approx(40.0)
    assert {round(after - before, 6) for before, after in pairwise(world.times("cache")[1:])} == {10.0}


def test_the_cause_is_named_with_the_symptom() -> None:
    """The application is asked a moment after the database has gone, the database's own turn comes much later."""
    app, db = replace(APP, every_seconds=5.0), replace(DB, every_seconds=600.0)
    world = World(app, db, answers=sick("app", "db", since=100.0))
    world.run(100)
    assert why(world.dependencies) == {}
    world.run(5.1)
    assert root_causes(world.dependencies) == ["db"]
    assert why(world.dependencies) == {
        "app": "failing: refused, because of db: failing: refused",
        "db": "failing: refused",
    }


def test_what_needs_something_is_asked_as_soon_as_that_is_well_again() -> None:
    """Its own trial would have come much later."""
    app = replace(APP, patience=replace(PATIENCE, successes=1, wait_seconds=3_000.0, wait_seconds_max=3_000.0))
    world = World(app, DB, answers=sick("app", "db", until=500.0))
    world.run(500)
    assert world.status("app") is Status.DOWN
    world.run(80 + 10 + 1)
    assert world.status("db") is Status.UP
    assert world.status("app") is Status.UP


def test_an_application_that_fails_by_itself_is_its_own_cause() -> None:
    world = World(APP, DB, answers=sick("app"))
    world.run(100)
    assert root_causes(world.dependencies) == ["app"]
    assert world.changes[0][1].cause == ("app",)


def test_a_day_that_is_set_back_changes_what_is_shown_and_not_when_is_asked() -> None:
    straight, moved = World(DB, answers=sick("db", since=300.0)), World(DB, answers=sick("db", since=300.0))
    straight.run(1_000)
    moved.run(500)
    moved.time_of_day_off = 0.0
    moved.run(500)
    assert straight.asked == moved.asked
    assert straight.dependencies.known["db"].answered_at > DAY
    assert moved.dependencies.known["db"].answered_at < 1_000


def test_what_stays_as_it_was_stays_known_and_what_changes_begins_anew() -> None:
    world = World(DB, CACHE, answers=sick("db", "cache"))
    world.run(100)
    world.use([replace(DB, needs=("cache",)), replace(CACHE, every_seconds=5.0), APP])
    assert world.status("db") is Status.DOWN
    assert world.status("cache") is Status.UNKNOWN
    assert world.dependencies.known["db"].dependency.needs == ("cache",)
    world.run(100)
    assert root_causes(world.dependencies) == ["cache"]
    world.use([])
    assert (verdict(world.dependencies), world.dependencies.next_at()) == (Verdict.HEALTHY, math.inf)


def test_an_answer_for_what_is_not_in_force_any_more_changes_nothing() -> None:
    world = World(DB)
    (known,) = world.dependencies.due(now=5.0)
    world.use([replace(DB, target="127.0.0.1:1")])
    assert world.dependencies.answered(known, REFUSED, now=5.1, at=DAY) is None
    assert world.status("db") is Status.UNKNOWN


def test_an_answer_counts_also_when_the_needs_have_changed_meanwhile() -> None:
    world = World(DB, CACHE)
    known = next(each for each in world.dependencies.due(now=5.0) if each.dependency.name == "db")
    world.use([replace(DB, needs=("cache",)), CACHE])
    assert world.dependencies.answered(known, WELL, now=5.1, at=DAY) is not None
    assert world.status("db") is Status.UP


def test_the_details_say_who_why_since_when_and_what_comes_next() -> None:
    world = World(APP, DB, answers=sick("app", "db", since=100.0))
    world.run(150)
    found = details(world.dependencies, now=world.now, at=world.at)
    assert found["app"]["why"] == "down: refused, because of db: down: refused"
    assert (found["app"]["root_cause"], found["app"]["because_of"]) == (False, ["db"])
    assert (found["db"]["root_cause"], found["db"]["because_of"]) == (True, [])
    assert found["db"]["critical"] is True
    assert found["db"]["circuit_breaker"]["state"] == "open"
    assert found["db"]["last_success"] < found["db"]["since"] <= found["db"]["last_probe"] < found["db"]["next_probe"]
    assert "127.0.0.1" not in str(found)


times = st.lists(st.tuples(st.floats(0, 3_000), st.floats(0, 3_000)), max_size=4)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["db", "cache", "app"]), times, max_size=3),
    st.dictionaries(st.sampled_from(["db", "cache", "app"]), st.floats(0, 40), max_size=3),
)
def test_whatever_is_sick_when_nothing_is_asked_twice_at_once_too_often_or_never(
    sickness: dict[str, list[tuple[float, float]]], slowness: dict[str, float]
) -> None:
    def answers(name: str, now: float) -> Answer:
        ill = any(begin <= now < begin + length for begin, length in sickness.get(name, ()))
        return Answer(slowness.get(name, 0.0), "refused" if ill else "")

    world = World(replace(APP, needs=("db", "cache")), DB, CACHE, answers=answers)
    world.run(4_000)
    for name in ("app", "db", "cache"):
        gaps = [after - before for before, after in pairwise(world.times(name))]
        took = slowness.get(name, 0.0)
        assert min(gaps) >= max(took, ASKED_AGAIN_SECONDS_MIN) - 1e-6
        assert max(gaps) <= took + max(DB.every_seconds, PATIENCE.wait_seconds_max) + 1e-6
        known = world.dependencies.known[name]
        assert (known.status is Status.DOWN) is (known.breaker.state is not State.CLOSED)
        assert known.successes + sum(known.failures.values()) in (len(gaps), len(gaps) + 1)
    for name, way in world.dependencies.causes().items():
        assert world.status(way[-1]).is_sick
        assert name == way[0]
