"""The page's table of priorities and response times, held against its policy."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from receiver.policy.duration import parse_duration
from tests.pages import fenced, text_of
from tests.stories.story import Story, check, policy_from

SECTION = text_of("policy.md").partition("### P0 to P2 with response times\n")[2].partition("\n## ")[0]
(POLICY,) = fenced(SECTION, "yaml")
ROW = re.compile(r"^\| (P\d) \|" + r" ([^|]*) \|" * 6 + "$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall(SECTION)}


@pytest.mark.parametrize("priority", ["P0", "P1", "P2"])
def test_a_row_of_the_table_is_what_the_policy_says(priority: str) -> None:
    words, at_once, within, then, anew, lasts = ROWS[priority]
    policy = policy_from(POLICY)
    escalation = policy.escalations[priority]
    for word in re.findall(r"`(\w+)`", words):
        route = policy.route({"severity": word})
        assert route is not None
        assert route.escalation == priority
        held = not any(matcher.matches({"severity": word}) for matcher in policy.storms.never_hold)
        assert held == (priority == "P2")
    first, second, *last = escalation.stages
    assert ("on call" in at_once) == any(call.schedule == "first" for call in first.calls)
    assert first.notify == ("chat",)
    assert (first.delay, second.delay) == (timedelta(), parse_duration(within))
    assert ("second" in then) == (second.calls[0].schedule == "second")
    assert [each.delay for each in last] == [parse_duration(each) for each in re.findall(r"after (\w+)", then)]
    assert escalation.repeat is not None
    every, times = re.findall(r"every (\w+), (\d+) times", anew)[0]
    assert (escalation.repeat.every, escalation.repeat.times) == (parse_duration(every), int(times))
    assert escalation.acknowledged_for == parse_duration(lasts)


def test_a_p0_that_nobody_answers_goes_up_to_the_lead_and_begins_anew() -> None:
    check(
        """
        00:00  fires    Down@db{severity=p0}
               -> chat   opened     Down  1 firing, 0 resolved
               -> ben-phone opened     Down  1 firing, 0 resolved
        00:05  -> ana-phone escalated  Down  1 firing, 0 resolved
        00:15  -> lead-phone escalated  Down  1 firing, 0 resolved
        00:20  -> chat   escalated  Down  1 firing, 0 resolved
               -> ben-phone escalated  Down  1 firing, 0 resolved
        00:24  acks     Down ben
               -> chat   acknowledged Down  1 firing, 0 resolved
               -> ben-phone acknowledged Down  1 firing, 0 resolved
               -> ana-phone acknowledged Down  1 firing, 0 resolved
               -> lead-phone acknowledged Down  1 firing, 0 resolved
        00:54  -> chat   escalated  Down  1 firing, 0 resolved
               -> ben-phone escalated  Down  1 firing, 0 resolved
               -> ana-phone updated    Down  1 firing, 0 resolved
               -> lead-phone updated    Down  1 firing, 0 resolved
        00:55  waits
        """,
        POLICY,
    )


def test_a_p2_of_the_night_calls_nobody_before_the_day() -> None:
    """The story begins on a Sunday: it is Monday, nine o'clock, when a round's second stage is within working hours."""
    story = Story(POLICY, {})
    story.play("12:00 fires Slow@web{severity=p2}")
    story.play("+1d12:00 waits")
    called = [step.at.strftime("%a %H:%M") for step in story.steps if step.what.startswith("stage 2 of 2")]
    left_out = [step.what.endswith("left out") for step in story.steps if step.what.startswith("stage 2 of 2")]
    assert called[left_out.index(False)] == "Mon 08:30"
    assert all(left_out[: left_out.index(False)])


def test_what_becomes_worse_takes_the_stages_of_its_new_priority() -> None:
    story = Story(POLICY, {})
    for line in ("12:00 fires Slow@web{severity=p2}", "12:01 acks Slow ana", "12:30 fires Down@web{severity=p1}"):
        story.play(line)
    assert story.incident_of("Slow").status == "open"
    assert [line.split()[1:3] for line in story.transcript if "->" in line][-2:] == [
        ["chat", "escalated"],
        ["ben-phone", "escalated"],
    ]
