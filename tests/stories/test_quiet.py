"""Nobody is told in a maintenance window, nor of what fires again while it cools down."""

from __future__ import annotations

import pytest

from receiver.incident import Status
from tests.stories.story import POLICY, Story, check

ONCE = (
    POLICY
    + """
maintenance:
  - {name: move, matchers: ['service="shop"'], from: '2026-03-01T01:00', to: '2026-03-01T03:00'}
"""
)
NIGHT = (
    POLICY
    + """
maintenance:
  - {name: patch night, matchers: ['service="shop"'], weekly: 'Sun 02:00-04:00', time_zone: Europe/Berlin}
"""
)
OVER_MIDNIGHT = (
    POLICY
    + """
maintenance:
  - {name: late, matchers: ['service="shop"'], weekly: 'Sun 22:00-24:00'}
  - {name: early, matchers: ['service="shop"'], weekly: 'Mon 00:00-02:00'}
"""
)
COOLDOWN = (
    POLICY
    + """
reopen_within: 1m
cooldowns:
  - {matchers: ['severity="warning"'], duration: 30m}
  - {matchers: ['severity="info"'], duration: 6h}
"""
)
WITHOUT = POLICY


def story_of(*lines: str, policy: str = ONCE, **others: str) -> Story:
    story = Story(policy, others)
    for line in lines:
        story.play(line)
    return story


def whys(story: Story, what: str) -> list[str]:
    return [step.why for step in story.steps if step.what == what]


def told(story: Story) -> list[str]:
    return [line.strip() for line in story.transcript if "->" in line]


# --- maintenance -----------------------------------------------------------------------------------------------


def test_nobody_is_told_before_the_window_ends_and_then_stages_count_from_there():
    check(
        """
        01:10  fires    Down{service=shop,severity=critical}
        01:20  fires    Other
               -> chat   opened     Other  1 firing, 0 resolved
        03:00  -> chat   opened     Down  1 firing, 0 resolved
        03:05  -> pager  escalated  Down  1 firing, 0 resolved
        03:06  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        """,
        ONCE,
    )


def test_the_story_says_until_when_nobody_is_told_and_why():
    story = story_of("01:10 fires Down{service=shop}", "03:01 waits")
    assert whys(story, "nobody is told yet") == ["maintenance 'move' until 2026-03-01 03:00:00Z"]
    assert whys(story, "no longer quiet") == ["the delays of its stages count from now on"]
    assert story.incident_of("Down").quiet_until is None


def test_what_is_over_inside_the_window_is_heard_of_by_nobody():
    story = story_of("01:10 fires Down{service=shop}", "01:20 resolves Down", "04:00 waits")
    assert told(story) == []
    assert story.incident_of("Down").status is Status.RESOLVED


def test_one_alert_that_is_not_in_maintenance_is_enough_to_tell_of_all():
    check(
        """
        01:10  fires    Down@db{service=shop}
        01:20  fires    Slow@db{service=cart}
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        01:30  resolves Down@db
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
        01:40  resolves Slow@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
        """,
        ONCE,
    )


def test_what_is_left_of_an_incident_may_become_quiet_and_who_knows_of_it_hears_the_rest_at_the_end():
    check(
        """
        01:10  fires    Down@db{service=shop} Slow@db{service=cart}
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        01:20  resolves Slow@db
        01:30  fires    Hot@db{service=shop}
        03:00  -> chat   updated    Down and 2 more kinds of alert  2 firing, 1 resolved
        03:10  waits
        """,
        ONCE,
    )


def test_what_was_open_before_the_window_waits_with_its_stages_and_updates_but_its_end_is_told():
    check(
        """
        00:57  fires    Down@db{service=shop,severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        01:10  fires    Slow@db{service=shop}
        01:20  resolves Down@db Slow@db
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
        04:00  waits
        """,
        ONCE,
    )


def test_what_was_open_before_the_window_and_is_open_after_it_goes_on_where_it_was():
    check(
        """
        00:57  fires    Down@db{service=shop,severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        01:10  fires    Slow@db{service=shop}
        03:00  -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        03:05  -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
        03:06  waits
        """,
        ONCE,
    )


def test_nobody_is_told_at_the_end_of_the_window_of_what_did_not_change():
    story = story_of("00:50 fires Down{service=shop,severity=critical}", "00:55 waits", "04:00 waits")
    assert [line.split()[-5] for line in told(story)] == ["Down", "Down"]
    assert len(told(story)) == 2


def test_what_somebody_has_in_hand_is_told_as_ever():
    check(
        """
        00:57  fires    Down@db{service=shop}
               -> chat   opened     Down  1 firing, 0 resolved
        01:10  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        01:20  fires    Slow@db{service=shop}
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        04:00  waits
        """,
        ONCE,
    )


def test_a_snooze_that_ends_inside_the_window_waits_for_the_windows_end():
    check(
        """
        00:50  fires    Down{service=shop}
               -> chat   opened     Down  1 firing, 0 resolved
        00:51  snoozes  Down 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        03:00  -> chat   updated    Down  1 firing, 0 resolved
        03:10  waits
        """,
        ONCE,
    )


def test_what_is_opened_again_and_over_again_inside_the_window_is_heard_of_by_nobody():
    check(
        """
        00:57  fires    Down{service=shop}
               -> chat   opened     Down  1 firing, 0 resolved
        00:58  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        01:01  fires    Down
        01:10  resolves Down
        04:00  waits
        """,
        ONCE,
    )


def test_what_is_opened_again_inside_the_window_and_stays_is_told_at_its_end():
    check(
        """
        00:54  fires    Down{service=shop,severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:59  -> pager  escalated  Down  1 firing, 0 resolved
        00:59  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        01:01  fires    Down
        03:00  -> chat   opened     Down  1 firing, 0 resolved
               -> pager  updated    Down  1 firing, 0 resolved
        03:05  -> pager  escalated  Down  1 firing, 0 resolved
        03:06  waits
        """,
        ONCE,
    )


def test_a_policy_that_takes_the_window_away_tells_at_once():
    check(
        """
        01:10  fires    Down{service=shop,severity=critical}
        01:20  loads    without
               -> chat   opened     Down  1 firing, 0 resolved
        01:25  -> pager  escalated  Down  1 firing, 0 resolved
        01:26  waits
        """,
        ONCE,
        without=WITHOUT,
    )


def test_a_policy_that_brings_a_window_lets_stages_wait():
    check(
        """
        01:10  fires    Down{service=shop,severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        01:12  loads    once
        03:05  -> pager  escalated  Down  1 firing, 0 resolved
        03:06  waits
        """,
        WITHOUT,
        once=ONCE,
    )


def test_one_window_right_after_another_is_one_night():
    check(
        """
        22:10  fires    Down{service=shop}
        02:00  -> chat   opened     Down  1 firing, 0 resolved
        +1d02:10  waits
        """,
        OVER_MIDNIGHT,
    )


@pytest.mark.parametrize(
    ("day", "before", "inside", "end"),
    [
        ("+7d", "00:59", "01:00", "03:00"),  # winter: Berlin is an hour ahead
        ("+28d", "00:59", "01:00", "02:00"),  # the 29th of March: two o'clock does not come
        ("+35d", "+34d23:59", "00:00", "02:00"),  # summer: two hours ahead
        ("+238d", "+237d23:59", "00:00", "03:00"),  # the 25th of October: two o'clock comes twice
    ],
)
def test_the_night_in_which_the_clock_changes(day: str, before: str, inside: str, end: str):
    before = before if "d" in before else f"{day}{before}"
    story = story_of(f"{before} fires Early{{service=shop}}", f"{day}{inside} fires Down{{service=shop}}", policy=NIGHT)
    assert told(story) == ["-> chat   opened     Early  1 firing, 0 resolved"]
    story.play(f"{day}05:00 waits")
    assert told(story)[1:] == [f"{end}  -> chat   opened     Down  1 firing, 0 resolved"]


# --- cooldown --------------------------------------------------------------------------------------------------


def test_what_fires_again_while_it_cools_down_is_told_at_the_end_of_that():
    check(
        """
        00:00  fires    Slow{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  resolves Slow
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:10  fires    Slow
        00:30  -> chat   opened     Slow  1 firing, 0 resolved
        00:40  resolves Slow
               -> chat   resolved   Slow  0 firing, 1 resolved
        """,
        COOLDOWN,
    )


def test_what_fires_again_and_is_over_while_it_cools_down_is_never_told():
    check(
        """
        00:00  fires    Slow{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  resolves Slow
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:10  fires    Slow
        00:20  resolves Slow
        00:25  fires    Slow
        00:29  resolves Slow
        02:00  waits
        """,
        COOLDOWN,
    )


def test_what_is_opened_again_while_it_cools_down_is_quiet_too():
    check(
        """
        00:00  fires    Slow{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  resolves Slow
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:01  fires    Slow
        00:02  resolves Slow
        00:02  fires    Slow
        00:30  -> chat   opened     Slow  1 firing, 0 resolved
        00:31  waits
        """,
        COOLDOWN,
    )


def test_the_label_on_the_alert_wins_over_the_policy():
    story = story_of(
        "00:00 fires Slow{severity=warning,cooldown=2h}", "00:01 resolves Slow", "00:40 fires Slow", "01:59 waits",
        policy=COOLDOWN,
    )  # fmt: skip
    assert len(told(story)) == 2
    assert whys(story, "nobody is told yet") == ["Slow cools down until 2026-03-01 02:00:00Z"]
    story.play("02:00 waits")
    assert told(story)[2:] == ["02:00  -> chat   opened     Slow  1 firing, 0 resolved"]


@pytest.mark.parametrize(("label", "at_once"), [("0s", True), ("soon", False)])
def test_a_label_of_0_cools_nothing_and_one_that_says_nothing_leaves_it_to_the_policy(label: str, at_once: bool):
    story = story_of(
        f"00:00 fires Slow{{severity=warning,cooldown={label}}}", "00:01 resolves Slow", "00:10 fires Slow",
        policy=COOLDOWN,
    )  # fmt: skip
    assert (len(told(story)) == 3) is at_once


def test_a_cooldown_is_longer_than_resolved_incidents_are_remembered_for_otherwise():
    check(
        """
        00:00  fires    Note{severity=info}
               -> chat   opened     Note  1 firing, 0 resolved
        00:01  resolves Note
               -> chat   resolved   Note  0 firing, 1 resolved
        05:00  fires    Note
        05:10  resolves Note
        05:20  fires    Note
        06:00  -> chat   opened     Note  1 firing, 0 resolved
        06:01  waits
        """,
        COOLDOWN,
    )


def test_what_has_cooled_down_is_forgotten_and_new_again():
    story = story_of("00:00 fires Note{severity=info}", "00:01 resolves Note", "06:01 waits", policy=COOLDOWN)
    assert story.state.incidents == {}
    story.play("06:02 fires Note")
    assert len(told(story)) == 3


def test_another_alert_of_the_group_is_not_quiet():
    check(
        """
        00:00  fires    Slow@db{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  resolves Slow@db
               -> chat   resolved   Slow  0 firing, 1 resolved
        00:10  fires    Slow@db
        00:11  fires    Slower@db{severity=warning}
               -> chat   opened     Slow and 1 more kind of alert  2 firing, 0 resolved
        00:12  waits
        """,
        COOLDOWN,
    )


STORY = (
    "00:50 fires A{service=shop} B@g{service=shop,severity=warning}", "00:55 resolves B@g", "00:58 acks A ana",
    "01:10 fires C{service=shop,severity=critical}", "01:20 fires B@g", "01:30 fires D@g{service=shop}",
    "02:00 resolves D@g", "02:30 resolves A",
)  # fmt: skip


@pytest.mark.parametrize("end", range(1, len(STORY) + 1))
def test_nothing_is_quiet_for_ever_wherever_a_story_ends(end: int):
    both = ONCE + COOLDOWN.removeprefix(POLICY)
    story = story_of(*STORY[:end], policy=both)
    story.play("04:00 waits")
    for incident in story.state.incidents.values():
        assert (incident.quiet_until, incident.stale) == (None, ()), incident.title
        assert incident.status is not Status.OPEN or incident.told, incident.title
