"""Who is on call, for programs and for calendars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from receiver.doors import oncall
from receiver.icalendar import calendar
from receiver.policy.schedule import Shift
from tests.receiver.icsreader import read
from tests.receiver.world import World, receiver, run

POLICY = """\
schedules:
  primary:
    time_zone: Europe/Berlin
    rotations:
      - {name: 'weeks; all, "of" them', people: [ana, [ben, cleo]], shift: 7d, starts: '2026-01-05T09:00'}
    overrides:
      - {person: dora, from: '2026-01-07T00:00', to: '2026-01-08T00:00'}
  office:
    rotations:
      - {people: [dora], shift: 1h, starts: '2026-01-05T00:00', only: ['Mon-Fri 09:00-11:00']}
people:
  ana: {notify: [{channel: here}]}
  ben: {notify: [{channel: here}]}
  cleo: {notify: [{channel: here}]}
  dora: {notify: [{channel: here}]}
channels: {here: {type: terminal}}
"""
WEEKS = 'weeks; all, "of" them'
ICS = "/api/v1/oncall/primary.ics"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_who_is_on_call_now_and_next_and_who_is_when(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            status, answer = await world.get("/api/v1/oncall?schedule=primary&at=2026-01-06T12:00Z")
            assert status == 200
            ana = {"begin": "2026-01-05T08:00:00Z", "end": "2026-01-06T23:00:00Z", "people": ["ana"], "by": WEEKS}
            dora = {
                "begin": "2026-01-06T23:00:00Z",
                "end": "2026-01-07T23:00:00Z",
                "people": ["dora"],
                "by": "override",
            }
            assert answer == {
                "at": "2026-01-06T12:00:00Z",
                "until": None,
                "schedules": [
                    {"name": "primary", "time_zone": "Europe/Berlin", "now": ana, "next": dora, "shifts": []}
                ],
            }
            both = "/api/v1/oncall?at=2026-01-06T12:00%2B01:00&until=2026-01-07T10:30"
            answer = (await world.get(both))[1]
            assert [each["name"] for each in answer["schedules"]] == ["office", "primary"]
            office, primary = answer["schedules"]
            assert office["now"] is None
            assert [(each["begin"], each["end"], each["people"]) for each in office["shifts"]] == [
                ("2026-01-06T11:00:00Z", "2026-01-07T09:00:00Z", []),
                ("2026-01-07T09:00:00Z", "2026-01-07T10:00:00Z", ["dora"]),
                ("2026-01-07T10:00:00Z", "2026-01-07T10:30:00Z", ["dora"]),
            ]
            assert primary["shifts"] == [
                {**ana, "begin": "2026-01-06T11:00:00Z"},
                {**dora, "end": "2026-01-07T10:30:00Z"},
            ]
            answer = (await world.get("/api/v1/oncall?schedule=primary"))[1]
            assert answer["schedules"][0]["now"] is not None

    run(test())


def test_without_schedules_nobody_is_on_call(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.get("/api/v1/oncall?at=2026-01-06T12:00Z")
            assert (status, answer["schedules"]) == (200, [])
            assert await world.get(ICS) == (404, {"error": "there is no schedule 'primary' (there are: none)"})

    run(test())


def test_what_is_asked_wrongly_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    async def error(world: World, query: str, path: str = "/api/v1/oncall") -> tuple[int, str]:
        status, answer = await world.get(f"{path}?{query}")
        return status, answer["error"]

    async def test() -> None:
        moment = "a moment such as '2026-12-24T18:00' or '2026-12-24T18:00+01:00'"
        async with receiver(tmp_path, policy=POLICY) as world:
            for path in ("/api/v1/oncall", ICS):
                assert await error(world, "at=tomorrow", path) == (400, f"at: found 'tomorrow', expected {moment}")
                assert await error(world, "until=2026-02-30T00:00", path) == (
                    400,
                    f"until: found '2026-02-30T00:00', expected {moment}",
                )
                for until in ("2026-01-06T12:00", "2027-01-07T12:01"):
                    assert await error(world, f"at=2026-01-06T12:00&until={until}", path) == (
                        400,
                        f"until: found {until}:00+00:00, expected after 2026-01-06T12:00:00+00:00, by at most 366 days",
                    )
            assert await error(world, "schedule=second") == (
                404,
                "there is no schedule 'second' (there are: office, primary)",
            )
            assert (await world.get("/api/v1/oncall?at=2026-01-06T12:00&until=2027-01-07T12:00"))[0] == 200

    run(test())


def test_more_shifts_than_an_answer_holds_are_refused(tmp_path: Path) -> None:
    hourly = "- {people: [dora], shift: 1h, starts: '2026-01-05T00:00'}"
    policy = POLICY.replace(
        "  office:\n", f"  hours:\n    rotations: [{hourly[2:]}]\n  more: {{rotations: [{hourly[2:]}]}}\n"
        f"  most: {{rotations: [{hourly[2:]}]}}\n  office:\n"
    )  # fmt: skip

    async def test() -> None:
        async with receiver(tmp_path, policy=policy) as world:
            year = "at=2026-02-01T00:00&until=2027-02-01T00:00"
            status, answer = await world.get(f"/api/v1/oncall?{year}")
            assert status == 400
            assert answer["error"].startswith(f"more than {oncall.SHIFTS_MAX} shifts")
            status, answer = await world.get(f"/api/v1/oncall?{year}&schedule=more")
            assert (status, len(answer["schedules"][0]["shifts"])) == (200, 365 * 24)

    run(test())


# --- calendars -----------------------------------------------------------------------------------------------------


def test_a_calendar_has_each_shift_whole_under_the_same_identity_whenever_it_is_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:

            async def calendar_of(query: str) -> bytes:
                async with world.client.get(f"{world.url}{ICS}?{query}") as answer:
                    assert (answer.status, answer.content_type, answer.charset) == (200, "text/calendar", "utf-8")
                    return await answer.read()

            properties, events = read(await calendar_of("at=2026-01-06T12:00&until=2026-01-13T00:00"))
            assert properties["X-WR-CALNAME"] == "on call: primary"
            assert [(each.begin, each.end, each.summary) for each in events] == [
                (utc("2026-01-05T08:00"), utc("2026-01-06T23:00"), "ana on call (primary)"),
                (utc("2026-01-06T23:00"), utc("2026-01-07T23:00"), "dora on call (primary)"),
                (utc("2026-01-07T23:00"), utc("2026-01-12T08:00"), "ana on call (primary)"),
                (utc("2026-01-12T08:00"), utc("2026-01-19T08:00"), "ben and cleo on call (primary)"),
            ]
            assert events[0].description == f"by {WEEKS}"
            assert read(await calendar_of("at=2026-01-07T12:00&until=2026-01-12T08:00"))[1] == events[1:3]
            assert read(await calendar_of("at=2025-01-07T12:00&until=2025-01-12T08:00"))[1] == []
            now = datetime.now(UTC)
            _, usual = read(await calendar_of(""))
            assert usual[0].begin <= now - timedelta(days=6)
            assert usual[-1].end >= now + timedelta(days=89)

    run(test())


def test_long_lines_are_folded_between_characters_and_separators_are_escaped() -> None:
    at = utc("2026-01-05T08:00")
    people = tuple(f"person{number}" for number in range(40))
    strange = "Wöchentlich, \\ abends; ☎ \u007f" * 9
    shift = Shift(at, at + timedelta(hours=1), people, strange)
    for begin in range(80):
        text = calendar("s" * begin, [shift], origin="here", now=at)
        properties, (event,) = read(text.encode())
        assert properties["X-WR-CALNAME"] == f"on call: {'s' * begin}"
        assert event.summary == " and ".join(people) + f" on call ({'s' * begin})"
        assert event.description == f"by {strange}".replace("\u007f", "")
        assert event.uid == f"{'s' * begin}-20260105T080000Z@here"
