"""By what a provider knows a message again: handed to the next one about the same incident, also after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from msgspec.structs import replace

from receiver.channels import Following, Taken, Unreachable
from receiver.entry import Delivered, Entry, Undeliverable, read, write
from receiver.incident import RECEIPTS_MAX, Incident, receipts_with
from receiver.message import Message
from receiver.outbox import Outbox
from receiver.receipts import LATEST_MAX, RECEIPT_CHARACTERS_MAX, Receipts
from tests.contract.values import incident as some_incident
from tests.receiver.builders import AT, digest, message
from tests.receiver.quickloop import LoopClock, run_quickly
from tests.stories.story import Story
from tests.stories.test_stories import POLICY


@dataclass
class Chat:
    """Knows its messages by their number; keeps what it was handed with each."""

    says: Sequence[str] = ()
    fails: int = 0
    retry_seconds_max: float = 3600.0
    parallel_max: int = 4
    handed: list[tuple[str, str]] = field(default_factory=list)

    def preview(self, message: Message) -> str:
        return message.id

    async def send(self, message: Message) -> str:
        return (await self.follow(message, "")).answer

    async def follow(self, message: Message, receipt: str) -> Taken:
        if self.fails:
            self.fails -= 1
            raise Unreachable("busy")
        self.handed.append((message.incident, receipt))
        count = len(self.handed)
        return Taken("ok", self.says[count - 1] if self.says else f"m{count}")

    async def close(self) -> None:
        pass


def sent(chat: Chat, *messages: Message, receipts: Receipts | None = None) -> list[Delivered | Undeliverable]:
    async def test() -> list[Delivered | Undeliverable]:
        reports: list[Delivered | Undeliverable] = []
        done = asyncio.Event()

        async def report(fact: Delivered | Undeliverable) -> None:
            reports.append(fact)
            if len(reports) == len(messages):
                done.set()

        box = Outbox(report=report, clock=LoopClock(), chance=lambda: 0.0, receipts=receipts)
        box.replace_channels({"chat": chat})
        box.add(messages)
        box.start()
        await done.wait()
        await box.stop(grace_seconds=1.0)
        return reports

    return run_quickly(test)


def test_the_next_message_of_an_incident_is_handed_the_receipt_before_it_is_decided() -> None:
    chat = Chat()
    assert isinstance(chat, Following)
    reports = sent(chat, *(message("T-1", step=step) for step in (1, 2, 3)))
    assert chat.handed == [("T-1", ""), ("T-1", "m1"), ("T-1", "m2")]
    assert [each.receipt for each in reports if isinstance(each, Delivered)] == ["m1", "m2", "m3"]


def test_incidents_and_digests_do_not_follow_from_each_other() -> None:
    chat = Chat()
    reports = sent(chat, message("T-1"), message("T-2"), digest(2), digest(2, position=9))
    assert [receipt for _, receipt in chat.handed] == ["", "", "", ""]
    receipts = {each.incident: each.receipt for each in reports if isinstance(each, Delivered)}
    assert [bool(receipts[name]) for name in ("T-1", "T-2", "digest")] == [True, True, False]


def test_an_attempt_that_fails_is_handed_the_same_again() -> None:
    chat = Chat(fails=2)
    sent(chat, message("T-1"), receipts=Receipts({"T-1": known("before")}.get))
    assert chat.handed == [("T-1", "before")]


def test_after_a_restart_what_is_decided_counts_until_there_is_something_newer() -> None:
    chat = Chat()
    receipts = Receipts({"T-1": known("before")}.get)
    sent(chat, message("T-1", step=1), message("T-1", step=2), message("T-9"), receipts=receipts)
    assert [receipt for incident, receipt in chat.handed if incident == "T-1"] == ["before", "m1"]
    assert [receipt for incident, receipt in chat.handed if incident == "T-9"] == [""]


@pytest.mark.parametrize("said", ["", "x" * (RECEIPT_CHARACTERS_MAX + 1), "a\nb", "\ud800"])
def test_what_cannot_be_kept_is_no_receipt(said: str) -> None:
    chat = Chat(says=["good", said, "good"])
    reports = sent(chat, *(message("T-1", step=step) for step in (1, 2, 3)))
    assert [receipt for _, receipt in chat.handed] == ["", "good", "good"]
    assert [each.receipt for each in reports if isinstance(each, Delivered)] == ["good", "", "good"]


def test_only_so_many_are_remembered_beside_the_journal() -> None:
    async def test() -> list[tuple[str, str]]:
        chat, receipts = Chat(), Receipts()
        for number in range(LATEST_MAX + 1):
            await receipts.send(chat, message(f"T-{number}"))
        chat.handed.clear()
        await receipts.send(chat, message("T-0"))
        await receipts.send(chat, message(f"T-{LATEST_MAX}"))
        return chat.handed

    assert asyncio.run(test()) == [("T-0", ""), (f"T-{LATEST_MAX}", f"m{LATEST_MAX + 1}")]


def known(receipt: str) -> Incident:
    return replace(some_incident(1), receipts={"chat": receipt})


# --- decided ---------------------------------------------------------------------------------------------------


def test_a_receipt_is_decided_with_the_answer_and_stays_until_the_next() -> None:
    story = Story(POLICY, {})
    story.play("00:00  breaks chat")
    story.play("00:01  fires Down")
    (opened,) = story.state.incidents.values()
    (owed,) = opened.owed
    story._enter(Delivered(owed, opened.id, "chat", 1, 0.0, "ok", "C1 1.0"))
    assert story.state.incidents[opened.id].receipts == {"chat": "C1 1.0"}
    story._enter(Delivered(owed, opened.id, "chat", 1, 0.0, "ok", "C1 2.0"))  # it is settled: this changes nothing
    story.play("00:02  resolves Down")
    after = story.state.incidents[opened.id]
    assert after.receipts == {"chat": "C1 1.0"}
    (owed,) = after.owed
    story._enter(Undeliverable(owed, opened.id, "chat", 1, "no"))
    assert story.state.incidents[opened.id].receipts == {"chat": "C1 1.0"}


def test_an_incident_keeps_so_many_receipts_the_latest() -> None:
    incident = some_incident(1)
    for number in range(RECEIPTS_MAX + 2):
        incident = replace(incident, receipts=receipts_with(incident, f"c{number}", "r"))
    incident = replace(incident, receipts=receipts_with(incident, "c2", "again"))
    assert len(incident.receipts) == RECEIPTS_MAX
    assert [*incident.receipts][:2] == ["c3", "c4"]
    assert [*incident.receipts.items()][-1] == ("c2", "again")


def test_an_answer_and_an_incident_of_an_older_version_have_none() -> None:
    fact = Delivered("m", "T-1", "chat", 1, 0.5, "ok")
    assert b"receipt" not in write(fact).body
    assert read(write(fact)) == fact
    written = msgspec.to_builtins(some_incident(1))
    del written["receipts"]
    assert msgspec.convert(written, Incident).receipts == {}


def test_a_receipt_survives_the_journal() -> None:
    entry = Entry(1, AT, Delivered("m", "T-1", "chat", 1, 0.5, "ok", "C1 1.0 #ops"))
    assert read(write(entry.fact)) == entry.fact
