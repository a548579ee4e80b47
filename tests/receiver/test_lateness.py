"""What a channel with a fallback does not take in time is reported, once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from msgspec.structs import replace

from receiver.entry import NotTaken
from receiver.lateness import REST_SECONDS
from receiver.message import Kind, Message
from receiver.outbox import Outbox
from tests.receiver.builders import AT, message
from tests.receiver.quickloop import LoopClock, run_quickly
from tests.receiver.test_outbox import Down, Journal, Scripted


def page(incident: str, *, kind: Kind = Kind.OPENED, seconds: float = 0.0) -> Message:
    return replace(message(incident), kind=kind, created_at=AT + timedelta(seconds=seconds))


def reported(
    chat: Scripted,
    *messages: Message,
    after: float | None = 60.0,
    fails: int = 0,
    later: dict[float, Message] | None = None,
    until: float = 1000.0,
) -> list[tuple[float, str]]:
    """What was reported, and when."""

    async def test() -> list[tuple[float, str]]:
        journal = Journal(fails=fails)
        box = Outbox(report=journal.submit, clock=LoopClock(), chance=lambda: 0.0)
        box.replace_channels({"chat": chat}, {} if after is None else {"chat": after})
        box.add(messages)
        box.start()
        for moment, each in (later or {}).items():
            await asyncio.sleep(moment - asyncio.get_running_loop().time())
            box.add([each])
        await asyncio.sleep(until - asyncio.get_running_loop().time())
        await box.stop(grace_seconds=1.0)
        return [(at, fact.incident) for at, fact in journal.late]

    return run_quickly(test)


def never() -> Down:
    return Down(back_at=1e9, retry_seconds_max=1e9)


def test_a_page_that_is_not_taken_in_time_is_reported_once_with_the_reason() -> None:
    async def test() -> None:
        journal = Journal()
        box = Outbox(report=journal.submit, clock=LoopClock(), chance=lambda: 0.0)
        box.replace_channels({"chat": never()}, {"chat": 60.0})
        box.add([page("T-1", kind=Kind.ESCALATED)])
        box.start()
        await asyncio.sleep(5000)
        await box.stop(grace_seconds=1.0)
        fact = NotTaken("j-T-1-1-chat", "T-1", "chat", AT, "nobody listens")
        assert journal.late == [(60.0, fact)]

    run_quickly(test)


def test_what_is_taken_in_time_is_not_reported() -> None:
    assert reported(Down(back_at=20.0), page("T-1"), page("T-2")) == []


def test_only_what_calls_somebody_is_reported() -> None:
    kinds = [page(f"T-{number}", kind=kind) for number, kind in enumerate(Kind)]
    late = {incident for _, incident in reported(never(), *kinds)}
    told = {f"T-{number}" for number, kind in enumerate(Kind) if kind in ("opened", "escalated", "digest")}
    assert late == told


def test_without_a_fallback_nothing_is_reported() -> None:
    assert reported(never(), page("T-1"), after=None) == []


def test_a_channel_that_hangs_is_late_as_well() -> None:
    assert reported(Scripted(takes_seconds=1e6), page("T-1"), after=30.0, until=500.0) == [(30.0, "T-1")]


def test_a_channel_that_was_down_for_that_long_is_given_no_time() -> None:
    many = [page(f"T-{number}") for number in range(5)]
    new = {40.0: page("T-8", seconds=40), 100.0: page("T-9", seconds=100)}
    late = reported(never(), *many, later=new)
    assert late == [*((60.0, each.incident) for each in many), (60.0, "T-8"), (100.0, "T-9")]


def test_hundreds_that_are_late_one_after_the_other_are_reported_together_and_each_once() -> None:
    async def test() -> None:
        journal = Journal()
        box = Outbox(report=journal.submit, clock=LoopClock(), chance=lambda: 0.0)
        box.replace_channels({"chat": Scripted(takes_seconds=1e6)}, {"chat": 10.0})
        box.start()
        for number in range(900):
            box.add([page(f"T-{number}", seconds=number / 100)])
            await asyncio.sleep(0.01)
        await asyncio.sleep(20)
        await box.stop(grace_seconds=1.0)
        moments = [at for at, _ in journal.late]
        assert sorted(fact.incident for _, fact in journal.late) == sorted(f"T-{number}" for number in range(900))
        waits = [at - (fact.since - AT).total_seconds() for at, fact in journal.late]
        assert all(wait + 0.001 >= 10.0 and wait <= 10.0 + REST_SECONDS + 0.02 for wait in waits)
        assert len({round(at, 3) for at in moments}) < 100

    run_quickly(test)


def test_what_is_old_when_a_receiver_starts_is_tried_first() -> None:
    old = page("T-1", seconds=-3600)
    assert reported(Down(back_at=3.0), old) == []
    assert reported(never(), old) == [(5.0, "T-1")]
    assert reported(never(), old, after=0.0) == [(0.0, "T-1")]


def test_a_report_that_cannot_be_written_is_made_again() -> None:
    assert reported(never(), page("T-1"), fails=3) == [(63.0, "T-1")]


def test_a_fallback_that_a_new_policy_brings_counts_for_what_is_owed_already() -> None:
    async def test() -> None:
        journal, chat = Journal(), never()
        box = Outbox(report=journal.submit, clock=LoopClock(), chance=lambda: 0.0)
        box.replace_channels({"chat": chat})
        box.add([page("T-1")])
        box.start()
        await asyncio.sleep(300)
        assert journal.late == []
        box.replace_channels({"chat": chat}, {"chat": 60.0})
        await asyncio.sleep(1)
        assert [(at, fact.incident) for at, fact in journal.late] == [(300.0, "T-1")]
        await box.stop(grace_seconds=1.0)

    run_quickly(test)


def test_whether_a_channel_is_down_shows() -> None:
    async def test() -> None:
        journal, chat = Journal(), Down(back_at=10.0)
        box = Outbox(report=journal.submit, clock=LoopClock(), chance=lambda: 0.0)
        box.replace_channels({"chat": chat})
        box.add([page(f"T-{number}") for number in range(5)])
        box.start()
        await asyncio.sleep(5)
        assert box.by_channel()["chat"][2].down
        await journal.until(5)
        assert not box.by_channel()["chat"][2].down
        await box.stop(grace_seconds=1.0)

    run_quickly(test)
