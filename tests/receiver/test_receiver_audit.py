"""Each incident that is not over waits for something that is known, and nothing waits past its time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from receiver.audit import SHOWN_MAX, Audit, Some, audit
from receiver.policy.policy import NO_POLICY
from receiver.state import IncidentChanged, IncidentForgotten, PolicyInForce, State
from tests.receiver.builders import named, webhook
from tests.receiver.world import receiver, run
from tests.stories.story import BEGIN, POLICY, Story, policy_from

NOBODY = Some(0, ())
INSISTS = POLICY.replace("page: {stages", "page: {repeat: {every: 30m, times: 1}, stages")


def audited(*lines: str, policy: str = POLICY, after: timedelta = timedelta()) -> tuple[Audit, Story]:
    story = Story(policy, {})
    for line in lines:
        story.play(line)
    return audit(story.state, story.now + after), story


@pytest.mark.parametrize(
    "lines",
    [
        ("00:00 fires Down@db{severity=critical}",),
        ("00:00 fires Down@db{severity=critical}", "00:01 acks Down ana", "09:00 waits"),
        ("00:00 fires Down@db{severity=critical}", "00:01 snoozes Down 2h ana", "01:00 waits"),
        ("00:00 fires Down@db{severity=critical}", "00:10 closes Down ana"),
        ("00:00 fires Down@db{severity=critical}", "00:10 resolves Down@db", "00:11 waits"),
    ],
)
def test_what_waits_for_time_or_for_a_person_is_in_order(lines: tuple[str, ...]) -> None:
    found, _ = audited(*lines)
    assert found == Audit(NOBODY, NOBODY, 0.0, NOBODY)
    assert found.goes_on


def test_an_escalation_is_exhausted_when_its_last_round_is_through_and_nobody_answered() -> None:
    lines = ("00:00 fires Down@db{severity=critical}", "00:34 waits")
    assert audited(*lines, policy=INSISTS)[0].exhausted == NOBODY
    found, story = audited(*lines, "00:36 waits", policy=INSISTS)
    assert found.exhausted == Some(1, (story.incident_of("Down").id,))
    assert found.goes_on
    for line in ("00:40 acks Down ana", "00:41 waits"):
        story.play(line)
    assert audit(story.state, story.now).exhausted == NOBODY


def test_what_is_told_once_by_one_stage_is_not_exhausted_and_what_is_told_nobody_neither() -> None:
    assert audited("00:00 fires Slow@web", "02:00 waits")[0].exhausted == NOBODY
    nobody = "routes: [{matchers: ['severity=\"none\"']}]\n"
    assert audited("00:00 fires Slow@web", "02:00 waits", policy=nobody)[0] == Audit(NOBODY, NOBODY, 0.0, NOBODY)


def test_a_step_is_overdue_when_nobody_takes_it_within_half_a_minute() -> None:
    lines = ("00:00 fires Down@db{severity=critical}",)
    assert audited(*lines, after=timedelta(minutes=5, seconds=29))[0].overdue == NOBODY
    found, story = audited(*lines, after=timedelta(minutes=6))
    assert found == Audit(NOBODY, Some(1, (story.incident_of("Down").id,)), 60.0, NOBODY)
    assert not found.goes_on


def test_an_open_incident_that_nothing_takes_up_again_has_no_next_step() -> None:
    _, story = audited("00:00 fires Down@db{severity=critical}")
    incident = story.incident_of("Down")
    story.state.apply([IncidentChanged(replace(incident, due_at=None))])
    found = audit(story.state, story.now)
    assert found.without_next_step == Some(1, (incident.id,))
    assert not found.goes_on
    story.state.apply([IncidentChanged(incident)])
    assert audit(story.state, story.now).goes_on


def test_another_policy_is_another_audit_and_what_is_forgotten_is_not_in_it() -> None:
    _, story = audited("00:00 fires Down@db{severity=critical}", "01:00 waits")
    state, (one,) = story.state, [story.incident_of("Down").id]
    assert audit(state, BEGIN).exhausted == Some(1, (one,))
    state.apply([PolicyInForce(NO_POLICY)])
    assert audit(state, BEGIN).exhausted == NOBODY
    state.apply([PolicyInForce(policy_from(POLICY))])
    assert audit(state, BEGIN).exhausted.count == 1
    state.apply([IncidentForgotten(one)])
    assert audit(state, BEGIN).exhausted == NOBODY


def test_a_state_that_a_store_kept_is_audited_the_same() -> None:
    found, story = audited(*[f"00:00 fires Down{number}@db{number}{{severity=critical}}" for number in range(9)])
    assert found.exhausted == NOBODY
    story.play("01:00 waits")
    state = story.state
    restored = State.restored(
        journal="story", policy=state.policy, incidents=state.incidents.values(), alerts=state.alerts.values()
    )
    for each in (audit(state, story.now), audit(restored, story.now)):
        assert (each.exhausted.count, len(each.exhausted.first), each.goes_on) == (9, SHOWN_MAX, True)


def test_the_audit_is_shown_where_people_and_programs_look(tmp_path: Path) -> None:
    async def test() -> None:
        policy = """
escalations: {all: {stages: [{notify: [chat]}, {notify: [chat]}]}}
channels: {chat: {type: terminal}}
"""
        async with receiver(tmp_path, policy=policy) as world:
            await world.post(webhook([named("Down")]))
            await world.decided()
            (incident,) = (await world.get("/api/v1/incidents"))[1]["incidents"]
            nobody = {"count": 0, "first": []}
            expected = {
                "without_next_step": nobody,
                "overdue": nobody,
                "oldest_overdue_seconds": 0.0,
                "exhausted": {"count": 1, "first": [incident["id"]]},
            }
            assert (await world.get("/api/v1/status"))[1]["audit"] == expected
            assert (await world.get("/health/detailed"))[1]["audit"] == expected
            page = (await world.get("/metrics"))[1]
            assert "\ntocsin_receiver_escalations_exhausted 1.0\n" in page
            for name in ("incidents_without_next_step", "steps_overdue", "oldest_overdue_step_seconds"):
                assert f"\ntocsin_receiver_{name} 0.0\n" in page

            world.runner.state.apply([IncidentChanged(replace(world.runner.state.incidents[incident["id"]], stage=1))])
            assert (await world.get("/health"))[1] == {"status": "degraded"}

    run(test())
