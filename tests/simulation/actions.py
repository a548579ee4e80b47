"""What must never happen with actions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from receiver.incident import Status
from receiver.policy.actionnames import action_named
from receiver.state import StepTaken
from tests.simulation.evidence import PAGES, Evidence, Moment, expect

_STAGE = re.compile(r"stage (\d+) of \d+(?:, round \d+ of \d+)?")


def an_action_is_owed_for_each_stage_that_is_taken_and_for_nothing_else(evidence: Evidence) -> None:
    for moment in evidence.moments:
        owed = [
            (message.incident, action) for message in moment.decision.messages
            if (action := action_named(message.channel)) is not None
        ]  # fmt: skip
        expect(len(set(owed)) == len(owed), f"{moment}: an action is owed twice: {owed}")
        wanted = sorted(set(_wanted(moment)))
        expect(sorted(owed) == wanted, f"{moment}: owes {sorted(owed)} and took stages with {wanted}")
        for message in moment.decision.messages:
            if action_named(message.channel) is not None:
                expect(message.kind in PAGES, f"{message.id} is {message.kind}")
        told = [name for after in moment.after.values() for name in (*after.told, *after.held, *after.stale)]
        expect(not any(map(action_named, told)), f"{moment}: an action is told like a person")


def _wanted(moment: Moment) -> Iterator[tuple[str, str]]:
    """By the story: the stages that were taken, and what the policy has in them."""
    for change in moment.decision.changes:
        taken = _STAGE.fullmatch(change.step.what) if isinstance(change, StepTaken) else None
        if taken is None or not isinstance(change, StepTaken):
            continue
        after = moment.after[change.step.incident]
        escalation = moment.policy.escalations[after.escalation or ""]
        yield from ((after.id, name) for name in escalation.stages[int(taken[1]) - 1].actions)


def no_action_runs_unless_its_incident_is_open(evidence: Evidence) -> None:
    """By what was decided when it began; so nothing begins after an acknowledgement was answered."""
    statuses: dict[tuple[str, int], set[Status]] = defaultdict(set)  # by incident and how long its story is
    for moment in evidence.moments:
        for identifier, after in moment.after.items():
            statuses[identifier, after.steps].add(after.status)
    for ran in evidence.history.ran:
        known = statuses[ran.message.incident, ran.steps]
        expect(Status.OPEN in known, f"{ran.message.id} ran while its incident was {sorted(known)}")


def an_action_runs_once_in_a_life_and_is_not_forgotten(evidence: Evidence) -> None:
    """Again only after a crash, with the same identity; every one that is owed was run, or refused with a reason."""
    once = [(ran.message.id, ran.life) for ran in evidence.history.ran]
    expect(len(set(once)) == len(once), "an action ran twice in one life")
    unknown = [ran.message.id for ran in evidence.history.ran if ran.message.id not in evidence.decided]
    expect(not unknown, f"ran and was never decided: {unknown[:3]}")
