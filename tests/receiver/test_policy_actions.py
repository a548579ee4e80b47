"""Actions in receiver.yml: what is told as a fault, what is a warning, and what becomes of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from guard import configfile
from guard.configfile import InvalidConfig
from receiver import settings
from receiver.policy.policy import Policy

REST = "escalations: {all: {stages: [{notify: [here, {action: fix}]}]}}\nchannels: {here: {type: terminal}}\n"


def faults(folder: Path, action: str, rest: str = REST) -> list[str]:
    path = folder / "receiver.yml"
    path.write_text(f"actions: {{fix: {action}}}\n{rest}")
    try:
        settings.load(path, environ={"KEY": "k"})
    except InvalidConfig as invalid:
        return [f"{each.path}: found {each.found}, expected {each.expected}" for each in invalid.faults]
    return []


@pytest.mark.parametrize(
    "action",
    [
        "{command: [/bin/true]}",
        "{command: [/bin/x, '--c={cluster}', '{a}{b}'], arguments: {cluster: '[a-z]+', a: x, b: y}, dry_run: true}",
        "{command: [/bin/x, '{\"json\": 1}'], timeout: 10m, retry_for: 1d}",
        "{webhook: {url: 'https://x.example.org/', headers: {X-Api-Key: '${KEY}'}}, timeout: 1s}",
    ],
)
def test_what_can_be_run_is_no_fault(tmp_path: Path, action: str) -> None:
    assert faults(tmp_path, action) == []


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ("{}", "actions.fix: found nothing to run, expected either `command` or `webhook`"),
        (
            "{command: [/bin/x], webhook: {url: 'http://x/'}}",
            "actions.fix: found `command` and `webhook`, expected either `command` or `webhook`",
        ),
        (
            "{command: [failover]}",
            "actions.fix.command[0]: found 'failover', expected the absolute path of a program, without placeholders",
        ),
        (
            "{command: ['/bin/{x}', '{x}'], arguments: {x: y}}",
            "actions.fix.command[0]: found '/bin/{x}', expected the absolute path of a program, without placeholders",
        ),
        (
            "{command: [/bin/x, '--c={cluster}']}",
            "actions.fix.command[1]: found {cluster} without a pattern, expected `cluster` in `arguments`",
        ),
        (
            "{command: [/bin/x], arguments: {cluster: '[a-z]+'}}",
            "actions.fix.arguments.cluster: found a pattern for nothing, expected {cluster} in `command`",
        ),
        (
            "{command: [/bin/x, '{x}'], arguments: {x: '[a-z'}}",
            (
                "actions.fix.arguments.x: found '[a-z', expected a regular expression that compiles"
                " (unterminated character set at position 0)"
            ),
        ),
        (
            "{command: [/bin/x, 'key=${KEY}']}",
            "actions.fix.command[1]: found the variable KEY in what many can see, expected text without ${ENV}",
        ),
        ("{command: [/bin/x], timeout: 11m}", "actions.fix.timeout: found '11m', expected a duration from 1s to 10m"),
        ("{command: [/bin/x], retry_for: 0s}", "actions.fix.retry_for: found '0s', expected a duration from 1s to 1d"),
        (
            "{webhook: {url: 'http://x/', headers: {Authorization: S3CRET}}}",
            (
                "actions.fix.webhook.headers.Authorization: found a secret that is written out,"
                " expected a value from ${ENV} or a *_file"
            ),
        ),
    ],
)
def test_what_cannot_be_run_is_a_fault(tmp_path: Path, action: str, fault: str) -> None:
    assert faults(tmp_path, action) == [fault]


def test_patterns_arguments_and_actions_have_their_limits(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, f"{{command: [/bin/x, '{{x}}'], arguments: {{x: '{'a' * 201}'}}}}")
    assert found.startswith("actions.fix.arguments.x: ")
    (found,) = faults(tmp_path, f"{{command: [/bin/x, '{'a' * 1001}']}}")
    assert found.startswith("actions.fix.command[1]: ")
    (found,) = faults(tmp_path, f"{{command: [{', '.join(['/bin/x'] * 51)}]}}")
    assert found.startswith("actions.fix.command: ")


def test_a_stage_runs_only_what_there_is(tmp_path: Path) -> None:
    rest = REST.replace("action: fix", "action: fox")
    assert faults(tmp_path, "{command: [/bin/x]}", rest) == [
        "escalations.all.stages[0].notify[1].action: found 'fox', expected one of: fix"
    ]
    place = "escalations.all.stages[0].notify[1]"
    rest = REST.replace("action: fix", "action: fix, person: ana") + "people: {ana: {notify: [{channel: here}]}}\n"
    assert faults(tmp_path, "{command: [/bin/x]}", rest) == [
        f"{place}: found `person` and `action`, expected a schedule, a person or an action, exactly one of them"
    ]


def test_a_program_that_is_not_here_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "receiver.yml"
    (tmp_path / "plain").write_text("no program")
    path.write_text(
        "actions:\n"
        f"  gone: {{command: [{tmp_path}/gone]}}\n"
        f"  plain: {{command: [{tmp_path}/plain]}}\n"
        f"  good: {{command: [{sys.executable}]}}\n"
        "  hook: {webhook: {url: 'http://x/'}}\n"
        "  idle: {webhook: {url: 'http://x/'}}\n"
        "escalations: {all: {stages: [{notify: [here, "
        + ", ".join(f"{{action: {name}}}" for name in ("gone", "plain", "good", "hook"))
        + "]}]}}\n"
        "channels: {here: {type: terminal}}\n"
    )
    _, found = configfile.read_and_warn(path, settings.KIND, environ={})
    assert sorted((each.line, each.path) for each in found) == [
        (2, "actions.gone.command[0]"),
        (3, "actions.plain.command[0]"),
        (6, "actions.idle"),
    ]
    assert found[0].expected == "a program that is there where the receiver runs, and may be executed"


def test_the_policy_that_decides_knows_names_and_no_commands(tmp_path: Path) -> None:
    path = tmp_path / "receiver.yml"
    path.write_text(f"actions: {{fix: {{command: [/bin/x, S3CRET]}}}}\n{REST}")
    policy: Policy = settings.load(path, environ={}).policy
    assert policy.actions == policy.commands == ("fix",)
    assert policy.escalations["all"].stages[0].actions == ("fix",)
    assert policy.channels == ("here",)
    assert "S3CRET" not in repr(policy)
