"""What the receiver does, told as stories. Each test is one thing that a person on call would notice."""

from __future__ import annotations

import pytest

from receiver.entry import Delivered, Undeliverable
from tests.stories.story import POLICY, Story, check


def test_an_alert_opens_an_incident_and_its_end_resolves_it():
    check("""
        00:00  fires    Slow
               -> chat   opened     Slow  1 firing, 0 resolved
        00:03  resolves Slow
               -> chat   resolved   Slow  0 firing, 1 resolved
    """)


def test_the_second_stage_is_told_when_it_is_due_and_everybody_told_hears_the_end():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> pager  escalated  Down  1 firing, 0 resolved
        00:10  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
    """)


def test_nobody_further_is_told_once_it_is_resolved():
    check("""
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        09:00  waits
    """)


def test_alerts_of_one_group_are_one_incident():
    check("""
        00:00  fires    Down@db
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  fires    Slow@db
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:02  resolves Down@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:03  resolves Slow@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
    """)


def test_groups_are_separate_incidents():
    check("""
        00:00  fires    Down Slow
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   opened     Slow  1 firing, 0 resolved
    """)


def test_a_repeat_tells_nobody_anything():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:30  repeats  Down
        04:00  repeats  Down
    """)


def test_a_group_that_comes_and_goes_in_one_body_stays_one_incident():
    story = Story(POLICY, {})
    story.play("00:00  fires Down@db")
    # One body in which the one alert is over and the other begins.
    story._firing["db"].clear()
    story.play("00:01  waits")
    group, down = story._alert("Down@db")
    _, slow = story._alert("Slow@db")
    story._post(group, [story._json(down, "resolved", story.now), story._json(slow, "firing", story.now)])
    assert story.transcript[-1].split("->")[1].split() == [
        "chat", "updated", "Down", "and", "1", "more", "kind", "of", "alert", "1", "firing,", "1", "resolved",
    ]  # fmt: skip


def test_who_is_missing_from_a_body_is_hidden_and_not_resolved():
    check("""
        00:00  fires    Down@db Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:05  hides    Slow@db
        00:06  resolves Down@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        09:00  waits
    """)


def test_an_alert_that_comes_back_opens_a_new_incident():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:06  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
    """)


def test_an_older_firing_right_after_the_resolve_is_doubted_and_a_second_resolve_settles_it():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:05  late     Down
        00:10  resolves Down
        09:00  waits
    """)


def test_an_alert_that_is_back_right_after_its_resolve_is_not_lost():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:05  late     Down
        00:10  -> chat   opened     Down  1 firing, 0 resolved
        00:20  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        09:00  waits
    """)


def test_a_doubt_inside_an_open_incident_joins_it_again():
    check("""
        00:00  fires    Down@db{severity=critical} Slow@db
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  resolves Slow@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        00:01  late     Slow@db
        00:05  -> pager  escalated  Down and 1 more kind of alert  1 firing, 1 resolved
        00:06  -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
               -> pager  updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:07  waits
    """)


def test_a_channel_that_the_policy_no_longer_has_is_told_nothing_more():
    check(
        """
        00:00  fires    Down@db{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  loads    renamed
               -> pager  opened     Down  1 firing, 0 resolved
        00:02  fires    Slow@db
               -> pager  updated    Down and 1 more kind of alert  2 firing, 0 resolved
        """,
        renamed=RENAMED,
    )


def test_loading_a_policy_that_routes_as_before_adds_nothing_to_the_story():
    policy = """
        routes: [{matchers: ['severity="critical"'], escalation: page}]
        escalations: {page: {stages: [{notify: [chat]}]}}
        channels: {chat: {type: terminal}}
    """
    story = Story(policy, {"same": policy})
    story.play("00:00  fires Slow")
    (before,) = story.state.incidents.values()
    story.play("00:01  loads same")
    (after,) = story.state.incidents.values()
    assert after.steps == before.steps == 2


def test_an_older_resolve_does_not_end_the_episode_that_came_after_it():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:10  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:10  overdue  Down
        09:00  waits
    """)


def test_in_a_first_episode_a_resolve_counts_whatever_the_clocks_say():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  overdue  Down
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_the_same_firing_a_while_after_the_resolve_is_an_alert_that_came_back():
    check("""
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        00:07  late     Down
               -> chat   opened     Down  1 firing, 0 resolved
    """)


def test_the_end_of_an_alert_never_seen_opens_nothing():
    check("""
        00:00  resolves Down
        00:10  resolves Down
    """)


def test_a_rising_severity_takes_the_route_of_the_higher_one():
    check("""
        00:00  fires    Slow@db{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:02  fires    Down@db{severity=critical}
               -> chat   escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:07  -> pager  escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:08  resolves Down@db Slow@db
               -> chat   resolved   Slow and 1 more kind of alert  0 firing, 2 resolved
               -> pager  resolved   Slow and 1 more kind of alert  0 firing, 2 resolved
    """)


def test_a_channel_that_is_down_owes_the_past_and_one_update_not_a_pile():
    check("""
        00:00  breaks   chat
        00:01  fires    A@db
        00:02  fires    B@db
        00:03  fires    C@db
        00:04  fires    D@db
        00:05  mends    chat
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   updated    A and 3 more kinds of alert  4 firing, 0 resolved
    """)


def test_a_channel_that_comes_back_after_the_end_hears_of_both():
    check("""
        00:00  breaks   chat
        00:01  fires    Down
        00:02  resolves Down
        05:00  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_a_refused_message_does_not_stop_the_next_one():
    check("""
        00:00  refuses  chat
        00:01  fires    Down
        00:02  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


SLOWER = """
escalations:
  page: {stages: [{notify: [chat]}, {delay: 1h, notify: [pager]}]}
channels: {chat: {type: terminal}, pager: {type: terminal}}
"""
RENAMED = """
escalations:
  everything: {stages: [{delay: 0s, notify: [pager]}]}
channels: {pager: {type: terminal}}
"""


def test_a_new_policy_times_the_stages_of_open_incidents_anew():
    check(
        """
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  loads    slower
        00:59  waits
        01:00  -> pager  escalated  Down  1 firing, 0 resolved
        02:00  waits
        """,
        slower=SLOWER,
    )


def test_an_incident_whose_escalation_is_gone_takes_the_route_of_the_new_policy():
    check(
        """
        00:00  fires    Down{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  loads    renamed
               -> pager  opened     Down  1 firing, 0 resolved
        02:00  waits
        """,
        renamed=RENAMED,
    )


def test_without_a_route_nobody_is_told_and_the_story_says_so():
    policy = """
        routes: [{matchers: ['severity="critical"'], escalation: page}]
        escalations: {page: {stages: [{notify: [chat]}]}}
        channels: {chat: {type: terminal}}
    """
    check("00:00  fires    Slow\n00:05  resolves Slow", policy)


def test_a_route_without_an_escalation_shows_and_tells_nobody():
    policy = """
        routes: [{matchers: ['alertname="Watchdog"']}, {escalation: chat}]
        escalations: {chat: {stages: [{notify: [chat]}]}}
        channels: {chat: {type: terminal}}
    """
    check(
        """
        00:00  fires    Watchdog Slow
               -> chat   opened     Slow  1 firing, 0 resolved
        """,
        policy,
    )


def test_an_incident_leaves_memory_an_hour_after_its_end_and_not_before():
    story = Story(POLICY, {})
    story.play("00:00  fires Down")
    story.play("00:05  resolves Down")
    story.play("01:04  waits")
    assert len(story.state.incidents) == len(story.state.alerts) == 1
    story.play("01:06  waits")
    assert (story.state.incidents, story.state.alerts) == ({}, {})
    assert story.state.next_due() is None


def test_an_incident_that_is_owed_a_message_stays_in_memory():
    story = Story(POLICY, {})
    for line in ("00:00  breaks chat", "00:01  fires Down", "00:02  resolves Down", "05:00  waits"):
        story.play(line)
    assert len(story.state.incidents) == 1
    story.play("05:01  mends chat")
    story.play("07:00  waits")
    assert story.state.incidents == {}


def test_an_answer_that_comes_twice_changes_nothing():
    story = Story(POLICY, {})
    story.play("00:00  fires Down")
    (before,) = story.state.incidents.values()
    told = f"story-{before.id}-3-chat"
    story._enter(Delivered(told, before.id, "chat", 1, 0.0, "ok"))
    story._enter(Undeliverable(told, before.id, "chat", 1, "no"))
    assert story.state.incidents[before.id] == before


def test_a_transcript_that_is_not_what_happens_fails():
    with pytest.raises(AssertionError):
        check("""
            00:00  fires    Slow
                   -> pager  opened     Slow  1 firing, 0 resolved
        """)
