"""`tocsin statistics`: what people type, and what they read."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.pages import fenced, text_of
from tests.receiver.anight import POLICY, SPELLS, messages, settled
from tests.receiver.world import World, receiver, run
from tocsin import statistics

SHOWN = [
    (shlex.split(command)[2:], answer)
    for block in fenced(text_of("statistics.md"), "console")
    for command, answer in re.findall(r"^\$ (tocsin statistics.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


async def typed(url: str, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    out, err = io.StringIO(), io.StringIO()
    status = await asyncio.to_thread(statistics.main, [f"--url={url}", *words], {}, out=out, err=err)
    return status, out.getvalue(), err.getvalue()


async def happened(world: World) -> None:
    await world.disk.commit([*SPELLS, *settled()], messages(), world.runner.position)


def test_the_page_about_statistics_shows_what_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        assert SHOWN
        async with receiver(tmp_path, policy=POLICY) as world:
            await happened(world)
            for words, answer in SHOWN:
                assert await typed(world.url, *words) == (0, answer, "")

    run(test())


def test_json_is_what_the_api_says(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            await happened(world)
            asked = ("--from=2026-03-28T00:00", "--to=2026-03-30T00:00", "--time-zone=Asia/Tokyo")
            status, said, _ = await typed(world.url, *asked, "--output=json")
            query = "from=2026-03-28T00:00&to=2026-03-30T00:00&time_zone=Asia/Tokyo"
            assert (status, json.loads(said)) == (0, (await world.get(f"/api/v1/statistics?{query}"))[1])

    run(test())


def test_when_nothing_happened_that_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, said, _ = await typed(world.url, "--from=1h")
            assert status == 0
            assert said.splitlines()[1:] == ["", "no incident began in this time", "", "0 pages and 0 digests"]

    run(test())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from=soon"], "from: found 'soon', expected a duration such as 7d, or a moment"),
        (["--from=1d", "--to=2d"], "expected a time of at most 366 days that ends after it begins"),
        (["--time-zone=Mars"], "time_zone: found 'Mars', expected a time zone such as Europe/Berlin or UTC"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(words: list[str], said: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, out, err = await typed(world.url, *words)
            assert (status, out) == (1, "")
            assert err.startswith("tocsin statistics: ")
            assert said in err
            assert err.count("\n") == 1

    run(test())


def test_a_server_that_is_something_else_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, _, err = await typed(f"{world.url}/health?")
            assert status == 1
            assert "does not answer as Tocsin's receiver does" in err

    run(test())
