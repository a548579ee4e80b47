"""Which incident an alert lands in, told as stories: by labels, cause and symptom, topology, sequences, groups."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from itertools import permutations, product

import pytest

from receiver.correlation import key_of
from receiver.policy.policy import ByLabels
from tests.stories.story import POLICY, Story, check, played


def with_rules(rules: str, more: str = "") -> str:
    return f"correlate:\n{textwrap.indent(textwrap.dedent(rules).strip(), '  ')}\n{textwrap.dedent(more)}\n{POLICY}"


def story_of(script: str, policy: str) -> Story:
    return played(Story(policy, {}), textwrap.dedent(script))


BY_SERVICE = with_rules("""
    - {name: per service, matchers: ['service!=""'], by: [cluster, service], window: 10m}
""")
CAUSE = with_rules("""
    - name: shop needs database
      cause: ['alertname="DatabaseDown"']
      symptom: ['tier="app"']
      equal: [cluster]
      window: 5m
""")
TOPOLOGY = with_rules(
    "- {name: downstream, depends_on_label: service, equal: [cluster], window: 10m}",
    """
    topology:
      services:
        shop: {depends_on: [payments]}
        payments: {depends_on: [database]}
        reports: {depends_on: [database]}
    """,
)
BREAK_IN = with_rules("""
    - name: break-in
      sequence: [['alertname="BruteForce"'], ['alertname="Login"']]
      equal: [user]
      window: 1h
      title: 'Break-in likely: {user}'
""")
THREE = with_rules("""
    - name: three
      sequence: [['alertname="A"'], ['alertname="B"'], ['alertname="C"']]
      equal: [user]
      window: 1h
""")
TWO_RULES = with_rules("""
    - {name: per service, matchers: ['service!=""'], by: [service], window: 10m}
    - {name: per host, matchers: ['host!=""'], by: [host], window: 10m}
""")
SMALL = f"incident_alerts_max: 2\n{POLICY}"
SMALL_CAUSE = f"incident_alerts_max: 2\n{CAUSE}"
THREE = with_rules("""
    - name: three
      sequence: [['alertname="A"'], ['alertname="B"'], ['alertname="C"']]
      equal: [user]
      window: 1h
""")
TWO_RULES = with_rules("""
    - {name: per service, matchers: ['service!=""'], by: [service], window: 10m}
    - {name: per host, matchers: ['host!=""'], by: [host], window: 10m}
""")
SMALL = f"incident_alerts_max: 2\n{POLICY}"
SMALL_CAUSE = f"incident_alerts_max: 2\n{CAUSE}"

# --- by labels ---------------------------------------------------------------------------------------------


def test_alerts_with_the_same_labels_are_one_incident_across_groups_and_sources():
    check(
        """
        00:00  fires    Slow@a{service=shop,cluster=eu}
               -> chat   opened     Slow (cluster=eu, service=shop)  1 firing, 0 resolved
        00:01  fires    Errors@b{service=shop,cluster=eu}
               -> chat   updated    Slow and 1 more kind of alert (cluster=eu, service=shop)  2 firing, 0 resolved
        00:02  fires    eu2/Slow@a{service=shop,cluster=eu}
               -> chat   updated    Slow and 1 more kind of alert (cluster=eu, service=shop)  3 firing, 0 resolved
        00:03  fires    Slow@c{service=shop,cluster=us}
               -> chat   opened     Slow (cluster=us, service=shop)  1 firing, 0 resolved
        00:04  resolves Slow@a Errors@b eu2/Slow@a
               -> chat   updated    Slow and 1 more kind of alert (cluster=eu, service=shop)  2 firing, 1 resolved
               -> chat   updated    Slow and 1 more kind of alert (cluster=eu, service=shop)  1 firing, 2 resolved
               -> chat   resolved   Slow and 1 more kind of alert (cluster=eu, service=shop)  0 firing, 3 resolved
        """,
        policy=BY_SERVICE,
    )


def test_an_absent_label_is_a_value_too_and_the_title_leaves_it_out():
    check(
        """
        00:00  fires    Slow@a{service=shop}
               -> chat   opened     Slow (service=shop)  1 firing, 0 resolved
        00:01  fires    Errors@b{service=shop}
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:02  fires    Alone@a
               -> chat   opened     Alone  1 firing, 0 resolved
        """,
        policy=BY_SERVICE,
    )


def test_when_the_window_is_over_a_new_incident_opens_and_the_old_one_goes_on():
    check(
        """
        00:00  fires    Slow@a{service=shop}
               -> chat   opened     Slow (service=shop)  1 firing, 0 resolved
        00:15  fires    Errors@b{service=shop}
               -> chat   opened     Errors (service=shop)  1 firing, 0 resolved
        00:17  fires    More@c{service=shop}
               -> chat   updated    Errors and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:18  resolves Slow@a
               -> chat   resolved   Slow (service=shop)  0 firing, 1 resolved
        00:19  resolves Errors@b More@c
               -> chat   updated    Errors and 1 more kind of alert (service=shop)  1 firing, 1 resolved
               -> chat   resolved   Errors and 1 more kind of alert (service=shop)  0 firing, 2 resolved
        """,
        policy=BY_SERVICE,
    )


def test_the_first_rule_that_takes_an_alert_wins():
    check(
        """
        00:00  fires    Slow@a{service=shop,host=h1}
               -> chat   opened     Slow (service=shop)  1 firing, 0 resolved
        00:01  fires    Disk@b{host=h1}
               -> chat   opened     Disk (host=h1)  1 firing, 0 resolved
        00:02  fires    Hot@c{host=h1}
               -> chat   updated    Disk and 1 more kind of alert (host=h1)  2 firing, 0 resolved
        00:03  looks    Slow@a Disk@b Hot@c
               -> T-2 open none chat  Slow (service=shop)  1 firing, 0 resolved
               -> T-4 open none chat  Disk and 1 more kind of alert (host=h1)  2 firing, 0 resolved
        """,
        policy=TWO_RULES,
    )


def test_an_alert_that_no_rule_takes_stays_with_its_group_though_the_group_has_others():
    check(
        """
        00:00  fires    Slow@a{service=shop} Disk@a
               -> chat   opened     Slow (service=shop)  1 firing, 0 resolved
               -> chat   opened     Disk  1 firing, 0 resolved
        00:01  fires    Hot@a
               -> chat   updated    Disk and 1 more kind of alert  2 firing, 0 resolved
        00:02  looks    Slow@a Disk@a Hot@a
               -> T-2 open none chat  Slow (service=shop)  1 firing, 0 resolved
               -> T-2-2 open none chat  Disk and 1 more kind of alert  2 firing, 0 resolved
        """,
        policy=BY_SERVICE,
    )


def test_an_alert_that_fires_again_goes_back_to_its_incident_whatever_the_rules_say_now():
    check(
        """
        00:00  fires    Slow@a{service=shop} Errors@a{service=shop}
               -> chat   opened     Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:01  resolves Slow@a
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  1 firing, 1 resolved
        00:30  fires    Slow@a
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:31  looks    Slow@a
               -> T-2 open none chat  Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        """,
        policy=BY_SERVICE,
    )


def test_a_rule_that_is_gone_after_a_reload_leaves_its_incidents_whole():
    check(
        """
        00:00  fires    Slow@a{service=shop}
               -> chat   opened     Slow (service=shop)  1 firing, 0 resolved
        00:01  fires    Errors@b{service=shop}
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:02  loads    plain
        00:03  fires    More@b{service=shop}
               -> chat   opened     More  1 firing, 0 resolved
        00:04  resolves Errors@b
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  1 firing, 1 resolved
        00:05  fires    Errors@b
               -> chat   updated    Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
        00:06  looks    Slow@a Errors@b More@b
               -> T-2 open none chat  Slow and 1 more kind of alert (service=shop)  2 firing, 0 resolved
               -> T-7 open none chat  More  1 firing, 0 resolved
        """,
        policy=BY_SERVICE,
        plain=POLICY,
    )


# --- cause and symptom -------------------------------------------------------------------------------------


def test_symptoms_join_their_cause_and_others_do_not():
    check(
        """
        00:00  fires    DatabaseDown@db{cluster=eu,severity=critical}
               -> chat   opened     DatabaseDown  1 firing, 0 resolved
        00:01  fires    ShopSlow@a{tier=app,cluster=eu} Other@a{tier=web}
               -> chat   updated    DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
               -> chat   opened     Other  1 firing, 0 resolved
        00:02  fires    ShopSlow@b{tier=app,cluster=us}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:03  looks    DatabaseDown@db ShopSlow@a Other@a ShopSlow@b
               -> T-2 open critical page  DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open none chat  Other  1 firing, 0 resolved
               -> T-7 open none chat  ShopSlow  1 firing, 0 resolved
        """,
        policy=CAUSE,
    )


def test_a_cause_that_was_over_for_longer_than_the_window_has_no_symptoms():
    check(
        """
        00:00  fires    DatabaseDown@db{cluster=eu}
               -> chat   opened     DatabaseDown  1 firing, 0 resolved
        00:01  fires    ShopSlow@a{tier=app,cluster=eu}
               -> chat   updated    DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:10  resolves DatabaseDown@db
               -> chat   updated    DatabaseDown and 1 more kind of alert  1 firing, 1 resolved
        00:12  fires    CartSlow@b{tier=app,cluster=eu}
               -> chat   updated    DatabaseDown and 2 more kinds of alert  2 firing, 1 resolved
        00:20  fires    PaySlow@c{tier=app,cluster=eu}
               -> chat   opened     PaySlow  1 firing, 0 resolved
        00:21  looks    ShopSlow@a CartSlow@b PaySlow@c
               -> T-2 open none chat  DatabaseDown and 2 more kinds of alert  2 firing, 1 resolved
               -> T-10 open none chat  PaySlow  1 firing, 0 resolved
        """,
        policy=CAUSE,
    )


def test_a_late_cause_adopts_its_symptoms_also_what_somebody_has_and_pages_for_itself():
    check(
        """
        00:00  fires    ShopSlow@a{tier=app,cluster=eu,severity=warning}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:01  acks     ShopSlow@a ana
               -> chat   acknowledged ShopSlow  1 firing, 0 resolved
        00:02  fires    CartSlow@b{tier=app,cluster=eu}
               -> chat   opened     CartSlow  1 firing, 0 resolved
        00:03  fires    Far@c{tier=app,cluster=us}
               -> chat   opened     Far  1 firing, 0 resolved
        00:04  fires    DatabaseDown@db{cluster=eu,severity=critical}
               -> chat   resolved   ShopSlow  0 firing, 0 resolved
               -> chat   resolved   CartSlow  0 firing, 0 resolved
               -> chat   opened     DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
        00:09  -> pager  escalated  DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
        00:09  looks    DatabaseDown@db ShopSlow@a CartSlow@b Far@c
               -> T-10 open critical page  DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
               -> T-8 open none chat  Far  1 firing, 0 resolved
        00:10  acks     DatabaseDown@db ana
               -> chat   acknowledged DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
               -> pager  acknowledged DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
        00:11  resolves ShopSlow@a CartSlow@b
               -> chat   updated    DatabaseDown and 2 more kinds of alert  2 firing, 1 resolved
               -> pager  updated    DatabaseDown and 2 more kinds of alert  2 firing, 1 resolved
               -> chat   updated    DatabaseDown and 2 more kinds of alert  1 firing, 2 resolved
               -> pager  updated    DatabaseDown and 2 more kinds of alert  1 firing, 2 resolved
        00:12  resolves DatabaseDown@db
               -> chat   resolved   DatabaseDown and 2 more kinds of alert  0 firing, 3 resolved
               -> pager  resolved   DatabaseDown and 2 more kinds of alert  0 firing, 3 resolved
        """,
        policy=CAUSE,
    )


def test_a_late_cause_leaves_what_is_older_than_the_window_and_what_holds_other_alerts():
    check(
        """
        00:00  fires    ShopSlow@a{tier=app,cluster=eu}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:04  fires    CartSlow@b{tier=app,cluster=eu} Disk@b
               -> chat   opened     CartSlow and 1 more kind of alert  2 firing, 0 resolved
        00:06  fires    DatabaseDown@db{cluster=eu}
               -> chat   opened     DatabaseDown  1 firing, 0 resolved
        00:07  looks    ShopSlow@a CartSlow@b DatabaseDown@db
               -> T-2 open none chat  ShopSlow  1 firing, 0 resolved
               -> T-4 open none chat  CartSlow and 1 more kind of alert  2 firing, 0 resolved
               -> T-6 open none chat  DatabaseDown  1 firing, 0 resolved
        """,
        policy=CAUSE,
    )


def test_adopted_symptoms_and_what_fires_again_of_them_stay_with_the_cause():
    check(
        """
        00:00  fires    ShopSlow@a{tier=app,cluster=eu}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:01  fires    DatabaseDown@db{cluster=eu}
               -> chat   resolved   ShopSlow  0 firing, 0 resolved
               -> chat   opened     DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:02  resolves ShopSlow@a
               -> chat   updated    DatabaseDown and 1 more kind of alert  1 firing, 1 resolved
        00:03  fires    ShopSlow@a
               -> chat   updated    DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:04  looks    ShopSlow@a DatabaseDown@db
               -> T-4 open none chat  DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        """,
        policy=CAUSE,
    )


def test_a_cause_that_is_too_large_with_a_symptom_leaves_it_alone():
    check(
        """
        00:00  fires    ShopSlow@a{tier=app,cluster=eu}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:01  fires    CartSlow@b{tier=app,cluster=eu}
               -> chat   opened     CartSlow  1 firing, 0 resolved
        00:02  fires    DatabaseDown@db{cluster=eu}
               -> chat   resolved   ShopSlow  0 firing, 0 resolved
               -> chat   opened     DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:03  fires    PaySlow@c{tier=app,cluster=eu}
               -> chat   opened     PaySlow  1 firing, 0 resolved
        00:04  looks    DatabaseDown@db CartSlow@b PaySlow@c
               -> T-6 open none chat  DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
               -> T-4 open none chat  CartSlow  1 firing, 0 resolved
               -> T-9 open none chat  PaySlow  1 firing, 0 resolved
        """,
        policy=SMALL_CAUSE,
    )


# --- topology ----------------------------------------------------------------------------------------------


def test_what_is_downstream_of_a_broken_service_joins_its_incident_the_nearest_one():
    check(
        """
        00:00  fires    DatabaseDown@db{service=database,cluster=eu,severity=critical}
               -> chat   opened     DatabaseDown  1 firing, 0 resolved
        00:01  fires    ShopSlow@a{service=shop,cluster=eu}
               -> chat   updated    DatabaseDown and 1 more kind of alert  2 firing, 0 resolved
        00:02  fires    ReportsLate@b{service=reports,cluster=eu}
               -> chat   updated    DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
        00:03  fires    ShopSlow@c{service=shop,cluster=us}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:04  fires    NoService@d{cluster=eu}
               -> chat   opened     NoService  1 firing, 0 resolved
        00:05  -> pager  escalated  DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
        00:05  fires    Unknown@e{cluster=eu,service=unheard}
               -> chat   opened     Unknown  1 firing, 0 resolved
        00:05  looks    DatabaseDown@db ShopSlow@a ReportsLate@b ShopSlow@c NoService@d Unknown@e
               -> T-2 open critical page  DatabaseDown and 2 more kinds of alert  3 firing, 0 resolved
               -> T-8 open none chat  ShopSlow  1 firing, 0 resolved
               -> T-10 open none chat  NoService  1 firing, 0 resolved
               -> T-14 open none chat  Unknown  1 firing, 0 resolved
        """,
        policy=TOPOLOGY,
    )


def test_a_broken_service_adopts_all_that_is_downstream_of_it():
    check(
        """
        00:01  fires    ShopSlow@a{service=shop,cluster=eu}
               -> chat   opened     ShopSlow  1 firing, 0 resolved
        00:02  fires    PaySlow@b{service=payments,cluster=eu}
               -> chat   resolved   ShopSlow  0 firing, 0 resolved
               -> chat   opened     PaySlow and 1 more kind of alert  2 firing, 0 resolved
        00:03  fires    Late@c{service=reports,cluster=eu}
               -> chat   opened     Late  1 firing, 0 resolved
        00:04  fires    DatabaseDown@db{service=database,cluster=eu,severity=critical}
               -> chat   resolved   PaySlow and 1 more kind of alert  0 firing, 0 resolved
               -> chat   resolved   Late  0 firing, 0 resolved
               -> chat   opened     DatabaseDown and 3 more kinds of alert  4 firing, 0 resolved
        00:05  looks    DatabaseDown@db ShopSlow@a PaySlow@b Late@c
               -> T-9 open critical page  DatabaseDown and 3 more kinds of alert  4 firing, 0 resolved
        00:06  acks     ShopSlow@a ana
               -> chat   acknowledged DatabaseDown and 3 more kinds of alert  4 firing, 0 resolved
        """,
        policy=TOPOLOGY,
    )


# --- sequences ---------------------------------------------------------------------------------------------


def test_two_steps_of_an_attack_are_one_severe_incident_although_each_was_harmless():
    check(
        """
        00:00  fires    BruteForce@a{user=eve,severity=warning}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        00:01  acks     BruteForce@a ana
               -> chat   acknowledged BruteForce  1 firing, 0 resolved
        00:02  fires    BruteForce@b{user=bob,severity=warning}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        00:30  fires    Login@c{user=eve,severity=info}
               -> chat   escalated  Break-in likely: eve  2 firing, 0 resolved
        00:31  fires    Login@d{user=mallory,severity=info}
               -> chat   opened     Login  1 firing, 0 resolved
        00:35  -> pager  escalated  Break-in likely: eve  2 firing, 0 resolved
        00:40  looks    BruteForce@a BruteForce@b Login@d
               -> T-2 open critical page  Break-in likely: eve  2 firing, 0 resolved
               -> T-6 open warning chat  BruteForce  1 firing, 0 resolved
               -> T-10 open info chat  Login  1 firing, 0 resolved
        """,
        policy=BREAK_IN,
    )


def test_the_first_step_may_be_over_for_a_while():
    check(
        """
        00:00  fires    BruteForce@a{user=eve,severity=warning}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        00:01  resolves BruteForce@a
               -> chat   resolved   BruteForce  0 firing, 1 resolved
        00:50  fires    Login@c{user=eve,severity=info}
               -> chat   opened     Break-in likely: eve  1 firing, 1 resolved
        00:51  looks    BruteForce@a
               -> T-2 open critical page  Break-in likely: eve  1 firing, 1 resolved
        """,
        policy=BREAK_IN,
    )


def test_what_somebody_resolved_stays_resolved_and_the_attack_is_an_incident_of_its_own():
    check(
        """
        00:00  fires    BruteForce@a{user=eve,severity=warning}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        00:05  closes   BruteForce@a ana
               -> chat   resolved   BruteForce  1 firing, 0 resolved
        00:30  fires    Login@c{user=eve,severity=info}
               -> chat   opened     Break-in likely: eve  1 firing, 0 resolved
        00:31  looks    BruteForce@a Login@c
               -> T-2 resolved warning chat  BruteForce  1 firing, 0 resolved
               -> T-6 open critical page  Break-in likely: eve  1 firing, 0 resolved
        """,
        policy=BREAK_IN,
    )


def test_steps_in_the_wrong_order_or_too_late_are_no_attack():
    check(
        """
        00:00  fires    Login@a{user=eve}
               -> chat   opened     Login  1 firing, 0 resolved
        00:10  fires    BruteForce@b{user=eve}
               -> chat   opened     BruteForce  1 firing, 0 resolved
        01:20  fires    Login@c{user=eve,host=x}
               -> chat   opened     Login  1 firing, 0 resolved
        01:21  looks    Login@a BruteForce@b Login@c
               -> T-2 open none chat  Login  1 firing, 0 resolved
               -> T-4 open none chat  BruteForce  1 firing, 0 resolved
               -> T-6 open none chat  Login  1 firing, 0 resolved
        """,
        policy=BREAK_IN,
    )


def test_three_steps_are_gathered_as_they_come():
    check(
        """
        00:00  fires    A@a{user=eve}
               -> chat   opened     A  1 firing, 0 resolved
        00:10  fires    B@b{user=eve}
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:20  fires    C@c{user=bob}
               -> chat   opened     C  1 firing, 0 resolved
        00:50  fires    C@d{user=eve}
               -> chat   escalated  three  3 firing, 0 resolved
        00:51  looks    A@a C@c
               -> T-2 open critical page  three  3 firing, 0 resolved
               -> T-6 open none chat  C  1 firing, 0 resolved
        """,
        policy=THREE,
    )


def test_three_steps_of_which_the_last_comes_too_late_are_no_attack():
    check(
        """
        00:00  fires    A@a{user=eve}
               -> chat   opened     A  1 firing, 0 resolved
        00:40  fires    B@b{user=eve}
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        01:10  fires    C@c{user=eve}
               -> chat   updated    A and 2 more kinds of alert  3 firing, 0 resolved
        01:11  looks    A@a C@c
               -> T-2 open none chat  A and 2 more kinds of alert  3 firing, 0 resolved
        """,
        policy=THREE,
    )


# --- groups and limits -------------------------------------------------------------------------------------


def test_a_group_that_alertmanager_calls_otherwise_after_its_reload_is_no_second_incident():
    check("""
        00:00  fires    A@db B@db
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
        00:01  regroups db x
        00:02  fires    C@x
               -> chat   updated    A and 2 more kinds of alert  3 firing, 0 resolved
        00:03  looks    A@db C@x
               -> T-2 open none chat  A and 2 more kinds of alert  3 firing, 0 resolved
        00:04  resolves A@db B@db C@x
               -> chat   resolved   A and 2 more kinds of alert  0 firing, 3 resolved
    """)


def test_an_incident_that_is_full_takes_no_more_in_one_body_and_over_bodies():
    check(
        """
        00:00  fires    A@g B@g C@g
               -> chat   opened     A and 1 more kind of alert  2 firing, 0 resolved
               -> chat   opened     C  1 firing, 0 resolved
        00:01  fires    D@g
               -> chat   updated    C and 1 more kind of alert  2 firing, 0 resolved
        00:02  fires    E@g
               -> chat   opened     E  1 firing, 0 resolved
        00:03  resolves A@g
               -> chat   updated    A and 1 more kind of alert  1 firing, 1 resolved
        00:04  fires    A@g
               -> chat   updated    A and 1 more kind of alert  2 firing, 0 resolved
        00:05  looks    A@g C@g D@g E@g
               -> T-2 open none chat  A and 1 more kind of alert  2 firing, 0 resolved
               -> T-2-2 open none chat  C and 1 more kind of alert  2 firing, 0 resolved
               -> T-7 open none chat  E  1 firing, 0 resolved
        """,
        policy=SMALL,
    )


# --- reasons, and any order ------------------------------------------------------------------------------------


def test_each_link_says_which_rule_and_which_alert():
    story = story_of(
        """
        00:00  fires    DatabaseDown@db{service=database,cluster=eu}
        00:01  fires    PaySlow@a{service=payments,cluster=eu}
        00:02  fires    ShopSlow@b{service=shop,cluster=eu}
        """,
        TOPOLOGY,
    )
    assert story.why("alerts joined") == [
        "rule 'downstream': payments depends on database, see DatabaseDown (cluster=eu): 1 alert (PaySlow)",
        "rule 'downstream': shop depends on payments, see PaySlow (cluster=eu): 1 alert (ShopSlow)",
    ]


def test_a_symptom_and_an_adoption_name_the_cause():
    story = story_of(
        """
        00:00  fires    ShopSlow@a{tier=app}
        00:01  fires    DatabaseDown@db
        00:02  fires    CartSlow@b{tier=app}
        """,
        CAUSE,
    )
    assert story.why("merged") == ["rule 'shop needs database': its cause DatabaseDown came later: 1 alert went to T-4"]
    assert story.why("alerts joined") == [
        "rule 'shop needs database': a symptom of DatabaseDown (no cluster): 1 alert (CartSlow)"
    ]


def test_a_sequence_lists_what_was_seen_when_and_where():
    story = story_of("00:00  fires BruteForce@a{user=eve}\n00:20  fires Login@b{user=eve}", BREAK_IN)
    (why,) = story.why("alerts joined")
    assert "all 2 steps (user=eve): BruteForce at 00:00:00Z (T-2), Login at 00:20:00Z" in why


def test_an_incident_that_opens_again_does_not_count_what_leaves_it_at_that_moment():
    story = story_of(
        """
        00:00  fires    Slow@g{user=eve} Login@g{user=eve}
        00:01  resolves Slow@g Login@g
        00:02  fires    BruteForce@b{user=eve}
        00:03  fires    Slow@g{user=eve} Login@g{user=eve}
        """,
        BREAK_IN,
    )
    assert story.incident_of("Login").title == "Break-in likely: eve"
    reopened = story.incident_of("Slow")
    assert (reopened.reopened, reopened.firing, reopened.resolved) == (1, 1, 0)


def test_a_new_incident_says_which_one_was_full():
    story = story_of("00:00  fires A@g B@g\n00:01  fires C@g", SMALL)
    assert "T-2 takes no more alerts" in story.why("opened")[1]


def test_a_step_that_is_heard_of_late_counts_by_when_it_began():
    story = Story(BREAK_IN, {})
    brute = story.alert_json("BruteForce@a{user=eve}")  # begins now, and is posted after the login
    story.play("00:02  fires Login@b{user=eve}")
    story.play("00:05  waits")
    story.post("a", [brute])
    assert story.incident_of("Login").title == "Break-in likely: eve"
    assert story.incident_of("Login").severity == "critical"


ALERTS = ("DatabaseDown@g{tier=data}", "ShopSlow@g{tier=app}", "CartSlow@g{tier=app}", "Disk@g")


@pytest.mark.parametrize("order", list(permutations(ALERTS)))
def test_cause_and_symptoms_in_one_body_are_the_same_in_any_order(order: tuple[str, ...]):
    story = story_of(f"00:00  fires {' '.join(order)}", CAUSE)
    together = {story.incident_of(name.split("{")[0]).id for name in ALERTS}
    assert len(together) == 1  # Disk is in the group in which the cause is
    assert len(story.transcript) == 2  # the script, and one message


CHAIN = (
    "DatabaseDown@g{service=database}",
    "PaySlow@g{service=payments}",
    "ShopSlow@g{service=shop}",
    "ReportsLate@g{service=reports}",
)


@pytest.mark.parametrize("order", list(permutations(CHAIN)))
def test_a_chain_of_services_ends_in_one_incident_in_any_order_of_bodies(order: tuple[str, ...]):
    script = "\n".join(f"00:0{number}  fires {name.replace('@g', f'@{number}')}" for number, name in enumerate(order))
    story = story_of(script, TOPOLOGY)
    (opened,) = [each for each in story.state.incidents.values() if each.merged_into is None]
    assert (opened.firing, opened.resolved) == (4, 0)


@pytest.mark.parametrize("order", list(permutations(CHAIN)))
def test_a_chain_of_services_in_one_body_opens_one_incident_and_merges_nothing(order: tuple[str, ...]):
    story = story_of(f"00:00  fires {' '.join(order)}", TOPOLOGY)
    (opened,) = story.state.incidents.values()
    assert (opened.firing, opened.title) == (4, "DatabaseDown and 3 more kinds of alert")


PIECES = ("", "a", "1", ",1", "\x1f", "a\x1f", "\x1fa", "\x1f1", "a\x1f1,")
NAMED = ByLabels(name="per service", matchers=(), by=(), window=timedelta(minutes=10))


@pytest.mark.parametrize("count", range(4))
def test_different_values_have_different_keys_whatever_is_in_them(count: int) -> None:
    keys = [key_of(NAMED, role, tuple(values)) for role, *values in product(PIECES, repeat=count + 1)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("values", "key"),
    [((), "rule\x1fper service\x1fcause"), (("eu1", ""), "rule\x1fper service\x1fcause\x1feu1\x1f")],
)
def test_what_holds_no_separator_keeps_the_key_that_stores_have(values: tuple[str, ...], key: str) -> None:
    assert key_of(NAMED, "cause", values) == key


def test_two_services_whose_labels_only_look_alike_are_two_incidents():
    story = Story(BY_SERVICE, {})
    for number, (cluster, service) in enumerate((("a\x1fb", "c"), ("a", "b\x1fc"), ("a", "b\x1fc"))):
        labels = {"alertname": f"A{number}", "cluster": cluster, "service": service}
        story.post(f"g{number}", [{**story.alert_json(f"A{number}"), "labels": labels}])
    assert sorted(each.firing for each in story.state.incidents.values()) == [1, 2]
