"""People are paged again about what they know: it grew, or it became worse. And the first that anybody hears is a page
that says so."""

from __future__ import annotations

from tests.stories.story import Story, check

GROWS = """
routes: [{escalation: page}]
escalations:
  page:
    stages: [{notify: [chat]}, {delay: 5m, notify: [pager]}]
    again: {firing_more: 2}
channels: {chat: {type: terminal}, pager: {type: terminal}}
"""
NEVER = GROWS.replace("    again: {firing_more: 2}\n", "")
MILD = GROWS.replace("{firing_more: 2}", "{severity_rises: false}")


def told(story: Story) -> list[str]:
    return [" ".join(line.split()) for line in story.transcript if "->" in line]


def test_what_somebody_has_is_open_again_when_so_many_more_alerts_fire():
    check(
        """
        00:00  fires    A@db
               -> chat   opened     A  1 firing, 0 resolved
        00:01  acks     A ana
               -> chat   acknowledged A  1 firing, 0 resolved
        00:10  fires    B@db
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:20  fires    C@db
               -> chat   escalated  A and 2 more kinds of alert  3 firing, 0 resolved
        00:25  -> pager  escalated  A and 2 more kinds of alert  3 firing, 0 resolved
        00:30  fires    D@db
               -> chat   updated    A and 3 more kinds of alert  4 firing, 0 resolved
               -> pager  updated    A and 3 more kinds of alert  4 firing, 0 resolved
        02:00  waits
        """,
        GROWS,
    )


def test_the_story_says_how_many_fired_then_and_now():
    story = Story(GROWS, {})
    for line in ("00:00 fires A@db", "00:01 acks A ana", "00:20 fires B@db C@db D@db"):
        story.play(line)
    assert story.why("grew") == ["4 of its alerts fire, and 1 did when it was acknowledged: that is 2 more, or above"]
    assert story.why("open again") == [
        "it was acknowledged when it was smaller: it is open again, and its escalation begins anew"
    ]
    assert story.incident_of("A").acknowledged_by is None


def test_without_a_number_it_may_grow_as_it_likes():
    story = Story(NEVER, {})
    for line in ("00:00 fires A@db", "00:01 acks A ana", "00:20 fires B@db C@db D@db E@db", "02:00 waits"):
        story.play(line)
    assert [line.split()[2] for line in told(story)] == ["opened", "acknowledged", "updated"]


def test_what_somebody_put_off_is_open_again_as_well():
    story = Story(GROWS, {})
    for line in ("00:00 fires A@db", "00:01 snoozes A 5h ana", "00:20 fires B@db C@db"):
        story.play(line)
    assert told(story)[-1] == "-> chat escalated A and 2 more kinds of alert 3 firing, 0 resolved"
    assert story.incident_of("A").snoozed_until is None


def test_it_counts_what_fires_not_what_comes_and_goes():
    story = Story(GROWS, {})
    for line in (
        "00:00 fires A@db B@db",
        "00:01 acks A ana",
        "00:10 resolves B@db",
        "00:20 fires C@db",
        "00:30 fires D@db",
        "00:40 resolves A@db",
        "00:50 fires E@db",
    ):
        story.play(line)
    assert story.incident_of("C").status == "acknowledged"
    story.play("00:51 fires F@db")
    assert story.incident_of("C").status == "open"


def test_whoever_acknowledges_again_knows_how_large_it_is():
    story = Story(GROWS, {})
    for line in ("00:00 fires A@db", "00:01 acks A ana", "00:10 fires B@db", "00:15 acks A ben", "00:20 fires C@db"):
        story.play(line)
    incident = story.incident_of("A")
    assert (incident.status, incident.acknowledged_by) == ("acknowledged", "ana")
    assert story.why("still acknowledged") == ["ben says so"]
    story.play("00:30 fires D@db")
    assert story.incident_of("A").status == "open"


def test_what_a_person_merges_into_it_is_known_and_what_is_split_off_does_not_count_any_more():
    story = Story(GROWS, {})
    for line in ("00:00 fires A@db", "00:00 fires X@web Y@web Z@web", "00:01 acks A ana", "00:02 merges X A ana"):
        story.play(line)
    assert story.incident_of("A").status == "acknowledged"
    story.play("00:03 splits X Y Z ana")
    story.play("00:04 fires B@db")
    assert story.incident_of("A").status == "acknowledged"
    story.play("00:05 fires C@db")
    assert story.incident_of("A").status == "open"


def test_a_policy_with_a_number_counts_at_once():
    story = Story(NEVER, {"grows": GROWS})
    for line in ("00:00 fires A@db", "00:01 acks A ana", "00:20 fires B@db C@db", "01:00 loads grows"):
        story.play(line)
    assert told(story)[-1] == "-> chat escalated A and 2 more kinds of alert 3 firing, 0 resolved"


def test_in_a_maintenance_window_it_is_open_again_and_told_at_the_end():
    quiet = "maintenance: [{name: night, matchers: ['alertname=~\"[BC]|A\"'], weekly: 'Sun 00:10-01:00'}]\n"
    check(
        """
        00:00  fires    A@db
               -> chat   opened     A  1 firing, 0 resolved
        00:01  acks     A ana
               -> chat   acknowledged A  1 firing, 0 resolved
        00:20  fires    B@db C@db
        01:00  -> chat   escalated  A and 2 more kinds of alert  3 firing, 0 resolved
        01:05  -> pager  escalated  A and 2 more kinds of alert  3 firing, 0 resolved
        02:00  waits
        """,
        GROWS + quiet,
    )


def test_an_open_incident_that_becomes_worse_on_the_same_route_begins_anew_with_a_page():
    check(
        """
        00:00  fires    A@db{severity=warning}
               -> chat   opened     A  1 firing, 0 resolved
        00:05  -> pager  escalated  A  1 firing, 0 resolved
        00:30  fires    B@db{severity=critical}
               -> chat   escalated  A and 1 more kind of alert  2 firing, 0 resolved
               -> pager  updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:35  -> pager  escalated  A and 1 more kind of alert  2 firing, 0 resolved
        02:00  waits
        """,
        NEVER,
    )


def test_what_nobody_was_told_of_yet_keeps_its_delays_when_it_becomes_worse():
    late = NEVER.replace("[{notify: [chat]}, {delay: 5m, notify: [pager]}]", "[{delay: 5m, notify: [pager]}]")
    check(
        """
        00:00  fires    A@db{severity=warning}
        00:03  fires    B@db{severity=critical}
        00:05  -> pager  opened     A and 1 more kind of alert  2 firing, 0 resolved
        01:00  waits
        """,
        late,
    )


def test_a_severity_that_rises_pages_nobody_again_where_the_policy_says_so():
    check(
        """
        00:00  fires    A@db{severity=warning}
               -> chat   opened     A  1 firing, 0 resolved
        00:05  -> pager  escalated  A  1 firing, 0 resolved
        00:10  fires    B@db{severity=error}
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
               -> pager  updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:11  acks     A ana
               -> chat   acknowledged A and 1 more kind of alert  2 firing, 0 resolved
               -> pager  acknowledged A and 1 more kind of alert  2 firing, 0 resolved
        00:30  fires    C@db{severity=critical}
               -> chat   updated    A and 2 more kinds of alert  3 firing, 0 resolved
               -> pager  updated    A and 2 more kinds of alert  3 firing, 0 resolved
        02:00  waits
        """,
        MILD,
    )


def test_the_escalation_that_it_takes_now_says_whether_it_is_paged_again():
    policy = """
routes: [{matchers: ['severity="critical"'], escalation: page}, {escalation: chat}]
escalations:
  page: {stages: [{notify: [pager]}]}
  chat: {stages: [{notify: [chat]}], again: {severity_rises: false}}
channels: {chat: {type: terminal}, pager: {type: terminal}}
"""
    check(
        """
        00:00  fires    A@db{severity=warning}
               -> chat   opened     A  1 firing, 0 resolved
        00:01  acks     A ana
               -> chat   acknowledged A  1 firing, 0 resolved
        00:10  fires    B@db{severity=error}
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:30  fires    C@db{severity=critical}
               -> pager  escalated  A and 2 more kinds of alert  3 firing, 0 resolved
               -> chat   updated    A and 2 more kinds of alert  3 firing, 0 resolved
        """,
        policy,
    )


def test_what_flaps_is_told_when_it_grew():
    policy = GROWS + "flapping: {after: 1, calm: 10m}\n"
    story = Story(policy, {})
    for line in (
        "00:00 fires A@db",
        "00:01 resolves A@db",
        "00:02 fires A@db",
        "00:08 acks A ana",
        "00:20 fires B@db C@db",
    ):
        story.play(line)
    assert told(story)[-2:] == [
        "-> chat escalated A and 2 more kinds of alert 3 firing, 0 resolved",
        "-> pager updated A and 2 more kinds of alert 3 firing, 0 resolved",
    ]


def test_the_first_that_anybody_hears_is_that_it_is_opened_whichever_stage_says_so():
    left_out = GROWS.replace("{notify: [chat]}", "{notify: [chat], when: {firing_min: 5}}")
    check(
        """
        00:00  fires    A@db
        00:05  -> pager  opened     A  1 firing, 0 resolved
        00:10  resolves A@db
               -> pager  resolved   A  0 firing, 1 resolved
        00:12  fires    A@db
               -> pager  updated    A  1 firing, 0 resolved
        00:17  -> pager  opened     A  1 firing, 0 resolved
        00:30  waits
        """,
        left_out,
    )
