"""GET /api/v1/statistics: what is answered, what is refused, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from receiver.clock import SystemClock
from receiver.doors.statistics import AT_ONCE_MAX, StatisticsDoor
from receiver.metrics import ALERTS_NAMED_MAX
from receiver.policy.policy import NO_POLICY
from receiver.runner import Runner
from receiver.statistics import Counted
from receiver.store import Store, StoreFailed
from tests.receiver.anight import POLICY, SPELLS, messages, settled
from tests.receiver.builders import named, webhook
from tests.receiver.world import World, receiver, run

NOTHING = Counted([], 0, [], 0, [], 0, [])


async def happened(world: World) -> None:
    await world.disk.commit([*SPELLS, *settled()], messages(), world.runner.position)


async def asked(world: World, query: str) -> dict[str, Any]:
    status, found = await world.get(f"/api/v1/statistics?{query}")
    assert status == 200, found
    return cast(dict[str, Any], found)


def test_pages_are_those_of_a_person_by_the_clock_of_that_person(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            await happened(world)
            found = await asked(world, "from=2026-03-28T00:00Z&to=2026-03-30T00:00Z")
            people = {each["person"]: each for each in found["by_person"]}
            assert {name: (each["pages"], each["night_pages"], each["digests"]) for name, each in people.items()} == {
                "ana": (3, 3, 0), "ben": (2, 1, 0), "cleo": (2, 0, 1),
            }  # fmt: skip
            # Two of them before, and one after the clocks are put forward.
            assert [hour for hour, count in enumerate(people["ana"]["by_hour"]) if count] == [1, 3, 22]
            assert (people["ana"]["time_zone"], people["cleo"]["time_zone"]) == ("Europe/Berlin", "UTC")
            assert people["ana"]["time_to_acknowledge"] == {"count": 2, "p50_seconds": 120.0, "p90_seconds": 240.0}

    run(test())


def test_hours_are_by_the_clock_that_is_asked_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            await happened(world)
            for zone, hours in (("UTC", [0, 1, 7, 21, 23]), ("Asia/Kathmandu", [3, 4, 5, 6, 12])):
                found = await asked(world, f"from=2026-03-28T00:00Z&to=2026-03-30T00:00Z&time_zone={zone}")
                assert [hour for hour, count in enumerate(found["by_hour"]) if count] == hours, zone
                assert sum(found["by_hour"]) == found["pages"] == 7

    run(test())


def test_what_began_counts_from_the_first_moment_and_before_the_last(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path, policy=POLICY) as world:
            await happened(world)
            found = await asked(world, "from=2026-03-28T21:30Z&to=2026-03-28T21:50Z")
            assert [(each["name"], each["incidents"]) for each in found["by_alert"]] == [("ShopDown", 1)]
            assert found["pages"] == 2

    run(test())


def test_what_a_receiver_decides_is_in_its_statistics_and_in_its_metrics(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await world.post(webhook([named("Down"), named("Slow")]))
            await world.decided()
            found = await asked(world, "from=1h")
            assert [(each["name"], each["pages"]) for each in found["by_alert"]] == [("Down", 1)]
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            status, _ = await world.ask("POST", f"/api/v1/incidents/{incident['id']}/acknowledge", json={"by": "ana"})
            assert status == 200
            found = await asked(world, "from=1h")
            assert [each["person"] for each in found["by_person"]] == ["ana"]
            page = (await world.get("/metrics"))[1]
            assert f'tocsin_receiver_time_to_acknowledge_seconds_count{{severity="{incident["severity"]}"}} 1.0' in page
            assert f'tocsin_receiver_time_to_resolve_seconds_count{{severity="{incident["severity"]}"}} 0.0' in page
            assert 'tocsin_receiver_pages_total{channel="chat"} 1.0' in page

    run(test())


def test_which_alerts_are_noise_is_a_metric_with_so_many_names(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await world.post(webhook([named("Real")]))
            await world.decided()
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            door = f"/api/v1/incidents/{incident['id']}/acknowledge"
            assert (await world.ask("POST", door, json={"by": "ana"}))[0] == 200
            await world.post(webhook([named("Real", status="resolved")]))
            for number in range(ALERTS_NAMED_MAX + 1):
                for status in ("firing", "resolved"):
                    await world.post(webhook([named(f"Down{number}", status=status)], groupKey=f"{number}"))
            await world.decided()
            page = (await world.get("/metrics"))[1]
            ended = "tocsin_receiver_alert_incidents_ended_total"
            assert f'{ended}{{alert="Real",noise="false"}} 1.0' in page
            assert f'{ended}{{alert="Down0",noise="true"}} 1.0' in page
            assert f'{ended}{{alert="other",noise="true"}} 2.0' in page
            assert f"Down{ALERTS_NAMED_MAX - 1}" not in page

    run(test())


def test_a_channel_that_two_people_share_pages_both_of_them(tmp_path: Path) -> None:
    policy = """
channels: {chat: {type: terminal}, phone: {type: terminal}}
people:
  ana: {notify: [{channel: chat}]}
  ben: {notify: [{channel: chat}, {channel: phone}]}
  cleo: {notify: [{channel: phone}]}
routes: [{escalation: team}]
escalations: {team: {stages: [{notify: [{person: ana}]}]}}
"""

    async def test() -> None:
        async with receiver(tmp_path, policy=policy) as world:
            await world.post(webhook([named("Down")]))
            await world.decided()
            found = await asked(world, "from=1h")
            assert [(each["person"], each["pages"]) for each in found["by_person"]] == [("ana", 1), ("ben", 1)]
            page = (await world.get("/metrics"))[1]
            for person, pages in (("ana", 1), ("ben", 1), ("cleo", 0)):
                assert f'tocsin_receiver_person_pages_total{{person="{person}"}} {pages}.0' in page
            await world.post(webhook([named("Down", status="resolved")]))
            await world.decided()
            assert 'tocsin_receiver_person_pages_total{person="ana"} 1.0' in (await world.get("/metrics"))[1]

    run(test())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=soon", "from: found 'soon', expected a duration such as 7d, or a moment such as"),
        ("to=2026-13-01T00:00", "to: found '2026-13-01T00:00', expected a duration"),
        ("from=0001-01-01T00:00%2B01:00", "from: found '0001-01-01T00:00+01:00', expected a duration"),
        ("from=1h&to=2h", "expected a time of at most 366 days that ends after it begins"),
        ("from=367d", "expected a time of at most 366 days that ends after it begins"),
        ("to=9999-12-31T23:00", "to: found '9999-12-31T23:00', expected a duration"),
        ("from=100y&to=99y2d", None),
        ("time_zone=..%2Fetc", "time_zone: found '../etc', expected a time zone such as Europe/Berlin or UTC"),
        ("since=7d", "found 'since', expected one of: from, to, time_zone"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_was_expected(query: str, said: str | None, tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, found = await world.get(f"/api/v1/statistics?{query}")
            if said is None:
                assert status == 200, found
            else:
                assert (status, said in found["error"]) == (400, True), found

    run(test())


class Waits:
    """A store that counts when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0
        self.came = asyncio.Event()

    async def counted(self, cuts: Sequence[datetime]) -> Counted:
        self.asked += 1
        if self.asked == AT_ONCE_MAX:
            self.came.set()
        await self.go_on.wait()
        return NOTHING


def door_of(store: object) -> StatisticsDoor:
    runner = SimpleNamespace(state=SimpleNamespace(policy=NO_POLICY))
    return StatisticsDoor(store=cast(Store, store), runner=cast(Runner, runner), clock=SystemClock())


def test_more_than_a_few_at_once_are_told_to_come_back() -> None:
    async def test() -> None:
        store = Waits()
        door = door_of(store)
        request = make_mocked_request("GET", "/api/v1/statistics")
        waiting = [asyncio.create_task(door.get(request)) for _ in range(AT_ONCE_MAX)]
        await store.came.wait()
        with pytest.raises(web.HTTPServiceUnavailable) as refused:
            await door.get(request)
        assert refused.value.headers["Retry-After"]
        store.go_on.set()
        assert [each.status for each in await asyncio.gather(*waiting)] == [200] * AT_ONCE_MAX
        assert (await door.get(request)).status == 200

    run(test())


def test_a_store_that_gives_up_is_a_503_and_the_next_one_is_asked_again() -> None:
    class Fails:
        async def counted(self, cuts: Sequence[datetime]) -> Counted:
            assert cuts[-1] - cuts[0] == timedelta(days=7)
            assert cuts[-1].tzinfo is UTC
            raise StoreFailed("interrupted")

    async def test() -> None:
        door = door_of(Fails())
        for _ in range(AT_ONCE_MAX + 1):
            with pytest.raises(web.HTTPServiceUnavailable, match="Service Unavailable") as refused:
                await door.get(make_mocked_request("GET", "/api/v1/statistics"))
            assert "the store cannot say (interrupted)" in str(refused.value.text)

    run(test())
