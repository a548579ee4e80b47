"""What statistics are made of: a spell is an incident from its opening, or from when it was opened again, to its end.

A spell has four moments: it began, somebody was first told of it, somebody first acknowledged it, it ended. They follow
from how an incident was before a decision and how it is after it. docs/statistics.md says what is made of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from receiver.incident import Incident, Spell, Status

ITSELF, PERSON, MERGED = "itself", "person", "merged"  # how a spell ended
ACKNOWLEDGED, RESOLVED = "acknowledge", "resolve"  # what took a time
# What ends so soon by itself, while nobody acknowledged it, interrupts people for nothing.
NOISE_WITHIN = timedelta(minutes=5)


class Timed(msgspec.Struct, frozen=True):
    """So long it took until somebody acknowledged an incident of that severity, opened by the alert of that name; or
    until it was resolved, which may show that it was noise."""

    what: str
    severity: str
    seconds: float
    alert: str
    noise: bool = False


class Told(msgspec.Struct, frozen=True):
    """What one decision means to an incident's spell."""

    at: datetime
    paged: bool  # it owes somebody a message that pages, or a digest


def spell_after(before: Incident | None, after: Incident, told: Told) -> Spell | None:
    """The spell as the decision leaves it. None: it was over before an older version was replaced by this one."""
    spell = None if before is None else before.spell
    was_over = before is None or before.status is Status.RESOLVED
    over = after.status is Status.RESOLVED
    if before is None or (was_over and not over):
        number = 1 if before is None else 2 if spell is None else spell.number + 1
        spell = Spell(number, told.at)
    elif was_over:
        return spell
    elif spell is None:  # an older version opened it and did not write down who was told when
        spell = Spell(1, after.opened_at, paged_at=after.opened_at if before.told else None)
    came_back = after.reopened - (0 if before is None else before.reopened)
    if came_back:
        spell = replace(spell, flaps=spell.flaps + came_back)
    if told.paged and spell.paged_at is None:
        spell = replace(spell, paged_at=told.at)
    if after.status is Status.ACKNOWLEDGED and spell.acknowledged_at is None:
        spell = replace(spell, acknowledged_at=told.at, acknowledged_by=after.acknowledged_by or "")
    if over:
        end = MERGED if after.merged_into is not None else PERSON if after.resolved_by is not None else ITSELF
        spell = replace(spell, ended_at=told.at, end=end)
    return spell


def times_of(before: Spell | None, after: Spell, severity: str, alert: str) -> list[Timed]:
    """What is known of it now, and was not before."""
    same = before if before is not None and before.number == after.number else None
    found: list[Timed] = []
    first, answered = after.paged_at, after.acknowledged_at
    new = same is None or same.acknowledged_at is None
    if new and first is not None and answered is not None and answered >= first:
        found.append(Timed(ACKNOWLEDGED, severity, (answered - first).total_seconds(), alert))
    new = same is None or same.ended_at is None
    if new and after.ended_at is not None and after.end != MERGED:
        lasted = max(after.ended_at - after.begun_at, timedelta())
        noise = after.end == ITSELF and answered is None and lasted <= NOISE_WITHIN
        found.append(Timed(RESOLVED, severity, lasted.total_seconds(), alert, noise))
    return found
