"""What fires again a moment after it was over is the same incident; what does so again and again flaps."""

from __future__ import annotations

import pytest

from receiver.incident import Status
from tests.stories.story import POLICY, Story, check

TWICE = POLICY + "flapping: {after: 2, calm: 10m}\n"
ONCE = POLICY + "flapping: {after: 1, calm: 10m}\n"
NEVER = POLICY + "flapping: {after: 0}\n"
NOT_AGAIN = POLICY + "reopen_within: 0s\n"
HOURS = POLICY + "reopen_within: 4h\n"
LATER_PAGER = """
routes: [{escalation: chat}]
escalations: {chat: {stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]}}
channels: {chat: {type: terminal}, pager: {type: terminal}}
flapping: {after: 1, calm: 10m}
"""


def story_of(*lines: str, policy: str = POLICY, **others: str) -> Story:
    story = Story(policy, others)
    for line in lines:
        story.play(line)
    return story


def whys(story: Story, what: str) -> list[str]:
    return [step.why for step in story.steps if step.what == what]


# --- reopening -------------------------------------------------------------------------------------------------


def test_what_fires_again_within_reopen_within_is_opened_again_and_paged_anew():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:06  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        00:10  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
               -> pager  updated    Down  1 firing, 0 resolved
        00:15  -> pager  escalated  Down  1 firing, 0 resolved
        00:16  waits
    """)


def test_it_keeps_its_name_and_its_story_says_that_it_was_opened_again():
    story = story_of("00:00 fires Down", "00:01 resolves Down", "00:05 fires Down")
    (incident,) = story.state.incidents.values()
    assert (incident.id, incident.status, incident.reopened, incident.resolved_at) == ("T-2", Status.OPEN, 1, None)
    assert whys(story, "reopened") == ["it fires again within 5m of its end (once now)"]


def test_what_fires_again_after_reopen_within_is_a_new_incident():
    story = story_of("00:00 fires Down", "00:01 resolves Down", "00:06 fires Down")
    assert len(story.state.incidents) == 2
    assert story.transcript[-1].split()[2] == "opened"


def test_with_reopen_within_0s_nothing_is_opened_again():
    story = story_of("00:00 fires Down", "00:01 resolves Down", "00:01 fires Down", policy=NOT_AGAIN)
    assert len(story.state.incidents) == 2


def test_what_may_be_opened_again_for_hours_is_remembered_for_hours():
    story = story_of("00:00 fires Down", "00:01 resolves Down", "03:00 fires Down", policy=HOURS)
    (incident,) = story.state.incidents.values()
    assert incident.reopened == 1
    story.play("03:01 resolves Down")
    story.play("08:00 waits")
    assert story.state.incidents == {}


def test_what_a_person_resolved_is_never_opened_again():
    story = story_of("00:00 fires Down", "00:01 closes Down ana", "00:02 resolves Down", "00:03 fires Down")
    assert [each.reopened for each in story.state.incidents.values()] == [0, 0]
    assert [each.resolved_by for each in story.state.incidents.values()] == ["ana", None]


def test_who_acknowledged_it_the_last_time_does_not_have_it_now():
    story = story_of(
        "00:00 fires Down{severity=critical}", "00:01 acks Down ana", "00:02 resolves Down", "00:04 fires Down"
    )
    incident = story.incident_of("Down")
    assert (incident.status, incident.acknowledged_by) == (Status.OPEN, None)
    story.play("00:09 waits")
    assert story.transcript[-2].split()[2:4] == ["pager", "escalated"]


def test_a_channel_that_was_down_meanwhile_hears_all_of_it_in_order():
    check("""
        00:00  breaks   chat
        00:00  fires    Down
        00:01  resolves Down
        00:02  fires    Down
        00:03  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   resolved   Down  0 firing, 1 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  waits
    """)


# --- flapping --------------------------------------------------------------------------------------------------


def test_from_the_second_time_on_it_flaps_and_nobody_hears_each_move():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:04  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
        00:06  fires    Down
        00:07  resolves Down
        00:16  fires    Down
        00:17  resolves Down
        00:27  -> chat   resolved   Down  0 firing, 1 resolved
        00:30  waits
        """,
        TWICE,
    )


def test_the_story_counts_how_often_and_says_when_it_will_be_over():
    lines = [f"00:{minute:02} {'resolves' if minute % 2 else 'fires'} Down" for minute in range(8)]
    story = story_of(*lines, policy=TWICE)
    incident = story.incident_of("Down")
    assert (incident.status, incident.firing, incident.reopened) == (Status.OPEN, 0, 3)
    assert incident.calm_at is not None
    assert f"{incident.calm_at:%H:%M}" == "00:17"
    assert whys(story, "reopened")[-1] == (
        "it fires again within 5m of its end (2 times now): it flaps, and updates are held off until it is calm"
    )
    assert whys(story, "fires again") == ["it flaps (3 times now), and is not over"]
    assert whys(story, "flapping")[-1] == "it came back 3 times: over when nothing fires for 10m"
    story.play("00:20 waits")
    assert whys(story, "resolved")[-1] == "it flapped, and nothing of it fired for long enough"


def test_what_flapped_and_fires_again_right_after_its_calm_flaps_on():
    story = story_of(
        "00:00 fires Down", "00:01 resolves Down", "00:02 fires Down", "00:03 resolves Down", "00:13 waits",
        "00:14 fires Down", policy=ONCE,
    )  # fmt: skip
    assert len(story.state.incidents) == 1
    assert story.incident_of("Down").reopened == 2
    assert story.transcript[-1] == "       -> chat   opened     Down  1 firing, 0 resolved"


def test_a_severity_that_rises_pages_although_it_flaps():
    check(
        """
        00:00  fires    Slow@db{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  resolves Slow@db
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:02  fires    Slow@db
               -> chat   opened     Slow  1 firing, 0 resolved
        00:03  fires    Slower@db{severity=warning}
        00:04  fires    Error@db{severity=error}
               -> chat   escalated  Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:05  fires    Down@db{severity=critical}
               -> chat   escalated  Slow and 3 more kinds of alert  4 firing, 0 resolved
        00:10  -> pager  escalated  Slow and 3 more kinds of alert  4 firing, 0 resolved
        00:11  waits
        """,
        ONCE,
    )


def test_stages_wait_while_it_is_calm_and_are_taken_when_it_fires_again():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  resolves Down
        00:09  fires    Down
               -> pager  escalated  Down  1 firing, 0 resolved
        00:10  resolves Down
        00:20  -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        00:30  waits
        """,
        LATER_PAGER,
    )


def test_what_flaps_can_be_acknowledged_and_stays_so_until_it_is_calm():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:04  resolves Down
        00:05  fires    Down
        00:06  resolves Down
        00:16  -> chat   resolved   Down  0 firing, 1 resolved
        00:20  waits
        """,
        LATER_PAGER,
    )


@pytest.mark.parametrize("line", ["00:04 acks Down ana", "00:04 snoozes Down 1h ana"])
def test_what_is_calm_can_be_put_off_and_is_over_all_the_same(line: str):
    story = story_of(
        "00:00 fires Down", "00:01 resolves Down", "00:02 fires Down", "00:03 resolves Down", line, "00:14 waits",
        policy=LATER_PAGER,
    )  # fmt: skip
    assert story.incident_of("Down").status is Status.RESOLVED
    assert story.transcript[-2].split()[1:4] == ["->", "chat", "resolved"]


def test_a_snooze_that_ends_in_the_calm_pages_nobody():
    story = story_of(
        "00:00 fires Down", "00:01 resolves Down", "00:02 fires Down", "00:03 resolves Down",
        "00:04 snoozes Down 5m ana", "00:12 waits", policy=LATER_PAGER,
    )  # fmt: skip
    assert story.incident_of("Down").status is Status.OPEN
    assert [line for line in story.transcript if "pager" in line] == []
    story.play("00:13:01 waits")
    assert story.incident_of("Down").status is Status.RESOLVED


def test_what_flaps_can_be_resolved_by_hand_and_then_something_new_begins():
    story = story_of(
        "00:00 fires Down", "00:01 resolves Down", "00:02 fires Down", "00:03 resolves Down", "00:04 closes Down ana",
        "00:05 fires Down", policy=ONCE,
    )  # fmt: skip
    assert [each.reopened for each in story.state.incidents.values()] == [1, 0]
    assert story.transcript[-1].split()[2] == "opened"


def test_a_channel_that_was_not_told_again_is_not_told_that_it_is_over_again():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:06  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        00:07  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:08  resolves Down
        00:18  -> chat   resolved   Down  0 firing, 1 resolved
        00:20  waits
        """,
        LATER_PAGER,
    )


def test_with_after_0_nothing_flaps():
    story = Story(NEVER, {})
    for minute in range(20):
        story.play(f"00:{minute:02} {'resolves' if minute % 2 else 'fires'} Down")
    assert len([line for line in story.transcript if "opened" in line]) == 10
    assert len([line for line in story.transcript if "-> chat   resolved" in line]) == 10
    assert whys(story, "flapping") == []


def test_a_policy_that_knows_no_flapping_lets_what_is_calm_be_over_at_its_time():
    story = story_of(
        "00:00 fires Down", "00:01 resolves Down", "00:02 fires Down", "00:03 resolves Down", "00:04 loads never",
        "00:13 waits", policy=ONCE, never=NEVER,
    )  # fmt: skip
    assert story.incident_of("Down").status is Status.RESOLVED


def test_what_people_do_to_what_flaps_is_told():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  snoozes  Down 10m ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:04  resolves Down
        00:05  fires    Down
        00:13  -> chat   updated    Down  1 firing, 0 resolved
        00:14  acks     Down ben
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:15  closes   Down ben
               -> chat   resolved   Down  1 firing, 0 resolved
        """,
        ONCE,
    )


def test_a_policy_that_does_not_take_it_for_flapping_tells_what_was_held_off():
    check(
        """
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resolves Down@db
               -> chat   resolved   Down  0 firing, 1 resolved
        00:02  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  fires    Slow@db
        00:04  loads    never
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:05  waits
        """,
        ONCE,
        never=NEVER,
    )
