"""`tocsin oncall`: what people type, and what they read."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.pages import fenced, text_of
from tests.receiver.icsreader import read
from tests.receiver.world import receiver, run
from tocsin import oncall

# The schedule of the page about the policy, and what the page about commands shows of it.
(POLICY,) = (block for block in fenced(text_of("policy.md"), "yaml") if "\nschedules:" in block and "cleo" in block)
SHOWN = [
    (shlex.split(command)[2:], answer)
    for block in fenced(text_of("commands.md"), "console")
    for command, answer in re.findall(r"^\$ (tocsin oncall.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]
NOW = datetime(2026, 12, 23, 20, 0, 30, 999, tzinfo=UTC)
NOTHING: Mapping[str, str] = {}


async def typed(url: str, *words: str, environ: Mapping[str, str] = NOTHING) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    out, err = io.StringIO(), io.StringIO()
    status = await asyncio.to_thread(oncall.main, [f"--url={url}", *words], environ, out=out, err=err, now=NOW)
    return status, out.getvalue(), err.getvalue()


def test_the_page_about_commands_shows_what_is_answered(tmp_path: Path) -> None:
    async def test() -> None:
        assert len(SHOWN) >= 2
        async with receiver(tmp_path, policy=POLICY) as world:
            for words, answer in SHOWN:
                assert await typed(world.url, *words) == (0, answer, "")

    run(test())


def test_days_count_from_now_and_json_is_what_the_api_says(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            status, said, _ = await typed(world.url, "primary", "--days=6", "--output=json")
            query = "schedule=primary&at=2026-12-23T20:00:30Z&until=2026-12-29T20:00:30Z"
            assert (status, json.loads(said)) == (0, (await world.get(f"/api/v1/oncall?{query}"))[1])
            status, said, _ = await typed(world.url, "--days=1", "--at=2026-12-23T20:00Z", "--output=json")
            assert json.loads(said)["until"] == "2026-12-24T20:00:00Z"
            assert (await typed(world.url, "--days=1"))[1].startswith(
                "primary (Europe/Berlin)\nWed 2026-12-23 21:00+01:00 "
            )

    run(test())


def test_a_calendar_comes_as_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            status, said, _ = await typed(
                world.url, "primary", "--output=ical", "--at=2026-12-24T12:00", "--until=2026-12-24T13:00+01:00"
            )
            assert status == 1  # half an hour before it begins, seen from Greenwich
            status, said, _ = await typed(world.url, "primary", "--at=2026-12-24T12:00", "--days=1", "--output=ical")
            assert status == 0
            assert [event.summary for event in read(said.encode())[1]] == ["ben on call (primary)"]
            assert (await typed(world.url, "primary", environ={"TOCSIN_ONCALL_OUTPUT": "ical"}))[1].startswith("BEGIN:")

    run(test())


def test_nobody_is_said_and_so_is_what_the_receiver_refuses(tmp_path: Path) -> None:
    office = """
schedules: {office: {rotations: [{people: [ana], shift: 1d, starts: '2026-01-05T00:00', only: ['Mon 09:00-17:00']}]}}
people: {ana: {notify: [{channel: here}]}}
channels: {here: {type: terminal}}
"""

    async def test() -> None:
        async with receiver(tmp_path / "office", policy=office) as world:
            assert await typed(world.url, "--at=2026-12-24T12:00") == (
                0,
                "office  nobody    next ana from Mon 2026-12-28 09:00+00:00\n",
                "",
            )
            assert await typed(world.url, "--at=2026-12-28T16:00", "--until=2026-12-28T18:00") == (
                0,
                (
                    "office (UTC)\n"
                    "Mon 2026-12-28 16:00+00:00  Mon 2026-12-28 17:00+00:00  ana     rotation 1\n"
                    "Mon 2026-12-28 17:00+00:00  Mon 2026-12-28 18:00+00:00  nobody\n"
                ),
                "",
            )
            status, said, complaint = await typed(world.url, "night")
            assert (status, said) == (1, "")
            assert complaint.endswith("answered 404: there is no schedule 'night' (there are: office)\n")
        async with receiver(tmp_path / "none") as world:
            assert await typed(world.url) == (0, "there are no schedules\n", "")

    for folder in ("office", "none"):
        (tmp_path / folder).mkdir()
    run(test())


def test_somebody_who_is_no_receiver_is_said_to_be_none(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, said, complaint = await typed(f"{world.url}/-/healthy?")
            assert (status, said) == (1, "")
            assert "does not answer as Tocsin's receiver does" in complaint

    run(test())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--at=tomorrow"], "argument --at: found 'tomorrow', expected a moment such as"),
        (["--days=0"], "argument --days: found '0', expected a whole number from 1 to 366"),
        (["--days=367"], "found '367'"),
        (["--days=1", "--until=2026-12-24T12:00"], "not allowed with"),
        (["--output=yaml"], "found 'yaml', expected one of: text, json, ical"),
        (["--output=ical"], "a calendar is of one schedule: say which"),
    ],
)
def test_wrong_use_ends_with_status_2(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        oncall.main(words, {})
    assert raised.value.code == 2
    assert complaint in capsys.readouterr().err
