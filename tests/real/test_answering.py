"""The installed program is answered by a signed link: in a real browser, and after a `kill -9`."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import urllib.parse
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.links import Links
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


def told(standing: Sink, name: str = "Down") -> dict[str, Any]:
    """The links of the message that says that it is open."""
    (message,) = until(lambda: standing.of_kind("opened", name), what="somebody is told")
    return dict(message["links"])


def link_told(standing: Sink) -> str:
    return str(told(standing)["acknowledge"])


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


def test_a_reload_changes_how_long_later_links_are_good(tmp_path: Path) -> None:
    port = free_port()
    flags = [f"--web.external-url=http://127.0.0.1:{port}"]
    with sink() as standing:
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            server.post(webhook(alert("Down"), group="Down"))
            first = link_told(standing)
            (tmp_path / "receiver.yml").write_text(policy(standing.url) + "links: {valid_for: 2h}\n")
            assert server.ask("/-/reload", b"")[0] == 200
            server.post(webhook(alert("Slow"), group="Slow"))
            second = str(told(standing, "Slow")["acknowledge"])
            journal = server.get("/api/v1/status")["journal"]["name"]
        with closing(sqlite3.connect(tmp_path / "data" / "receiver.db")) as store:
            ((key,),) = store.execute("SELECT value FROM meta WHERE key = 'signing_key'").fetchall()
        links = Links(key=key, journal=lambda: journal)
        ends = [links.read(each.rpartition("/")[2]).ends for each in (first, second)]
        assert timedelta(hours=21, minutes=58) < ends[0] - ends[1] <= timedelta(hours=22)


def test_a_store_that_takes_no_key_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    port = free_port()
    flags = [f"--web.external-url=http://127.0.0.1:{port}"]
    with sink() as standing:
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags):
            pass
        with closing(sqlite3.connect(tmp_path / "data" / "receiver.db", isolation_level=None)) as store:
            store.execute("DELETE FROM meta WHERE key = 'signing_key'")
            store.execute(
                "CREATE TRIGGER full BEFORE INSERT ON meta WHEN new.key = 'signing_key' "
                "BEGIN SELECT RAISE(ABORT, 'no more'); END"
            )
        with receiver(tmp_path, policy=policy(standing.url), port=port, flags=flags) as server:
            server.post(webhook(alert("Down"), group="Down"))
            links = told(standing)
            assert links["acknowledge"] is None
            assert server.ask(links["incident"].removeprefix(server.url))[0] == 200
            assert server.ask("/ack/anything")[0] == 403
            assert "the key of signed links could not be written" in server.said
