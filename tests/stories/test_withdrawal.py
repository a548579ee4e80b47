"""Pages that are owed while somebody acknowledges, or puts off, what they are about: they are not sent any more."""

from __future__ import annotations

from receiver.entry import Withdrawn
from receiver.incident import Incident
from tests.stories.story import POLICY, Story, check

FALLBACK = """
routes: [{escalation: page}]
escalations: {page: {stages: [{notify: [chat]}]}}
channels: {chat: {type: terminal, fallback: pager}, pager: {type: terminal}}
"""
ONE = POLICY + "storms: {per_channel: {limit: 1, per: 10m}}\n"
AGAIN = """
routes: [{escalation: page}]
escalations:
  page: {acknowledged_for: 1h, stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]}
channels: {chat: {type: terminal}, pager: {type: terminal}}
"""


def told(*lines: str, policy: str = POLICY) -> Story:
    story = Story(policy, {})
    for line in lines:
        story.play(line)
    return story


def only_incident(story: Story) -> Incident:
    (incident,) = story.state.incidents.values()
    return incident


def test_a_channel_that_comes_back_hears_who_has_it_and_calls_nobody():
    check("""
        00:00  breaks   chat
        00:01  fires    Down{severity=critical}
        00:06  -> pager  escalated  Down  1 firing, 0 resolved
        00:10  acks     Down ana
               -> pager  acknowledged Down  1 firing, 0 resolved
        00:20  mends    chat
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:30  resolves Down
               -> chat   resolved   Down  0 firing, 1 resolved
               -> pager  resolved   Down  0 firing, 1 resolved
    """)


def test_the_story_says_that_it_was_not_sent_and_why():
    story = told("00:00 breaks chat", "00:01 fires Down", "00:02 acks Down ana", "00:03 mends chat")
    assert story.why("withdrawn") == ["not sent to chat any more: ana has it"]
    incident = only_incident(story)
    assert (incident.told, incident.owed, incident.pages) == (("chat",), {}, {})


def test_a_page_about_what_was_put_off_comes_when_that_is_over():
    check("""
        00:00  breaks   chat
        00:01  fires    Down
        00:02  snoozes  Down 1h ana
        00:03  mends    chat
               -> chat   updated    Down  1 firing, 0 resolved
        01:02  -> chat   opened     Down  1 firing, 0 resolved
        02:00  waits
    """)


def test_what_is_over_by_then_is_told_as_it_came():
    check("""
        00:00  breaks   chat
        00:01  fires    Down
        00:02  acks     Down ana
        00:03  resolves Down
        00:04  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> chat   resolved   Down  0 firing, 1 resolved
    """)


def test_what_is_open_again_when_the_channel_is_back_calls():
    check(
        """
        00:00  breaks   chat
        00:01  fires    Down
        00:06  -> pager  escalated  Down  1 firing, 0 resolved
        00:10  acks     Down ana
               -> pager  acknowledged Down  1 firing, 0 resolved
        01:10  -> pager  updated    Down  1 firing, 0 resolved
        01:11  waits
        01:12  mends    chat
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> chat   escalated  Down  1 firing, 0 resolved
        """,
        AGAIN,
    )


def test_an_escalation_that_begins_anew_calls_in_its_time():
    """The pager is the second stage: it is called five minutes after the acknowledgement ended, not at once."""
    check(
        """
        00:00  breaks   pager
        00:01  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:10  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:11  mends    pager
               -> pager  acknowledged Down  1 firing, 0 resolved
        01:10  -> chat   escalated  Down  1 firing, 0 resolved
               -> pager  updated    Down  1 firing, 0 resolved
        01:15  -> pager  escalated  Down  1 firing, 0 resolved
        01:20  waits
        """,
        AGAIN,
    )


def test_no_fallback_is_told_of_a_page_that_was_withdrawn():
    check(
        """
        00:00  breaks   chat
        00:01  fires    Down
        00:02  acks     Down ana
        00:03  refuses  chat
        00:04  mends    chat
        """,
        FALLBACK,
    )


def test_a_fallback_that_hears_of_what_was_put_off_is_called_when_that_is_over():
    check(
        """
        00:00  breaks   chat
        00:01  fires    Down
        00:02  snoozes  Down 1h ana
        00:03  tires    chat
               -> pager  updated    Down  1 firing, 0 resolved
        01:02  -> pager  opened     Down  1 firing, 0 resolved
        01:03  waits
        """,
        FALLBACK,
    )


def test_what_was_held_back_and_put_off_calls_when_that_is_over():
    check(
        """
        00:00  fires    One
               -> chat   opened     One  1 firing, 0 resolved
        00:01  fires    Two
        00:02  snoozes  Two 1h ana
        00:10  -> chat   updated    Two  1 firing, 0 resolved
        01:02  -> chat   opened     Two  1 firing, 0 resolved
        01:03  waits
        """,
        ONE,
    )


def test_what_was_put_off_in_a_digest_calls_when_that_is_over():
    check(
        """
        00:00  fires    One
               -> chat   opened     One  1 firing, 0 resolved
        00:01  fires    Two
        00:02  fires    Three
        00:03  snoozes  Two 1h ana
        00:10  -> chat   digest     2: Two snoozed, Three open
        01:03  -> chat   opened     Two  1 firing, 0 resolved
        01:04  waits
        """,
        ONE,
    )


def test_a_digest_that_is_owed_goes_out():
    check(
        """
        00:00  fires    One
               -> chat   opened     One  1 firing, 0 resolved
        00:01  breaks   chat
        00:02  fires    Two
        00:03  fires    Three
        00:12  acks     Two ana
        00:20  mends    chat
               -> chat   digest     2: Two open, Three open
        """,
        ONE,
    )


def test_an_entry_that_comes_when_it_is_open_again_calls_after_all():
    """The outbox looked while it was put off, and its report is decided after that was over."""
    story = told("00:00 breaks chat", "00:01 fires Down", "00:02 snoozes Down 1m ana")
    (page,) = [message for message in story.owed if message.kind == "opened"]
    story.play("00:04 waits")
    story.owed.remove(page)
    story._broken.clear()
    story._enter(Withdrawn(page.id, page.incident, "chat", "opened", 0, "it was put off"))
    assert [line.split()[1:3] for line in story.transcript if "->" in line][-1:] == [["chat", "opened"]]
    assert only_incident(story).withdrawn == {}


def test_a_withdrawal_that_is_reported_twice_changes_nothing():
    story = told("00:00 breaks chat", "00:01 fires Down", "00:02 acks Down ana")
    page = story.owed[0]
    story.play("00:03 mends chat")
    before = only_incident(story)
    story._enter(Withdrawn(page.id, page.incident, "chat", "opened", 0, "ana has it"))
    assert only_incident(story) == before
