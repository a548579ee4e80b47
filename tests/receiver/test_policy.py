"""receiver.yml becomes the frozen policy, or every fault is told at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from guard.configfile import InvalidConfig
from receiver import settings
from receiver.channels.making import channel_of
from receiver.policy.policy import Again, Escalation, Policy, Stage
from receiver.settings import Settings

FAULTY = """\
routes:
  - matchers: ['severity="critical']
    escalation: page
  - escalation: nobody
escalations:
  page:
    stages:
      - {delay: 5 minutes, notify: [chat]}
      - {delay: 10m, notify: [pager]}
channels:
  chat: {type: terminal}
  hook: {type: webhook, url: http://127.0.0.1:9999/, timout: 5s}
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Settings]:
    def read(text: str, **environ: str) -> Settings:
        path = tmp_path / "receiver.yml"
        path.write_text(text)
        return settings.load(path, environ=environ)

    return read


def faults(load: Callable[..., Settings], text: str, **environ: str) -> list[str]:
    with pytest.raises(InvalidConfig) as raised:
        load(text, **environ)
    return [f"{fault.path}: found {fault.found}, expected {fault.expected}" for fault in raised.value.faults]


def test_five_different_faults_are_told_at_once_with_line_path_found_and_expected(
    load: Callable[..., Settings], golden: Callable[[str, str], None], tmp_path: Path
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        load(FAULTY)
    assert len(raised.value.faults) == 5
    assert all(fault.line and fault.path and fault.found and fault.expected for fault in raised.value.faults)
    golden("policy-faults.txt", str(raised.value).replace(f"{tmp_path}/", "") + "\n")


def test_stages_and_routes_keep_their_order_and_a_channel_is_named_once(load: Callable[..., Settings]) -> None:
    policy = load("""
routes: [{matchers: ['severity="critical"', team=db], escalation: page}, {escalation: quiet}, {}]
escalations:
  quiet: {stages: [{notify: [chat]}]}
  page: {stages: [{notify: [chat, chat, pager]}, {delay: 1h30m, notify: [pager]}]}
channels: {chat: {type: terminal}, pager: {type: terminal}}
""").policy
    assert [str(route) for route in policy.routes] == ['severity="critical", team="db"', "everything", "everything"]
    assert [route.escalation for route in policy.routes] == ["page", "quiet", None]
    assert policy.escalations["page"].stages == (
        Stage(delay=timedelta(0), notify=("chat", "pager")),
        Stage(delay=timedelta(minutes=90), notify=("pager",)),
    )


def test_the_first_route_that_matches_wins(load: Callable[..., Settings]) -> None:
    policy = load("""
routes: [{matchers: [a=1], escalation: one}, {matchers: [b=2], escalation: two}]
escalations: {one: {stages: [{notify: [chat]}]}, two: {stages: [{notify: [chat]}]}}
channels: {chat: {type: terminal}}
""").policy

    def way(**labels: str) -> str | None:
        route = policy.route(labels)
        return None if route is None else route.escalation

    assert (way(a="1", b="2"), way(b="2"), way(c="3")) == ("one", "two", None)


def test_channels_alone_are_all_told_of_everything_at_once(load: Callable[..., Settings]) -> None:
    policy = load("channels: {pager: {type: terminal}, chat: {type: terminal}}").policy
    route = policy.route({})
    assert route is not None
    (escalation,) = policy.escalations.values()
    assert escalation == Escalation(name=route.escalation or "", stages=(Stage(timedelta(0), ("chat", "pager")),))


def test_one_escalation_needs_no_routes(load: Callable[..., Settings]) -> None:
    policy = load("escalations: {x: {stages: [{notify: [c]}]}}\nchannels: {c: {type: terminal}}").policy
    assert [(str(route), route.escalation) for route in policy.routes] == [("everything", "x")]


def test_an_empty_file_tells_nobody(load: Callable[..., Settings]) -> None:
    loaded = load("")
    assert (loaded.policy.routes, loaded.policy.escalations, loaded.sources) == ((), {}, None)


def test_the_bundled_example_is_valid_and_pages_what_is_critical() -> None:
    policy = settings.load(settings.EXAMPLE, environ={}).policy
    route = policy.route({"alertname": "Down", "severity": "critical"})
    assert route is not None
    assert route.escalation == "urgent"
    watchdog = policy.route({"alertname": "Watchdog", "severity": "critical"})
    assert watchdog is not None
    assert watchdog.escalation is None


def test_people_are_paged_again_as_the_escalation_says(load: Callable[..., Settings]) -> None:
    def again_of(written: str) -> Again:
        text = f"escalations: {{x: {{stages: [{{notify: [c]}}]{written}}}}}\nchannels: {{c: {{type: terminal}}}}"
        return load(text).policy.escalations["x"].again

    assert again_of("") == Again(firing_more=0, severity_rises=True)
    assert again_of(", again: {firing_more: 10, severity_rises: false}") == Again(10, severity_rises=False)
    with pytest.raises(InvalidConfig, match=r"escalations\.x\.again\.firing_more: found the number -1"):
        again_of(", again: {firing_more: -1}")


def test_several_escalations_without_routes_are_refused(load: Callable[..., Settings]) -> None:
    text = "escalations: {x: {stages: [{notify: [c]}]}, y: {stages: [{notify: [c]}]}}\nchannels: {c: {type: terminal}}"
    assert faults(load, text) == [
        "escalations: found 2 escalations and no routes, expected routes that say which incidents take which escalation"
    ]


def test_stages_that_go_back_in_time_are_refused(load: Callable[..., Settings]) -> None:
    text = "escalations: {x: {stages: [{delay: 5m, notify: [c]}, {delay: 1m, notify: [c]}]}}\n"
    (fault,) = faults(load, text + "channels: {c: {type: terminal}}")
    assert fault.startswith("escalations.x.stages[1].delay: found '1m', less than the stage before")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("routes: 5", "routes: found the number 5"),
        ("routes: [5]", "routes[0]: found the number 5"),
        ("escalations: [x]", "escalations: found a list"),
        ("escalations: {x: {}}", "escalations.x.stages: found nothing"),
        ("escalations: {x: {stages: []}}", "escalations.x.stages: found an empty list"),
        ("escalations: {x: {stages: [7]}}", "escalations.x.stages[0]: found the number 7"),
        ("escalations: {x: {stages: [{notify: []}]}}", "escalations.x.stages[0].notify: found an empty list"),
        ("escalations: {x: {stages: [{notify: chat}]}}", "escalations.x.stages[0].notify: found 'chat'"),
        ("channels: {c: {type: telepathy}}", "channels.c.type: found 'telepathy'"),
        ("channels: {c: {}}", "channels.c.type: found nothing"),
        ("channels: {c: {type: webhook}}", "channels.c.url: found nothing"),
        ("channels: {c: {type: webhook, url: '127.0.0.1:1'}}", "channels.c.url: found '127.0.0.1:1'"),
        ("channels: {c: {type: webhook, url: 'http://a:99999/'}}", "channels.c.url: found 'http://a:99999/'"),
        ("channels: {c: {type: webhook, url: 'http://a/', secret_file: no}}", "channels.c.secret_file: found"),
        ("sources: {a: {token_file: nowhere}}", "sources.a.token_file: found 'nowhere'"),
        ("sources: {a: {alertmanager_url: 'am:9093'}}", "sources.a.alertmanager_url: found 'am:9093'"),
        ("sourcs: {}", "sourcs: found an unknown key"),
    ],
)
def test_each_fault_names_its_place(load: Callable[..., Settings], text: str, fault: str) -> None:
    assert [each for each in faults(load, text) if each.startswith(fault)], faults(load, text)


def test_a_token_file_without_a_token_is_a_fault_of_the_policy(load: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "empty.token").write_text("# nothing yet\n")
    for key in ("token_file", "alertmanager_token_file"):
        (fault,) = faults(load, f"sources: {{eu1: {{{key}: empty.token, alertmanager_url: 'http://am/'}}}}")
        assert fault.startswith(f"sources.eu1.{key}: found ")
        assert "no token in it" in fault


def test_every_change_of_the_file_is_another_policy_and_no_secret_is_in_it(load: Callable[..., Settings]) -> None:
    text = "channels: {hook: {type: webhook, url: 'http://a/', headers: {Authorization: '${TOKEN}'}}}"
    first, second = load(text, TOKEN="s3cret"), load(text + "\n# more", TOKEN="s3cret")
    assert first.policy.digest != second.policy.digest
    assert load(text, TOKEN="other").policy == first.policy
    assert b"s3cret" not in msgspec.json.encode(first.policy)


def test_the_policy_survives_the_journal() -> None:
    policy = settings.load(settings.EXAMPLE, environ={}).policy
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_each_channel_of_the_file_becomes_one(load: Callable[..., Settings]) -> None:
    loaded = load("""
channels:
  hook: {type: webhook, url: 'http://a/', retry_for: 2h, timeout: 3s}
  mail: {type: email, smarthost: 'a:25', from: a@b, to: [c@d], retry_for: 3h}
""")
    channels = {name: channel_of(file) for name, file in loaded.channels.items()}
    assert {name: channel.retry_seconds_max for name, channel in channels.items()} == {"hook": 7200.0, "mail": 10800.0}
