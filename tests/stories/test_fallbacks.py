"""Who is told instead, when a channel refuses a page or does not take it in time."""

from __future__ import annotations

from receiver.engine import decide
from receiver.entry import Delivered, Entry, NotTaken
from tests.stories.story import Story, check

CHANNELS = """
channels:
  chat: {type: terminal, fallback: pager}
  pager: {type: terminal, fallback: phone}
  phone: {type: terminal}
"""
POLICY = (
    """
routes: [{escalation: page}]
escalations: {page: {stages: [{notify: [chat]}, {delay: 30m, notify: [chat]}]}}
"""
    + CHANNELS
)
BOTH = POLICY.replace("[{notify: [chat]}", "[{notify: [chat, pager]}")
STORM = POLICY + "storms: {per_channel: {limit: 1, per: 1m}, never_hold: []}"


def test_a_page_that_is_refused_is_told_to_the_fallback_which_from_then_on_knows():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
               -> pager  opened     Down  1 firing, 0 resolved
        00:05  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        """,
        POLICY,
    )


def test_fallbacks_may_have_fallbacks():
    check(
        """
        00:00  refuses  chat pager
        00:00  fires    Down
               -> phone  opened     Down  1 firing, 0 resolved
        """,
        POLICY,
    )


def test_a_page_that_is_not_taken_in_time_is_told_to_the_fallback_and_still_owed():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:01  tires    chat
               -> pager  opened     Down  1 firing, 0 resolved
        00:02  fires    Slow@Down
               -> pager  updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:03  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        """,
        POLICY,
    )


def test_what_is_held_for_a_channel_that_does_not_answer_is_told_to_its_fallback_in_time_and_once():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A
        00:00  fires    B
        00:00  fires    C
        00:02  tires    chat
               -> pager  opened     A  1 firing, 0 resolved
        00:03  -> pager  digest     2: B open, C open
        00:10  fires    D
        00:10  fires    E
        00:10  fires    F
        00:12  -> pager  digest     2: E open, F open
        00:12  tires    chat
        00:13  -> pager  opened     D  1 firing, 0 resolved
        00:20  mends    chat
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   digest     2: B open, C open
               -> chat   opened     D  1 firing, 0 resolved
               -> chat   digest     2: E open, F open
        00:30  waits
        """,
        STORM.replace("delay: 30m", "delay: 3h"),
    )


def test_with_a_fallback_that_is_told_at_once_what_is_held_is_told_when_the_limit_allows_it():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A
        00:00  fires    B
        00:00  fires    C
        00:01  tires    chat
               -> pager  opened     A  1 firing, 0 resolved
        00:02  -> pager  digest     2: B open, C open
        00:10  fires    D
        00:10  fires    E
        00:11  -> pager  opened     E  1 firing, 0 resolved
        00:12  waits
        """,
        STORM.replace("fallback: pager", "fallback: pager, fallback_after: 0s").replace("delay: 30m", "delay: 3h"),
    )


def test_what_calls_nobody_makes_no_later_page_of_what_is_held():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A
        00:00  fires    B
        00:00  fires    C
        00:05  fires    D
        00:05  fires    E
        00:10  -> pager  escalated  A  1 firing, 0 resolved
        00:11  -> pager  digest     2: B open, C open
        00:15  -> pager  escalated  D  1 firing, 0 resolved
        00:16  -> pager  escalated  E  1 firing, 0 resolved
        00:17  snoozes  E 2m ana
               -> pager  updated    E  1 firing, 0 resolved
        00:19  -> pager  updated    E  1 firing, 0 resolved
        00:50  waits
        """,
        STORM.replace("delay: 30m, notify: [chat]", "delay: 10m, notify: [pager]").replace(
            "fallback: pager", "fallback: pager, fallback_after: 20m"
        ),
    )


def test_another_policy_gives_a_fallback_to_what_is_held_already():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A
        00:00  fires    B
        00:00  fires    C
        00:02  fires    D
        00:02  fires    E
        00:10  loads    after
        00:11  -> pager  opened     E  1 firing, 0 resolved
        00:20  loads    before
        00:30  waits
        """,
        STORM.replace("fallback: pager", "").replace("delay: 30m", "delay: 3h"),
        before=STORM.replace("fallback: pager", "").replace("delay: 30m", "delay: 3h"),
        after=STORM.replace("delay: 30m", "delay: 3h"),
    )


def test_what_waits_for_a_limit_only_is_not_told_to_the_fallback():
    check(
        """
        00:00  fires    A
               -> chat   opened     A  1 firing, 0 resolved
        00:00  fires    B
        00:10  -> chat   opened     B  1 firing, 0 resolved
        00:12  waits
        """,
        STORM.replace("per: 1m", "per: 10m"),
    )


def test_what_was_told_because_it_took_too_long_is_not_told_again_when_it_is_refused():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:01  tires    chat
               -> pager  opened     Down  1 firing, 0 resolved
        00:02  tires    chat
        00:03  refuses  chat
        00:03  mends    chat
        """,
        POLICY,
    )


def test_each_page_is_told_once_also_the_next_stage():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:01  tires    chat
               -> pager  opened     Down  1 firing, 0 resolved
        00:31  tires    chat
               -> pager  escalated  Down  1 firing, 0 resolved
        00:32  tires    chat
        """,
        POLICY,
    )


def test_a_fallback_that_was_paged_at_the_same_time_is_not_paged_again():
    story = check_story("00:00 refuses chat", "00:00 fires Down", policy=BOTH)
    assert [message.strip() for message in story.transcript if "->" in message] == [
        "-> pager  opened     Down  1 firing, 0 resolved"
    ]
    assert story.why("no fallback needed") == ["chat will not take it: no; pager, its fallback, was told as well"]


def test_a_chain_of_fallbacks_never_comes_back_to_whom_the_same_stage_told():
    """The simulation found this (seed 1): the last of the chain was paged twice for one stage."""
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
               -> phone  opened     Down  1 firing, 0 resolved
        00:01  refuses  pager
        00:01  tires    chat
        """,
        POLICY.replace("[{notify: [chat]}", "[{notify: [chat, phone]}"),
    )


def test_a_fallback_that_was_told_knows_of_all_pages_until_then():
    """Likewise (seed 20): two pages that were late told the same twice, one after the other."""
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:30  waits
        00:31  tires    chat
               -> pager  opened     Down  1 firing, 0 resolved
        """,
        POLICY,
    )


def test_what_a_digest_only_brings_up_to_date_does_not_fall_back():
    """Likewise (seed 31): a digest with a snoozed incident paged the fallback about it."""
    check(
        """
        00:00  fires    A
               -> chat   opened     A  1 firing, 0 resolved
        00:00  fires    B C
        00:00  snoozes  B 2h ana
        00:01  -> chat   digest     2: B snoozed, C open
        00:02  fires    D
               -> chat   opened     D  1 firing, 0 resolved
        00:02  acks     A ana
        00:02  acks     B ana
        00:02  refuses  chat
        00:05  waits
        """,
        STORM,
    )


def test_the_story_says_who_was_told_instead_and_why():
    story = check_story("00:00 breaks chat", "00:00 fires Down", "00:01 tires chat", policy=POLICY)
    assert story.why("told pager instead") == [
        "chat has not taken it since 00:00:00Z (nobody listens), and still gets it; pager is its fallback"
    ]


def test_what_is_over_when_it_is_late_waits_for_its_channel():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:00  resolves Down
        00:01  tires    chat
        00:02  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   resolved   Down  0 firing, 1 resolved
        """,
        POLICY,
    )


def test_what_is_over_when_it_is_refused_is_told_as_over():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:00  resolves Down
        00:01  refuses  chat
        00:01  mends    chat
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
        """,
        POLICY,
    )


def test_an_update_that_is_refused_is_told_to_nobody_else():
    check(
        """
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  refuses  chat
        00:01  fires    Slow@Down
        """,
        POLICY,
    )


def test_the_storm_limit_of_the_fallback_holds_and_a_digest_falls_back_as_one():
    check(
        """
        00:00  breaks   chat
        00:00  fires    A B C
        00:02  tires    chat
               -> pager  opened     A  1 firing, 0 resolved
        00:03  -> pager  digest     2: B open, C open
        00:03  mends    chat
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   digest     2: B open, C open
        """,
        STORM,
    )


def test_a_digest_that_is_refused_is_told_as_a_digest_when_the_limit_allows_that():
    check(
        """
        00:00  fires    A B C
               -> chat   opened     A  1 firing, 0 resolved
        00:00  refuses  chat
        00:01  -> pager  digest     2: B open, C open
        00:02  waits
        """,
        STORM,
    )


def test_without_a_fallback_nothing_else_is_told():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
        """,
        POLICY.replace(", fallback: pager", ""),
    )


def test_the_fallback_is_that_of_the_policy_in_force():
    check(
        """
        00:00  breaks   chat
        00:00  fires    Down
        00:00  loads    other
        00:01  tires    chat
               -> phone  opened     Down  1 firing, 0 resolved
        """,
        POLICY,
        other=POLICY.replace("fallback: pager", "fallback: phone"),
    )


def test_a_report_of_what_was_taken_meanwhile_changes_nothing():
    story = check_story("00:00 breaks chat", "00:00 fires Down", policy=POLICY)
    (page,) = story.owed
    about = (page.id, page.incident, "chat")
    taken = decide(story.state, Entry(98, story.now, Delivered(*about, 1, 0.1, "ok")), story.state.policy)
    story.state.apply(taken.changes)
    late = NotTaken(*about, page.created_at, "slow")
    decision = decide(story.state, Entry(99, story.now, late), story.state.policy)
    assert (decision.changes, decision.messages) == ((), ())


def check_story(*lines: str, policy: str) -> Story:
    story = Story(policy, {})
    for line in lines:
        story.play(line)
    return story
