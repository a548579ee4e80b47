"""What people do to incidents over HTTP: the outcome of their act, or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from receiver.doors.acts import ACT_BYTES_MAX, SPLIT_ALERTS_MAX
from receiver.entry import VIAS
from tests.receiver.builders import webhook
from tests.receiver.elsewhere import elsewhere
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
        ("acknowledge", b'{"by": "  "}', "by: expected a text that is not blank"),
        ("acknowledge", b'{"by": "' + b"x" * 101 + b'"}', "by: "),
        ("resolve", b'{"by": "ana", "why": "x"}', "body: "),
        ("snooze", b'{"by": "ana"}', "body: "),
        ("snooze", b'{"by": "ana", "for": "soon"}', "for: "),
        ("snooze", b'{"by": "ana", "for": "0s"}', "for: "),
        ("snooze", b'{"by": "ana", "for": "31d"}', "for: "),
        ("note", b'{"by": "ana", "text": ""}', "text: "),
        ("assign", b'{"by": "ana"}', "body: "),
        ("assign", b'{"by": "ana", "to": " "}', "to: "),
        ("merge", b'{"by": "ana"}', "body: "),
        ("merge", b'{"by": "ana", "into": ""}', "into: "),
        ("split", b'{"by": "ana"}', "body: expected either `alerts` or `merged`"),
        ("split", b'{"by": "ana", "alerts": ["a"], "merged": "T-1"}', "body: expected either `alerts` or `merged`"),
        ("split", b'{"by": "ana", "alerts": []}', "alerts: "),
        ("split", b'{"by": "ana", "alerts": [""]}', "alerts[0]: "),
        ("split", json.dumps({"by": "ana", "alerts": ["a"] * (SPLIT_ALERTS_MAX + 1)}).encode(), "alerts: "),
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
            for verb, word in (("merge", "into"), ("split", "merged")):
                status, answer = await act(world, identifier, verb, by="ana", **{word: "T-998"})
                assert (status, answer) == (404, {"error": "there is no incident 'T-998'"})
            world.disk.full = True
            assert (await act(world, identifier, "acknowledge", by="ana"))[0] == 503

    run(test())


def test_the_most_alerts_that_one_split_may_name_fit_into_its_body() -> None:
    fingerprints = [f"{number:016x}" for number in range(SPLIT_ALERTS_MAX)]
    assert len(json.dumps({"by": "ana", "alerts": fingerprints})) < ACT_BYTES_MAX


@pytest.mark.parametrize("via", [None, *VIAS])
def test_the_story_says_by_which_way_somebody_acted(tmp_path: Path, via: str | None) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            path = f"/api/v1/incidents/{await opened(world)}/note"
            headers = {} if via is None else {"X-Tocsin-Via": via}
            status, incident = await world.ask("POST", path, json={"by": "ana", "text": "a disk"}, headers=headers)
            assert (status, incident["timeline"][-1]["by"]) == (200, "ana")
            assert incident["timeline"][-1]["via"] == (via or "api")
            assert "via" not in incident["timeline"][0]  # nobody did that

    run(test())


@pytest.mark.parametrize("via", ["", "telepathy", "API", "cli,api", "command", "link", "button", "page"])
def test_a_way_that_the_door_cannot_know_is_refused_and_nothing_is_done(tmp_path: Path, via: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            path = f"/api/v1/incidents/{await opened(world)}"
            ask = {"json": {"by": "ana"}, "headers": {"X-Tocsin-Via": via}}
            status, answer = await world.ask("POST", f"{path}/acknowledge", **ask)
            assert status == 400
            wanted = "expected api or cli: more cannot be known of a caller here"
            assert answer["error"] == f"the header X-Tocsin-Via: found {via!r}, {wanted}"
            assert (await world.get(path))[1]["status"] == "open"

    run(test())


def test_a_header_that_is_there_twice_hides_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            path = f"/api/v1/incidents/{await opened(world)}/acknowledge"
            headers = [("X-Tocsin-Via", "cli"), ("X-Tocsin-Via", "button")]
            status, answer = await world.ask("POST", path, json={"by": "ana"}, headers=headers)
            assert (status, "found 'cli, button'" in answer["error"]) == (400, True)

    run(test())


VERBS = ("acknowledge", "resolve", "snooze", "note", "assign", "merge", "split")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_another_machine_may_do_nothing(tmp_path: Path, verb: str, address: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world, elsewhere(world, address) as ask:
            found = await ask("POST", f"/api/v1/incidents/{await opened(world)}/{verb}", body=b'{"by": "ana"}')
            assert found.status == 403
            assert world.runner.position == 3  # the policy, the webhook, its delivery

    run(test())


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may(tmp_path: Path, address: str) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world, elsewhere(world, address) as ask:
            note = b'{"by": "ana", "text": "a disk"}'
            found = await ask("POST", f"/api/v1/incidents/{await opened(world)}/note", body=note)
            assert found.status == 200

    run(test())
