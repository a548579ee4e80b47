"""A channel is told so much in so long; what is more comes in a digest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from receiver.incident import Incident, Status
from receiver.message import read as read_message
from receiver.storm import DIGEST_INCIDENTS_MAX
from tests.stories.story import Store, Story, check

CHANNELS = """
routes:
  - {matchers: ['team="both"'], escalation: both}
  - {matchers: ['severity="critical"'], escalation: page}
  - {escalation: chat}
escalations:
  page: {stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]}
  chat: {stages: [{notify: [chat]}, {delay: 10m, notify: [pager]}]}
  both: {stages: [{notify: [chat, pager]}]}
channels:
  chat: {type: terminal}
  pager: {type: terminal}
"""
TWO = CHANNELS + "storms: {per_channel: {limit: 2, per: 1m}}\n"
ALL_MAY_BE_HELD = CHANNELS + "storms: {per_channel: {limit: 2, per: 1m}, never_hold: []}\n"
SLOW = CHANNELS + "storms: {per_channel: {limit: 2, per: 1h}}\n"
UNLIMITED = CHANNELS + "storms: {per_channel: {limit: 0}}\n"
NO_PAGER = """
routes: [{escalation: chat}]
escalations: {chat: {stages: [{notify: [chat]}]}}
channels: {chat: {type: terminal}}
storms: {per_channel: {limit: 2, per: 1m}}
"""


def story_of(*lines: str, policy: str = TWO, **others: str) -> Story:
    story = Story(policy, others)
    for line in lines:
        story.play(line)
    return story


def whys(story: Story, what: str) -> list[str]:
    return [step.why for step in story.steps if step.what == what]


def told(story: Story) -> list[str]:
    return [line.strip() for line in story.transcript if "->" in line]


def held(story: Story) -> list[Incident]:
    return [each for each in story.state.incidents.values() if each.held]


def test_ten_in_a_minute_are_told_and_the_eleventh_is_held_for_the_digest():
    story = Story(CHANNELS, {})
    for number in range(13):
        story.play(f"00:00:{number:02} fires A{number}")
    assert len(told(story)) == 10
    assert [each.title for each in held(story)] == ["A10", "A11", "A12"]
    story.play("00:00:59 waits")
    assert len(told(story)) == 10
    story.play("00:01 waits")
    assert told(story)[10:] == ["00:01  -> chat   digest     3: A10 open, A11 open, A12 open"]
    assert held(story) == []


def test_the_story_of_what_was_held_says_why_and_for_how_long():
    story = story_of("00:00 fires A B", "00:00:20 fires C D", "00:02 waits")
    chat = "chat takes 2 messages in 1m: this comes in its next digest"
    assert whys(story, "held back from chat") == [chat, chat]
    assert whys(story, "told chat") == ["in a digest of 2 incidents; it was held back for 40s"] * 2
    steps = [step.what for step in story.steps if step.incident == story.incident_of("D").id]
    assert steps == ["opened", "routed", "stage 1 of 2", "held back from chat", "told chat", "delivered"]


def test_a_single_one_is_told_as_what_it_is_and_not_in_a_digest():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:30  fires    C
        00:01  -> chat   opened     C  1 firing, 0 resolved
        00:02  waits
        """,
        TWO,
    )


def test_what_is_over_or_in_hand_before_the_digest_is_shown_so():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  fires    C D E
        00:00:20  resolves C
        00:00:30  acks     D ana
        00:01  -> chat   digest     3: C resolved, D acknowledged, E open
        00:02  waits
        """,
        TWO,
    )


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("00:00:30  resolves C", "resolved   C  0 firing, 1 resolved"),
        ("00:00:30  acks C ana", "acknowledged C  1 firing, 0 resolved"),
        ("00:00:30  snoozes C 1h ana", "updated    C  1 firing, 0 resolved"),
        ("00:00:30  closes C ana", "resolved   C  1 firing, 0 resolved"),
    ],
)
def test_a_single_one_that_is_over_or_in_hand_by_then_pages_nobody(line: str, kind: str):
    story = story_of("00:00 fires A B", "00:00:10 fires C", line, "00:01 waits")
    assert told(story)[2:] == [f"00:01  -> chat   {kind}"]


def test_what_is_critical_passes_at_once_and_the_rest_is_not_told_later_for_it():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  fires    C D
        00:00:20  fires    Down{severity=critical} Worse{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   opened     Worse  1 firing, 0 resolved
        00:00:50  fires    Worst{severity=critical}
               -> chat   opened     Worst  1 firing, 0 resolved
        00:01  -> chat   digest     2: C open, D open
        00:02  waits
        """,
        TWO,
    )


def test_critical_ones_that_never_end_do_not_keep_the_digest_back():
    story = Story(TWO, {})
    story.play("00:00 fires A B C D")
    for second in range(1, 180):
        story.play(f"00:{second // 60:02}:{second % 60:02} fires Down{second}{{severity=critical}}")
    digests = [line for line in told(story) if "digest" in line]
    assert digests == ["00:01  -> chat   digest     2: C open, D open"]
    assert len([line for line in told(story) if "Down" in line]) == 179


def test_what_becomes_critical_while_it_is_held_passes_as_what_was_never_told():
    story = story_of("00:00 fires A B", "00:00:10 fires C@db D@x", "00:00:20 fires Down@db{severity=critical}")
    assert told(story)[2:] == ["-> chat   opened     C and 1 more kind of alert  2 firing, 0 resolved"]
    assert whys(story, "told chat") == ['it was held back for 10s; what has severity="critical" is not held']
    assert [each.title for each in held(story)] == ["D"]


def test_a_severity_that_rises_while_something_milder_is_held_is_told_as_that():
    check(
        """
        00:00  fires    A@db B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  acks     A ana
        00:00:20  fires    Slow@db{severity=error}
        00:01  -> chat   escalated  A and 1 more kind of alert  2 firing, 0 resolved
        00:02  waits
        """,
        TWO,
    )


def test_a_storm_of_what_may_all_be_held_lists_the_worst_first():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  fires    C D{severity=critical} E{severity=warning}
        00:01  -> chat   digest     3: D open, E open, C open
        00:02  waits
        """,
        ALL_MAY_BE_HELD,
    )


def test_a_full_channel_does_not_hold_back_another_one():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  fires    C{team=both} D
               -> pager  opened     C  1 firing, 0 resolved
        00:00:20  resolves C
               -> pager  resolved   C  0 firing, 1 resolved
        00:01  -> chat   digest     2: C resolved, D open
        00:02  waits
        """,
        TWO,
    )


def test_stages_are_held_like_all_else():
    check(
        """
        00:00  fires    A B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:01:30  fires    C D
               -> chat   opened     C  1 firing, 0 resolved
               -> chat   opened     D  1 firing, 0 resolved
        00:02:30  fires    E F
               -> chat   opened     E  1 firing, 0 resolved
               -> chat   opened     F  1 firing, 0 resolved
        00:10  -> pager  escalated  A  1 firing, 0 resolved
               -> pager  escalated  B  1 firing, 0 resolved
        00:10:20  waits
        00:10:30  fires    G{team=both}
               -> chat   opened     G  1 firing, 0 resolved
        00:11  -> pager  opened     G  1 firing, 0 resolved
        00:11  -> pager  escalated  C  1 firing, 0 resolved
        00:11:40  acks     D ana
               -> chat   acknowledged D  1 firing, 0 resolved
        00:12  -> pager  acknowledged D  1 firing, 0 resolved
        00:12:10  waits
        """,
        TWO,
    )


def test_updates_of_what_is_told_already_are_held_too_and_come_once():
    check(
        """
        00:00  fires    A@db B
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:00:10  fires    C@db
        00:00:20  fires    D@db
        00:00:30  resolves D@db
        00:01  -> chat   updated    A and 2 more kinds of alert  2 firing, 1 resolved
        00:02  waits
        """,
        TWO,
    )


def test_more_than_a_digest_takes_comes_in_the_next_one_the_worst_first():
    story = Story(TWO, {})
    story.play("00:00 fires A B")
    names = " ".join(f"H{number}" for number in range(DIGEST_INCIDENTS_MAX + 20))
    story.play(f"00:00:10 fires {names} Worse{{severity=error}}")
    story.play("00:02 waits")
    assert told(story)[2:] == [
        "00:01  -> chat   digest     100: Worse open, H0 open, H1 open, H2 open, …, 21 more later",
        "-> chat   digest     21: H99 open, H100 open, H101 open, H102 open, …",
    ]
    assert held(story) == []


def test_a_channel_that_is_down_is_owed_one_digest_and_what_comes_later_is_told_as_it_is_then():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A B
        00:00:10  fires    C D
        00:01:10  fires    E F G H
        00:05  resolves C E
        00:06  resolves G
        00:07  mends    chat
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
               -> chat   digest     2: C open, D open
               -> chat   opened     E  1 firing, 0 resolved
               -> chat   digest     5: C resolved, E resolved, F open, G resolved, …
        00:09  waits
        """,
        TWO,
    )


def test_critical_ones_come_at_once_while_a_digest_is_owed_and_are_right_in_the_end():
    story = story_of(
        "00:00 breaks chat", "00:00 fires A B", "00:00:10 fires C@db D", "00:02 fires Down@db{severity=critical}",
        "00:03 resolves C@db Down@db", "00:04 mends chat",
    )  # fmt: skip
    of_db = [line for line in told(story) if "C and" in line or "digest" in line]
    assert of_db[0] == "-> chat   digest     2: C open, D open"
    assert of_db[-1] == "-> chat   resolved   C and 1 more kind of alert  0 firing, 2 resolved"


def test_a_digest_that_comes_after_what_overtook_it_does_not_have_the_last_word():
    story = story_of("00:00 fires A B", "00:00:10 fires C@db D", "00:00:50 breaks chat", "00:01 waits")
    (digest,) = story.owed
    assert read_message(digest).kind == "digest"
    story.play("00:02 fires Down@db{severity=critical}")
    story.play("00:03 resolves C@db Down@db")
    story.owed.sort(key=lambda message: message.kind == "digest")  # as the lanes of the outbox may have it
    story.play("00:04 mends chat")
    assert [line.split()[2] for line in told(story)[2:]] == ["escalated", "resolved", "digest", "resolved"]


def test_a_digest_that_is_refused_is_said_in_each_story_and_nothing_waits_for_it():
    story = story_of("00:00 fires A B", "00:00:10 fires C D", "00:00:50 refuses chat", "00:02 waits")
    assert whys(story, "not delivered") == ["chat will not take it: no"] * 2
    assert held(story) == []
    assert story.state.channels["chat"].digests == {}
    story.play("00:03 resolves C")
    assert told(story)[-1] == "-> chat   resolved   C  0 firing, 1 resolved"


def test_a_channel_that_is_gone_holds_nothing_and_the_story_says_so():
    story = story_of(
        "00:00 fires A{team=both} B{team=both} C{team=both}", "00:00:30 loads no_pager", "00:05 waits",
        no_pager=NO_PAGER,
    )  # fmt: skip
    assert whys(story, "never told pager") == [
        "this was held back from there, and the policy has no such channel any more"
    ]
    assert held(story) == []
    assert story.state.channels["pager"].due_at is None


def test_a_limit_of_0_holds_nothing():
    story = Story(UNLIMITED, {})
    story.play("00:00 fires " + " ".join(f"A{number}" for number in range(50)))
    assert len(told(story)) == 50


@pytest.mark.parametrize("policy", [UNLIMITED, TWO])
def test_another_limit_lets_go_of_what_the_old_one_held(policy: str):
    story = story_of("00:00 fires A B", "00:00:10 fires C D", "00:05 loads other", policy=SLOW, other=policy)
    assert len(told(story)) == 2
    story.play("00:05:01 waits")
    assert told(story)[2:] == ["-> chat   digest     2: C open, D open"]


def test_what_was_held_and_is_never_held_any_more_pages_nobody_when_somebody_has_put_it_off():
    slow = ALL_MAY_BE_HELD.replace("per: 1m", "per: 1h")
    story = story_of("00:00 fires A B C{severity=critical}", "00:01 loads other", policy=slow, other=SLOW)
    story.play("00:02 snoozes C 1h ana")
    assert told(story)[2:] == ["-> chat   updated    C  1 firing, 0 resolved"]


def test_only_the_channel_from_which_a_page_was_held_back_is_paged_when_it_is_never_held_any_more():
    slow = ALL_MAY_BE_HELD.replace("per: 1m", "per: 1h")
    both = "C@c{team=both,severity=critical}"
    story = story_of("00:00 fires A B", f"00:01 fires {both}", "00:02 loads other", policy=slow, other=SLOW)
    assert told(story)[2:] == ["-> pager  opened     C  1 firing, 0 resolved"]
    story.play("00:03 fires D@c{team=both,severity=critical}")
    assert [line.split()[1:3] for line in told(story)[3:]] == [["chat", "opened"], ["pager", "updated"]]


def test_a_smaller_limit_counts_what_was_sent_before():
    story = story_of("00:00 fires A B C D", "00:00:10 loads two", "00:00:20 fires E F", policy=CHANNELS, two=TWO)
    assert len(told(story)) == 4
    story.play("00:02 waits")
    assert told(story)[4:] == ["00:01  -> chat   digest     2: E open, F open"]


def test_a_digest_does_not_hold_back_what_comes_a_period_later():
    check(
        """
        00:00  fires    A B C D
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   opened     B  1 firing, 0 resolved
        00:01  -> chat   digest     2: C open, D open
        00:01:30  resolves C
               -> chat   resolved   C  0 firing, 1 resolved
        00:05  waits
        """,
        TWO,
    )


def test_a_clock_that_is_put_back_holds_nothing_for_longer():
    story = story_of("02:00 fires A B", "02:00:10 fires C", "01:00 fires D", "01:02 waits")
    assert told(story)[2:] == ["-> chat   digest     2: C open, D open"]


STORM = (
    "00:00 fires A B@db C D", "00:00:10 fires E@db{severity=critical} F", "00:00:20 breaks chat", "00:00:30 resolves C",
    "00:01:10 fires G H I{team=both} J{team=both} K{team=both}", "00:02 acks F ana", "00:02:10 resolves A H",
    "00:02:20 mends chat", "00:02:30 fires L M N@db", "00:03 breaks chat", "00:04 fires O P Q R", "00:05 resolves O",
    "00:10 mends chat", "00:30 resolves D G I L P", "03:00 waits",
)  # fmt: skip


def test_restarts_change_nothing_that_people_hear():
    once, anew = Story(TWO, {}), Story(TWO, {}, store=Store())
    for line in STORM:
        once.play(line)
        anew.play(line)
    assert anew.transcript == once.transcript
    assert anew.steps == once.steps
    assert len([line for line in told(once) if "digest" in line]) == 6


@pytest.mark.parametrize("end", range(1, len(STORM)))
def test_nothing_is_held_for_ever_wherever_a_story_ends(end: int):
    story = story_of(*STORM[:end])
    story.play("03:00 mends chat pager")
    story.play("03:30 waits")
    for incident in story.state.incidents.values():
        assert (incident.held, incident.owed, incident.stale) == ({}, {}, ()), incident.id
    for channel in story.state.channels.values():
        assert (channel.due_at, channel.digests) == (None, {})


def test_no_channel_is_told_more_than_its_limit_but_for_lanes_that_are_never_held():
    story = Story(TWO, {})
    sent: list[timedelta] = []
    begin = story.now
    for second in range(0, 600, 3):
        before = len(told(story))
        story.play(f"00:{second // 60:02}:{second % 60:02} fires A{second}")
        sent += [story.now - begin] * (len(told(story)) - before)
    for first, third in zip(sent, sent[2:], strict=False):
        # Each is noted when the next line of the script comes, at most three seconds later.
        assert third - first > timedelta(seconds=56)
    story.play("01:00 waits")
    opened = [each for each in story.state.incidents.values() if each.status is Status.OPEN]
    assert len(opened) == 200
    assert held(story) == []
