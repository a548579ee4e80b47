"""What statistics are made of: when an incident began, when somebody was told, when somebody had it, how it ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from receiver.incident import Incident, Spell, Status
from receiver.spell import Timed, Told, spell_after
from receiver.state import SpellChanged
from tests.stories.story import POLICY, Store, Story

LATER = POLICY.replace("{notify: [chat]}, {delay: 5m", "{delay: 2m, notify: [chat]}, {delay: 5m")
STORM = (
    POLICY.replace("page: {stages", "page: {stages") + "storms: {per_channel: {limit: 1, per: 10m}, never_hold: []}\n"
)


class Watched(Story):
    """A story of which every spell is kept as it is last, and every time in the order in which it was known."""

    def __init__(self, policy: str = POLICY, store: Store | None = None) -> None:
        self.spells: dict[tuple[str, int], SpellChanged] = {}
        self.timed: list[Timed] = []
        super().__init__(policy, {}, store=store)

    def saw(self, decision):
        self.timed += decision.timed
        for change in decision.changes:
            if isinstance(change, SpellChanged):
                self.spells[change.incident, change.spell.number] = change


def clock(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%H:%M}"


def told(*lines: str, policy: str = POLICY) -> tuple[list[str], list[str]]:
    """The spells, and what was timed; by a process that lives through it, and by one that starts before every entry."""
    story, restarted = Watched(policy), Watched(policy, Store())
    for line in lines:
        story.play(line)
        restarted.play(line)
    assert (restarted.spells, restarted.timed) == (story.spells, story.timed)
    spells = []
    for change in story.spells.values():
        each = change.spell
        moments = " ".join(clock(at) for at in (each.begun_at, each.paged_at, each.acknowledged_at, each.ended_at))
        who = f" {each.acknowledged_by}" if each.acknowledged_by else ""
        flaps = f" {each.flaps} flaps" if each.flaps else ""
        spells.append(f"{change.name} {each.number} {change.severity}: {moments}{who} {each.end}{flaps}".rstrip())
    return spells, [f"{each.what} {each.severity} {each.seconds / 60:g}m" for each in story.timed]


def test_from_the_first_page_to_the_first_acknowledgement_and_from_the_opening_to_the_end():
    assert told(
        "00:00 fires Down{severity=critical}",
        "00:05 acks Down ana",
        "00:06 acks Down ben",
        "00:30 resolves Down",
        policy=LATER,
    ) == (["Down 1 critical: 00:00 00:02 00:05 00:30 ana itself"], ["acknowledge critical 3m", "resolve critical 30m"])


def test_what_nobody_was_told_of_has_no_time_to_acknowledge():
    assert told("00:00 fires Down{severity=critical}", "00:01 acks Down ana", policy=LATER) == (
        ["Down 1 critical: 00:00 - 00:01 - ana"],
        [],
    )


def test_what_is_opened_again_is_another_spell():
    assert told(
        "00:00 fires Down{severity=critical}",
        "00:01 resolves Down",
        "00:03 fires Down{severity=critical}",
        "00:04 acks Down ben",
        "00:09 closes Down ben",
    ) == (
        ["Down 1 critical: 00:00 00:00 - 00:01 itself", "Down 2 critical: 00:03 00:03 00:04 00:09 ben person 1 flaps"],
        ["resolve critical 1m", "acknowledge critical 1m", "resolve critical 6m"],
    )


def test_the_first_acknowledgement_counts_however_often_it_ends():
    spells, timed = told(
        "00:00 fires Down{severity=critical}",
        "00:10 acks Down ana",
        "01:20 acks Down ben",
        policy=POLICY.replace("page: {stages", "page: {acknowledged_for: 1h, stages"),
    )
    assert (spells, timed) == (["Down 1 critical: 00:00 00:00 00:10 - ana"], ["acknowledge critical 10m"])


def test_a_snooze_stops_no_clock():
    spells, timed = told(
        "00:00 fires Down{severity=critical}", "00:01 snoozes Down 1h ana", "01:05 acks Down ana", "01:06 waits"
    )
    assert (spells, timed) == (["Down 1 critical: 00:00 00:00 01:05 - ana"], ["acknowledge critical 65m"])


def test_what_is_merged_took_no_time_and_what_is_taken_back_begins_anew():
    spells, timed = told(
        "00:00 fires Down{severity=critical} Slow{severity=critical}",
        "00:05 merges Slow Down ana",
        "00:20 unmerges Slow ana",
        "00:30 resolves Slow",
    )
    assert spells == [
        "Down 1 critical: 00:00 00:00 - -",
        "Slow 1 critical: 00:00 00:00 - 00:05 merged",
        "Slow 2 critical: 00:20 00:20 - 00:30 itself",
    ]
    assert timed == ["resolve critical 10m"]


def test_what_is_split_off_begins_then():
    spells, _ = told(
        "00:00 fires Down@db{severity=critical} Slow@db{severity=warning}",
        "00:07 splits Slow@db ana",
        "00:08 waits",
    )
    assert spells == ["Down 1 critical: 00:00 00:00 - -", "Slow 1 warning: 00:07 00:07 - -"]


def test_a_digest_tells_of_what_was_held_back():
    spells, _ = told(
        "00:00 fires A{severity=warning}",
        "00:01 fires B{severity=warning} C{severity=warning}",
        "00:30 waits",
        policy=STORM,
    )
    assert spells == [f"{name} 1 warning: {moments} - -" for name, moments in (
        ("A", "00:00 00:00"), ("B", "00:01 00:10"), ("C", "00:01 00:10"),
    )]  # fmt: skip


def test_what_flaps_goes_on_as_one_spell_while_it_is_not_over():
    spells, timed = told(
        "00:00 fires Down{severity=critical}",
        "00:01 resolves Down",
        "00:02 fires Down{severity=critical}",
        "00:03 resolves Down",
        "00:04 fires Down{severity=critical}",
        "00:05 resolves Down",
        "00:06 fires Down{severity=critical}",
        "00:07 resolves Down",
        "00:08 fires Down{severity=critical}",
        "00:09 resolves Down",
        "00:40 waits",
    )
    assert [line.split(": ")[1] for line in spells] == [
        "00:00 00:00 - 00:01 itself",
        "00:02 00:02 - 00:03 itself 1 flaps",
        "00:04 00:04 - 00:05 itself 1 flaps",
        "00:06 00:06 - 00:19 itself 2 flaps",
    ]
    assert timed[-1] == "resolve critical 13m"


def incident_of_an_older_version(*lines: str) -> Incident:
    """As the story leaves it, without what that version did not write down."""
    story = Watched()
    for line in lines:
        story.play(line)
    return replace(story.incident_of("Down"), spell=None)


def test_what_an_older_version_opened_has_a_spell_from_its_next_change_on():
    """Who was told of it was told at the opening, as far as is known."""
    known = incident_of_an_older_version("00:00 fires Down{severity=critical}")
    at = known.opened_at + timedelta(minutes=9)
    acknowledged = replace(known, status=Status.ACKNOWLEDGED, acknowledged_by="ana")
    assert spell_after(known, acknowledged, Told(at, paged=False)) == Spell(
        1, known.opened_at, paged_at=known.opened_at, acknowledged_at=at, acknowledged_by="ana"
    )
    untold = replace(known, told=())
    assert spell_after(untold, untold, Told(at, paged=True)) == Spell(1, known.opened_at, paged_at=at)


def test_what_was_over_before_has_none_until_it_is_opened_again():
    over = incident_of_an_older_version("00:00 fires Down{severity=critical}", "00:01 resolves Down")
    at = over.opened_at + timedelta(minutes=3)
    assert spell_after(over, replace(over, due_at=at), Told(at, paged=False)) is None
    again = replace(over, status=Status.OPEN, reopened=1)
    assert spell_after(over, again, Told(at, paged=True)) == Spell(2, at, paged_at=at, flaps=1)
