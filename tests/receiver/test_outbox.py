"""The outbox: order, patience, and each answer reported once."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from receiver.channelqueue import ANSWER_CHARACTERS_MAX, JITTER_PART, NOT_WRITTEN, Answer, Chance
from receiver.channels import Refused, Unreachable
from receiver.entry import Delivered, NotTaken, Undeliverable, Withdrawn
from receiver.message import Message
from receiver.outbox import Outbox
from receiver.store import StoreFailed, StoreRefused
from tests.receiver.builders import AT, message
from tests.receiver.quickloop import LoopClock, run_quickly


@dataclass
class Scripted:
    """A channel that answers what the script says of an incident, in turn, and then takes everything."""

    script: Mapping[str, Sequence[Exception]] = field(default_factory=dict)
    takes_seconds: float = 0.0
    retry_seconds_max: float = 3600.0
    parallel_max: int = 4
    says: str = "ok"
    attempts: list[tuple[float, str]] = field(default_factory=list)
    at_once: int = 0
    at_once_max: int = 0
    closed: bool = False

    async def send(self, message: Message) -> str:
        self.attempts.append((asyncio.get_running_loop().time(), message.id))
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            if self.takes_seconds:
                await asyncio.sleep(self.takes_seconds)
        finally:
            self.at_once -= 1
        tried = sum(1 for _, each in self.attempts if each.split("-")[2] == message.id.split("-")[2])
        answers = self.script.get(message.incident, ())
        if tried <= len(answers):
            raise answers[tried - 1]
        return self.says

    async def close(self) -> None:
        self.closed = True

    @property
    def sent(self) -> list[str]:
        return [each.removeprefix("j-").removesuffix("-chat") for _, each in self.attempts]


@dataclass
class Down(Scripted):
    """A channel that is down until a moment, and from then on follows the script."""

    back_at: float = 0.0

    async def send(self, message: Message) -> str:
        loop = asyncio.get_running_loop()
        if loop.time() < self.back_at:
            self.attempts.append((loop.time(), message.id))
            raise Unreachable("nobody listens")
        return await super().send(message)


@dataclass
class Journal:
    """Takes reports; `fails` times it cannot, and what says a word of `refuses` it never takes."""

    fails: int = 0
    refuses: tuple[str, ...] = ()
    reports: list[Answer] = field(default_factory=list)
    late: list[tuple[float, NotTaken]] = field(default_factory=list)  # what was not taken in time, and when
    asked: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, fact: Answer | NotTaken) -> int:
        self.asked += 1
        assert self.asked < 1000, "it is asked for ever"
        if self.asked <= self.fails:
            raise StoreFailed("database or disk is full")
        if isinstance(fact, NotTaken):
            self.late.append((asyncio.get_running_loop().time(), fact))
            return len(self.late)
        match fact:
            case Delivered(answer=said) | Undeliverable(reason=said) | Withdrawn(why=said):
                pass
        if said in self.refuses:
            raise StoreRefused(f"ValueError: {said}")
        self.reports.append(fact)
        self.news.set()
        return len(self.reports)

    async def until(self, count: int) -> list[Answer]:
        while len(self.reports) < count:
            self.news.clear()
            await self.news.wait()
        return self.reports


@asynccontextmanager
async def outbox(
    journal: Journal, *messages: Message, chance: Chance = lambda: 0.0, **channels: Scripted
) -> AsyncIterator[Outbox]:
    box = Outbox(report=journal.submit, clock=LoopClock(), chance=chance)
    box.replace_channels(channels)
    box.add(messages)
    box.start()
    try:
        yield box
    finally:
        await box.stop(grace_seconds=1.0)


def delivered(chat: Scripted, *messages: Message, fails: int = 0, count: int | None = None) -> list[Answer]:
    async def test() -> list[Answer]:
        journal = Journal(fails=fails)
        async with outbox(journal, *messages, chat=chat) as box:
            reports = await journal.until(len(messages) if count is None else count)
            await asyncio.sleep(0)
            assert box.owed == len(messages) - len(reports)
            return reports

    return run_quickly(test)


def busy() -> Unreachable:
    return Unreachable("busy")


def test_what_is_taken_is_reported_with_the_answer_and_the_attempts() -> None:
    (report,) = delivered(Scripted(takes_seconds=0.25), message("T-1"))
    assert report == Delivered("j-T-1-1-chat", "T-1", "chat", attempts=1, seconds=0.25, answer="ok")


def test_messages_about_one_incident_keep_their_order_however_often_one_fails() -> None:
    chat = Scripted({"T-1": [busy(), busy(), busy()]})
    delivered(chat, *(message("T-1", step=step) for step in (1, 2, 3)))
    assert chat.sent == ["T-1-1", "T-1-1", "T-1-1", "T-1-1", "T-1-2", "T-1-3"]


def test_one_incident_that_fails_does_not_hold_up_the_others() -> None:
    chat = Scripted({"T-1": [busy()] * 5}, parallel_max=1)
    reports = delivered(chat, message("T-1"), message("T-2"), message("T-3"))
    assert [report.incident for report in reports] == ["T-2", "T-3", "T-1"]
    assert [at for at, each in chat.attempts if "T-1" not in each] == [0.0, 0.0]


def test_channels_that_are_owed_nothing_have_no_tasks_however_many_there_are() -> None:
    async def test() -> None:
        journal, people = Journal(), {f"ana-{number}": Scripted() for number in range(1000)}
        async with outbox(journal, chat=Scripted(), **people) as box:
            before = len(asyncio.all_tasks())
            assert before < 10
            box.add([message("T-1"), message("T-2"), message("T-1", step=2)])
            await journal.until(3)
            assert len(asyncio.all_tasks()) == before + 2

    run_quickly(test)


def test_attempts_come_less_and_less_often_up_to_once_a_minute() -> None:
    chat = Scripted({"T-1": [busy()] * 9})
    (report,) = delivered(chat, message("T-1"))
    moments = [at for at, _ in chat.attempts]
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    assert isinstance(report, Delivered)
    assert report.attempts == 10


def test_a_part_of_each_pause_is_chance_and_the_deadline_stays() -> None:
    async def test() -> list[Answer]:
        journal, dice = Journal(), itertools.cycle([0.0, 0.5, 0.99])
        async with outbox(journal, message("T-1"), chance=lambda: next(dice), chat=chat):
            return await journal.until(1)

    chat = Scripted({"T-1": [busy()] * 100}, retry_seconds_max=20.0)
    (report,) = run_quickly(test)
    waits = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(chat.attempts)]
    assert waits == pytest.approx([1, 2 * (1 - 0.5 * JITTER_PART), 4 * (1 - 0.99 * JITTER_PART), 8, 12])
    assert isinstance(report, Undeliverable)


def test_a_time_that_the_other_side_names_is_waited_for() -> None:
    chat = Scripted({"T-1": [Unreachable("slow down", seconds=300.0), Unreachable("now", seconds=0.0)]})
    delivered(chat, message("T-1"))
    assert [at for at, _ in chat.attempts] == pytest.approx([0, 300, 302])


def test_after_its_time_a_message_is_given_up_and_that_is_said() -> None:
    chat = Scripted({"T-1": [busy()] * 100}, retry_seconds_max=100.0)
    (report,) = delivered(chat, message("T-1"))
    assert isinstance(report, Undeliverable)
    assert report.reason == "given up after 123 seconds: busy"
    assert report.attempts == len(chat.attempts) == 8


def test_what_is_refused_is_reported_once_and_the_next_message_goes_on() -> None:
    chat = Scripted({"T-1": [Refused("no such room")]})
    first, second = delivered(chat, message("T-1", step=1), message("T-1", step=2))
    assert first == Undeliverable("j-T-1-1-chat", "T-1", "chat", attempts=1, reason="no such room")
    assert isinstance(second, Delivered)
    assert chat.sent == ["T-1-1", "T-1-2"]


def test_a_mistake_in_a_channel_is_an_attempt_that_failed() -> None:
    chat = Scripted({"T-1": [ZeroDivisionError("oops")]})
    (report,) = delivered(chat, message("T-1"))
    assert isinstance(report, Delivered)
    assert report.attempts == 2


def test_while_the_journal_cannot_be_written_the_report_waits_and_nothing_is_sent_twice() -> None:
    chat = Scripted()
    reports = delivered(chat, message("T-1", step=1), message("T-1", step=2), fails=5)
    assert [report.message for report in reports] == ["j-T-1-1-chat", "j-T-1-2-chat"]
    assert chat.sent == ["T-1-1", "T-1-2"]


@pytest.mark.parametrize(
    ("chat", "settled"),
    [
        (Scripted(says="odd"), Delivered("j-T-1-1-chat", "T-1", "chat", attempts=1, seconds=0.0, answer=NOT_WRITTEN)),
        (
            Scripted({"T-1": [Refused("odd")]}),
            Undeliverable("j-T-1-1-chat", "T-1", "chat", attempts=1, reason=NOT_WRITTEN),
        ),
    ],
)
def test_an_answer_that_the_journal_refuses_is_written_without_its_words_and_nothing_is_sent_twice(
    chat: Scripted, settled: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        journal = Journal(refuses=("odd",))
        async with outbox(journal, message("T-1", step=1), message("T-1", step=2), chat=chat) as box:
            chat.says = "ok" if chat.script else "odd"
            assert (await journal.until(2))[0] == settled
            await asyncio.sleep(0)
            owed, _, watcher = box.by_channel()["chat"]
            assert (owed, watcher.not_written) == (0, 1 if chat.script else 2)
        assert chat.sent == ["T-1-1", "T-1-2"]

    run_quickly(test)
    assert all(each.exc_info for each in caplog.records if "cannot be written down" in each.message)
    assert "an answer cannot be written down" in caplog.text


def test_a_message_about_which_nothing_can_be_written_leaves_the_lane_and_is_not_sent_again() -> None:
    async def test() -> None:
        journal, chat = Journal(refuses=("odd", NOT_WRITTEN)), Scripted(says="odd")
        async with outbox(journal, message("T-1", step=1), message("T-2"), chat=chat) as box:
            await asyncio.sleep(1000)
            assert (chat.sent, box.owed, journal.asked) == (["T-1-1", "T-2-1"], 0, 4)
            chat.says = "ok"
            box.add([message("T-1", step=2)])
            (report,) = await journal.until(1)
            assert report.message == "j-T-1-2-chat"

    run_quickly(test)


@pytest.mark.parametrize("answers", [(), (Refused("taken \ud83d\0"),), (Unreachable("taken \ud83d\0"),)])
def test_what_cannot_be_encoded_becomes_an_escape_before_it_is_a_fact_or_a_status(
    answers: tuple[Exception, ...],
) -> None:
    async def test() -> None:
        journal, chat = Journal(), Scripted({"T-1": answers}, retry_seconds_max=-1.0, says="taken \ud83d\0")
        async with outbox(journal, message("T-1"), chat=chat) as box:
            (report,) = await journal.until(1)
            said = report.answer if isinstance(report, Delivered) else report.reason
            assert said.endswith("taken \\ud83d\\x00")
            assert (box.by_channel()["chat"][2].last_error or said) == said

    run_quickly(test)


def test_escapes_do_not_make_an_answer_longer_than_its_limit() -> None:
    (report,) = delivered(Scripted(says="\ud83d" * 2 * ANSWER_CHARACTERS_MAX), message("T-1"))
    assert isinstance(report, Delivered)
    assert len(report.answer) == ANSWER_CHARACTERS_MAX


def test_no_more_than_the_channel_allows_is_on_the_way_at_once() -> None:
    chat = Scripted(takes_seconds=1.0, parallel_max=3)
    delivered(chat, *(message(f"T-{number}") for number in range(10)))
    assert chat.at_once_max == 3


def test_a_message_to_a_channel_that_is_gone_is_refused_and_that_is_said() -> None:
    (report,) = run_quickly(_without_a_channel)
    assert isinstance(report, Undeliverable)
    assert report.reason == "the policy has no channel 'chat' any more"


async def _without_a_channel() -> list[Answer]:
    journal = Journal()
    async with outbox(journal, message("T-1")):
        return await journal.until(1)


def test_a_message_that_waits_takes_the_channel_that_the_new_policy_has() -> None:
    async def test() -> tuple[Scripted, Scripted]:
        journal, before, after = Journal(), Scripted({"T-1": [busy()] * 100}), Scripted()
        async with outbox(journal, message("T-1"), chat=before) as box:
            await asyncio.sleep(10)
            box.replace_channels({"chat": after})
            await journal.until(1)
        return before, after

    before, after = run_quickly(test)
    assert (len(before.attempts), after.sent) == (4, ["T-1-1"])
    assert before.closed
    assert after.closed


def test_a_channel_that_a_new_policy_adds_is_sent_to() -> None:
    async def test() -> None:
        journal, added = Journal(), Scripted()
        async with outbox(journal) as box:
            box.replace_channels({"chat": added})
            box.add([message("T-1")])
            await journal.until(1)
        assert added.sent == ["T-1-1"]

    run_quickly(test)


MANY = 200


def many() -> list[Message]:
    return [message(f"T-{number}") for number in range(MANY)]


def test_a_channel_that_is_down_is_tried_by_one_message_at_a_time_however_many_are_owed() -> None:
    chat = Down(back_at=100.0)
    delivered(chat, *many())
    failed = [(at, each) for at, each in chat.attempts if at < chat.back_at]
    assert [at for at, _ in failed] == pytest.approx([0] * 5 + [1, 3, 7, 15, 30, 45, 60, 75, 90])
    assert Counter(each for _, each in failed).most_common(2)[1][1] == 1, "they take turns"


def test_when_one_message_is_taken_all_that_rest_follow_at_once_and_none_twice() -> None:
    chat = Down(back_at=100.0)
    reports = delivered(chat, *many(), message("T-7", step=2))
    taken = [(at, each) for at, each in chat.attempts if at >= chat.back_at]
    assert {at for at, _ in taken} == {105.0}
    assert len({each for _, each in taken}) == len(taken) == MANY + 1
    assert [report.message for report in reports if report.incident == "T-7"] == ["j-T-7-1-chat", "j-T-7-2-chat"]


def test_one_message_that_is_never_taken_keeps_nobody_resting() -> None:
    chat = Down({"T-0": [busy()] * 100}, back_at=10.0, retry_seconds_max=300.0)
    reports = delivered(chat, *many())
    assert [report.incident for report in reports if isinstance(report, Undeliverable)] == ["T-0"]
    assert max(at for at, each in chat.attempts if each != "j-T-0-1-chat") == pytest.approx(15)


def test_what_rests_for_too_long_is_given_up_without_another_attempt() -> None:
    chat = Down(back_at=1e6, retry_seconds_max=100.0)
    reports = delivered(chat, *many())
    assert {type(report) for report in reports} == {Undeliverable}
    assert {report.reason for report in reports if isinstance(report, Undeliverable)} == {
        "given up after 105 seconds: nobody listens"
    }
    assert len(chat.attempts) < 20


def test_where_those_that_rest_for_longest_are_given_up_another_one_tries_for_all() -> None:
    """Nothing else would ever wake the others: no message may come for hours."""
    old = [replace(each, created_at=AT - timedelta(seconds=80)) for each in many()[: MANY // 2]]
    young = many()[MANY // 2 :]
    reports = delivered(Down(back_at=40.0, retry_seconds_max=100.0), *old, *young)
    assert {each.incident for each in reports if isinstance(each, Undeliverable)} == {each.incident for each in old}
    assert {each.incident for each in reports if isinstance(each, Delivered)} == {each.incident for each in young}


def test_a_refusal_shows_that_a_channel_is_not_down() -> None:
    script = {f"T-{number}": [Refused("no")] for number in range(MANY)}
    chat = Scripted({**script, **{f"T-{number}": [busy(), Refused("no")] for number in range(5)}})
    delivered(chat, *many())
    assert max(at for at, _ in chat.attempts) == pytest.approx(1)


def test_a_time_that_a_channel_names_before_it_is_tried_again_holds_for_all() -> None:
    chat = Scripted({f"T-{number}": [Unreachable("slow down", seconds=40.0)] for number in range(5)})
    delivered(chat, *many())
    assert sorted({at for at, _ in chat.attempts}) == pytest.approx([0, 40])


def test_what_rests_is_tried_at_once_where_the_new_policy_has_another_channel() -> None:
    async def test() -> Scripted:
        journal, before, after = Journal(), Down(back_at=1e6), Scripted()
        async with outbox(journal, *many(), chat=before) as box:
            await asyncio.sleep(50)
            box.replace_channels({"chat": before})
            assert len(before.attempts) < 20, "nothing changed"
            box.replace_channels({"chat": after})
            await journal.until(MANY)
        return after

    assert {at for at, _ in run_quickly(test).attempts} == {50.0}


def test_what_rests_is_refused_when_the_new_policy_has_no_such_channel() -> None:
    async def test() -> list[Answer]:
        journal = Journal()
        async with outbox(journal, *many(), chat=Down(back_at=1e6)) as box:
            await asyncio.sleep(50)
            box.replace_channels({})
            return await journal.until(MANY)

    reasons = {report.reason for report in run_quickly(test) if isinstance(report, Undeliverable)}
    assert reasons == {"the policy has no channel 'chat' any more"}


def test_a_stop_lets_what_is_on_its_way_arrive_and_keeps_the_rest() -> None:
    async def test() -> None:
        journal, chat = Journal(), Scripted(takes_seconds=0.5, parallel_max=1)
        async with outbox(journal, message("T-1"), message("T-2"), chat=chat) as box:
            await asyncio.sleep(0.1)
        assert [report.incident for report in journal.reports] == ["T-1"]
        assert (chat.sent, box.owed, chat.closed) == (["T-1-1"], 1, True)

    run_quickly(test)


def test_a_stop_does_not_wait_for_a_channel_that_hangs() -> None:
    async def test() -> float:
        journal, chat = Journal(), Scripted(takes_seconds=1e6)
        async with outbox(journal, message("T-1"), chat=chat) as box:
            await asyncio.sleep(0.1)
        assert (journal.reports, box.owed) == ([], 1)
        return asyncio.get_running_loop().time()

    assert run_quickly(test) == pytest.approx(1.1)


def test_what_is_owed_and_since_when_is_told_by_channel() -> None:
    async def test() -> None:
        journal = Journal()
        chat, quiet = Scripted({"T-1": [busy()] * 3, "T-2": [Refused("no")]}), Scripted()
        async with outbox(journal, message("T-1"), message("T-2"), chat=chat, quiet=quiet) as box:
            await journal.until(1)
            await asyncio.sleep(0.1)
            owed, oldest, watcher = box.by_channel()["chat"]
            assert (owed, oldest, box.owed) == (1, AT, 1)
            assert (watcher.attempts, watcher.failures, watcher.refused, watcher.delivered) == (2, 1, 1, 0)
            assert watcher.last_error in ("busy", "no")
            assert box.by_channel()["quiet"][:2] == (0, None)
            await journal.until(2)
            await asyncio.sleep(0)
            owed, oldest, watcher = box.by_channel()["chat"]
            assert (owed, oldest, watcher.delivered, watcher.last_error) == (0, None, 1, None)

    run_quickly(test)


def test_what_an_action_takes_is_no_page() -> None:
    async def test() -> None:
        journal, action = Journal(), "action:restart"
        async with outbox(journal, message(), message(channel=action), chat=Scripted(), **{action: Scripted()}) as box:
            await journal.until(2)
            assert {name: watcher.pages for name, (_, _, watcher) in box.by_channel().items()} == {"chat": 1, action: 0}
            assert {watcher.delivered for _, _, watcher in box.by_channel().values()} == {1}

    run_quickly(test)
