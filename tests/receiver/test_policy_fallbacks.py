"""`fallback` and `fallback_after` in receiver.yml: what they become, and what is a fault."""

from __future__ import annotations

from datetime import timedelta

import pytest

from guard import configfile
from guard.configfile import InvalidConfig
from receiver.policy.policy import Fallback
from receiver.settings import KIND
from tests.stories.story import policy_from


def test_each_channel_has_its_fallback_and_so_have_the_ways_to_people_that_are_made_of_it() -> None:
    policy = policy_from("""
channels:
  mail: {type: email, smarthost: 'localhost:25', from: t@example.org, to: [o@example.org], fallback: chat}
  chat: {type: terminal, fallback: hook, fallback_after: 10s}
  hook: {type: terminal}
people: {ana: {notify: [{email: ana@example.org}]}}
""")
    assert policy.fallbacks == {
        "ana@mail": Fallback("chat", timedelta(minutes=1)),
        "mail": Fallback("chat", timedelta(minutes=1)),
        "chat": Fallback("hook", timedelta(seconds=10)),
    }


@pytest.mark.parametrize(
    ("channels", "fault"),
    [
        ("{a: {type: terminal, fallback: b}}", "channels.a.fallback: found 'b', expected one of: a"),
        ("{a: {type: terminal, fallback: a}}", "channels.a.fallback: found a cycle: a -> a"),
        (
            "{a: {type: terminal, fallback: b}, b: {type: terminal, fallback: c}, c: {type: terminal, fallback: b}}",
            "channels.b.fallback: found a cycle: b -> c -> b, expected fallbacks that end with a channel that has none",
        ),
        ("{a: {type: terminal, fallback_after: 5s}}", "channels.a.fallback_after: found a time and no fallback"),
        (
            "{a: {type: terminal, fallback: b, fallback_after: 2h}, b: {type: terminal}}",
            "channels.a.fallback_after: found '2h', expected 0s (at once), or a duration from 1s to 1h",
        ),
        ("{a: {type: terminal, fallback: [b]}, b: {type: terminal}}", "channels.a.fallback: found"),
    ],
)
def test_what_cannot_be_a_fallback_is_a_fault_that_says_where(channels: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        configfile.read_text(f"channels: {channels}", "receiver.yml", KIND, environ={})
    assert fault in str(caught.value)
