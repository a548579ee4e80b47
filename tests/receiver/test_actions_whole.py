"""Actions in a whole receiver, with real programs: from Alertmanager's webhook to a line of the story."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from receiver.incident import Status
from tests.receiver.builders import alert, webhook
from tests.receiver.test_command import script
from tests.receiver.world import World, receiver, run

REST = """
escalations: {all: {stages: [{notify: [chat, {action: fix}]}, {delay: 30m, notify: [{action: fix}]}]}}
channels: {chat: {type: terminal}}
redact: [{labels: [cluster], as: masked}]
"""


def policy(program: str, more: str = "") -> str:
    command = f"command: [{program}, '--cluster={{cluster}}'], arguments: {{cluster: '[a-z0-9]+'}}"
    return f"actions: {{fix: {{{command}{more}}}}}\n{REST}"


def body(cluster: str = "eu1") -> bytes:
    return webhook([alert(labels={"alertname": "Down", "severity": "critical", "cluster": cluster})])


async def story(world: World) -> list[tuple[str, str]]:
    """The steps that speak of an action: what, and why."""
    _, listed = await world.get("/api/v1/incidents?status=all")
    _, shown = await world.get(f"/api/v1/incidents/{listed['incidents'][0]['id']}")
    steps: list[dict[str, Any]] = shown["timeline"]
    return [(step["what"], step["why"]) for step in steps if step["what"].startswith("action")]


def test_what_a_program_did_is_a_line_of_the_story(tmp_path: Path) -> None:
    program = script(tmp_path, "import sys; print('moved', *sys.argv[1:])")

    async def test() -> None:
        async with receiver(tmp_path, policy=policy(program)) as world:
            await world.post(body())
            await world.decided()
            ((what, why),) = await story(world)
            assert what == "action fix"
            assert why.startswith("done in 0.")
            # A label that may not leave is handed to a program of ours as it is.
            assert why.endswith(" s: moved --cluster=eu1")
            (incident,) = world.runner.state.incidents.values()
            assert incident.told == ("chat",)
            # Nobody was interrupted by it.
            today = (await world.get("/api/v1/statistics"))[1]
            assert (today["pages"], [each["channel"] for each in today["by_channel"]]) == (1, ["chat"])
            page = (await world.get("/metrics"))[1]
            assert 'tocsin_receiver_actions_total{action="fix",outcome="done"} 1.0' in page
            assert 'tocsin_receiver_actions_total{action="fix",outcome="failed"} 0.0' in page

    run(test())


def test_a_label_that_does_not_fit_runs_nothing_and_says_so(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = script(tmp_path, f"open({str(mark)!r}, 'w')")

    async def test() -> None:
        async with receiver(tmp_path, policy=policy(program)) as world:
            await world.post(body(cluster="eu1; reboot"))
            await world.decided()
            why = "not run: the label cluster is 'eu1; reboot', which does not match [a-z0-9]+"
            assert await story(world) == [("action fix not done", why)]
            assert not mark.exists()
            status, health = await world.get("/health/detailed")
            assert (status, health["status"]) == (200, "healthy")  # nobody is not told because of it

    run(test())


def test_what_fails_is_told_and_what_is_dry_does_nothing(tmp_path: Path) -> None:
    program = script(tmp_path, "print('no quorum'); raise SystemExit(2)")

    async def test(more: str) -> list[tuple[str, str]]:
        folder = tmp_path / f"data{len(more)}"
        folder.mkdir()
        async with receiver(folder, policy=policy(program, more)) as world:
            await world.post(body())
            await world.decided()
            return await story(world)

    ((what, why),) = asyncio.run(test(""))
    assert what == "action fix not done"
    assert why.startswith("failed with status 2 after ")
    assert why.endswith(": no quorum")
    dry = f"dry run, nothing is done. It would run: {program} --cluster=eu1"
    assert asyncio.run(test(", dry_run: true")) == [("action fix", dry)]


def test_what_waits_for_its_turn_is_not_run_once_somebody_has_it(tmp_path: Path) -> None:
    """Two run at a time; the third is acknowledged while they do, and its 200 means that nothing begins any more."""
    go = tmp_path / "go"
    program = script(
        tmp_path,
        f"""
        import os, sys, time
        open({str(tmp_path)!r} + "/ran" + sys.argv[1][-1], "w")
        while not os.path.exists({str(go)!r}): time.sleep(0.01)
        """,
    )

    def ran() -> list[str]:
        return sorted(path.name for path in tmp_path.glob("ran*"))

    async def test() -> None:
        async with receiver(tmp_path, policy=policy(program)) as world:
            for number in (1, 2, 3):
                name = f"Down{number}"
                labels = {"alertname": name, "severity": "critical", "cluster": f"eu{number}"}
                await world.post(webhook([alert(labels=labels)], groupKey=name))
            await world.until(lambda: len(ran()) == 2 and world.runner.lag == 0)
            last = list(world.runner.state.incidents.values())[-1]
            status, _ = await world.ask("POST", f"/api/v1/incidents/{last.id}/acknowledge", json={"by": "ana"})
            assert status == 200
            await asyncio.to_thread(go.touch)
            await world.decided()
            assert ran() == ["ran1", "ran2"]
            assert world.runner.state.incidents[last.id].status is Status.ACKNOWLEDGED
            assert await story(world) == [("action fix not done", "not run: the incident is acknowledged by ana")]

    run(test())
