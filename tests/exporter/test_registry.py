"""Collectors in time, apart from each other, and never twice at once. A hang here is a real blocked thread."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import cast

import pytest

from exporter.family import Family, Shape, Type
from exporter.health import failing
from exporter.metrics import Tally
from exporter.outcome import Absent, Reason, Snapshot
from exporter.registry import CLASHES_LOGGED_MAX, ERROR_CHARACTERS_MAX, FAMILIES_MAX, Registry
from tests.exporter.builders import PATIENT, SURELY, Hangs, Says, Wrong, gauge, names, promptly, registry_of

SHORT = 0.05


@contextmanager
def hanging(*collector_names: str) -> Iterator[list[Hangs]]:
    collectors = [Hangs(name) for name in collector_names]
    try:
        yield collectors
    finally:
        for collector in collectors:
            collector.release.set()


def reasons(seen: Snapshot) -> dict[str, Reason | None]:
    return {name: outcome.reason for name, outcome in seen.outcomes.items()}


def shown(seen: Snapshot) -> list[str]:
    return [name for name in names(seen.families) if not name.startswith("node_scrape_collector_")]


async def free_again(registry: Registry, *collectors: Hangs) -> None:
    """Released collectors have come back, as the registry sees it."""
    for collector in collectors:
        collector.release.set()
        assert await asyncio.to_thread(collector.left.wait, SURELY)
    async with asyncio.timeout(SURELY):
        # The registry has no event for this, because nothing but a test waits for it.
        while any(registry.is_stuck(collector.name) for collector in collectors):  # noqa: ASYNC110
            await asyncio.sleep(0)


def test_families_come_in_the_order_of_the_collectors() -> None:
    registry = registry_of(Says("b", gauge("node_z")), Says("a", gauge("node_y"), gauge("node_x")), Says("c"))
    seen = promptly(registry.scrape(PATIENT))
    assert shown(seen) == ["node_z", "node_y", "node_x"]
    assert reasons(seen) == {"b": None, "a": None, "c": None}


def test_no_collectors_are_an_empty_page() -> None:
    assert shown(promptly(registry_of().scrape(PATIENT))) == []


def test_each_collector_is_timed_and_its_success_shown() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            seen = await registry_of(Says("good", gauge("node_x")), slow).scrape(SHORT)
        by_name = {family.name: dict(family.samples) for family in seen.families}
        assert by_name["node_scrape_collector_success"] == {("good",): 1, ("slow",): 0}
        durations = by_name["node_scrape_collector_duration_seconds"]
        assert 0 < durations["good",] < SHORT <= durations["slow",]

    promptly(scenario())


def fails_with(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


class Unsayable(Exception):
    def __str__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(2, "No such file or directory", "/proc/x"), "No such file or directory: '/proc/x'"),
        (ValueError("found 'x', expected a number"), "found 'x', expected a number"),
        (ValueError(), "ValueError"),
        (KeyError("cpu"), "KeyError: 'cpu'"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("found '\udcff', expected a name"), "found '\\udcff', expected a name"),
        (ValueError("x" * 1_000_000), "x" * (ERROR_CHARACTERS_MAX - 1) + "…"),
        (Unsayable(), "Unsayable: an error that cannot be said"),
    ],
)
def test_whatever_a_collector_raises_it_fails_alone(error: BaseException, said: str) -> None:
    wrong = Wrong()
    registry = registry_of(Says("bad", then=fails_with(error)), Says("good", gauge("node_x")), wrong=wrong)
    seen = promptly(registry.scrape(PATIENT))
    assert shown(seen) == ["node_x"]
    assert reasons(seen) == {"bad": Reason.ERROR, "good": None}
    assert said in seen.outcomes["bad"].error
    assert len(seen.outcomes["bad"].error.encode()) < 2 * ERROR_CHARACTERS_MAX
    assert wrong.failures == [("bad", Reason.ERROR)]


@pytest.mark.parametrize(
    ("families", "said"),
    [
        ([gauge("node_y"), None], "TypeError: found something else among metric families"),
        (None, "TypeError: 'NoneType' object is not iterable"),
        (repeat(gauge("node_y")), f"found more than {FAMILIES_MAX} metric families, expected fewer"),
    ],
    ids=["no family", "nothing", "without end"],
)
def test_whatever_a_collector_says_the_others_are_shown(families: Iterable[Family], said: str) -> None:
    bad = Says("bad")
    bad.families = cast("tuple[Family, ...]", families)
    seen = promptly(registry_of(bad, Says("good", gauge("node_x"))).scrape(PATIENT))
    assert shown(seen) == ["node_x"]
    assert seen.outcomes["bad"].error == said


def test_what_is_not_on_this_machine_is_no_success_and_no_failure_either() -> None:
    wrong = Wrong()
    registry = registry_of(Says("mdadm", then=fails_with(Absent("no /proc/mdstat"))), wrong=wrong)
    seen = promptly(registry.scrape(PATIENT))
    assert reasons(seen) == {"mdadm": Reason.ABSENT}
    by_name = {family.name: dict(family.samples) for family in seen.families}
    assert by_name["node_scrape_collector_success"] == {("mdadm",): 0}
    assert wrong.failures == []
    assert failing(registry, Tally(started_at=0.0)) == {}


def test_a_family_that_breaks_the_rules_costs_only_its_collector() -> None:
    def build() -> None:
        gauge("not a name")

    registry = registry_of(Says("bad", then=build), Says("good", gauge("node_x")))
    seen = promptly(registry.scrape(PATIENT))
    assert shown(seen) == ["node_x"]
    assert "not a metric name" in seen.outcomes["bad"].error


def test_what_is_late_is_reported_and_the_rest_returned_in_time() -> None:
    async def scenario() -> None:
        wrong = Wrong()
        with hanging("slow") as (slow,):
            registry = registry_of(slow, Says("good", gauge("node_x")), wrong=wrong)
            started = time.monotonic()
            seen = await registry.scrape(SHORT)
            assert time.monotonic() - started < SURELY
            assert reasons(seen) == {"slow": Reason.DEADLINE, "good": None}
            assert shown(seen) == ["node_x"]
            assert wrong.failures == [("slow", Reason.DEADLINE)]

    promptly(scenario())


def test_a_stuck_collector_is_never_entered_a_second_time_and_costs_no_more_waiting() -> None:
    async def scenario() -> None:
        wrong = Wrong()
        with hanging("slow") as (slow,):
            good = Says("good", gauge("node_x"))
            registry = registry_of(slow, good, wrong=wrong)
            await registry.scrape(SHORT)
            assert registry.is_stuck("slow")
            for _ in range(3):
                # With all the patience of the world: it returns only because nobody waits for the stuck one.
                seen = await registry.scrape(PATIENT)
                assert reasons(seen) == {"slow": Reason.STUCK, "good": None}
            assert (slow.entered, good.entered) == (1, 4)
            assert wrong.failures == [("slow", Reason.DEADLINE), *[("slow", Reason.STUCK)] * 3]

    promptly(scenario())


def test_a_collector_that_comes_back_succeeds_again() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow)
            await registry.scrape(SHORT)
            await free_again(registry, slow)
            seen = await registry.scrape(PATIENT)
            assert reasons(seen) == {"slow": None}
            assert shown(seen) == ["node_slow"]
            assert slow.entered == 2

    promptly(scenario())


def test_many_that_hang_do_not_keep_the_others_from_a_thread() -> None:
    async def scenario() -> None:
        with hanging(*(f"slow{number}" for number in range(12))) as slow:
            registry = registry_of(*slow, Says("good", gauge("node_x")))
            waiting = asyncio.create_task(registry.scrape(PATIENT))
            for collector in slow:
                assert await asyncio.to_thread(collector.inside.wait, SURELY)
                collector.release.set()
            assert reasons(await waiting) == dict.fromkeys(registry.names)

    promptly(scenario())


def test_scrapes_at_the_same_time_share_one_run() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            good = Says("good", gauge("node_x"))
            registry = registry_of(good, slow)
            waiting = [asyncio.create_task(registry.scrape(PATIENT)) for _ in range(5)]
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            waiting.append(asyncio.create_task(registry.scrape(PATIENT)))
            await asyncio.sleep(0)
            slow.release.set()
            pages = await asyncio.gather(*waiting)
            assert (good.entered, slow.entered) == (1, 1)
            assert all(page is pages[0] for page in pages)
            assert reasons(pages[0]) == {"good": None, "slow": None}

    promptly(scenario())


def test_an_impatient_scrape_does_not_spoil_a_patient_one_in_the_same_run() -> None:
    async def scenario() -> None:
        wrong = Wrong()
        with hanging("slow") as (slow,):
            registry = registry_of(slow, wrong=wrong)
            impatient = asyncio.create_task(registry.scrape(SHORT))
            await asyncio.sleep(0)
            patient = asyncio.create_task(registry.scrape(PATIENT))
            assert reasons(await impatient) == {"slow": Reason.DEADLINE}
            slow.release.set()
            assert reasons(await patient) == {"slow": None}
            assert wrong.failures == []

    promptly(scenario())


def test_nobody_joins_a_run_that_somebody_has_given_up_on() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            good = Says("good", gauge("node_x"))
            registry = registry_of(good, slow)
            impatient = asyncio.create_task(registry.scrape(SHORT))
            await asyncio.sleep(0)
            patient = asyncio.create_task(registry.scrape(PATIENT))
            await impatient
            fresh = await registry.scrape(PATIENT)
            assert reasons(fresh) == {"good": None, "slow": Reason.STUCK}
            assert good.entered == 2
            slow.release.set()
            assert reasons(await patient) == {"good": None, "slow": None}

    promptly(scenario())


def test_a_scrape_that_is_cancelled_leaves_the_registry_in_order() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow)
            waiting = asyncio.create_task(registry.scrape(PATIENT))
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert registry.is_stuck("slow")
            await free_again(registry, slow)
            assert reasons(await registry.scrape(PATIENT)) == {"slow": None}

    promptly(scenario())


def test_the_event_loop_goes_on_while_a_collector_blocks() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            waiting = asyncio.create_task(registry_of(slow).scrape(PATIENT))
            # Only the loop can set this event while the scrape is waiting, so a blocked loop would hang here.
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            asyncio.get_running_loop().call_soon(slow.release.set)
            assert reasons(await waiting) == {"slow": None}

    promptly(scenario())


def test_a_name_that_is_taken_is_quarantined_and_the_page_stays_valid() -> None:
    wrong = Wrong()
    first = Says("first", gauge("node_x", 1))
    second = Says("second", gauge("node_x", 2), gauge("node_y"), gauge("tocsin_exporter_build_info"))
    seen = promptly(registry_of(first, second, wrong=wrong).scrape(PATIENT))
    assert shown(seen) == ["node_x", "node_y"]
    assert wrong.quarantined == ["second", "second"]
    assert [(clash.family, clash.owner) for clash in seen.quarantined] == [
        ("node_x", "first"),
        ("tocsin_exporter_build_info", "the exporter itself"),
    ]


def test_many_names_that_are_taken_are_counted_each_and_not_all_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A text file can hold a hundred thousand. What is known is compared at each scrape, on the event loop."""
    many = 20_000
    wrong = Wrong()
    taken = [gauge(f"process_{number}") for number in range(many)]

    async def scenario() -> list[float]:
        registry = registry_of(Says("text", *taken), wrong=wrong)
        lasted = []
        for families in (taken, taken, taken[1:]):
            registry.use([Says("text", *families)])
            started = time.process_time()
            assert len((await registry.scrape(PATIENT)).quarantined) == len(families)
            lasted.append(time.process_time() - started)
        return lasted

    # Where each were compared with each, it would be a hundred times as long as the first.
    assert max(promptly(scenario())) < 2
    assert len(wrong.quarantined) == 3 * many - 1
    assert len(caplog.records) == CLASHES_LOGGED_MAX + 1
    assert caplog.records[-1].__dict__["families"] == many - CLASHES_LOGGED_MAX


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x_total counter", "x gauge"),
        ("x gauge", "x_total counter"),
        ("x_total counter", "x_total unknown"),
        ("x_created unknown", "x_total counter"),
        ("x histogram", "x_bucket unknown"),
        ("x_sum unknown", "x histogram"),
        ("x summary", "x_count unknown"),
        ("x_total counter", "x histogram"),
        ("x_info info", "x gauge"),
        ("x_info gauge", "x_info info"),
    ],
)
def test_a_name_is_taken_with_all_the_suffixes_of_its_type(first: str, second: str) -> None:
    kinds = [Shape(said.split()[0], cast("Type", said.split()[1]), "A test.") for said in (first, second)]
    collectors = [Says(name, shape.of([])) for name, shape in zip("ab", kinds, strict=True)]
    seen = promptly(registry_of(*collectors).scrape(PATIENT))
    assert [clash.family for clash in seen.quarantined] == [second.split()[0]]


def test_a_failure_is_logged_when_it_begins_when_it_changes_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow, Says("twin", gauge("node_slow")))
            for _ in range(3):
                await registry.scrape(SHORT)
            await free_again(registry, slow)
            for _ in range(2):
                await registry.scrape(PATIENT)

    with caplog.at_level(logging.INFO, "tocsin.exporter"):
        promptly(scenario())
    said = [(record.message, record.__dict__.get("reason")) for record in caplog.records]
    assert said == [
        ("collector failed", "deadline"),
        ("collector failed", "stuck"),
        ("collector recovered", None),
        ("family quarantined, its name is taken", None),
    ]


def test_what_is_stuck_stays_known_when_the_collectors_are_replaced() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow)
            await registry.scrape(SHORT)
            again = Says("slow", gauge("node_slow"))
            registry.use([again])
            assert reasons(await registry.scrape(PATIENT)) == {"slow": Reason.STUCK}
            assert again.entered == 0

    promptly(scenario())


def test_a_collector_that_returns_after_the_loop_has_ended_harms_nobody() -> None:
    # What the thread would raise, pytest turns into a failure.
    with hanging("slow") as (slow,):
        registry = registry_of(slow)
        promptly(registry.scrape(SHORT))
        slow.release.set()
        promptly(free_again(registry, slow))
