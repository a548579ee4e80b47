"""Until a person answers: rounds of an escalation, stages that are left out, acknowledgements that end."""

from __future__ import annotations

from receiver.alert import parse
from receiver.engine import decide
from receiver.entry import AlertsReceived, Entry
from tests.stories.story import POLICY, Story, check, webhook

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


ON_CALL = """
routes: [{escalation: page}]
escalations:
  page: {stages: [{notify: [chat, {schedule: primary}]}, {delay: 30m, notify: [{person: cleo}]}]}
schedules:
  primary: {rotations: [{people: [ana, [ben, cleo]], shift: 12h, starts: '2026-02-28T12:00'}]}
  empty: {rotations: [{people: [ana], shift: 12h, starts: '2030-01-01T00:00'}]}
people:
  ana: {notify: [{email: ana@example.org}, {channel: pager}]}
  ben: {notify: [{email: ben@example.org}]}
  cleo: {notify: [{email: cleo@example.org}]}
channels:
  chat: {type: terminal}
  pager: {type: terminal}
  mail: {type: email, smarthost: '127.0.0.1:25', from: tocsin@example.org, to: [all@example.org]}
"""


def test_whoever_is_on_call_when_the_stage_is_due_is_told_by_every_way_to_them():
    check(
        """
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
               -> ben@mail opened     Down  1 firing, 0 resolved
               -> cleo@mail opened     Down  1 firing, 0 resolved
        00:30  -> cleo@mail escalated  Down  1 firing, 0 resolved
        12:01  fires    Slow@web
               -> chat   opened     Slow  1 firing, 0 resolved
               -> ana@mail opened     Slow  1 firing, 0 resolved
               -> pager  opened     Slow  1 firing, 0 resolved
        12:02  resolves Down@db
               -> chat   resolved   Down  0 firing, 1 resolved
               -> ben@mail resolved   Down  0 firing, 1 resolved
               -> cleo@mail resolved   Down  0 firing, 1 resolved
        """,
        ON_CALL,
    )


def test_a_stage_that_reaches_nobody_says_so_and_is_counted():
    policy = ON_CALL.replace("[chat, {schedule: primary}]", "[{schedule: empty}]")
    story = Story(policy, {})
    story.play("00:00 fires Down@db")
    (first,) = [step.why for step in story.steps if step.what == "stage 1 of 2"]
    assert first == "it was due: the escalation 'page' now tells nobody, as nobody is on call for empty"
    story.play("00:31 waits")
    assert [line.split()[2:4] for line in story.transcript if "->" in line] == [["cleo@mail", "opened"]]
    body = webhook("other", [story.alert_json("Slow@other")])
    entry = Entry(10, story.now, AlertsReceived("am", body, parse(body)))
    assert decide(story.state, entry, story.state.policy).counts["stages_unreached"] == 1
