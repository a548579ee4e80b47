"""What comes back from PagerDuty: an acknowledgement there is one here, once, by name, and nothing goes in circles."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.channels import Channel
from receiver.channels.making import channel_of
from receiver.doors.naming import by_display_name
from receiver.doors.signed import BODY_BYTES_MAX
from receiver.policy.channelfile import PagerDutyFile
from tests.receiver import pagerdutysink
from tests.receiver.builders import broken, named, webhook
from tests.receiver.pagerdutysays import INTEGRATION, PATH, SERVICE, WEBHOOK_SECRET, Signed, event, signed, user
from tests.receiver.pagerdutysink import ROUTING_KEY, PagerDutySink
from tests.receiver.provider import serving
from tests.receiver.world import World, receiver, run
from tests.stories.story import policy_from

ANA = user("Ana Lopez")


def policy(sink: PagerDutySink, folder: Path) -> str:
    (folder / "routing.key").write_text(ROUTING_KEY)
    (folder / "webhook.secret").write_text(f"{WEBHOOK_SECRET}\n")
    (folder / "other.secret").write_text("0ther")
    common = f"type: pagerduty, routing_key_file: {folder}/routing.key, url: '{sink.url}{pagerdutysink.PATH}'"
    return f"""
channels:
  pager: {{{common}, webhook_secret_file: {folder}/webhook.secret}}
  other: {{{common}, webhook_secret_file: {folder}/other.secret}}
  plain: {{{common}}}
escalations: {{all: {{acknowledged_for: 1h, stages: [{{notify: [pager]}}]}}}}
people:
  ana-lopez: {{notify: [{{channel: plain}}]}}
"""


class Desk:
    """A receiver whose channel pages by PagerDuty, and one incident there."""

    def __init__(self, world: World, sink: PagerDutySink, key: str) -> None:
        self.world = world
        self.sink = sink
        self.key = key

    async def send(self, request: Signed) -> int:
        status, _ = await self.world.ask("POST", PATH, data=BytesIO(request.body), headers=request.headers)
        return int(status)

    async def says(self, kind: str, *, agent: object = ANA, **how: Any) -> int:
        secrets = how.pop("secrets", (WEBHOOK_SECRET,))
        return await self.send(signed(event(kind, agent=agent, **{"key": self.key, **how}), secrets=secrets))

    async def incident(self) -> dict[str, Any]:
        (found,) = (await self.world.get("/api/v1/incidents?status=all"))[1]["incidents"]
        return dict((await self.world.get(f"/api/v1/incidents/{found['id']}"))[1])

    async def acts(self) -> list[tuple[str, str, str]]:
        """What people did, by which way, and what for."""
        timeline = (await self.incident())["timeline"]
        return [(step["what"], step["by"], step["why"]) for step in timeline if step.get("via") == "pagerduty"]

    async def outcomes(self) -> dict[str, float]:
        page = (await self.world.get("/metrics"))[1]
        pattern = r'^tocsin_receiver_answers_back_total\{outcome="(\w+)",via="pagerduty"\} (\S+)$'
        return {outcome: float(count) for outcome, count in re.findall(pattern, page, re.MULTILINE) if count != "0.0"}


@asynccontextmanager
async def desk(folder: Path, **how: Any) -> AsyncIterator[Desk]:
    sink = PagerDutySink()
    with serving(sink):
        written = policy(sink, folder)
        file = PagerDutyFile(routing_key_file=str(folder / "routing.key"), url=f"{sink.url}{pagerdutysink.PATH}")
        channels: dict[str, Channel] = {name: channel_of(file) for name in ("pager", "other", "plain")}
        async with receiver(folder, policy=written, channels=channels, **how) as world:
            try:
                await world.post(webhook([named("Down")]))
                await world.decided()
                yield Desk(world, sink, *sink.incidents)
            finally:
                for channel in channels.values():
                    await channel.close()
    assert sink.faults == []


# --- what people do there --------------------------------------------------------------------------------------


def test_an_acknowledgement_there_is_one_here_and_the_echo_of_it_ends(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.says("acknowledged") == 200
            incident = await pagerduty.incident()
            assert (incident["status"], incident["acknowledged_by"]) == ("acknowledged", "ana-lopez")
            await pagerduty.world.decided()
            assert [action for action, _ in pagerduty.sink.actions] == ["trigger", "acknowledge"]
            position = pagerduty.world.runner.position
            assert await pagerduty.says("acknowledged", agent=INTEGRATION) == 200  # of what we sent just now
            assert pagerduty.world.runner.position == position
            assert await pagerduty.outcomes() == {"done": 1.0, "echo": 1.0}

    run(test())


def test_what_people_do_there_is_in_the_story_with_their_names(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            ben = user("Ben", "PBEN")
            assert await pagerduty.says("annotated", agent=ben, content="a disk\nis full") == 200
            assert await pagerduty.says("reassigned", agent=ben, assignees=[ANA, ben]) == 200
            assert await pagerduty.says("acknowledged") == 200
            assert await pagerduty.says("unacknowledged", agent=None) == 200
            assert await pagerduty.says("resolved", agent=ben) == 200
            assert [(what, by) for what, by, _ in await pagerduty.acts()] == [
                ("note", "Ben (PagerDuty)"),
                ("assigned", "Ben (PagerDuty)"),
                ("acknowledged", "ana-lopez"),
                ("note", "PagerDuty"),
                ("resolved by hand", "Ben (PagerDuty)"),
            ]
            incident = await pagerduty.incident()
            assert (await pagerduty.acts())[0][2] == "a disk\nis full"
            assert incident["assigned_to"] == "ana-lopez, Ben (PagerDuty)"
            assert (incident["status"], incident["resolved_by"]) == ("resolved", "Ben (PagerDuty)")
            assert await pagerduty.says("acknowledged", agent=ben) == 200
            assert await pagerduty.outcomes() == {"done": 5.0, "refused": 1.0}

    run(test())


@pytest.mark.parametrize("agent", [None, INTEGRATION, SERVICE, {}])
@pytest.mark.parametrize("kind", ["acknowledged", "resolved", "reassigned"])
def test_what_nobody_did_does_nothing(tmp_path: Path, agent: object, kind: str) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.says(kind, agent=agent) == 200
            assert (await pagerduty.incident())["status"] == "open"
            assert await pagerduty.outcomes() == {"echo": 1.0}

    run(test())


@pytest.mark.parametrize(
    "kind", ["triggered", "escalated", "delegated", "priority_updated", "reopened", "responder.added", "unacknowledged"]
)
def test_other_events_are_taken_and_do_nothing(tmp_path: Path, kind: str) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.says(kind) == 200
            assert await pagerduty.outcomes() == {"ignored": 1.0}
            assert await pagerduty.acts() == []

    run(test())


def test_a_note_finds_its_incident_by_what_was_learned_or_by_the_title(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            name = (await pagerduty.incident())["id"]
            assert await pagerduty.says("annotated", content="by title", title=f"[#7] {name} Down") == 200
            assert await pagerduty.says("annotated", content="of nothing", title="something else") == 200
            assert await pagerduty.says("annotated", content="of nothing", title="T-999 gone") == 200
            secrets = ("0ther",)  # that account was never told of it
            assert await pagerduty.says("annotated", content="a stranger", title=f"{name} x", secrets=secrets) == 200
            for act in ("acknowledged", "resolved"):  # a title is not enough for these
                assert await pagerduty.says(act, key=None, title=f"{name} Down") == 200
            assert (await pagerduty.incident())["status"] == "open"
            assert await pagerduty.says("triggered") == 200
            assert await pagerduty.says("annotated", content="learned", title="renamed") == 200
            assert [why for _, _, why in await pagerduty.acts()] == ["by title", "learned"]
            assert await pagerduty.outcomes() == {"done": 2.0, "unknown": 5.0, "ignored": 1.0}

    run(test())


def test_a_long_note_is_cut_and_a_trimmed_one_shows_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            await pagerduty.says("triggered")
            await pagerduty.says("annotated", content="x" * 5000)
            await pagerduty.says("annotated", content="short", trimmed=True)
            await pagerduty.says("annotated", content=" ")
            assert [why for _, _, why in await pagerduty.acts()] == ["x" * 3999 + "…", "short…"]

    run(test())


# --- once ------------------------------------------------------------------------------------------------------


def test_an_event_that_comes_again_changes_nothing_also_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        at = datetime.now(UTC)
        said: list[Signed] = []
        async with desk(tmp_path) as pagerduty:
            await pagerduty.says("triggered")
            for kind, more in (("annotated", {"content": "a disk"}), ("acknowledged", {})):
                said.append(signed(event(kind, key=pagerduty.key, agent=ANA, at=at, identifier=kind, **more)))
            assert [await pagerduty.send(each) for each in said * 2] == [200] * 4
            assert await pagerduty.outcomes() == {"ignored": 1.0, "done": 2.0, "repeated": 2.0}
            before = await pagerduty.acts()
            assert len(before) == 2
            key = pagerduty.key
        sink = PagerDutySink()
        with serving(sink):
            async with receiver(tmp_path, policy=policy(sink, tmp_path)) as world:
                again = Desk(world, sink, key)
                await again.says("triggered")
                assert [await again.send(each) for each in said] == [200] * 2
                assert await again.outcomes() == {"ignored": 1.0, "repeated": 2.0}
                assert await again.acts() == before
                later = at + timedelta(seconds=30)
                assert await again.says("annotated", content="a disk", at=later) == 200  # said once more by a person
                assert len(await again.acts()) == 3

    run(test())


@pytest.mark.parametrize("kind", ["acknowledged", "resolved"])
def test_an_event_from_before_the_incident_was_opened_is_about_something_else(tmp_path: Path, kind: str) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.says(kind, at=datetime.now(UTC) - timedelta(minutes=2)) == 200
            assert (await pagerduty.incident())["status"] == "open"
            assert await pagerduty.says(kind, at=datetime.now(UTC) - timedelta(seconds=20)) == 200  # clocks differ
            assert (await pagerduty.incident())["status"] == kind
            assert await pagerduty.outcomes() == {"late": 1.0, "done": 1.0}

    run(test())


def test_a_full_disk_asks_for_the_event_once_more_and_then_it_counts(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            said = signed(event("acknowledged", key=pagerduty.key, agent=ANA))
            pagerduty.world.disk.full = True
            assert await pagerduty.send(said) == 503
            pagerduty.world.disk.full = False
            assert await pagerduty.send(said) == 200
            assert (await pagerduty.incident())["status"] == "acknowledged"
            assert await pagerduty.outcomes() == {"failed": 1.0, "done": 1.0}

    run(test())


def test_what_is_not_decided_in_time_is_asked_for_once_more_and_is_done_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path, acts={"seconds_max": 0.1}) as pagerduty:
            await pagerduty.says("triggered")
            said = signed(event("annotated", key=None, agent=ANA, content="a disk"))
            pagerduty.world.disk.committing.clear()
            assert await pagerduty.send(said) == 503
            pagerduty.world.disk.committing.set()
            await pagerduty.world.decided()
            assert await pagerduty.send(said) == 200
            assert [why for _, _, why in await pagerduty.acts()] == ["a disk"]
            assert await pagerduty.outcomes() == {"ignored": 1.0, "failed": 1.0, "repeated": 1.0}

    run(test())


# --- who is believed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secrets", "status"),
    [
        ((), 401),
        (("wrong",), 401),
        (("wrong", WEBHOOK_SECRET), 200),
        (("0ther",), 200),
        (("wrong",) * 10 + (WEBHOOK_SECRET,), 401),  # more signatures than are looked at
    ],
)
def test_only_what_a_secret_of_the_policy_signed_is_believed(
    tmp_path: Path, secrets: tuple[str, ...], status: int
) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.says("acknowledged", secrets=secrets) == status
            wanted = "acknowledged" if status == 200 else "open"
            assert (await pagerduty.incident())["status"] == wanted

    run(test())


def test_a_signature_of_another_version_or_of_another_body_is_none(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            said = signed(event("acknowledged", key=pagerduty.key, agent=ANA))
            other = said.headers["X-PagerDuty-Signature"].replace("v1=", "v2=")
            assert await pagerduty.send(Signed(said.body, {"X-PagerDuty-Signature": other})) == 401
            assert await pagerduty.send(Signed(said.body, {})) == 401
            assert await pagerduty.send(Signed(said.body + b" ", said.headers)) == 401
            assert await pagerduty.outcomes() == {"unsigned": 3.0}

    run(test())


def test_the_secret_is_read_for_each_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            (tmp_path / "webhook.secret").unlink()
            assert await pagerduty.says("acknowledged") == 503
            (tmp_path / "webhook.secret").write_text("n3w")
            assert await pagerduty.says("acknowledged") == 401
            assert await pagerduty.says("acknowledged", secrets=("n3w",)) == 200
            assert await pagerduty.outcomes() == {"secret_file": 1.0, "unsigned": 1.0, "done": 1.0}

    run(test())


@pytest.mark.parametrize(
    "key", ["gone-T-2", "T-2", "-T-2", "", None, "x" * 300, "{journal}-T-99999", "{journal}-digest"]
)
def test_incidents_that_are_not_ours_are_answered_200_so_that_pagerduty_goes_on(
    tmp_path: Path, key: str | None
) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            journal = pagerduty.world.runner.state.journal
            written = key and key.format(journal=journal)
            assert await pagerduty.says("acknowledged", key=written, title="Another") == 200
            assert (await pagerduty.incident())["status"] == "open"
            assert await pagerduty.outcomes() == {"unknown": 1.0}

    run(test())


def test_without_a_secret_in_the_policy_there_is_no_such_door(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            said = signed({})
            assert (await world.ask("POST", PATH, data=said.body, headers=said.headers))[0] == 404

    run(test())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[]", 400),
        (b'{"event": {}}', 400),
        (b'{"event": {"id": 1, "event_type": "incident.resolved", "data": {}}}', 400),
        (b'{"event": {"id": "1", "event_type": "incident.resolved", "data": 7}}', 400),
        (b'{"event": {"id": "1", "event_type": "incident.resolved", "data": {}, "occurred_at": "noon"}}', 400),
        (b'{"event": {"id": "1", "event_type": "pagey.ping", "data": 7, "agent": null}}', 200),
        (b'{"event": {"id": "1", "event_type": "service.updated", "data": {"id": "P1"}}}', 200),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b" " * (BODY_BYTES_MAX + 1), 413),
    ],
)
def test_a_body_of_anything(tmp_path: Path, body: bytes, status: int) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            assert await pagerduty.send(signed(None, body=body)) == status
            assert (await pagerduty.incident())["status"] == "open"

    run(test())


@pytest.mark.parametrize("seed", range(4))
def test_bodies_that_are_broken_anywhere_are_answered_and_never_with_a_mistake_of_ours(
    tmp_path: Path, seed: int
) -> None:
    async def test() -> None:
        async with desk(tmp_path) as pagerduty:
            whole = signed(event("annotated", key=pagerduty.key, agent=ANA, content="a disk")).body
            for body in broken(whole, random.Random(seed), count=60):
                assert await pagerduty.send(signed(None, body=body)) in (200, 400)
            assert (await pagerduty.incident())["status"] == "open"
            assert await pagerduty.says("acknowledged") == 200
            assert (await pagerduty.incident())["status"] == "acknowledged"

    run(test())


# --- names -----------------------------------------------------------------------------------------------------

PEOPLE = """
people:
  ana.lopez: {notify: [{email: ana@example.org}]}
  ben: {notify: [{channel: chat}]}
  cleo-x: {notify: [{channel: chat}]}
  cleo_x: {notify: [{channel: chat}]}
channels:
  chat: {type: terminal}
  mail: {type: email, smarthost: 'localhost:25', from: t@example.org, to: [o@example.org]}
"""


@pytest.mark.parametrize(
    ("shown", "email", "by"),
    [
        ("Ana Lopez", "", "ana.lopez"),
        ("Ana", "ANA@example.org", "ana.lopez"),
        ("ana@example.org", "", "ana.lopez"),
        (" BEN ", "", "ben"),
        ("Cleo X", "", "Cleo X (PagerDuty)"),  # who of the two?
        ("Dan\x1b[31m", "", "Dan\\x1b[31m (PagerDuty)"),
        ("", "", "somebody (PagerDuty)"),
        ("x" * 300, "", "x" * 79 + "… (PagerDuty)"),
    ],
)
def test_somebody_there_is_the_person_with_that_name_or_address(shown: str, email: str, by: str) -> None:
    assert by_display_name(policy_from(PEOPLE), shown, email) == by


@settings(max_examples=100)
@given(st.text(max_size=300), st.text(max_size=300))
def test_a_name_from_pagerduty_is_short_and_can_be_printed(shown: str, email: str) -> None:
    by = by_display_name(policy_from(PEOPLE), shown, email)
    assert by.isprintable()
    assert 0 < len(by) <= 100
