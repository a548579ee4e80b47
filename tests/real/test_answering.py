"""The installed program is answered by a signed link: in a real browser, and after a `kill -9`."""

from __future__ import annotations

import asyncio
import signal
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.real.browser import browser
from tests.real.servers import SURELY, Server, Sink, alert, free_port, receiver, sink, until, webhook
from tests.receiver.forms import Sheet

pytestmark = pytest.mark.real


def policy(url: str) -> str:
    return f"""
people: {{ana: {{notify: [{{channel: hook}}]}}}}
channels: {{hook: {{type: webhook, url: '{url}/hook'}}}}
escalations: {{one: {{stages: [{{notify: [{{person: ana}}]}}]}}}}
"""


def link_told(standing: Sink) -> str:
    (message,) = until(lambda: standing.of_kind("opened"), what="somebody is told")
    return str(message["links"]["acknowledge"])


def story(server: Server) -> list[dict[str, Any]]:
    (incident,) = server.incidents()
    return list(server.get(f"/api/v1/incidents/{incident['id']}")["timeline"])


def answered(server: Server) -> list[tuple[str, str]]:
    return [(step["what"], step["by"]) for step in story(server) if step.get("via") == "link"]


def test_somebody_presses_the_button_in_a_browser(tmp_path: Path) -> None:
    port = free_port()
    with sink() as standing:
        flags = [f"--web.external-url=http://127.0.0.1:{port}"]
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            server.post(webhook(alert("Down", severity="critical"), group="Down"))
            link = link_told(standing)

            async def person() -> tuple[str, str, str, list[str]]:
                async with browser(tmp_path / "browser") as shown:
                    before = await shown.open(link)
                    font = str(await shown.value("getComputedStyle(document.querySelector('button.first')).fontWeight"))
                    after = await shown.press("acknowledge", "[role=status]")
                    return before, font, after, shown.complaints

            before, font, after, complaints = asyncio.run(asyncio.wait_for(person(), 2 * SURELY))
            assert "critical: Down" in before
            assert "You answer as ana" in before
            assert font == "600"  # the page's own style is allowed by the page's own policy
            assert "ana has it now" in after
            assert complaints == []
            assert answered(server) == [("acknowledged", "ana")]


def test_a_link_outlives_a_receiver_that_is_killed_and_looking_at_it_changes_nothing(tmp_path: Path) -> None:
    port = free_port()
    flags = [f"--web.external-url=http://127.0.0.1:{port}"]
    with sink() as standing:
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            server.post(webhook(alert("Down"), group="Down"))
            path = link_told(standing).removeprefix(server.url)
            assert server.ask(path)[0] == 200
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            status, page = server.ask(path)
            assert (status, answered(server)) == (200, [])
            form = urllib.parse.urlencode(Sheet(page.decode()).pressed("snooze-1h")).encode()
            assert server.ask(path, form)[0] == 200
            assert answered(server) == [("snoozed", "ana")]
            assert server.ended(signal.SIGKILL) == -signal.SIGKILL
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            assert server.incidents()[0]["status"] == "snoozed"
            until(lambda: len(standing.bodies) == 2, what="the snooze is told")
        assert {len(bodies) for bodies in standing.bodies.values()} == {1}  # whatever came again was the same
