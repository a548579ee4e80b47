"""What a channel refused is sent again when a person says so: a new message, about the incident as it is now."""

from __future__ import annotations

from tests.stories.story import POLICY, Story, check


def test_what_was_refused_is_sent_again_as_the_incident_is_now():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
        00:01  fires    Slow@Down
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:02  resends  chat ana
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:03  acks     Down ben
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
        00:04  resends  chat ana
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
        00:05  resolves Down Slow@Down
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
        00:06  resends  chat ana
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
        """,
    )


def test_the_fallback_is_not_told_again_when_what_is_sent_again_is_refused_again():
    """The simulation found this (seed 42): a page that cleo sent again paged the fallback a second time."""
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
               -> pager  opened     Down  1 firing, 0 resolved
        00:02  refuses  chat
        00:02  resends  chat ana
        """,
        POLICY.replace("chat: {type: terminal}", "chat: {type: terminal, fallback: pager}").replace("5m", "1h"),
    )


def test_the_story_says_who_wanted_it():
    story = Story(POLICY, {})
    for line in ("00:00 refuses chat", "00:00 fires Down", "00:02 resends chat ana"):
        story.play(line)
    (step,) = [step for step in story.steps if step.what == "told chat again"]
    assert (step.by, step.via) == ("ana", "api")
    assert step.why == "ana wants chat to be told: it did not take story-T-2-3-chat"


def test_what_cannot_be_sent_again_is_refused_with_the_reason():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
        00:01  breaks   chat
        00:01  fires    Slow@Down
        00:02  resends  chat ana
               -> refused T-2: chat has not answered yet what it was sent about it since
        00:03  mends    chat
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:04  loads    less
        00:04  resends  chat ana
               -> refused T-2: the policy has no channel 'chat' any more
        """,
        less="channels: {pager: {type: terminal}}\nroutes: [{matchers: ['alertname=\"None\"']}]",
    )


def test_of_what_is_over_and_put_away_nothing_is_sent_again():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
        00:01  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
        03:00  resends  chat ana
               -> refused T-2 is over and put away: nothing can be done to it any more
        """,
    )


def test_the_limit_of_a_channel_holds_for_what_is_sent_again():
    check(
        """
        00:00  refuses  chat
        00:00  fires    Down
        00:00  fires    Slow
        00:00  resends  chat ana
        00:00  resends  chat ana
               -> refused T-2: chat hears of it in its next digest
        """,
        POLICY + "storms: {per_channel: {limit: 1, per: 1h}, never_hold: []}",
    )
