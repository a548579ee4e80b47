"""What stages run besides telling people, as stories."""

from __future__ import annotations

from tests.stories.story import Story, check, played

POLICY = """
actions: {fix: {command: [/bin/fix]}, page: {webhook: {url: 'http://x/'}}}
escalations:
  all:
    stages:
      - {notify: [chat, {action: fix}]}
      - {delay: 5m, notify: [{action: fix}, {action: page}]}
channels: {chat: {type: terminal}}
"""


def test_an_action_is_run_when_its_stage_is_taken_and_hears_nothing_else() -> None:
    check(
        """
        00:00  fires    Down@db
               -> action:fix opened     Down  1 firing, 0 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  fires    Slow@db
               -> chat   updated    Down and 1 more kind of alert  2 firing, 0 resolved
        00:05  -> action:fix escalated  Down and 1 more kind of alert  2 firing, 0 resolved
               -> action:page escalated  Down and 1 more kind of alert  2 firing, 0 resolved
        00:05  waits
        00:10  resolves Down Slow
               -> chat   updated    Down and 1 more kind of alert  1 firing, 1 resolved
               -> chat   resolved   Down and 1 more kind of alert  0 firing, 2 resolved
        """,
        POLICY,
    )


def test_nothing_runs_once_somebody_has_it() -> None:
    check(
        """
        00:00  fires    Down
               -> action:fix opened     Down  1 firing, 0 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:04  acks     Down ana
               -> chat   acknowledged Down  1 firing, 0 resolved
        09:00  waits
        """,
        POLICY,
    )


def test_an_action_alone_tells_nobody_so_nobody_hears_how_it_ends() -> None:
    check(
        """
        00:00  fires    Down
               -> action:fix opened     Down  1 firing, 0 resolved
        00:01  acks     Down ana
        00:10  resolves Down
        """,
        POLICY.replace("notify: [chat, {action: fix}]", "notify: [{action: fix}]"),
    )


def test_no_storm_holds_an_action_back() -> None:
    check(
        """
        00:00  fires    Down
               -> action:fix opened     Down  1 firing, 0 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:00  fires    Slow
               -> action:fix opened     Slow  1 firing, 0 resolved
        00:00  fires    Full
               -> action:fix opened     Full  1 firing, 0 resolved
        00:04  -> chat   digest     2: Slow open, Full open
        00:04  waits
        """,
        POLICY + "storms: {per_channel: {limit: 1, per: 4m}}\n",
    )


def test_each_round_runs_it_again() -> None:
    check(
        """
        00:00  fires    Down
               -> action:fix opened     Down  1 firing, 0 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:05  -> action:fix escalated  Down  1 firing, 0 resolved
               -> action:page escalated  Down  1 firing, 0 resolved
        00:05  waits
        00:30  -> action:fix escalated  Down  1 firing, 0 resolved
               -> chat   escalated  Down  1 firing, 0 resolved
        00:30  waits
        """,
        POLICY.replace("    stages:", "    repeat: {every: 30m, times: 1}\n    stages:"),
    )


def test_an_answer_is_a_line_of_the_story_and_a_refusal_too() -> None:
    story = played(
        Story(POLICY, {}),
        """
        00:00  fires    Down
        00:01  refuses  action:fix
        00:05  waits
        """,
    )
    said = [(step.what, step.why) for step in story.steps if "action" in step.what]
    assert said == [("action fix", "ok"), ("action fix not done", "no"), ("action page", "ok")]
    (stage,) = [step.why for step in story.steps if step.what == "stage 2 of 2"]
    assert stage == "it was due: the escalation 'all' now runs fix, page"


def test_nobody_runs_one_again_by_sending_it_again() -> None:
    check(
        """
        00:00  refuses  action:fix
        00:00  fires    Down
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  resends  action:fix ana
               -> refused T-2: an action is run by a stage of the policy, and by nobody else
        """,
        POLICY.replace("delay: 5m", "delay: 9h"),
    )


def test_an_action_that_the_policy_has_no_more_is_not_run() -> None:
    check(
        """
        00:00  fires    Down
               -> action:fix opened     Down  1 firing, 0 resolved
               -> chat   opened     Down  1 firing, 0 resolved
        00:01  loads    other
        00:05  -> chat   escalated  Down  1 firing, 0 resolved
        00:05  waits
        """,
        POLICY,
        other="""
escalations: {all: {stages: [{notify: [chat]}, {delay: 5m, notify: [chat]}]}}
channels: {chat: {type: terminal}}
""",
    )
