"""Right before each attempt the outbox looks whether a page still calls for somebody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest

from receiver.channelqueue import NOT_WRITTEN, Answer
from receiver.channels import Unreachable
from receiver.entry import Delivered, Withdrawn
from receiver.incident import Group, Incident, Status
from receiver.message import Kind, Message
from receiver.outbox import Outbox
from receiver.withdrawal import no_longer_calls
from tests.receiver.builders import AT, digest, message, webhook
from tests.receiver.quickloop import LoopClock, run_quickly
from tests.receiver.test_outbox import Down, Journal, Scripted, busy
from tests.receiver.world import Quiet, World, receiver, run

POLICY = """
routes: [{escalation: page}]
escalations: {page: {stages: [{notify: [chat]}]}}
channels: {chat: {type: terminal, fallback: pager, fallback_after: 1h}, pager: {type: terminal}}
"""


def incident(name: str = "T-1", status: Status = Status.OPEN, *, muted: bool = False) -> Incident:
    return Incident(
        id=name,
        position=1,
        group=Group("am", "tocsin", "key"),
        status=status,
        severity="critical",
        title="Down",
        labels={},
        group_labels={},
        kinds=("Down",),
        opened_at=AT,
        updated_at=AT,
        why="a test",
        acknowledged_by="ana" if status is Status.ACKNOWLEDGED else None,
        muted=muted,
    )


@dataclass
class Answers(Journal):
    """With what is decided about the incidents."""

    known: dict[str, Incident] = field(default_factory=dict)

    def outbox(self, chat: Scripted, *messages: Message) -> Outbox:
        box = Outbox(report=self.submit, clock=LoopClock(), chance=lambda: 0.0, incident=self.known.get)
        box.replace_channels({"chat": chat})
        box.add(messages)
        box.start()
        return box


async def settled(journal: Answers, chat: Scripted, *messages: Message) -> list[Answer]:
    box = journal.outbox(chat, *messages)
    try:
        return [*await journal.until(len(messages))]
    finally:
        await box.stop(grace_seconds=1.0)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (incident(), None),
        (incident(status=Status.RESOLVED), None),
        (incident(status=Status.ACKNOWLEDGED), "ana has it"),
        (incident(status=Status.SNOOZED), "it was put off"),
        (incident(status=Status.SNOOZED, muted=True), "Alertmanager hides all that fires in it"),
        (None, None),
    ],
)
def test_a_page_calls_nobody_about_what_somebody_has_or_put_off(now: Incident | None, why: str | None) -> None:
    assert no_longer_calls(message(), now) == why
    assert no_longer_calls(message(kind=Kind.ESCALATED), now) == why


def test_what_is_no_page_goes_out_whoever_has_it() -> None:
    now = incident(status=Status.ACKNOWLEDGED)
    for kind in (Kind.UPDATED, Kind.ACKNOWLEDGED, Kind.RESOLVED):
        assert no_longer_calls(message(kind=kind), now) is None
    assert no_longer_calls(digest(2), now) is None
    assert no_longer_calls(message(channel="action:fix"), now) is None, "it says itself that it is not run"


def test_a_page_that_was_withdrawn_is_reported_and_what_follows_in_its_lane_goes_out() -> None:
    chat, journal = Scripted(), Answers(known={"T-1": incident(status=Status.ACKNOWLEDGED)})
    page, news = message(), message(step=2, kind=Kind.ACKNOWLEDGED)
    withdrawn, delivered = run_quickly(lambda: settled(journal, chat, page, news))
    assert withdrawn == Withdrawn("j-T-1-1-chat", "T-1", "chat", "opened", attempts=0, why="ana has it")
    assert isinstance(delivered, Delivered)
    assert chat.sent == ["T-1-2"]


def test_each_attempt_looks_again() -> None:
    async def test() -> tuple[list[Answer], float]:
        box = journal.outbox(chat, message())
        await asyncio.sleep(20)  # attempts at 0, 1, 3, 7 and 15; the next one would be at 31
        journal.known["T-1"] = incident(status=Status.ACKNOWLEDGED)
        answers = [*await journal.until(1)]
        at = asyncio.get_running_loop().time()
        await box.stop(grace_seconds=1.0)
        return answers, at

    chat, journal = Scripted({"T-1": [busy()] * 100}), Answers(known={"T-1": incident()})
    (withdrawn,), at = run_quickly(test)
    assert (len(chat.attempts), at) == (5, pytest.approx(31))
    assert isinstance(withdrawn, Withdrawn)
    assert withdrawn.attempts == 5


def test_what_is_open_again_by_the_time_of_the_attempt_goes_out() -> None:
    chat, journal = Scripted({"T-1": [busy()]}), Answers(known={"T-1": incident()})

    async def test() -> list[Answer]:
        box = journal.outbox(chat, message())
        await asyncio.sleep(0.5)
        journal.known["T-1"] = incident(status=Status.SNOOZED)
        await asyncio.sleep(0.3)
        journal.known["T-1"] = incident()
        answers = [*await journal.until(1)]
        await box.stop(grace_seconds=1.0)
        return answers

    assert [type(each) for each in run_quickly(test)] == [Delivered]


def test_while_the_journal_cannot_be_written_the_report_waits_and_the_lane_with_it() -> None:
    chat, journal = Scripted(), Answers(fails=5, known={"T-1": incident(status=Status.ACKNOWLEDGED)})
    run_quickly(lambda: settled(journal, chat, message(), message(step=2, kind=Kind.ACKNOWLEDGED)))
    assert chat.attempts[0][0] == pytest.approx(5)


def test_a_reason_that_the_journal_refuses_is_left_out() -> None:
    chat, journal = Scripted(), Answers(refuses=("ana has it",), known={"T-1": incident(status=Status.ACKNOWLEDGED)})
    (withdrawn,) = run_quickly(lambda: settled(journal, chat, message()))
    assert isinstance(withdrawn, Withdrawn)
    assert withdrawn.why == NOT_WRITTEN


def test_a_channel_that_is_down_is_tried_by_another_message_when_the_one_that_was_to_try_is_withdrawn() -> None:
    async def test() -> list[Answer]:
        box = journal.outbox(chat, *(message(f"T-{number}") for number in range(20)))
        await asyncio.sleep(50)
        assert box.by_channel()["chat"][2].down
        for number in range(18):
            journal.known[f"T-{number}"] = incident(f"T-{number}", Status.ACKNOWLEDGED)
        answers = [*await journal.until(20)]
        await box.stop(grace_seconds=1.0)
        return answers

    chat, journal = Down(back_at=100.0), Answers()
    answers = run_quickly(test)
    assert sorted(each.incident for each in answers if isinstance(each, Delivered)) == ["T-18", "T-19"]
    assert sum(isinstance(each, Withdrawn) for each in answers) == 18


class Stuck(Quiet):
    """Is down until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.down = True
        self.tried = asyncio.Event()

    async def send(self, message: Message) -> str:
        self.tried.set()
        if self.down:
            raise Unreachable("nobody listens", seconds=0.05)
        return await super().send(message)


async def deliveries(world: World, outcome: str) -> list[dict[str, object]]:
    found = (await world.get(f"/api/v1/deliveries?outcome={outcome}"))[1]["deliveries"]
    assert isinstance(found, list)
    return found


def test_nobody_is_paged_after_an_acknowledgement_in_a_whole_receiver(tmp_path: Path) -> None:
    async def test() -> None:
        chat, pager = Stuck(), Quiet()
        async with receiver(tmp_path, policy=POLICY, channels={"chat": chat, "pager": pager}) as world:
            await world.post(webhook())
            await chat.tried.wait()
            (known,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            status, _ = await world.ask("POST", f"/api/v1/incidents/{known['id']}/acknowledge", json={"by": "ana"})
            assert status == 200
            chat.down = False
            await world.decided()
            assert [each.kind for each in (*chat.messages, *pager.messages)] == ["acknowledged"]
            (page,) = await deliveries(world, "withdrawn")
            assert (page["kind"], page["answer"]) == ("opened", "ana has it")
            assert await deliveries(world, "refused") == []
            story = (await world.get(f"/api/v1/incidents/{known['id']}"))[1]["timeline"]
            assert [step["why"] for step in story if step["what"] == "withdrawn"] == [
                "not sent to chat any more: ana has it"
            ]
            assert await world.ask(
                "POST", f"/api/v1/deliveries/{quote(str(page['message']), safe='')}/resend", json={"by": "ana"}
            ) == (
                409,
                {"error": "nobody was to be called any more (ana has it): if it is open again, chat is called"},
            )
            metrics = (await world.get("/metrics"))[1]
            assert 'tocsin_receiver_messages_withdrawn_total{channel="chat"} 1.0' in metrics
            assert 'tocsin_receiver_pages_total{channel="chat"} 0.0' in metrics
            counted = (await world.get("/api/v1/statistics"))[1]
            assert counted["pages"] == 0

    run(test())
