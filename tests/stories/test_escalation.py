"""Until a person answers: rounds of an escalation, stages that are left out, acknowledgements that end."""

from __future__ import annotations

from tests.stories.story import POLICY, Story, check

REPEATED = """
routes: [{escalation: page}]
escalations:
  page:
    stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]
    repeat: {every: 30m, times: 2}
channels: {chat: {type: terminal}, pager: {type: terminal}}
"""


def steps(story: Story) -> list[str]:
    return [step.what for step in story.steps if step.what.startswith(("stage", "acknowledge", "still"))]


def test_an_escalation_begins_anew_so_often_and_then_never_again():
    check(
        """
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:30  -> chat   escalated  Down  1 firing, 0 resolved
        00:35  -> pager  escalated  Down  1 firing, 0 resolved
        01:00  -> chat   escalated  Down  1 firing, 0 resolved
        01:05  -> pager  escalated  Down  1 firing, 0 resolved
        06:00  waits
        """,
        REPEATED,
    )


def test_a_round_ends_when_somebody_answers():
    check(
        """
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:30  -> chat   escalated  Down  1 firing, 0 resolved
        00:31  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> pager  acknowledged Down  1 firing, 0 resolved
        06:00  waits
        """,
        REPEATED,
    )


def test_rounds_that_went_by_during_a_snooze_are_not_made_up_for():
    story = Story(REPEATED, {})
    for line in ("00:00 fires Down@db", "00:01 snoozes Down 50m ana", "00:52 waits", "06:00 waits"):
        story.play(line)
    assert steps(story) == [
        "stage 1 of 2, round 1 of 3",
        "stage 2 of 2, round 1 of 3",
        "stage 1 of 2, round 2 of 3",
        "stage 2 of 2, round 2 of 3",
        "stage 1 of 2, round 3 of 3",
        "stage 2 of 2, round 3 of 3",
    ]
    assert [step.at.strftime("%H:%M") for step in story.steps if step.what.startswith("stage")] == [
        "00:00", "00:51", "00:51", "00:51", "01:00", "01:05",
    ]  # fmt: skip


def test_a_stage_whose_condition_does_not_hold_is_left_out_and_the_story_says_why():
    policy = """
routes: [{escalation: page}]
escalations:
  page:
    stages:
      - {notify: [chat]}
      - {delay: 5m, notify: [pager], when: {firing_min: 2}}
      - {delay: 10m, notify: [pager], when: {matchers: ['severity="critical"']}}
      - {delay: 15m, notify: [pager], when: {weekly: 'Mon-Fri 09:00-17:00', time_zone: Europe/Berlin}}
      - {delay: 20m, notify: [pager], when: {firing_min: 1, weekly: 'Sun 00:00-24:00'}}
channels: {chat: {type: terminal}, pager: {type: terminal}}
""".replace("Mon-Fri", "Mon,Tue,Wed,Thu,Fri")
    check(
        """
        00:00  fires    Down@db{severity=warning}
               -> chat   opened     Down  1 firing, 0 resolved
        00:20  -> pager  escalated  Down  1 firing, 0 resolved
        00:30  waits
        """,
        policy,
    )
    story = Story(policy, {})
    story.play("00:00 fires Down@db{severity=warning}")
    story.play("00:30 waits")
    assert [(step.what, step.why) for step in story.steps if step.what.endswith("left out")] == [
        ("stage 2 of 5 left out", "1 of its alerts fire, and the stage is for 2 or more"),
        ("stage 3 of 5 left out", 'the incident does not match severity="critical"'),
        ("stage 4 of 5 left out", "it is for Mon,Tue,Wed,Thu,Fri 09:00-17:00 Europe/Berlin"),
    ]


ANSWERED = POLICY.replace("page: {stages", "page: {acknowledged_for: 1h, stages")


def test_an_acknowledgement_ends_and_the_escalation_begins_anew():
    check(
        """
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        01:01  -> chat   escalated  Down  1 firing, 0 resolved
        01:06  -> pager  escalated  Down  1 firing, 0 resolved
        06:00  waits
        """,
        ANSWERED,
    )


def test_whoever_acknowledges_again_keeps_it_for_longer():
    story = Story(ANSWERED, {})
    for line in ("00:00 fires Down@db{severity=critical}", "00:01 acks Down ana", "00:50 acks Down ana", "01:40 waits"):
        story.play(line)
    assert steps(story) == ["stage 1 of 2", "acknowledged", "still acknowledged"]
    story.play("02:00 waits")
    assert steps(story)[3:] == ["acknowledgement ended", "stage 1 of 2", "stage 2 of 2"]
    assert not [line for line in story.transcript if "acknowledged" in line][1:]


def test_an_incident_that_was_resolved_meanwhile_does_not_come_back():
    story = Story(ANSWERED, {})
    for line in (
        "00:00 fires Down@db{severity=critical}",
        "00:01 acks Down ana",
        "00:30 resolves Down@db",
        "03:00 waits",
    ):
        story.play(line)
    assert steps(story) == ["stage 1 of 2", "acknowledged"]
