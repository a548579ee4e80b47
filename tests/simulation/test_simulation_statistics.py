"""Whatever went wrong: statistics are what a plain program makes of the journal, decision by decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from receiver.entry import Delivered
from receiver.incident import Status
from receiver.message import Kind
from receiver.message import read as read_message
from receiver.policy.actionnames import action_named
from receiver.statistics import Spells
from tests.simulation.evidence import PAGES, Evidence, Moment
from tests.simulation.world import World

SEEDS = (0, 3, 5, 11)


@dataclass
class Night:
    """A stretch of time in which an incident was not resolved."""

    severity: str
    begun: datetime
    first: bool
    told: datetime | None = None
    acknowledged: datetime | None = None
    ended: datetime | None = None
    merged: bool = False
    by_person: bool = False
    flaps: int = 0


def nights_of(evidence: Evidence) -> list[Night]:
    """By what the incidents were after each decision, and by the messages."""
    found: dict[str, list[Night]] = defaultdict(list)
    for moment in evidence.moments:
        told = set(told_by(moment))
        for name, after in moment.after.items():
            before, at = moment.before.get(name), moment.entry.at
            was_open = before is not None and before.status is not Status.RESOLVED
            if before is None or (not was_open and after.status is not Status.RESOLVED):
                found[name].append(Night(after.severity, at, first=before is None))
            night = found[name][-1]
            night.severity = after.severity
            night.flaps += after.reopened - (before.reopened if before else 0)
            if name in told and night.told is None:
                night.told = at
            if after.status is Status.ACKNOWLEDGED and night.acknowledged is None:
                night.acknowledged = at
            if after.status is Status.RESOLVED and night.ended is None:
                night.ended = at
                night.merged, night.by_person = after.merged_into is not None, after.resolved_by is not None
    return [night for nights in found.values() for night in nights]


def told_by(moment: Moment) -> Iterator[str]:
    for message, document in moment.documents:
        if message.kind in PAGES:
            yield message.incident
        if message.kind is Kind.DIGEST:
            yield from (each.id for each in document.incidents)


def pages_of(evidence: Evidence) -> tuple[int, int]:
    """Pages and digests that a channel took, each once however often that is in the journal. Actions page nobody."""
    taken = {
        entry.fact.message for entry in evidence.entries
        if isinstance(entry.fact, Delivered) and action_named(entry.fact.channel) is None
    }  # fmt: skip
    kinds = [read_message(evidence.decided[each]).kind for each in taken if each in evidence.decided]
    return sum(kind in PAGES for kind in kinds), kinds.count(Kind.DIGEST)


@pytest.mark.parametrize("seed", SEEDS)
def test_statistics_are_what_the_journal_says(seed: int, tmp_path: Path) -> None:
    evidence = Evidence(World(seed, tmp_path).run())
    first, last = evidence.entries[0].at, evidence.entries[-1].at
    counted = evidence.database.counting.counted([first - timedelta(days=1), last + timedelta(days=1)])
    nights = nights_of(evidence)
    assert {each.name: plain(each) for each in counted.severities} == {
        severity: summed([night for night in nights if night.severity == severity])
        for severity in {night.severity for night in nights}
    }
    pages, digests = pages_of(evidence)
    assert sum(each.count for each in counted.taken if each.kind in PAGES) == pages
    assert sum(each.count for each in counted.taken if each.kind == Kind.DIGEST) == digests
    assert pages
    timed = [each for moment in evidence.moments for each in moment.decision.timed]
    assert len([each for each in timed if each.what == "resolve"]) == sum(
        each.time_to_resolve.count for each in counted.severities
    )
    assert len([each for each in timed if each.what == "acknowledge"]) == sum(
        each.time_to_acknowledge.count for each in counted.severities
    )


def plain(counted: Spells) -> tuple[int, ...]:
    return (
        counted.incidents, counted.reopened, counted.acknowledged, counted.resolved, counted.merged, counted.noise,
        counted.flaps, counted.time_to_acknowledge.count, counted.time_to_resolve.count,
    )  # fmt: skip


def summed(nights: list[Night]) -> tuple[int, ...]:
    ended = [night for night in nights if night.ended is not None and not night.merged]
    noise = [
        night for night in ended
        if not night.by_person and night.acknowledged is None
        and night.ended is not None and night.ended - night.begun <= timedelta(minutes=5)
    ]  # fmt: skip
    timed = [night for night in nights if night.told and night.acknowledged and night.acknowledged >= night.told]
    return (
        sum(night.first for night in nights),
        sum(not night.first for night in nights),
        sum(night.acknowledged is not None for night in nights),
        len(ended),
        sum(night.merged for night in nights),
        len(noise),
        sum(night.flaps for night in nights),
        len(timed),
        len(ended),
    )
