"""Scrapes of some collectors beside scrapes of others: nobody is entered twice at once, or called stuck for it."""

import asyncio
import threading
import weakref

from exporter.family import Family, Shape
from exporter.health import failing
from exporter.metrics import Tally
from exporter.outcome import Reason
from tests.exporter.builders import PATIENT, SURELY, Hangs, Says, Wrong, gauge, promptly, registry_of
from tests.exporter.test_registry import SHORT, fails_with, free_again, hanging, reasons, shown


def test_a_scrape_of_some_collectors_enters_only_these() -> None:
    first, second = Says("first", gauge("node_x")), Says("second", gauge("node_y"))
    seen = promptly(registry_of(first, second).scrape(PATIENT, ("second",)))
    assert (shown(seen), reasons(seen)) == (["node_y"], {"second": None})
    assert (first.entered, second.entered) == (0, 1)


def test_two_runs_that_need_the_same_collector_share_its_answer() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            other = Says("other", gauge("node_x"))
            wrong = Wrong()
            registry = registry_of(slow, other, wrong=wrong)
            everything = asyncio.create_task(registry.scrape(PATIENT))
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            alone = asyncio.create_task(registry.scrape(PATIENT, ("slow",)))
            again = asyncio.create_task(registry.scrape(PATIENT, ("slow", "other")))
            await asyncio.sleep(0)
            slow.release.set()
            assert reasons(await alone) == {"slow": None}
            assert reasons(await everything) == reasons(await again) == {"slow": None, "other": None}
            assert (slow.entered, wrong.failures) == (1, [])

    promptly(scenario())


def test_a_scrape_that_was_given_up_does_not_make_a_collector_stuck_before_its_time() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow)
            gone = asyncio.create_task(registry.scrape(PATIENT))
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            waiting = asyncio.create_task(registry.scrape(PATIENT))
            await asyncio.sleep(0)
            slow.release.set()
            assert reasons(await waiting) == {"slow": None}
            assert slow.entered == 1

    promptly(scenario())


def test_a_collector_whose_time_is_up_is_stuck_for_every_other_run() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow, Says("good"))
            await registry.scrape(SHORT)
            assert reasons(await registry.scrape(PATIENT, ("slow",))) == {"slow": Reason.STUCK}
            await free_again(registry, slow)
            assert reasons(await registry.scrape(PATIENT, ("slow",))) == {"slow": None}

    promptly(scenario())


def test_scrapes_of_the_same_collectors_share_one_run() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(slow, Says("other"))
            waiting = [asyncio.create_task(registry.scrape(PATIENT, ("slow",))) for _ in range(3)]
            assert await asyncio.to_thread(slow.inside.wait, SURELY)
            slow.release.set()
            first, *others = await asyncio.gather(*waiting)
            assert all(other is first for other in others)

    promptly(scenario())


def test_a_run_of_some_collectors_says_nothing_of_the_others() -> None:
    async def scenario() -> None:
        bad = Says("bad", then=fails_with(ValueError("it broke")))
        taken = Says("twin", gauge("node_x"))
        registry = registry_of(bad, Says("good", gauge("node_x")), taken)
        await registry.scrape(PATIENT)
        expected = {"bad": "it broke", "twin": "node_x is left out: the name belongs to good"}
        assert failing(registry, Tally(started_at=0.0)) == expected
        await registry.scrape(PATIENT, ("good",))
        assert failing(registry, Tally(started_at=0.0)) == expected
        await registry.scrape(PATIENT, ("twin",))
        assert failing(registry, Tally(started_at=0.0)) == {"bad": "it broke"}

    promptly(scenario())


def test_one_that_hangs_costs_one_thread_however_often_is_scraped() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            others = [Says(f"good{number}") for number in range(5)]
            registry = registry_of(slow, *others)
            await registry.scrape(SHORT)
            before = threads()
            for number in range(20):
                await registry.scrape(SHORT, ("slow", f"good{number % 5}"))
                await registry.scrape(PATIENT)
            assert threads() - before <= 1

    promptly(scenario())


def threads() -> int:
    return sum(thread.name.startswith("tocsin-collector") for thread in threading.enumerate())


def test_what_a_collector_said_is_not_kept_when_the_page_is_gone() -> None:
    registry = registry_of(Hangs("never"), Says("good", gauge("node_x")))
    promptly(registry.scrape(PATIENT, ("good",)))
    assert registry.last is not None
    assert (registry.last.outcomes["good"].reason, list(registry.last.families)) == (None, [])


class Remembered(Family):
    """A family of which can be seen whether anybody still has it."""

    __slots__ = ("__weakref__",)


def test_what_others_said_is_not_kept_by_one_that_hangs() -> None:
    async def scenario() -> None:
        with hanging("slow") as (slow,):
            registry = registry_of(
                slow, good := Says("good", Remembered(Shape("node_x", "gauge", "A test."), [((), 1)]))
            )
            seen = await registry.scrape(SHORT)
            said = weakref.ref(seen.families[0])
            good.families = ()
            assert said() is not None
            del seen
            assert said() is None

    promptly(scenario())
