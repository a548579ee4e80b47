"""`tocsin incident`: what people type, what they read, and what the receiver is asked."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from guard.framework import listening
from guard.listen import parse_address
from receiver.doors.api import StepView, WholeIncident
from receiver.view import AlertCounts, AlertView, IncidentView
from tests.receiver.builders import SURELY, named, webhook
from tests.receiver.world import World, receiver, run
from tocsin import incident
from tocsin.layout import width
from tocsin.story import list_of, story_of

ANA = MappingProxyType({"TOCSIN_BY": "ana"})


async def typed(url: str, *words: str, environ: Mapping[str, str] = ANA) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    out, err = io.StringIO(), io.StringIO()
    status = await asyncio.to_thread(incident.main, [f"--url={url}", *words], environ, out=out, err=err)
    return status, out.getvalue(), err.getvalue()


async def fired(world: World, *names: str) -> list[str]:
    """The incidents of these alerts, each in a group of its own."""
    for name in names:
        await world.post(webhook([named(name)], groupKey=name, groupLabels={}))
    await world.decided()
    listed = (await world.get("/api/v1/incidents"))[1]["incidents"]
    return [each["id"] for each in reversed(listed)]


# --- a real receiver ---------------------------------------------------------------------------------------


def test_what_people_do_is_done_and_said_in_one_line(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            (one,) = await fired(world, "Down")
            assert await typed(world.url, "ack", one) == (0, f"{one}: ana has it\n", "")
            assert await typed(world.url, "ack", one, "--by=ben") == (0, f"{one}: ana has it already\n", "")
            status, out, _ = await typed(world.url, "snooze", one, "2h")
            assert (status, out.partition(" until ")[0]) == (0, f"{one}: put off")
            assert await typed(world.url, "note", one, "a", "disk", "is full") == (0, f"{one}: noted\n", "")
            shown = (await typed(world.url, "show", one))[1]
            assert "  who         put off until " in shown
            assert "note, by ana via cli" in shown
            assert "      a disk is full\n" in shown
            assert await typed(world.url, "resolve", one) == (0, f"{one}: resolved\n", "")
            assert await typed(world.url, "list") == (0, "nothing is open\n", "")
            expected = f"tocsin incident: {one}: answered 409: an incident that is resolved does not know"
            status, out, err = await typed(world.url, "ack", one)
            assert (status, out, err) == (1, "", f"{expected} 'acknowledge'\n")

    run(test())


def test_of_several_incidents_each_has_its_own_line_and_one_failure_is_status_1(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            first, second = await fired(world, "Down", "Slow")
            status, out, err = await typed(world.url, "ack", first, "T-999", second, first)
            assert (status, out) == (1, f"{first}: ana has it\n{second}: ana has it\n")
            assert err == "tocsin incident: T-999: answered 404: there is no incident 'T-999'\n"
            status, out, _ = await typed(world.url, "resolve", first, "T-999", "--output=json")
            document = json.loads(out)
            assert status == 1
            assert [(each["id"], each["status"]) for each in document["incidents"]] == [(first, "resolved")]
            assert document["failed"] == [{"id": "T-999", "error": "answered 404: there is no incident 'T-999'"}]

    run(test())


def test_incidents_are_assigned_merged_and_split_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            first, second = await fired(world, "Down", "Slow")
            assert await typed(world.url, "assign", first, "--to=ben") == (0, f"{first}: assigned to ben\n", "")
            assert (await typed(world.url, "list"))[1].splitlines()[2].split()[4] == "ben"
            assert await typed(world.url, "merge", second, f"--into={first}") == (
                0,
                f"{second}: merged into {first}\n",
                "",
            )
            shown = (await typed(world.url, "show", first))[1]
            assert f"  took over   {second}\n" in shown
            (fingerprint,) = re.findall(r"([0-9a-f]{16}) .*\n +alertname=Slow", shown)
            assert f"  merged      into {first}, which has its alerts\n" in (await typed(world.url, "show", second))[1]
            status, out, _ = await typed(world.url, "split", first, f"--merged={second}")
            assert (status, out) == (0, f"{first}: split: ana split them off: 1 alert went to {second}\n")
            shown = (await typed(world.url, "show", first))[1]
            assert re.findall(r"^  (firing|moved on) .*\n +alertname=(\w+)", shown, re.MULTILINE) == [
                ("firing", "Down"),
                ("moved on", "Slow"),
            ]
            listed = (await world.get("/api/v1/alerts"))[1]["alerts"]
            assert {(each["labels"]["alertname"], each["incident"]) for each in listed} == {
                ("Down", first),
                ("Slow", second),
            }
            assert len(listed) == 2
            status, _, err = await typed(world.url, "split", first, fingerprint)
            assert (status, err) == (
                1,
                f"tocsin incident: {first}: answered 409: it has no alert with the fingerprint '{fingerprint}'\n",
            )

    run(test())


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            (one,) = await fired(world, "Down")
            world.disk.full = True
            status, out, err = await typed(world.url, "resolve", one)
            assert (status, out, len(err.splitlines())) == (1, "", 1)
            assert "answered 503: the store fails (database or disk is full): try again" in err

    run(test())


def test_incidents_are_listed_by_status_text_and_number(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            first, second, third = await fired(world, "Down", "Slow", "Lost")
            await typed(world.url, "resolve", first, "--by=ben")
            await typed(world.url, "ack", second)

            async def listed(*words: str) -> list[list[str]]:
                status, out, _ = await typed(world.url, "list", *words)
                head, *rows = out.splitlines()
                assert (status, head.split()) == (0, ["ID", "STATUS", "SEVERITY", "AGE", "WHO", "FIRING", "TITLE"])
                return [[*row.split()[:3], row.split()[4]] for row in rows]

            done = [first, "resolved", "critical", "ben"]
            taken = [second, "acknowledged", "critical", "ana"]
            free = [third, "open", "critical", "-"]
            assert await listed() == [free, taken]
            assert await listed("--status=all") == [free, taken, done]
            assert await listed("--status=acknowledged") == [taken]
            assert await listed("--query=LOST") == [free]
            assert await listed("LOST") == [free]
            assert await listed("--limit=1") == [free]
            assert await typed(world.url, "list", "--query=nothing") == (0, "no incident matches\n", "")
            status, out, _ = await typed(world.url, "list", "--output=json", "--limit=1")
            assert [each["id"] for each in json.loads(out)["incidents"]] == [third]
            status, out, err = await typed(world.url, "list", "--limit=10001")
            assert (status, out) == (1, "")
            assert "expected a whole number from 1 to 10000" in err

    run(test())


# --- what the receiver is asked ----------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with listening(app, [parse_address("127.0.0.1:0")], grace_seconds=1.0) as (url,):
        yield url


@pytest.mark.parametrize(
    ("words", "path", "body", "line"),
    [
        (["ack", "T-2"], "T-2/acknowledge", {}, "ana has it"),
        (["resolve", "T-2"], "T-2/resolve", {}, "resolved"),
        (["snooze", "T-2", "1h30m"], "T-2/snooze", {"for": "1h30m"}, "put off until 2026-11-21 10:00:00Z"),
        (["note", "T-2", "it is", "a disk"], "T-2/note", {"text": "it is a disk"}, "noted"),
        (["assign", "T-2", "--to", "ben"], "T-2/assign", {"to": "ben"}, "assigned to ben"),
        (["merge", "T-2", "--into", "T-7"], "T-2/merge", {"into": "T-7"}, "merged into T-7"),
        (["split", "T-2", "a", "b"], "T-2/split", {"alerts": ["a", "b"]}, "split: they are T-9 now"),
        (["split", "T-2", "--merged=T-7"], "T-2/split", {"merged": "T-7"}, "split: they are T-9 now"),
        (["split", "T-2", "a", "--by", "ana", "b"], "T-2/split", {"alerts": ["a", "b"]}, "split: they are T-9 now"),
        (
            ["snooze", "--by=ana", "T-2", "--output", "text", "1h30m"],
            "T-2/snooze",
            {"for": "1h30m"},
            "put off until 2026-11-21 10:00:00Z",
        ),
        (["note", "T-2", "--", "--force", "helped"], "T-2/note", {"text": "--force helped"}, "noted"),
        (["--by", "ana", "ack", "T-2"], "T-2/acknowledge", {}, "ana has it"),
        (["ack", "../../x y"], "..%2F..%2Fx%20y/acknowledge", {}, "ana has it"),
    ],
)
def test_each_act_asks_its_door_and_says_who_and_by_which_way(
    words: list[str], path: str, body: dict[str, object], line: str
) -> None:
    asked: list[tuple[str, str, Any, str]] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.method, request.raw_path, await request.json(), request.headers["X-Tocsin-Via"]))
        step = {"what": "split", "why": "they are T-9 now", "by": "ana"}
        told = {"what": "told chat", "why": "a stage was due", "by": "tocsin"}
        return web.json_response(
            {
                "id": "T-2",
                "acknowledged_by": "ana",
                "snoozed_until": "2026-11-21T10:00:00.5Z",
                "timeline": [step, told],
            }
        )

    async def test() -> None:
        async with answering(handler) as url:
            assert await typed(url, *words) == (0, f"T-2: {line}\n", "")
            assert asked == [("POST", f"/api/v1/incidents/{path}", {"by": "ana", **body}, "cli")]

    run(test())


def test_a_terminal_that_lacks_a_character_is_shown_an_escape_for_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await fired(world, "警報 in Köln")
            ended = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "tocsin.cli", "incident", "list", f"--url={world.url}"],
                env={**os.environ, "PYTHONIOENCODING": "ascii"},
                capture_output=True,
                timeout=SURELY,
            )
            assert (ended.returncode, ended.stderr) == (0, b"")
            assert rb"\u8b66\u5831 in K\xf6ln" in ended.stdout

    run(test())


@pytest.mark.parametrize(
    ("words", "environ", "by"),
    [
        (["--by=cleo"], {"TOCSIN_BY": "ana", "LOGNAME": "root"}, "cleo"),
        ([], {"TOCSIN_BY": "ana", "LOGNAME": "root"}, "ana"),
        ([], {"LOGNAME": "dora", "USER": "root"}, "dora"),
        ([], {"TOCSIN_BY": "", "USER": "emil"}, "emil"),
    ],
)
def test_who_does_it_is_said_or_known_from_the_login(words: list[str], environ: dict[str, str], by: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"id": "T-2", "acknowledged_by": (await request.json())["by"]})

    async def test() -> None:
        async with answering(handler) as url:
            assert (await typed(url, "ack", *words, "T-2", environ=environ))[1] == f"T-2: {by} has it\n"

    run(test())


ODD = (
    ("<html>\n<p>Bad\x1b[31m Gateway</p></html>", 502, r"answered 502: <html> <p>Bad\x1b[31m Gateway</p></html>"),
    ("<html></html>", 200, "does not answer as Tocsin's receiver does"),
    ('{"status": "success"}', 200, "does not answer as Tocsin's receiver does"),
    ("[1]", 200, "does not answer as Tocsin's receiver does"),
    ("null", 200, "does not answer as Tocsin's receiver does"),
)


@pytest.mark.parametrize(("text", "code", "said"), ODD)
@pytest.mark.parametrize("words", [["list"], ["show", "T-2"], ["snooze", "T-2", "1h"]])
def test_what_is_no_receiver_is_said_in_one_line(words: list[str], text: str, code: int, said: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=code)

    async def test() -> None:
        async with answering(handler) as url:
            status, out, err = await typed(url, *words)
            assert (status, out, len(err.splitlines())) == (1, "", 1)
            assert said in err

    run(test())


def test_where_nobody_answers_the_other_incidents_are_not_tried() -> None:
    async def test() -> None:
        async def handler(_: web.Request) -> web.Response:
            raise AssertionError("nobody is there")

        async with answering(handler) as url:
            pass
        status, out, err = await typed(url, "ack", "T-1", "T-2", "T-3")
        assert (status, out) == (1, "")
        first, *others = err.splitlines()
        assert first.startswith(f"tocsin incident: T-1: cannot reach {url}/api/v1/incidents/T-1/acknowledge: ")
        assert others == ["tocsin incident: T-2: not tried", "tocsin incident: T-3: not tried"]

    run(test())


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["forget", "T-2"],
        ["ack"],
        ["snooze", "T-2"],
        ["snooze", "T-2", "soon"],
        ["note", "T-2"],
        ["assign", "T-2"],
        ["merge", "T-2"],
        ["split", "T-2"],
        ["split", "T-2", "a", "--merged=T-7"],
        ["show", "T-2", "T-3"],
        ["list", "--status=burning"],
        ["list", "--limit=0"],
        ["list", "--limit=many"],
        ["list", "Down", "--query=Slow"],
        ["list", "--output=xml"],
        ["list", "--by=ana"],
        ["ack", "T-2", "--by"],
        ["ack", "T-2", "--force"],
        ["ack", "-x", "T-2"],
        ["--", "--by=ana"],
    ],
)
def test_a_wrong_command_line_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        incident.main(words, ANA)
    assert ended.value.code == 2
    assert "usage: tocsin incident" in capsys.readouterr().err


# --- what people read --------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 21, 9, 20, 0, tzinfo=UTC)


def at(minute: int, second: float = 0.0) -> datetime:
    """In the hour before midnight, or after it."""
    return datetime(2026, 11, 20, 23, tzinfo=UTC) + timedelta(minutes=minute, seconds=second)


def alert_of(number: int, **changes: object) -> AlertView:
    whole: dict[str, Any] = {
        "fingerprint": f"{number:016x}",
        "status": "firing",
        "labels": {"alertname": "Down", "instance": f"db-{number}:9100", "severity": "critical"},
        "annotations": {"summary": "the database does not answer"},
        "starts_at": at(50),
        "ends_at": None,
        "generator_url": "",
        "source": "eu1",
        "incident": "T-2",
        **changes,
    }
    return AlertView(**whole)


VIEW = IncidentView(
    id="T-2",
    status="acknowledged",
    severity="critical",
    title="Down: the database does not answer (cluster=eu1)",
    opened_at=at(50, 2.4),
    updated_at=at(58),
    resolved_at=None,
    acknowledged_by="ana",
    source="eu1",
    labels={},
    alerts=AlertCounts(firing=3, resolved=1),
    route='severity="critical"',
    escalation="on-call",
    next_stage_at=None,
    why="source 'eu1', Alertmanager's receiver 'tocsin': alerts of the group {}:{cluster=\"eu1\"} began to fire and no"
    " incident was open for it; it holds 3 alerts (Down)",
)
ALERTS = [
    alert_of(1, status="resolved", ends_at=at(57)),
    alert_of(2),
    alert_of(3, labels={"alertname": "Down", "instance": "\x1b[2J警報", "path": "/" + "very/" * 60}),
    alert_of(4, annotations={"description": "replication is 12 minutes behind"}),
]
STEPS = [
    StepView(at(50, 2.4), "opened", VIEW.why, "tocsin", entry=2),
    StepView(at(50, 2.4), "routed", "to the escalation 'on-call': the first route that matches", "tocsin", entry=2),
    StepView(at(50, 2.4), "told chat", "stage 1 of 2 of the escalation 'on-call' was due", "tocsin", entry=2),
    StepView(at(50, 3.9), "delivered", "chat took it: 200 OK", "tocsin", entry=3, seconds=0.0123),
    StepView(at(55, 2.4), "told pager", "stage 2 of 2 of the escalation 'on-call' was due", "tocsin", entry=4),
    StepView(at(57, 9.0), "delivered", "pager took it: 202 Accepted", "tocsin", entry=5, seconds=126.5),
    StepView(at(58), "acknowledged", "ana has it: no further stage is taken", "ana", via="link", entry=6),
    StepView(at(66), "note", "a disk\nis full\x07: " + "df says so, " * 60, "b\x1b[1men", via="cli", entry=7),
]


def document_of(view: IncidentView, **more: object) -> dict[str, Any]:
    """As the API writes it."""
    return {**json.loads(msgspec.json.encode(WholeIncident(view, ALERTS, STEPS).document())), **more}


def test_an_incident_reads_as_it_was_reviewed(golden: Callable[[str, str], None]) -> None:
    shown = [
        f"--- {columns or 'no'} columns ---\n{story_of(document_of(VIEW), now=NOW, columns=columns)}"
        for columns in (100, 44, None)
    ]
    golden("incident-show.txt", "\n".join(shown))


def test_no_control_character_reaches_the_terminal_and_no_line_is_too_long() -> None:
    for columns in (44, 60, 80, 120):
        lines = story_of(document_of(VIEW), now=NOW, columns=columns).splitlines()
        assert all(line.isprintable() and width(line) <= columns for line in lines)


OPEN = replace(VIEW, status="open", acknowledged_by=None, next_stage_at=datetime(2026, 11, 21, 9, 22, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        (document_of(OPEN), ["who         nobody has it yet", "next stage  2026-11-21 09:22:30Z, in 2m30s"]),
        (document_of(replace(OPEN, next_stage_at=None)), ["next stage  none is left"]),
        (document_of(replace(OPEN, escalation=None, route=None)), ["route       none, escalation none"]),
        (document_of(OPEN, assigned_to="ben"), ["who         assigned to ben"]),
        (document_of(VIEW, assigned_to="ben"), ["who         ana has it; assigned to ben"]),
        (
            document_of(replace(OPEN, status="snoozed", snoozed_until=datetime(2026, 11, 21, 10, tzinfo=UTC))),
            ["who         put off until 2026-11-21 10:00:00Z, for 40m more"],
        ),
        (
            document_of(replace(OPEN, status="snoozed", muted=True)),
            ["who         Alertmanager hides all that fires in it"],
        ),
        (
            document_of(replace(OPEN, status="snoozed", muted=True, snoozed_until=NOW + timedelta(minutes=5))),
            ["who         Alertmanager hides all that fires in it until 2026-11-21 09:25:00Z, for 5m more"],
        ),
        (
            document_of(replace(OPEN, quiet_until=NOW, held_from=("chat", "pager"), stale_at=NOW, rule="by service")),
            [
                "quiet       nobody is told before 2026-11-21 09:20:00Z: maintenance, or an alert that cools down",
                "held back   it comes in the next digest of chat, pager",
                "expires     2026-11-21 09:20:00Z, if nothing is heard of it before",
                "rule        by service",
            ],
        ),
        (document_of(replace(OPEN, flaps=1)), ["flaps       opened again once"]),
        (
            document_of(replace(OPEN, flaps=3, calm_at=NOW)),
            ["flaps       opened again 3 times; over at 2026-11-21 09:20:00Z if it stays calm"],
        ),
        (document_of(replace(OPEN, merged=("T-3", "T-4"))), ["took over   T-3, T-4"]),
        (document_of(replace(OPEN, merged_into="T-9")), ["merged      into T-9, which has its alerts"]),
        (
            document_of(replace(VIEW, status="resolved", resolved_at=at(59, 2.4))),
            ["who         ana had it", "resolved    2026-11-20 23:59:02Z, after 9m"],
        ),
        (
            document_of(replace(OPEN, status="resolved", resolved_by="ben", resolved_at=at(59))),
            ["who         ben resolved it"],
        ),
        (document_of(replace(OPEN, status="resolved", resolved_at=at(59))), ["who         nobody had it"]),
    ],
)
def test_the_header_says_whose_it_is_and_what_comes_next(document: dict[str, Any], lines: list[str]) -> None:
    shown = story_of(document, now=NOW, columns=None).splitlines()
    assert [line for line in lines if f"  {line}" not in shown] == []


@pytest.mark.parametrize(
    ("alert", "line"),
    [
        (alert_of(1), "since 2026-11-20 23:50:00Z"),
        (alert_of(1, hidden="silenced"), "since 2026-11-20 23:50:00Z, silenced"),
        (alert_of(1, hidden="unknown"), "since 2026-11-20 23:50:00Z, no longer in its group"),
        (alert_of(1, unconfirmed=True), "since 2026-11-20 23:50:00Z, said to be over, not confirmed yet"),
        (alert_of(1, status="resolved", ends_at=at(57)), "from 2026-11-20 23:50:00Z, for 7m"),
    ],
)
def test_an_alert_says_when_it_fired_and_what_is_not_shown_of_it(alert: AlertView, line: str) -> None:
    document = json.loads(msgspec.json.encode(WholeIncident(VIEW, [alert], []).document()))
    shown = story_of(document, now=NOW, columns=None).splitlines()
    assert [each for each in shown if each.endswith(f"0000000000000001  {line}")]


def test_of_many_alerts_the_first_are_shown_those_that_fire_before_the_others() -> None:
    resolved, *firing = [alert_of(0, status="resolved"), *(alert_of(number) for number in range(1, 24))]
    view = replace(VIEW, alerts=AlertCounts(firing=40, resolved=1))
    whole = WholeIncident(view, [resolved, *firing], []).document()
    shown = story_of(json.loads(msgspec.json.encode(whole)), now=NOW, columns=None)
    assert shown.count("  firing    00000000") == 20
    assert "  resolved  00000000" not in shown
    assert "  and 21 more; --output=json has them\n" in shown


def test_a_list_reads_as_it_was_reviewed(golden: Callable[[str, str], None]) -> None:
    views = [
        OPEN,
        replace(VIEW, id="T-12", severity="x" * 50, acknowledged_by="\x1b[2Jana", title="警報 " * 20),
        replace(VIEW, id="T-123", status="resolved", resolved_by="ben", title="a\nb"),
    ]
    documents = json.loads(msgspec.json.encode(views))
    shown = [list_of(documents, now=NOW, columns=columns) for columns in (100, 44, None)]
    golden("incident-list.txt", "\n".join(shown))
