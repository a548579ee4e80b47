"""What a store counts for statistics, beside the same counted by a plain program over the same values."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from receiver.incident import Spell
from receiver.message import PAGES, Kind, Message
from receiver.spell import ITSELF, MERGED, PERSON
from receiver.state import Change, IncidentChanged, IncidentForgotten, MessageSettled, SpellChanged
from receiver.statistics import ALERTS_SHOWN_MAX, AlertSpells, Answered, Counted, Spells, Taken, Times
from receiver.store import StoreFailed
from receiver.store.database import Commit, Database, Forget, ForgetDigests
from receiver.store.sqlite import open_sqlite
from tests.contract.values import incident

BEGIN = datetime(2026, 3, 28, tzinfo=UTC)
DAY = timedelta(days=1)
# When each spell of each incident began, in one test: that never changes.
BEGUN = some.shared(some.lists(some.integers(-40_000, 200_000), min_size=18, max_size=18), key="begun")


def after(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


class Sent:
    """A message that a channel answered, or one that is owed."""

    def __init__(self, number: int, channel: str, about: int, kind: Kind, at: datetime | None, outcome: str) -> None:
        self.about = "digest" if kind is Kind.DIGEST else f"T-{about}"
        self.message = Message(f"m{number}", channel, self.about, kind, BEGIN, b"")
        self.at = at
        self.outcome = outcome

    @property
    def settled(self) -> MessageSettled:
        return MessageSettled(self.message.id, self.outcome, 1, 0.1, "ok", self.at)


@some.composite
def spells(draw: some.DrawFn) -> SpellChanged:
    about, number = draw(some.integers(1, 6)), draw(some.integers(1, 3))
    begun = draw(BEGUN)[about * 3 + number - 4]
    maybe = some.none() | some.integers(-5, 2000)
    paged, acknowledged, ended = draw(maybe), draw(maybe), draw(maybe)
    return SpellChanged(
        f"T-{about}",
        draw(some.sampled_from(["critical", "warning"])),
        draw(some.sampled_from(["Down", "Slow", "Full"])),
        Spell(
            number=number,
            begun_at=after(begun),
            paged_at=None if paged is None else after(begun + paged),
            acknowledged_at=None if acknowledged is None else after(begun + acknowledged),
            acknowledged_by="" if acknowledged is None else draw(some.sampled_from(["ana", "ben"])),
            ended_at=None if ended is None else after(begun + ended),
            end="" if ended is None else draw(some.sampled_from([ITSELF, PERSON, MERGED])),
            flaps=draw(some.integers(0, 2)),
        ),
    )


@some.composite
def sent(draw: some.DrawFn) -> list[Sent]:
    count = draw(some.integers(0, 20))
    return [
        Sent(
            number,
            draw(some.sampled_from(["chat", "ana@mail", "action:restart"])),
            draw(some.integers(1, 6)),
            draw(some.sampled_from(Kind)),
            draw(some.none() | some.integers(-40_000, 200_000).map(after)),
            draw(some.sampled_from(["delivered", "delivered", "refused", "owed"])),
        )
        for number in range(count)
    ]


def memory() -> Database:
    return Database(
        Path("of-a-test"),
        connect=lambda _: sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False),
        new_name=lambda: "test",
    )


def kept(spells: Iterable[SpellChanged], sent: Sequence[Sent]) -> Database:
    database = memory()
    changes: list[Change] = [*spells, *(each.settled for each in sent if each.outcome != "owed")]
    database.write([Commit(changes, [each.message for each in sent], 1)])
    return database


def plainly(changes: Sequence[SpellChanged], sent: Sequence[Sent], cuts: Sequence[datetime]) -> Counted:
    """By loops over the values. Of the same spell the last change counts; of an incident its first name."""
    latest = {(each.spell.begun_at, each.incident, each.spell.number): each for each in changes}
    inside = [each for each in latest.values() if cuts[0] <= each.spell.begun_at < cuts[-1]]
    names: dict[str, tuple[int, datetime, str]] = {}
    for each in latest.values():
        first = (each.spell.number, each.spell.begun_at, each.name)
        names[each.incident] = min(names.get(each.incident, first), first)
    told = [each for each in sent if not each.message.channel.startswith("action:")]
    taken = [each for each in told if each.outcome == "delivered" and each.at and cuts[0] <= each.at < cuts[-1]]
    pages = Counter(names[each.about][2] for each in taken if each.message.kind in PAGES and each.about in names)
    alerts = [
        AlertSpells(*_plain(name, [each for each in inside if each.name == name]), pages=pages[name])
        for name in {*(each.name for each in inside), *pages}
    ]
    people = {each.spell.acknowledged_by for each in inside if each.spell.acknowledged_at}
    answered = []
    for person in people:
        theirs = [each for each in inside if each.spell.acknowledged_at and each.spell.acknowledged_by == person]
        answered.append(Answered(person, len(theirs), _ranked(map(_to_acknowledge, theirs))))
    severities = {each.severity for each in inside}
    quarters = Counter(
        (each.message.channel, str(each.message.kind), max(cut for cut in cuts if each.at and cut <= each.at),
         each.at.hour * 4 + each.at.minute // 15)
        for each in taken if each.at and each.message.kind in (*PAGES, Kind.DIGEST)
    )  # fmt: skip
    return Counted(
        severities=[Spells(*_plain(name, [one for one in inside if one.severity == name])) for name in severities],
        severities_count=len(severities),
        alerts=alerts,
        alerts_count=len(alerts),
        answered=answered,
        answered_count=len(people),
        taken=[Taken(*key, count) for key, count in quarters.items()],
    )


def _plain(name: str, changes: Sequence[SpellChanged]) -> tuple[str, int, int, int, int, int, int, int, Times, Times]:
    each = [change.spell for change in changes]
    noise = [
        one for one in each
        if one.end == ITSELF and not one.acknowledged_at and one.ended_at
        and one.ended_at - one.begun_at <= timedelta(minutes=5)
    ]  # fmt: skip
    return (
        name,
        sum(one.number == 1 for one in each),
        sum(one.number > 1 for one in each),
        sum(one.acknowledged_at is not None for one in each),
        sum(one.ended_at is not None and one.end != MERGED for one in each),
        sum(one.end == MERGED for one in each),
        len(noise),
        sum(one.flaps for one in each),
        _ranked(map(_to_acknowledge, changes)),
        _ranked(
            max(timedelta(), one.ended_at - one.begun_at) if one.ended_at and one.end != MERGED else None
            for one in each
        ),
    )


def _to_acknowledge(change: SpellChanged) -> timedelta | None:
    paged, acknowledged = change.spell.paged_at, change.spell.acknowledged_at
    if paged is None or acknowledged is None or acknowledged < paged:
        return None
    return acknowledged - paged


def _ranked(times: Iterable[timedelta | None]) -> Times:
    """The smallest value that so many of a hundred do not exceed."""
    known = sorted(time for time in times if time is not None)
    if not known:
        return Times()
    half, most = (
        next(one for one in known if sum(each <= one for each in known) * 100 >= percent * len(known)).total_seconds()
        for percent in (50, 90)
    )
    return Times(len(known), half, most)


def in_order(counted: Counted) -> list[object]:
    """Whatever the order among equals: what is counted."""
    lists = (counted.severities, counted.alerts, counted.answered, counted.taken)
    counts: list[object] = [counted.severities_count, counted.alerts_count, counted.answered_count]
    return [*(sorted(map(repr, each)) for each in lists), *counts]


@settings(max_examples=40)
@given(some.lists(spells(), max_size=25), sent(), some.lists(some.integers(1, 86_399), unique=True, max_size=2))
def test_what_is_counted_is_what_a_plain_program_counts(
    changes: list[SpellChanged], sent: list[Sent], between: list[int]
) -> None:
    cuts = [BEGIN, *map(after, sorted(between)), BEGIN + DAY]
    database = kept(changes, sent)
    counted = database.counting.counted(cuts)
    assert in_order(counted) == in_order(plainly(changes, sent, cuts))
    assert [each.incidents for each in counted.severities] == sorted(
        (each.incidents for each in counted.severities), reverse=True
    )
    assert [each.pages for each in counted.alerts] == sorted((each.pages for each in counted.alerts), reverse=True)
    database.close()


def many(count: int) -> Iterator[SpellChanged]:
    for number in range(count):
        yield SpellChanged(f"T-{number}", "critical", f"Alert{number}", Spell(1, after(number)))


def test_what_is_over_the_limit_is_said() -> None:
    database = kept(many(ALERTS_SHOWN_MAX + 7), [])
    counted = database.counting.counted([BEGIN, BEGIN + DAY])
    assert (len(counted.alerts), counted.alerts_count) == (ALERTS_SHOWN_MAX, ALERTS_SHOWN_MAX + 7)
    database.close()


def test_an_incident_that_is_taken_out_is_not_counted_any_more() -> None:
    database = kept(many(2), [Sent(1, "chat", 1, Kind.OPENED, after(5), "delivered")])
    database.write([Commit([IncidentChanged(incident(1)), IncidentForgotten("T-1")], [], 1)])
    while database.write([Forget("T-1")]) != [0]:
        pass
    counted = database.counting.counted([BEGIN, BEGIN + DAY])
    assert ([each.name for each in counted.alerts], counted.taken) == (["Alert0"], [])
    database.close()


def test_digests_go_when_they_were_answered_long_ago() -> None:
    """They are no single incident's, so they go with none."""
    sent = [Sent(number, "chat", 1, Kind.DIGEST, after(number), "delivered") for number in range(500)]
    sent += [Sent(501, "chat", 1, Kind.OPENED, after(1), "delivered"), Sent(502, "chat", 1, Kind.DIGEST, None, "owed")]
    database = kept(many(2), sent)
    gone = []
    while (found := database.write([ForgetDigests(after(450))])) != [0]:
        gone += found
    assert gone == [200, 200, 50]
    left = Counter({each.kind: each.count for each in database.counting.counted([BEGIN, BEGIN + DAY]).taken})
    assert left == {Kind.DIGEST: 50, Kind.OPENED: 1}
    assert [each.id for each in database.owed()] == ["m502"]
    database.close()


def test_messages_are_found_by_their_time() -> None:
    """Not by looking at all that were ever sent: an index must be word for word what is asked."""
    database = kept(many(3), [Sent(1, "chat", 1, Kind.OPENED, after(5), "delivered")])
    asked: list[str] = []
    database.counting._connection.set_trace_callback(asked.append)
    database.counting.counted([BEGIN, BEGIN + DAY])
    database.counting._connection.set_trace_callback(None)
    plans = [
        plan
        for query in asked if "deliveries" in query
        for *_, plan in database.counting._connection.execute(f"EXPLAIN QUERY PLAN {query}")
        if "deliveries" in plan
    ]  # fmt: skip
    assert plans
    assert all("USING COVERING INDEX pages_by_time" in plan for plan in plans), plans
    database.close()


def test_counting_that_takes_too_long_is_given_up_and_the_next_one_is_not() -> None:
    database = kept(many(20_000), [])
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        database.counting.counted([BEGIN, BEGIN + DAY], seconds_max=0.0)
    assert database.counting.counted([BEGIN, BEGIN + DAY]).alerts_count == 20_000
    database.close()


def test_a_store_that_cannot_count_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        store = open_sqlite(tmp_path / "receiver.db")
        connection = sqlite3.connect(tmp_path / "receiver.db")
        connection.execute("DROP TABLE spells")
        connection.close()
        with pytest.raises(StoreFailed, match="no such table: spells"):
            await store.counted([BEGIN, BEGIN + DAY])
        await store.close()

    asyncio.run(test())


def test_a_commit_is_counted_by_the_connection_that_counts(tmp_path: Path) -> None:
    async def test() -> None:
        store = open_sqlite(tmp_path / "receiver.db")
        await store.commit(list(many(3)), [], 0)
        counted = await store.counted([BEGIN, BEGIN + DAY])
        assert [each.incidents for each in counted.severities] == [3]
        await store.close()

    asyncio.run(test())
