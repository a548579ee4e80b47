"""One page for all who want the same; a large one keeps nobody else waiting."""

import asyncio
import gzip
import os
import weakref

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.escaping import Escaping
from exporter.exposition import Format
from exporter.family import Shape
from exporter.negotiation import Wishes
from exporter.outcome import Snapshot
from exporter.page import QUICK_SERIES_MAX, Page, Pages, written
from exporter.roles import System
from tests.exporter.builders import PATIENT, SURELY, Hangs, Running, Says, gauge, promptly, registry_of, running

SERIES = Shape("shop_requests", "gauge", "A test.", ("route",))
LARGE = SERIES.of([((f"/cart/{number}",), number) for number in range(60_000)])
GZIP = {"Accept-Encoding": "gzip"}


class Role:
    """A role that says what it is told."""

    help = "A test."

    def __init__(self, name: str, said: Snapshot) -> None:
        self.name = name
        self._said = said

    async def gather(self, wishes: Wishes) -> Snapshot:
        return self._said


def pages(quarantined: list[str] | None = None) -> Pages:
    return Pages(quarantined=(quarantined if quarantined is not None else []).append)


def test_the_headers_say_what_the_body_is() -> None:
    async def scenario() -> None:
        role = Role("app", Snapshot({}, [gauge("node_x")]))
        assert await pages().page([role], Wishes(1.0)) == Page(
            b"# HELP node_x A test.\n# TYPE node_x gauge\nnode_x 1.0\n",
            Format.TEXT.value,
            {"Vary": "Accept, Accept-Encoding"},
        )
        squeezed = await pages().page([role], Wishes(1.0, Format.OPENMETRICS, Escaping.DOTS, gzip=True))
        assert squeezed[1:] == (
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots",
            {"Vary": "Accept, Accept-Encoding", "Content-Encoding": "gzip"},
        )

    promptly(scenario())


@pytest.mark.parametrize("family", [gauge("node_x"), LARGE], ids=["small", "large"])
def test_the_same_page_is_the_same_bytes_compressed_or_not(family: object) -> None:
    plain = written([family], Wishes(1.0))  # type: ignore[list-item]
    squeezed = written([family], Wishes(1.0, gzip=True))  # type: ignore[list-item]
    assert gzip.decompress(squeezed) == plain
    # Not even the time is in it: bytes four to eight are the moment of the compression, or nothing.
    assert (squeezed[4:8], squeezed) == (bytes(4), written([family], Wishes(1.0, gzip=True)))  # type: ignore[list-item]


def test_scrapes_that_want_the_same_share_one_page_and_others_have_their_own() -> None:
    async def scenario() -> None:
        slow, shared = Hangs("slow"), pages()
        role = System(registry_of(slow))
        wishes = [Wishes(PATIENT), Wishes(PATIENT, gzip=True), Wishes(PATIENT, Format.OPENMETRICS)]
        asking = [asyncio.create_task(shared.page([role], wish)) for wish in wishes for _ in range(3)]
        assert await asyncio.to_thread(slow.inside.wait, SURELY)
        slow.release.set()
        found = [page.body for page in await asyncio.gather(*asking)]
        assert slow.entered == 1
        assert len({id(body) for body in found}) == len(set(found)) == 3
        assert found[0] is found[1] is found[2]
        assert gzip.decompress(found[3]) == found[0]

    promptly(scenario())


def test_a_large_page_is_written_once_for_all_who_wait_even_if_the_first_one_goes() -> None:
    async def scenario() -> None:
        said, shared = Snapshot({}, [LARGE]), pages()
        first, *others = [asyncio.create_task(shared.page([Role("app", said)], Wishes(PATIENT))) for _ in range(4)]
        await asyncio.sleep(0)
        first.cancel()
        bodies: list[Page] = await asyncio.gather(*others)
        assert bodies[0].body is bodies[1].body is bodies[2].body
        assert bodies[0].body.count(b"\n") == len(LARGE.samples) + 2
        assert first.cancelled()

    promptly(scenario())


def test_a_large_page_of_two_roles_has_each_name_once_too() -> None:
    async def scenario() -> None:
        quarantined: list[str] = []
        roles = [
            Role("system", Snapshot({}, [LARGE])),
            Role("app", Snapshot({}, [gauge("shop_requests"), gauge("shop")])),
        ]
        page = await pages(quarantined).page(roles, Wishes(PATIENT))
        assert page.body.count(b"# TYPE ") == 2
        assert page.body.endswith(b"\nshop 1.0\n")
        assert quarantined == ["app"]

    promptly(scenario())


def test_what_fails_while_a_large_page_is_written_comes_to_whoever_waits() -> None:
    async def scenario() -> None:
        strange = SERIES.of(LARGE.samples)
        strange.samples = [*LARGE.samples, (("/",), object())]  # type: ignore[list-item]
        with pytest.raises(TypeError):
            await pages().page([Role("app", Snapshot({}, [strange]))], Wishes(PATIENT))

    promptly(scenario())


def test_a_name_that_two_roles_have_is_that_of_the_first_one() -> None:
    async def scenario() -> None:
        quarantined: list[str] = []
        shared = pages(quarantined)
        roles = [
            Role("system", Snapshot({}, [gauge("node_x", 1), gauge("node_y", 1)])),
            Role("app", Snapshot({}, [gauge("node_y", 2), gauge("shop", 2)])),
        ]
        text = (await shared.page(roles, Wishes(PATIENT))).body.decode()
        assert [(family.name, family.samples[0].value) for family in parse_text(text)] == [
            ("node_x", 1.0),
            ("node_y", 1.0),
            ("shop", 2.0),
        ]
        assert quarantined == ["app"]
        assert "node_y 2" in (await shared.page(roles[1:], Wishes(PATIENT))).body.decode()

    promptly(scenario())


def test_the_doors_choose_collectors_as_node_exporter_does() -> None:
    async def scenario(exporter: Running) -> None:
        for query in ("collect[]=y", "exclude%5B%5D=x"):
            found = await exporter.text(f"/metrics/system?{query}")
            assert ("node_x" in found, "node_y 1.0" in found) == (False, True)
        chosen = await exporter.text("/metrics?collect[]=y")
        assert "node_x" not in chosen
        assert "node_y 1.0" in chosen
        assert "tocsin_exporter_build_info" in chosen
        for query, said in {
            "collect[]=z": "no collector 'z' is enabled here; these are: x, y",
            "exclude[]=z": "no collector 'z' is enabled here; these are: x, y",
            "collect[]=x&exclude[]=y": "collect[] and exclude[] cannot be used together",
        }.items():
            async with exporter.client.get(f"/metrics?{query}") as answer:
                assert (answer.status, await answer.json()) == (400, {"error": said})

    async def run() -> None:
        async with running(Says("x", gauge("node_x")), Says("y", gauge("node_y"))) as exporter:
            await scenario(exporter)

    promptly(run())


def test_a_large_page_keeps_no_other_door_waiting() -> None:
    """Several answers come while the page is being made. Were it made in the event loop, none could."""

    async def scenario() -> None:
        async with running(Says("large", LARGE)) as exporter:
            page = asyncio.create_task(exporter.text("/metrics/system", **GZIP))
            answered = 0
            while not page.done():
                assert "healthy" in await exporter.text("/-/healthy")
                answered += 1
            assert (await page).count("\n") > len(LARGE.samples)
            assert answered >= 5

    assert len(LARGE.samples) > QUICK_SERIES_MAX
    promptly(scenario())


def test_large_pages_leave_nothing_behind() -> None:
    async def scenario() -> None:
        async with running(Says("large", LARGE)) as exporter:
            sizes = []
            for _ in range(10):
                await exporter.text("/metrics/system", **GZIP)
                sizes.append(resident_bytes())
            # The text of a page is 2.5 MB: what is allocated for the first ones serves the later ones.
            assert sizes[-1] - sizes[2] < 5_000_000

    promptly(scenario())


class Number(float):
    """A number of which can be seen whether anybody still has it."""


def test_what_was_on_a_large_page_goes_when_nobody_needs_it() -> None:
    async def scenario() -> None:
        number = Number(1)
        gone = weakref.ref(number)
        said = Snapshot({}, [SERIES.of([*LARGE.samples, (("/",), number)])])
        del number
        shared = pages()
        first = await shared.page([Role("app", said)], Wishes(PATIENT))
        second = await shared.page([Role("app", said)], Wishes(PATIENT, gzip=True))
        assert gzip.decompress(second.body) == first.body
        assert gone() is not None
        del said
        async with asyncio.timeout(SURELY):
            # The thread of the pages lets it go, and tells nobody.
            while gone() is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)

    promptly(scenario())


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
