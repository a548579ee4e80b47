"""What people do to incidents over HTTP: the outcome of their act, or the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.receiver.builders import webhook
from tests.receiver.world import World, receiver, run


async def opened(world: World) -> str:
    await world.post(webhook())
    await world.decided()
    return str((await world.get("/api/v1/incidents"))[1]["incidents"][0]["id"])


async def act(world: World, identifier: str, verb: str, **body: object) -> tuple[int, Any]:
    return await world.ask("POST", f"/api/v1/incidents/{identifier}/{verb}", json=body)


def test_each_act_is_answered_with_the_incident_as_it_is_then(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            identifier = await opened(world)
            status, incident = await act(world, identifier, "acknowledge", by="ana")
            assert (status, incident["status"], incident["acknowledged_by"]) == (200, "acknowledged", "ana")
            status, incident = await act(world, identifier, "snooze", by="ben", **{"for": "2h"})
            assert (status, incident["status"], incident["acknowledged_by"]) == (200, "snoozed", None)
            assert incident["snoozed_until"]
            status, incident = await act(world, identifier, "note", by="ana", text="a disk")
            assert (status, incident["timeline"][-1]["why"], incident["timeline"][-1]["by"]) == (200, "a disk", "ana")
            status, incident = await act(world, identifier, "resolve", by="ana")
            assert (status, incident["status"], incident["resolved_by"]) == (200, "resolved", "ana")
            status, answer = await act(world, identifier, "acknowledge", by="ana")
            wanted = f"{identifier}: an incident that is resolved does not know 'acknowledge'"
            assert (status, answer) == (409, {"error": wanted})
            page = (await world.get("/metrics"))[1]
            assert "tocsin_receiver_acts_total 4.0" in page
            assert "tocsin_receiver_acts_refused_total 1.0" in page

    run(test())


@pytest.mark.parametrize(
    ("verb", "body", "place"),
    [
        ("acknowledge", b"", "body: "),
        ("acknowledge", b"{}", "body: "),
        ("acknowledge", b'{"by": 1}', "by: "),
        ("acknowledge", b'{"by": "  "}', "by: "),
        ("acknowledge", b'{"by": "' + b"x" * 101 + b'"}', "by: "),
        ("resolve", b'{"by": "ana", "why": "x"}', "body: "),
        ("snooze", b'{"by": "ana"}', "body: "),
        ("snooze", b'{"by": "ana", "for": "soon"}', "for: "),
        ("snooze", b'{"by": "ana", "for": "0s"}', "for: "),
        ("snooze", b'{"by": "ana", "for": "31d"}', "for: "),
        ("note", b'{"by": "ana", "text": ""}', "text: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, verb: str, body: bytes, place: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            status, answer = await world.ask("POST", f"/api/v1/incidents/T-2/{verb}", data=body)
            assert status == 400
            assert answer["error"].startswith(place)

    run(test())


def test_other_refusals_are_told_apart(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            identifier = await opened(world)
            assert (await act(world, "T-999", "resolve", by="ana"))[0] == 404
            assert (await act(world, identifier, "note", by="ana", text="x" * 70_000))[0] == 413
            world.disk.full = True
            assert (await act(world, identifier, "acknowledge", by="ana"))[0] == 503

    run(test())
