"""What people do to incidents, told as stories: acknowledge, snooze, resolve by hand, note."""

from __future__ import annotations

import pytest

from receiver.entry import (
    Acknowledged,
    Assigned,
    Merged,
    Noted,
    ResolvedByHand,
    Snoozed,
    Split,
    Written,
    read,
    write,
)
from receiver.incident import TRANSITIONS, NotInTable, Status, Trigger, next_status
from receiver.policy.duration import parse_duration
from tests.stories.story import POLICY, Story, check
from tests.stories.test_stories import RENAMED


def story_of(*lines: str, policy: str = POLICY) -> Story:
    story = Story(policy, {})
    for line in lines:
        story.play(line)
    return story


def test_nobody_is_paged_once_somebody_has_acknowledged():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        09:00  waits
        09:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_no_page_follows_an_acknowledgement_whatever_joins_or_goes_until_it_is_over():
    check("""
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:10  fires    Slow@db{severity=critical}
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:20  resolves Slow@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        08:00  repeats  db
        09:00  waits
        09:01  resolves Down@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
    """)


def test_acknowledging_twice_tells_nobody_and_the_first_one_has_it():
    story = story_of("00:00  fires Down", "00:01  acks Down ana")
    told = len(story.transcript)
    steps = len(story.steps)
    story.play("00:02  acks Down ben")
    assert len(story.transcript) == told + 1  # the line of the script
    assert len(story.steps) == steps
    assert story.incident_of("Down").acknowledged_by == "ana"


def test_everybody_who_was_told_hears_who_has_it():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:06  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> pager  acknowledged Down  1 firing, 0 resolved
    """)


def test_a_channel_that_was_down_hears_of_the_acknowledgement_alone_and_once():
    check("""
        00:00  breaks   chat
        00:01  fires    Down@db
        00:02  fires    Slow@db
        00:03  acks     Down ana
        00:04  mends    chat
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
    """)


def test_alerts_that_join_what_somebody_has_are_an_update_and_no_page():
    check("""
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:02  fires    Slow@db
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        09:00  waits
    """)


def test_a_rising_severity_pages_again_although_somebody_had_acknowledged():
    check("""
        00:00  fires    Slow@db{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  acks     Slow ana
               -> chat   acknowledged Slow  1 firing, 0 resolved
        00:02  fires    Down@db{severity=critical}
               -> chat   escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:07  -> pager  escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:08  waits
    """)


def test_a_rising_severity_begins_the_same_escalation_anew_and_the_story_says_why():
    story = story_of(
        "00:00  fires Slow@db{severity=warning}",
        "00:01  snoozes Slow 2h ana",
        "00:02  fires Slower@db{severity=error}",
    )
    incident = story.incident_of("Slow")
    assert (incident.status, incident.snoozed_until, incident.acknowledged_by) == (Status.OPEN, None, None)
    assert story.transcript[-1].split()[:3] == ["->", "chat", "escalated"]
    (why,) = [step.why for step in story.steps if step.what == "open again"]
    assert "it was snoozed when it was milder" in why


def test_a_snooze_puts_the_stages_off_and_takes_them_once_at_its_end():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  snoozes  Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        01:02  -> pager  escalated  Down  1 firing, 0 resolved
               -> chat   updated    Down  1 firing, 0 resolved
        09:00  waits
    """)


def test_a_stage_that_was_not_due_in_the_snooze_is_taken_when_it_is():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  snoozes  Down 2m ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:03  -> chat   updated    Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:06  waits
    """)


def test_what_ends_while_it_is_snoozed_is_resolved_and_stays_so():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  snoozes  Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:02  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        09:00  waits
    """)


def test_a_snooze_can_be_made_longer_and_ends_with_an_acknowledgement():
    story = story_of("00:00  fires Down", "00:01  snoozes Down 10m ana", "00:05  snoozes Down 1h ana", "00:30  waits")
    assert story.incident_of("Down").status is Status.SNOOZED
    story.play("00:31  acks Down ben")
    story.play("05:00  waits")
    incident = story.incident_of("Down")
    assert (incident.status, incident.snoozed_until, incident.acknowledged_by) == (Status.ACKNOWLEDGED, None, "ben")
    assert story.state.next_due() == incident.stale_at


def test_snoozing_what_somebody_has_gives_it_back_when_the_snooze_ends():
    story = story_of("00:00  fires Down", "00:01  acks Down ana", "00:02  snoozes Down 1h ana", "02:00  waits")
    incident = story.incident_of("Down")
    assert (incident.status, incident.acknowledged_by) == (Status.OPEN, None)


def test_what_was_resolved_by_hand_is_not_opened_by_repeats_but_by_what_fires_anew():
    check("""
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  closes   Down ana
               -> chat   resolved   Down  1 firing, 0 resolved
        04:00  repeats  Down@db
        05:00  resolves Down@db
        05:30  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        05:31  resolves Down@db
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_another_alert_of_the_group_opens_a_new_incident_beside_what_was_resolved_by_hand():
    check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  closes   Down ana
               -> chat   resolved   Down  1 firing, 0 resolved
        00:02  fires    Slow@db
               -> chat   opened     Slow  1 firing, 0 resolved
        00:03  resolves Down@db Slow@db
               -> chat   resolved   Slow  0 firing, 1 resolved
    """)


def test_what_was_resolved_by_hand_stays_in_memory_while_its_alerts_fire():
    story = story_of("00:00  fires Down", "00:01  closes Down ana", "09:00  waits")
    (incident,) = story.state.incidents.values()
    assert (incident.status, incident.firing, incident.resolved_by) == (Status.RESOLVED, 1, "ana")
    story.play("09:01  resolves Down")
    assert story.incident_of("Down").firing == 0
    story.play("09:01  late Down")  # the other Alertmanager of a pair
    story.play("09:05  resolves Down")
    story.play("10:30  waits")
    assert (story.state.incidents, story.state.alerts) == ({}, {})
    (why,) = [step.why for step in story.steps if step.what == "resolved by hand"]
    assert "1 alert still fires" in why


def test_an_older_firing_after_the_end_of_what_was_resolved_by_hand_is_doubted_as_ever():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  closes   Down ana
               -> chat   resolved   Down  1 firing, 0 resolved
        00:05  resolves Down
        00:05  late     Down
        00:10  -> chat   opened     Down  1 firing, 0 resolved
        00:20  waits
    """)


def test_what_is_resolved_can_only_be_noted():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  acks     Down ana
               -> refused T-2: an incident that is resolved does not know 'acknowledge'
        00:03  snoozes  Down 1h ana
               -> refused T-2: an incident that is resolved does not know 'snooze'
        00:04  closes   Down ana
               -> refused T-2: an incident that is resolved does not know 'resolve'
        00:05  notes    Down ana
        02:00  notes    Down ana
               -> refused T-2 is over and put away: nothing can be done to it any more
    """)


def test_every_act_is_in_the_story_with_who_did_it():
    story = story_of(
        "00:00  fires Down", "00:01  notes Down ana", "00:02  snoozes Down 1h ben", "00:03  acks Down cleo",
        "00:04  closes Down dora",
    )  # fmt: skip
    acts = [(step.what, step.by) for step in story.steps if step.by != "tocsin"]
    assert acts == [("note", "ana"), ("snoozed", "ben"), ("acknowledged", "cleo"), ("resolved by hand", "dora")]
    assert [step.why for step in story.steps if step.what == "note"] == ["looking at it"]


def test_a_new_policy_pages_nobody_about_what_somebody_has():
    check(
        """
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:02  loads    renamed
        09:00  waits
        """,
        renamed=RENAMED,
    )


def test_a_new_policy_lets_a_snooze_end_when_it_should():
    check(
        """
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  snoozes  Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:02  loads    renamed
        01:01  -> pager  opened     Down  1 firing, 0 resolved
        02:00  waits
        """,
        renamed=RENAMED,
    )


def test_a_doubt_that_comes_true_in_what_somebody_has_is_an_update():
    check("""
        00:00  fires    Down@db Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  acks     Down ana
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
        00:02  resolves Slow@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:02  late     Slow@db
        00:07  -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:08  waits
    """)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("trigger", Trigger)
def test_what_is_not_in_the_table_names_state_and_trigger(status: Status, trigger: Trigger):
    if (status, trigger) in TRANSITIONS:
        assert next_status(status, trigger) is TRANSITIONS[status, trigger]
    else:
        with pytest.raises(NotInTable, match=f"{status}.*{trigger}"):
            next_status(status, trigger)


@pytest.mark.parametrize(
    ("fact", "kind", "body"),
    [
        (
            Acknowledged("T-1", "ana"),
            "acknowledged",
            b'{"type":"acknowledged","incident":"T-1","by":"ana","via":"api"}',
        ),
        (
            ResolvedByHand("T-1", "ana", "command"),
            "resolved_by_hand",
            b'{"type":"resolved_by_hand","incident":"T-1","by":"ana","via":"command"}',
        ),
        (
            Snoozed("T-1", "ana", parse_duration("2h30m"), "link"),
            "snoozed",
            b'{"type":"snoozed","incident":"T-1","by":"ana","duration":"PT9000S","via":"link"}',
        ),
        (
            Noted("T-1", "ana", "x", "button"),
            "noted",
            b'{"type":"noted","incident":"T-1","by":"ana","text":"x","via":"button"}',
        ),
        (
            Assigned("T-1", "ana", "ben", "page"),
            "assigned",
            b'{"type":"assigned","incident":"T-1","by":"ana","to":"ben","via":"page"}',
        ),
        (
            Merged("T-1", "ana", "T-2"),
            "merged",
            b'{"type":"merged","incident":"T-1","by":"ana","into":"T-2","via":"api"}',
        ),
        (
            Split("T-1", "ana", ("a", "b")),
            "split",
            b'{"type":"split","incident":"T-1","by":"ana","alerts":["a","b"],"merged":null,"via":"api"}',
        ),
    ],
)
def test_the_journal_writes_acts_as_it_will_have_to_read_them_for_years(fact, kind: str, body: bytes):
    written = write(fact)
    assert (written.kind, written.body) == (kind, body)
    assert read(written) == fact


@pytest.mark.parametrize(
    ("body", "fact"),
    [
        (b'{"type":"acknowledged","incident":"T-1","by":"ana"}', Acknowledged("T-1", "ana", "api")),
        (b'{"type":"noted","incident":"T-1","by":"ana","text":"x"}', Noted("T-1", "ana", "x", "api")),
    ],
)
def test_acts_from_before_there_was_a_way_are_read(body: bytes, fact):
    assert read(Written("", "", body)) == fact


def test_two_doubts_of_one_group_that_end_together_are_one_incident():
    check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  closes   Down ana
               -> chat   resolved   Down  1 firing, 0 resolved
        00:02  fires    Slow@db
               -> chat   opened     Slow  1 firing, 0 resolved
        00:05  resolves Down@db Slow@db
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:05  late     Down@db Slow@db
        00:10  -> chat   opened     Slow and 1 more kind of alert  2 firing, 0 resolved
        00:11  waits
    """)
