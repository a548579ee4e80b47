"""Two incidents become one and one becomes two, by hand, told as stories; and what is refused, and why."""

from __future__ import annotations

import random

import pytest

from receiver.entry import EntriesSetAside, EntrySetAside, Looked, Merged, Split, Suppressed
from receiver.incident import Status
from receiver.ledger import Decision
from tests.stories.story import POLICY, Store, Story, check, played
from tests.stories.test_correlation import BREAK_IN, BY_SERVICE, CAUSE, SMALL, TOPOLOGY

NIGHT = f"maintenance: [{{name: night, matchers: ['host=\"x\"'], weekly: 'Sun 00:00-02:00'}}]\n{POLICY}"
STORM = f"storms: {{per_channel: {{limit: 1, per: 10m}}, never_hold: []}}\n{POLICY}"
FLAP = f"flapping: {{after: 1, calm: 10m}}\n{POLICY}"


# --- merging -----------------------------------------------------------------------------------------------


def test_the_alerts_of_both_are_in_one_and_who_knew_of_the_other_hears_where_it_went():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Full@b{severity=warning}
               -> chat   opened     Full  1 firing, 0 resolved
        00:02  merges   Full@b Slow@a ana
               -> chat   resolved   Full  0 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:03  looks    Full@b
               -> T-2 open warning chat  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  fires    More@b
               -> chat   updated    Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:05  resolves Slow@a
               -> chat   updated    Slow and 2 more kinds of alert  2 firing, 1 resolved
        00:06  resolves Full@b More@b
               -> chat   resolved   Slow and 2 more kinds of alert  0 firing, 3 resolved
    """)


def test_a_merger_that_makes_it_more_severe_pages():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  acks     Slow@a ana
               -> chat   acknowledged Slow  1 firing, 0 resolved
        00:02  fires    Down@b{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:03  merges   Down@b Slow@a ben
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:08  -> pager  escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:08  waits
    """)


def test_a_merger_into_what_somebody_has_ends_the_paging():
    check("""
        00:00  fires    Down@a{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down@a ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:02  fires    Dead@b{severity=critical}
               -> chat   opened     Dead  1 firing, 0 resolved
        00:03  merges   Dead@b Down@a ana
               -> chat   resolved   Dead  0 firing, 0 resolved
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:20  waits
    """)


def test_a_merger_of_what_somebody_has_into_what_nobody_has_goes_on_paging():
    check("""
        00:00  fires    Down@a{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  acks     Down@a ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:02  fires    Dead@b{severity=critical}
               -> chat   opened     Dead  1 firing, 0 resolved
        00:03  merges   Down@a Dead@b ana
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   updated    Dead and 1 more kind of alert  2 firing, 0 resolved
        00:07  -> pager  escalated  Dead and 1 more kind of alert  2 firing, 0 resolved
        00:20  waits
    """)


def test_a_merger_that_is_taken_back_leaves_both_as_they_were():
    check("""
        00:00  fires    Slow@a{severity=warning,host=x}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Down@b{severity=critical,host=x}
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  looks    Slow@a Down@b
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
               -> T-4 open critical page  Down  1 firing, 0 resolved
        00:03  merges   Down@b Slow@a ana
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  unmerges Down@b ana
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:05  looks    Slow@a Down@b
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
               -> T-4 open critical page  Down  1 firing, 0 resolved
        00:06  fires    Slower@a
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:07  fires    Downer@b
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:08  looks    Slower@a Downer@b
               -> T-2 open warning chat  Slow and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open critical page  Down and 1 more kind of alert  2 firing, 0 resolved
        00:09  -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
        00:09  acks     Down@b ana
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
               -> pager  acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
    """)


def test_what_came_for_the_other_one_meanwhile_goes_back_with_it():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Down@b{severity=warning}
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  merges   Down@b Slow@a ana
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:03  fires    Downer@b{severity=critical}
               -> chat   escalated  Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:04  fires    Slower@a{severity=info}
               -> chat   updated    Slow and 3 more kinds of alert  4 firing, 0 resolved
        00:05  unmerges Down@b ana
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:06  looks    Slow@a Slower@a Down@b Downer@b
               -> T-2 open warning chat  Slow and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open critical page  Down and 1 more kind of alert  2 firing, 0 resolved
        00:07  acks     Down@b ana
               -> chat   acknowledged Down and 1 more kind of alert  2 firing, 0 resolved
    """)


def test_who_had_it_before_the_merger_has_it_again_and_nobody_is_paged():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Down@b{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:02  acks     Down@b ben
               -> chat   acknowledged Down  1 firing, 0 resolved
        00:03  merges   Down@b Slow@a ana
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   escalated  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  unmerges Down@b ana
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:05  looks    Slow@a Down@b
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
               -> T-4 acknowledged critical page  Down  1 firing, 0 resolved
        00:20  waits
    """)


def test_a_chain_of_mergers_is_taken_back_one_by_one():
    check("""
        00:00  fires    A@a
               -> chat   opened     A  1 firing, 0 resolved
        00:01  fires    B@b
               -> chat   opened     B  1 firing, 0 resolved
        00:02  fires    C@c
               -> chat   opened     C  1 firing, 0 resolved
        00:03  merges   A@a B@b ana
               -> chat   resolved   A  0 firing, 0 resolved
               -> chat   updated    B and 1 more kind of alert  2 firing, 0 resolved
        00:04  merges   B@b C@c ana
               -> chat   resolved   B and 1 more kind of alert  0 firing, 0 resolved
               -> chat   updated    C and 2 more kinds of alert  3 firing, 0 resolved
        00:05  unmerges A@a ana
               -> refused T-6: not this incident took the alerts of T-2, but T-4
        00:06  unmerges B@b ana
               -> chat   opened     B and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    C  1 firing, 0 resolved
        00:07  looks    A@a C@c
               -> T-4 open none chat  B and 1 more kind of alert  2 firing, 0 resolved
               -> T-6 open none chat  C  1 firing, 0 resolved
        00:08  unmerges A@a ana
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   updated    B  1 firing, 0 resolved
        00:09  fires    A2@a
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:10  looks    A@a A2@a B@b C@c
               -> T-2 open none chat  A and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open none chat  B  1 firing, 0 resolved
               -> T-6 open none chat  C  1 firing, 0 resolved
    """)


def test_an_adoption_by_a_rule_can_be_taken_back_as_well():
    check(
        """
        00:00  fires    ShopSlow@a{tier=app}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:01  fires    DatabaseDown@db
               -> chat   resolved   ShopSlow  0 firing, 0 resolved
               -> chat   opened     DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:02  adopted  ShopSlow@a
        00:03  unmerges ShopSlow@a ana
               -> chat   opened     ShopSlow  1 firing, 0 resolved
               -> chat   updated    DatabaseDown  1 firing, 0 resolved
        00:04  resolves DatabaseDown@db
               -> chat   resolved   DatabaseDown  0 firing, 1 resolved
        00:04  fires    DatabaseDown@db
               -> chat   opened     DatabaseDown  1 firing, 0 resolved
        00:04  looks    ShopSlow@a DatabaseDown@db
               -> T-2 open none chat  ShopSlow  1 firing, 0 resolved
               -> T-4 open none chat  DatabaseDown  1 firing, 0 resolved
        00:05  fires    More@a
               -> chat   updated    ShopSlow and 1 more kind of alert  2 firing, 0 resolved
        00:06  looks    More@a
               -> T-2 open none chat  ShopSlow and 1 more kind of alert  2 firing, 0 resolved
        """,
        policy=CAUSE,
    )


def test_what_is_owed_of_the_one_that_is_gone_is_still_delivered():
    check("""
        00:00  breaks   chat
        00:00  fires    Slow@a
        00:01  fires    Full@b
        00:02  merges   Full@b Slow@a ana
        00:03  mends    chat
               -> chat   opened     Slow  1 firing, 0 resolved
               -> chat   opened     Full  1 firing, 0 resolved
               -> chat   resolved   Full  0 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  waits
    """)


def test_a_merger_of_snoozed_incidents_stays_snoozed_and_pages_in_the_end():
    check("""
        00:00  fires    Down@a{severity=critical}
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  snoozes  Down@a 1h ana
               -> chat   updated    Down  1 firing, 0 resolved
        00:02  fires    Dead@b{severity=critical}
               -> chat   opened     Dead  1 firing, 0 resolved
        00:03  merges   Dead@b Down@a ana
               -> chat   resolved   Dead  0 firing, 0 resolved
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:30  waits
        01:01  -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        01:10  waits
    """)


def test_what_nobody_is_told_of_yet_is_told_when_what_joins_it_is_not_quiet():
    check(
        """
        00:00  fires    Down@a{severity=critical,host=x}
        00:01  fires    Dead@b{severity=critical}
               -> chat   opened     Dead  1 firing, 0 resolved
        00:02  merges   Dead@b Down@a ana
               -> chat   resolved   Dead  0 firing, 0 resolved
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:07  -> pager  escalated  Down and 1 more kind of alert  2 firing, 0 resolved
        00:08  waits
        """,
        policy=NIGHT,
    )


def test_what_a_storm_holds_back_of_a_merged_incident_comes_in_the_digest():
    check(
        """
        00:00  fires    A@a
               -> chat   opened     A  1 firing, 0 resolved
        00:01  fires    B@b
        00:02  merges   B@b A@a ana
        00:10  -> chat   digest     2: A and 1 more kind of alert open, B resolved
        00:30  waits
        """,
        policy=STORM,
    )


def test_what_flaps_and_is_calm_is_not_over_while_what_was_merged_into_it_fires():
    check(
        """
        00:00  fires    Flap@a
               -> chat   opened     Flap  1 firing, 0 resolved
        00:01  resolves Flap@a
               -> chat   resolved   Flap  0 firing, 1 resolved
        00:02  fires    Flap@a
               -> chat   opened     Flap  1 firing, 0 resolved
        00:03  resolves Flap@a
        00:04  fires    Down@b
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  merges   Down@b Flap@a ana
               -> chat   resolved   Down  0 firing, 0 resolved
               -> chat   updated    Flap and 1 more kind of alert  1 firing, 1 resolved
        00:30  looks    Down@b Flap@a
               -> T-2 open none chat  Flap and 1 more kind of alert  1 firing, 1 resolved
        00:31  resolves Down@b
        00:41  -> chat   resolved   Flap and 1 more kind of alert  0 firing, 2 resolved
        00:50  waits
        """,
        policy=FLAP,
    )


# --- splitting ---------------------------------------------------------------------------------------------


def test_alerts_that_are_something_else_get_an_incident_of_their_own():
    check("""
        00:00  fires    Down@g{severity=critical} Slow@g{severity=warning} Full@g{severity=warning}
               -> chat   opened     Down and 2 more kinds of alert  3 firing, 0 resolved
        00:01  acks     Down@g ana
               -> chat   acknowledged Down and 2 more kinds of alert  3 firing, 0 resolved
        00:02  splits   Down@g ana
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:03  looks    Down@g Slow@g
               -> T-6 open critical page  Down  1 firing, 0 resolved
               -> T-2 acknowledged warning chat  Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  fires    More@g
               -> chat   updated    Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:05  looks    More@g
               -> T-2 acknowledged warning chat  Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:06  acks     Down@g ana
               -> chat   acknowledged Down  1 firing, 0 resolved
    """)


def test_what_was_split_off_and_fires_again_is_the_same_incident_again():
    check("""
        00:00  fires    Down@g Slow@g
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  splits   Down@g ana
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:02  resolves Down@g
               -> chat   resolved   Down  0 firing, 1 resolved
        00:03  fires    Down@g
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  looks    Down@g Slow@g
               -> T-4 open none chat  Down  1 firing, 0 resolved
               -> T-2 open none chat  Slow  1 firing, 0 resolved
    """)


def test_the_severity_falls_when_what_was_severe_is_split_off_and_no_stage_is_told_twice():
    check("""
        00:00  fires    Down@g{severity=critical} Slow@g{severity=warning}
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:01  splits   Down@g ana
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:02  looks    Down@g Slow@g
               -> T-4 open critical page  Down  1 firing, 0 resolved
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
        00:06  -> pager  escalated  Down  1 firing, 0 resolved
        00:10  waits
    """)


def test_what_takes_back_is_what_it_still_has_and_not_what_was_taken_out_meanwhile():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Down@b{severity=critical} Full@b{severity=warning}
               -> chat   opened     Down and 1 more kind of alert  2 firing, 0 resolved
        00:02  merges   Full@b Slow@a ana
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 0 resolved
               -> chat   escalated  Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:03  splits   Down@b ana
               -> chat   opened     Down  1 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  unmerges Full@b ana
               -> chat   opened     Full  1 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:05  looks    Slow@a Full@b Down@b
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
               -> T-4 open warning chat  Full  1 firing, 0 resolved
               -> T-9 open critical page  Down  1 firing, 0 resolved
        00:08  -> pager  escalated  Down  1 firing, 0 resolved
        00:20  waits
    """)


def test_who_had_something_milder_before_the_merger_does_not_have_what_became_severe():
    check("""
        00:00  fires    Slow@a{severity=warning}
               -> chat   opened     Slow  1 firing, 0 resolved
        00:01  fires    Full@b{severity=warning}
               -> chat   opened     Full  1 firing, 0 resolved
        00:02  acks     Full@b ben
               -> chat   acknowledged Full  1 firing, 0 resolved
        00:03  merges   Full@b Slow@a ana
               -> chat   resolved   Full  0 firing, 0 resolved
               -> chat   updated    Slow and 1 more kind of alert  2 firing, 0 resolved
        00:04  fires    Down@b{severity=critical}
               -> chat   escalated  Slow and 2 more kinds of alert  3 firing, 0 resolved
        00:05  unmerges Full@b ana
               -> chat   opened     Full and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    Slow  1 firing, 0 resolved
        00:06  looks    Slow@a Full@b
               -> T-2 open warning chat  Slow  1 firing, 0 resolved
               -> T-4 open critical page  Full and 1 more kind of alert  2 firing, 0 resolved
        00:10  -> pager  escalated  Full and 1 more kind of alert  2 firing, 0 resolved
        00:10  waits
    """)


def test_what_a_sequence_named_is_that_until_a_step_of_it_is_taken_out():
    check(
        """
        00:00  fires    BruteForce@a{user=x,severity=info} Odd@a{user=x,severity=info}
               -> chat   opened     BruteForce and 1 more kind of alert  2 firing, 0 resolved
        00:01  fires    Login@b{user=x,severity=info}
               -> chat   escalated  Break-in likely: x  3 firing, 0 resolved
        00:02  splits   Odd@a ana
               -> chat   opened     Odd  1 firing, 0 resolved
               -> chat   updated    Break-in likely: x  2 firing, 0 resolved
        00:03  looks    Login@b
               -> T-2 open critical page  Break-in likely: x  2 firing, 0 resolved
        00:04  splits   Login@b ana
               -> chat   opened     Login  1 firing, 0 resolved
               -> chat   updated    BruteForce  1 firing, 0 resolved
        00:05  looks    BruteForce@a Login@b
               -> T-2 open info chat  BruteForce  1 firing, 0 resolved
               -> T-9 open info chat  Login  1 firing, 0 resolved
        00:20  waits
        """,
        policy=BREAK_IN,
    )


def test_a_sequence_that_the_policy_lost_keeps_its_name():
    check(
        """
        00:00  fires    BruteForce@a{user=x,severity=info}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        00:01  fires    Login@b{user=x,severity=info}
               -> chat   escalated  Break-in likely: x  2 firing, 0 resolved
        00:02  loads    plain
        00:03  splits   Login@b ana
               -> chat   opened     Login  1 firing, 0 resolved
               -> chat   updated    Break-in likely: x  1 firing, 0 resolved
        """,
        policy=BREAK_IN,
        plain=POLICY,
    )


def test_what_is_left_and_does_not_fire_is_over():
    check("""
        00:00  fires    A@g B@g
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  resolves B@g
               -> chat   updated    A and 1 more kind of alert  1 firing, 1 resolved
        00:02  splits   A@g ana
               -> chat   opened     A  1 firing, 0 resolved
               -> chat   resolved   B  0 firing, 1 resolved
        00:03  looks    A@g B@g
               -> T-6 open none chat  A  1 firing, 0 resolved
               -> T-2 resolved none chat  B  0 firing, 1 resolved
    """)


def test_what_was_split_off_can_be_merged_again():
    check("""
        00:00  fires    A@g B@g
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  splits   B@g ana
               -> chat   opened     B  1 firing, 0 resolved
               -> chat   updated    A  1 firing, 0 resolved
        00:02  merges   B@g A@g ana
               -> chat   resolved   B  0 firing, 0 resolved
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:03  fires    C@g
               -> chat   updated    A and 2 more kinds of alert  3 firing, 0 resolved
        00:04  looks    A@g C@g
               -> T-2 open none chat  A and 2 more kinds of alert  3 firing, 0 resolved
        00:05  unmerges B@g ana
               -> chat   opened     B  1 firing, 0 resolved
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:06  looks    A@g B@g
               -> T-2 open none chat  A and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open none chat  B  1 firing, 0 resolved
    """)


def test_a_group_finds_what_its_incident_was_merged_into_also_if_that_was_split_off():
    check("""
        00:00  fires    A@g B@g
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  splits   B@g ana
               -> chat   opened     B  1 firing, 0 resolved
               -> chat   updated    A  1 firing, 0 resolved
        00:02  fires    C@c
               -> chat   opened     C  1 firing, 0 resolved
        00:03  merges   C@c B@g ana
               -> chat   resolved   C  0 firing, 0 resolved
               -> chat   updated    B and 1 more kind of alert  2 firing, 0 resolved
        00:04  fires    D@c
               -> chat   updated    B and 2 more kinds of alert  3 firing, 0 resolved
        00:05  looks    B@g D@c
               -> T-4 open none chat  B and 2 more kinds of alert  3 firing, 0 resolved
        00:06  unmerges C@c ana
               -> chat   opened     C and 1 more kind of alert  2 firing, 0 resolved
               -> chat   updated    B  1 firing, 0 resolved
        00:07  fires    E@c
               -> chat   updated    C and 2 more kinds of alert  3 firing, 0 resolved
        00:08  looks    B@g C@c E@c
               -> T-4 open none chat  B  1 firing, 0 resolved
               -> T-7 open none chat  C and 2 more kinds of alert  3 firing, 0 resolved
    """)


def test_a_doubt_goes_with_its_alert():
    check("""
        00:00  fires    A@g B@g C@g
               -> chat   opened     A and 2 more kinds of alert  3 firing, 0 resolved
        00:01  resolves B@g
               -> chat   updated    A and 2 more kinds of alert  2 firing, 1 resolved
        00:01  late     B@g
        00:02  splits   A@g B@g ana
               -> chat   opened     A and 1 more kind of alert  1 firing, 1 resolved
               -> chat   updated    C  1 firing, 0 resolved
        00:06  -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:10  looks    A@g C@g
               -> T-7 open none chat  A and 1 more kind of alert  2 firing, 0 resolved
               -> T-2 open none chat  C  1 firing, 0 resolved
    """)


# --- refused, and assigned ---------------------------------------------------------------------------------


def test_what_cannot_be_merged_is_refused_with_the_reason():
    check(
        """
        00:00  fires    A@a B@a
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  merges   A@a B@a ana
               -> refused T-2: an incident cannot be merged into itself
        00:02  fires    C@c
               -> chat   opened     C  1 firing, 0 resolved
        00:03  merges   C@c A@a ana
               -> refused T-5: together they have 3 alerts; at most 2 are possible (incident_alerts_max)
        00:04  closes   C@c ana
               -> chat   resolved   C  1 firing, 0 resolved
        00:05  merges   C@c A@a ana
               -> refused T-5: an incident that is resolved does not know 'merge'
        00:06  merges   A@a C@c ana
               -> refused T-2: T-5 is resolved: only one that is not takes the alerts of another
        """,
        policy=SMALL,
    )


def test_who_acts_on_what_was_merged_hears_where_it_is_now():
    check("""
        00:00  fires    A@a
               -> chat   opened     A  1 firing, 0 resolved
        00:01  fires    B@b
               -> chat   opened     B  1 firing, 0 resolved
        00:02  fires    C@c
               -> chat   opened     C  1 firing, 0 resolved
        00:03  merges   A@a B@b ana
               -> chat   resolved   A  0 firing, 0 resolved
               -> chat   updated    B and 1 more kind of alert  2 firing, 0 resolved
        00:04  merges   B@b C@c ana
               -> chat   resolved   B and 1 more kind of alert  0 firing, 0 resolved
               -> chat   updated    C and 2 more kinds of alert  3 firing, 0 resolved
        00:05  acks-old A@a ana
               -> refused T-2 was merged: its alerts are in T-6, act on that one
        00:06  splits-old A@a ana
               -> refused T-2: it is resolved, and its alerts are in T-6: there is nothing to split off
    """)


def test_what_cannot_be_split_is_refused_with_the_reason():
    check("""
        00:00  fires    A@a B@a
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  splits   A@a B@a ana
               -> refused T-2: these are all of its alerts: nothing would be left in it
        00:02  resolves B@a
               -> chat   updated    A and 1 more kind of alert  1 firing, 1 resolved
        00:03  splits   B@a ana
               -> refused T-2: none of these alerts fires: there is nothing to tell anybody of
        00:04  fires    C@c
               -> chat   opened     C  1 firing, 0 resolved
        00:05  splits   A@a C@c ana
               -> refused T-2: it has no alert with the fingerprint 'd2beefc389d73779'
        00:06  merges   C@c A@a ana
               -> chat   resolved   C  0 firing, 0 resolved
               -> chat   updated    A and 2 more kinds of alert  2 firing, 1 resolved
        00:07  resolves C@c
               -> chat   updated    A and 2 more kinds of alert  1 firing, 2 resolved
        00:08  unmerges C@c ana
               -> refused T-2: none of the alerts that came from T-8 fires any more
        00:09  closes   A@a ana
               -> chat   resolved   A and 2 more kinds of alert  1 firing, 2 resolved
        00:10  splits   A@a ana
               -> refused T-2: it is resolved: there is nothing to split off
    """)


def test_an_assignment_is_told_and_the_same_one_is_not():
    check("""
        00:00  fires    A@a{severity=critical}
               -> chat   opened     A  1 firing, 0 resolved
        00:01  assigns  A@a ben ana
               -> chat   updated    A  1 firing, 0 resolved
        00:02  assigns  A@a ben cleo
        00:05  -> pager  escalated  A  1 firing, 0 resolved
        00:05  waits
        00:06  closes   A@a ana
               -> chat   resolved   A  1 firing, 0 resolved
               -> pager  resolved   A  1 firing, 0 resolved
        00:07  assigns  A@a ben ana
               -> refused T-2: it is resolved: there is nobody to assign it to
    """)


def test_an_incident_of_tocsins_own_is_neither_merged_nor_split():
    story = played(Story(POLICY, {}), "00:00  fires A@a")
    story._enter(EntriesSetAside((EntrySetAside(1, story.now, "alerts_received", "am", "KeyError"),)))
    own = next(each for each in story.state.incidents.values() if each.group.source == "tocsin")
    other = story.incident_of("A").id
    told = len(story.transcript)
    story._enter(Merged(own.id, "ana", other))
    story._enter(Merged(other, "ana", own.id))
    story._enter(Split(own.id, "ana", alerts=("x",)))
    assert story.transcript[told:] == [
        f"       -> refused {own.id}: {own.id} is about Tocsin itself and has no alerts: it is not merged",
        f"       -> refused {other}: {own.id} is about Tocsin itself and has no alerts: it is not merged",
        f"       -> refused {own.id}: it is about Tocsin itself and has no alerts: there is nothing to split off",
    ]


def test_an_incident_that_nobody_knows_any_more_takes_nothing():
    story = played(Story(POLICY, {}), "00:00  fires A@a")
    story._enter(Merged(story.incident_of("A").id, "ana", "T-999"))
    assert story.transcript[-1] == "       -> refused T-2: T-999 is over and put away: it takes no alerts any more"


def silenced(story: Story, *names: str) -> None:
    story._enter(Looked("am", suppressed=tuple(Suppressed(story.fingerprint(name), "silenced") for name in names)))


def test_what_is_silenced_is_told_again_when_it_takes_what_is_not():
    story = played(Story(POLICY, {}), "00:00  fires A@a\n00:01  fires B@b")
    silenced(story, "A@a")
    assert story.incident_of("A@a").status is Status.SNOOZED
    story.play("00:02  merges B@b A@a ana")
    assert (story.incident_of("A@a").status, story.incident_of("A@a").muted) == (Status.OPEN, False)


def test_what_is_split_off_and_silenced_pages_nobody():
    story = played(Story(POLICY, {}), "00:00  fires A@g{severity=critical} B@g")
    silenced(story, "A@g")
    told = len(story.transcript)
    story.play("00:01  splits A@g ana")
    assert (story.incident_of("A@g").status, story.incident_of("A@g").muted) == (Status.SNOOZED, True)
    assert [line for line in story.transcript[told:] if "opened" in line or "escalated" in line] == []
    story.play("00:02  repeats A@g")  # Alertmanager shows it again
    assert story.incident_of("A@g").status is Status.OPEN


def test_the_story_says_who_merged_what_and_that_a_severity_fell():
    script = """
        00:00  fires    Slow@a{severity=warning}
        00:01  fires    Down@b{severity=critical}
        00:02  merges   Down@b Slow@a ana
        00:03  unmerges Down@b ben
    """
    story = played(Story(POLICY, {}), script)
    assert story.why("merged") == ["ana says that it is the same: 1 alert went to T-2"]
    assert story.why("took over") == ["ana says that it is the same: 1 alert of T-4"]
    assert story.why("severity rose") == ["from warning to critical, the highest of its alerts"]
    assert story.why("split off") == ["ben says that it is not T-2: 1 alert came from there"]
    assert story.why("severity fell") == ["from critical to warning: what made it so severe is in T-4 now"]
    assert story.why("title changed") == [
        "from 'Slow and 1 more kind of alert' to 'Slow', by the alerts that it has now"
    ]


def test_the_story_of_what_takes_back_says_what_it_is_now():
    script = """
        00:00  fires    Slow@a{severity=warning}
        00:01  fires    Down@b{severity=critical} Full@b{severity=warning}
        00:02  merges   Full@b Slow@a ana
        00:03  splits   Down@b ana
        00:04  unmerges Full@b ana
    """
    story = played(Story(POLICY, {}), script)
    mine = [(step.what, step.why) for step in story.steps if step.incident == "T-4"]
    begun = mine.index(("split off", "ana says that it is not T-2: 1 alert came from there"))
    assert mine[begun + 1 : begun + 3] == [
        ("title changed", "from 'Down and 1 more kind of alert' to 'Full', by the alerts that it has now"),
        ("severity fell", "from critical to warning, the highest of the alerts that it has now"),
    ]


# --- any story -------------------------------------------------------------------------------------------------

NAMES = [f"{kind}@{group}" for kind in ("DatabaseDown", "Slow", "BruteForce", "Login") for group in ("a", "b", "c")]
POLICIES = {
    "plain": POLICY, "service": BY_SERVICE, "cause": CAUSE, "chain": TOPOLOGY, "attack": BREAK_IN, "small": SMALL,
    "night": NIGHT, "storm": STORM, "flap": FLAP,
}  # fmt: skip


def any_script(seed: int) -> list[str]:
    """What comes to the mind of a random person, and of a random Alertmanager."""
    draw = random.Random(seed)
    lines, minute = [], 0
    severities = ("critical", "warning", "info")
    seen: list[str] = []
    merged: list[str] = []
    for _ in range(60):
        minute += draw.choice((0, 0, 0, 1, 1, 1, 2, 2, 4, 5, 30))
        when = f"{minute // 60:02}:{minute % 60:02}"
        verb = draw.choice(("fires", "fires", "fires", "resolves", "resolves", "late", "merges", "unmerges", "splits",
                            "acks", "snoozes", "closes", "loads", "breaks", "mends"))  # fmt: skip
        name, other = draw.choice(NAMES), draw.choice(NAMES)
        if verb == "fires":
            names = draw.sample(NAMES, draw.choice((1, 1, 2, 3)))
            for each in (each for each in names if each not in seen):
                labels = f"severity={draw.choice(severities)},service={draw.choice(('shop', 'payments', 'database'))}"
                names[names.index(each)] = f"{each}{{{labels},user={draw.choice('xy')},tier=app}}"
                seen.append(each)
            lines.append(f"{when}  fires {' '.join(names)}")
        elif verb in ("breaks", "mends"):
            lines.append(f"{when}  {verb} {draw.choice(('chat', 'pager'))}")
        elif verb == "loads":
            lines.append(f"{when}  loads {draw.choice(list(POLICIES))}")
        elif name not in seen or other not in seen:
            continue
        elif verb in ("resolves", "late"):
            lines.append(f"{when}  {verb} {name}")
        elif verb == "merges":
            merged.append(name)
            lines.append(f"{when}  merges {name} {other} ana")
        elif verb == "unmerges" and merged:
            lines.append(f"{when}  unmerges {draw.choice(merged)} ana")
        elif verb == "splits":
            lines.append(f"{when}  splits {name} ana")
        elif verb in ("acks", "closes"):
            lines.append(f"{when}  {verb} {name} ana")
        elif verb == "snoozes":
            lines.append(f"{when}  snoozes {name} 5m ana")
    return [*lines, f"{minute // 60 + 30:02}:00  waits"]


class Watched(Story):
    """Looks at every decision."""

    def saw(self, decision: Decision) -> None:
        told = [(message.incident, message.channel) for message in decision.messages]
        assert len(told) == len(set(told)), "nobody is told twice of one decision"
        for incident in self.state.incidents.values():
            alerts = list(self.state.alerts_of(incident))
            firing = sum(1 for alert in alerts if alert.firing)
            if incident.status is not Status.RESOLVED:
                assert (incident.firing, incident.resolved) == (firing, len(alerts) - firing), incident.id
                assert incident.size <= self.state.policy.incident_alerts_max or self.lowered
                assert incident.merged_into is None
            if incident.firing and incident.status is Status.RESOLVED:
                assert incident.resolved_by is not None, "only a person resolves what fires"

    lowered = False

    def _loads(self, names: list[str]) -> None:
        self.lowered = True
        super()._loads(names)


@pytest.mark.parametrize("seed", range(60))
def test_any_story_is_the_same_with_a_restart_before_every_entry(seed: int):
    script = "\n".join(any_script(seed))
    policy = list(POLICIES.values())[seed % len(POLICIES)]
    lived = played(Watched(policy, POLICIES), script)
    restarted = played(Watched(policy, POLICIES, store=Store()), script)
    assert restarted.transcript == lived.transcript
    assert restarted.steps == lived.steps
