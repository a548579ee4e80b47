"""What else receiver.yml says: correlation, topology, storms, windows, cooldowns, watchdogs. Good becomes a policy, and
what does not fit together is told with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from guard.configfile import InvalidConfig
from guard.matcher import Matcher, parse_matcher
from receiver import settings
from receiver.policy import checks
from receiver.policy.duration import parse_duration
from receiver.policy.policy import (
    ByLabels,
    CauseAndSymptom,
    Cooldown,
    Downstream,
    Flapping,
    Maintenance,
    Policy,
    Sequence,
    Storms,
    Watchdog,
    Window,
)
from receiver.settings import Settings

Load = Callable[..., Settings]

EVERYTHING = """\
sources:
  eu1:
    token_file: eu1.token
    alertmanager_url: http://alertmanager:9093/prefix
    alertmanager_token_file: eu1.token
    watchdog: {matchers: ['alertname="Alive"', cluster=eu1], late_after: 2m}
  eu2: {watchdog: {}}
  fire: {}
correlate:
  - {name: one per service, matchers: ['service!=""'], by: [cluster, service, cluster], window: 10m}
  - {name: the rest, by: [cluster], window: 1m}
  - {name: symptoms, cause: [alertname=DatabaseDown], symptom: [tier=app], equal: [cluster], window: 5m}
  - {name: anywhere, cause: [alertname=RegionDown], symptom: [tier=app], window: 5m}
  - {name: downstream, depends_on_label: service, equal: [cluster], window: 15m}
  - name: break-in
    sequence: [[alertname=BruteForce], [alertname=Login, privileged=yes]]
    equal: [user]
    window: 1h
    severity: page
    title: 'Break-in likely: {user}'
topology: {services: {shop: {depends_on: [payments, database]}, payments: {depends_on: [database]}}}
storms: {per_channel: {limit: 3, per: 30s}, never_hold: [severity=critical, team=security]}
maintenance:
  - {name: patch night, matchers: [job=node], weekly: 'Mon,Wed 22:00-02:00', time_zone: Europe/Berlin}
  - {name: move, matchers: [dc=a], from: '2026-12-24T18:00', to: '2026-12-25T02:00+02:00', time_zone: Europe/Berlin}
cooldowns: [{matchers: [team=db], duration: 30m}, {duration: 1m}]
flapping: {after: 5, calm: 20m}
reopen_within: 0s
stale_after: 12h
incident_alerts_max: 100
retention: {journal: 30d, incidents: 0s}
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "eu1.token").write_text("s3cret\n")

    def read(text: str, files: Mapping[str, str] | None = None) -> Settings:
        for name, content in (files or {}).items():
            (tmp_path / name).write_text(content)
        (tmp_path / "receiver.yml").write_text(text)
        return settings.load(tmp_path / "receiver.yml", environ={})

    return read


def faults(load: Load, text: str, files: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidConfig) as raised:
        load(text, files)
    return [
        f"{Path(fault.file).name}:{fault.line}: {fault.path}: found {fault.found}, expected {fault.expected}"
        for fault in raised.value.faults
    ]


def matchers(*texts: str) -> tuple[Matcher, ...]:
    return tuple(map(parse_matcher, texts))


# --- what a good file becomes --------------------------------------------------------------------------------------


def test_each_kind_of_rule_is_known_by_its_keys_and_keeps_its_place(load: Load) -> None:
    minutes = [timedelta(minutes=number) for number in (10, 1, 5, 5, 15, 60)]
    assert load(EVERYTHING).policy.correlate == (
        ByLabels("one per service", matchers('service!=""'), ("cluster", "service"), minutes[0]),
        ByLabels("the rest", (), ("cluster",), minutes[1]),
        CauseAndSymptom("symptoms", matchers("alertname=DatabaseDown"), matchers("tier=app"), ("cluster",), minutes[2]),
        CauseAndSymptom("anywhere", matchers("alertname=RegionDown"), matchers("tier=app"), (), minutes[3]),
        Downstream("downstream", "service", ("cluster",), minutes[4]),
        Sequence(
            "break-in",
            (matchers("alertname=BruteForce"), matchers("alertname=Login", "privileged=yes")),
            ("user",),
            minutes[5],
            severity="page",
            title="Break-in likely: {user}",
        ),
    )


def test_the_other_parts_of_the_file_reach_the_policy(load: Load) -> None:
    loaded = load(EVERYTHING)
    policy = loaded.policy
    assert policy.depends_on == {"payments": ("database",), "shop": ("payments", "database")}
    assert list(policy.depends_on) == ["payments", "shop"]
    assert policy.storms == Storms(3, timedelta(seconds=30), matchers("severity=critical", "team=security"))
    assert policy.cooldowns == (
        Cooldown(matchers("team=db"), timedelta(minutes=30)),
        Cooldown((), timedelta(minutes=1)),
    )
    assert policy.watchdogs == {
        "eu1": Watchdog(matchers('alertname="Alive"', "cluster=eu1"), timedelta(minutes=2)),
        "eu2": Watchdog(matchers('alertname="Watchdog"'), timedelta(minutes=5)),
    }
    assert policy.flapping == Flapping(5, timedelta(minutes=20))
    assert (policy.reopen_within, policy.stale_after) == (timedelta(0), timedelta(hours=12))
    assert policy.incident_alerts_max == 100
    assert (loaded.retention.journal, loaded.retention.incidents) == ("30d", "0s")
    assert loaded.sources is not None
    assert loaded.sources["eu1"].alertmanager_url == "http://alertmanager:9093/prefix"


def test_a_list_of_days_becomes_a_window_for_each_and_local_times_become_moments(load: Load) -> None:
    night = Window(from_minute=22 * 60, minutes=240, time_zone="Europe/Berlin")
    assert load(EVERYTHING).policy.maintenance == (
        Maintenance("patch night", matchers("job=node"), msgspec.structs.replace(night, weekday=0)),
        Maintenance("patch night", matchers("job=node"), msgspec.structs.replace(night, weekday=2)),
        Maintenance(
            "move",
            matchers("dc=a"),
            Window(
                starts=datetime(2026, 12, 24, 17, tzinfo=UTC),
                ends=datetime(2026, 12, 25, 0, tzinfo=UTC),
                time_zone="Europe/Berlin",
            ),
        ),
    )


def test_what_is_left_out_has_the_defaults_that_older_policies_in_the_journal_have(load: Load) -> None:
    policy = load("channels: {c: {type: terminal}}").policy
    bare = Policy(digest=policy.digest, routes=policy.routes, escalations=policy.escalations, channels=policy.channels)
    assert policy == bare
    assert load("storms: {per_channel: {limit: 3}}").policy.storms == Storms(limit=3)
    assert load("storms: {never_hold: []}").policy.storms == Storms(never_hold=())


def test_the_whole_policy_survives_the_journal(load: Load) -> None:
    policy = load(EVERYTHING).policy
    written = msgspec.json.encode(policy)
    assert msgspec.json.decode(written, type=Policy) == policy
    assert b"s3cret" not in written
    assert b"alertmanager:9093" not in written


# --- topology.yml --------------------------------------------------------------------------------------------------

DOWNSTREAM = "correlate: [{name: a, depends_on_label: service, window: 5m}]\n"
OUTSIDE = f"{DOWNSTREAM}topology_file: topology.yml\n"


def test_a_topology_in_a_file_of_its_own_is_the_same_and_a_change_of_it_is_another_policy(load: Load) -> None:
    inline = load(f"{DOWNSTREAM}topology: {{services: {{shop: {{depends_on: [db]}}}}}}").policy
    text = "services: {shop: {depends_on: [db]}}\n"
    first = load(OUTSIDE, {"topology.yml": text}).policy
    second = load(OUTSIDE, {"topology.yml": f"{text}# more\n"}).policy
    assert first.depends_on == second.depends_on == inline.depends_on == {"shop": ("db",)}
    assert first.digest != second.digest


def test_faults_of_the_topology_name_its_file_and_line(load: Load) -> None:
    text = "services:\n  a: {depends_on: [b]}\n  b: {dependson: [a]}\n"
    assert faults(load, OUTSIDE, {"topology.yml": text}) == [
        "topology.yml:3: services.b.dependson: found an unknown key, expected 'depends_on'"
    ]
    text = (
        "services:\n  z: {depends_on: [a]}\n  a: {depends_on: [x, b]}\n  b: {depends_on: [c]}\n  c: {depends_on: [a]}\n"
    )
    assert faults(load, OUTSIDE, {"topology.yml": text}) == [
        (
            "topology.yml:3: services.a.depends_on: found a cycle: a -> b -> c -> a,"
            " expected services that do not need themselves"
        )
    ]


def test_a_topology_has_a_limit(load: Load) -> None:
    services = "".join(f"  s{number}: {{}}\n" for number in range(5001))
    (fault,) = faults(load, OUTSIDE, {"topology.yml": f"services:\n{services}"})
    assert fault.endswith("services: found a mapping, expected at most 5000 keys")


# --- what does not fit together --------------------------------------------------------------------------------------

RULE = "name: a, window: 5m"
ONE_KIND = "exactly one kind of rule: `by`; `cause` and `symptom`; `depends_on_label`; or `sequence`"
SEQUENCE = "sequence: [[a=1], [b=2]]"
SERVICES = "topology: {services: {a: {}}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"correlate: [{{{RULE}}}]", f"correlate[0]: found a rule without a kind, expected {ONE_KIND}"),
        (
            f"correlate: [{{{RULE}, by: [a], cause: [b=1]}}]",
            f"correlate[0]: found a mixture of `by` and `cause`, expected {ONE_KIND}",
        ),
        (
            f"correlate: [{{{RULE}, cause: [a=1]}}]",
            "correlate[0].symptom: found nothing, expected `symptom` in a rule with `cause` and `symptom`",
        ),
        (
            f"correlate: [{{{RULE}, by: [a], equal: [b]}}]",
            (
                "correlate[0].equal: found a key of another kind of rule,"
                " expected with `by` only: name, window, by, matchers"
            ),
        ),
        (
            f"correlate: [{{{RULE}, {SEQUENCE}}}]",
            "correlate[0].equal: found nothing, expected `equal` in a rule with `sequence`",
        ),
        (
            f"correlate: [{{{RULE}, {SEQUENCE}, equal: []}}]",
            "correlate[0].equal: found an empty list, expected at least one label",
        ),
        (
            f"correlate: [{{{RULE}, {SEQUENCE}, equal: [user], severity: criticl}}]",
            "correlate[0].severity: found 'criticl', expected one of: none, info",
        ),
        (
            f"correlate: [{{{RULE}, {SEQUENCE}, equal: [user], title: 'x {{host}}'}}]",
            "correlate[0].title: found {host} in 'x {host}', expected labels of `equal` (user)",
        ),
        (
            f"correlate: [{{{RULE}, {SEQUENCE}, equal: [user], title: 'x {{}}'}}]",
            "correlate[0].title: found a brace that is left over in 'x {}'",
        ),
        (f"correlate: [{{{RULE}, sequence: [[a=1]], equal: [b]}}]", "correlate[0].sequence: found a list"),
        (
            f"correlate: [{{{RULE}, sequence: [[a=1], []], equal: [b]}}]",
            "correlate[0].sequence[1]: found an empty list",
        ),
        (f"correlate: [{{{RULE}, by: []}}]", "correlate[0].by: found an empty list"),
        (f"correlate: [{{{RULE}, by: ['a-b']}}]", "correlate[0].by[0]: found 'a-b'"),
        (f"correlate: [{{{RULE}, by: [a], matchers: [a]}}]", "correlate[0].matchers[0]: found 'a'"),
        ("correlate: [{name: a, by: [a]}]", "correlate[0].window: found nothing"),
        ('correlate: [{name: "a\\nb", by: [a], window: 5m}]', "correlate[0].name: found 'a\\nb'"),
        ("correlate: [{name: '', by: [a], window: 5m}]", "correlate[0].name: found ''"),
        (
            f"correlate: [{{{RULE}, by: [a]}}, {{{RULE}, by: [b]}}]",
            "correlate[1].name: found 'a', the name of correlate[0], expected a name of its own",
        ),
        (
            f"correlate: [{{{RULE}, depends_on_label: service}}]",
            "correlate[0].depends_on_label: found a rule without a topology, expected `topology` or `topology_file`",
        ),
        (SERVICES, "topology: found a topology that no rule uses, expected a rule of `correlate`"),
        (f"{DOWNSTREAM}{SERVICES}topology_file: eu1.token", "topology_file: found a second topology"),
        (f"{DOWNSTREAM}topology_file: nowhere.yml", "topology_file: found 'nowhere.yml', expected a file that exists"),
        (
            f"{DOWNSTREAM}topology: {{services: {{a: {{depends_on: [a]}}}}}}",
            "topology.services.a.depends_on: found a cycle: a -> a",
        ),
        ("storms: {per_channel: {limit: 10001}}", "storms.per_channel.limit: found the number 10001"),
        ("storms: {per_channel: {limit: -1}}", "storms.per_channel.limit: found the number -1"),
        ("storms: {never_hold: ['a']}", "storms.never_hold[0]: found 'a'"),
        (
            "maintenance: [{name: a, matchers: [a=1]}]",
            "maintenance[0]: found no time, expected either `weekly`, or both `from` and `to`",
        ),
        (
            "maintenance: [{name: a, matchers: [a=1], weekly: 'Sun 02:00-04:00', from: '2026-12-24T00:00'}]",
            "maintenance[0]: found `weekly` and `from`, expected either",
        ),
        (
            "maintenance: [{name: a, matchers: [a=1], from: '2026-12-24T00:00', to: '2026-12-24T00:00'}]",
            "maintenance[0].to: found '2026-12-24T00:00', not after '2026-12-24T00:00'",
        ),
        (
            "maintenance: [{name: a, matchers: [a=1], from: 2026-12-24, to: '2026-12-24T00:00'}]",
            "maintenance[0].from: found '2026-12-24', expected a moment such as",
        ),
        (
            "maintenance: [{name: a, matchers: [], weekly: 'Sun 02:00-04:00'}]",
            "maintenance[0].matchers: found an empty",
        ),
        (
            "maintenance: [{name: a, matchers: [a=1], weekly: 'Sunday 2-4'}]",
            "maintenance[0].weekly: found 'Sunday 2-4', expected days and times such as",
        ),
        (
            "maintenance: [{name: a, matchers: [a=1], weekly: 'Sun 02:00-04:00', time_zone: Mars/Crater}]",
            "maintenance[0].time_zone: found 'Mars/Crater', expected a time zone such as Europe/Berlin",
        ),
        ("sources: {a: {watchdog: {matchers: []}}}", "sources.a.watchdog.matchers: found an empty list"),
        ("sources: {a: {alertmanager_url: 'alertmanager:9093'}}", "sources.a.alertmanager_url: found 'alertm"),
        (
            "sources: {a: {alertmanager_token_file: eu1.token}}",
            "sources.a.alertmanager_token_file: found a token and no",
        ),
        ("sources: {a: {gone_after: 1m}}", "sources.a.gone_after: found a time and no address"),
        ("sources: {a: {alertmanager_url: 'http://a', gone_after: 5}}", "sources.a.gone_after: found the number 5"),
        ("incident_alerts_max: 0", "incident_alerts_max: found the number 0"),
        ("incident_alerts_max: 100001", "incident_alerts_max: found the number 100001"),
        ("flapping: {after: -1}", "flapping.after: found the number -1"),
        ("stale_after: 5", "stale_after: found the number 5"),
    ],
)
def test_each_fault_names_its_place_what_was_found_and_what_was_expected(load: Load, text: str, fault: str) -> None:
    found = [each.partition(": ")[2] for each in faults(load, text)]
    assert [each for each in found if each.startswith(fault)], found


def test_a_password_in_an_address_is_a_fault_that_does_not_show_it(load: Load) -> None:
    (fault,) = faults(load, "sources: {a: {alertmanager_url: 'http://ana:hunter2@alertmanager:9093'}}")
    assert "found an address with a user or a password in it" in fault
    assert "hunter2" not in fault


def test_a_token_for_alertmanager_that_is_empty_is_a_fault(load: Load) -> None:
    source = "{alertmanager_url: 'http://a', alertmanager_token_file: empty.token}"
    (fault,) = faults(load, f"sources: {{a: {source}}}", {"empty.token": "\n"})
    assert "sources.a.alertmanager_token_file: found" in fault


def _escalation(more: str) -> str:
    return f"escalations: {{a: {{stages: [{{notify: [b]}}], {more}}}}}\nchannels: {{b: {{type: terminal}}}}"


def test_a_round_must_be_through_before_the_next_begins(load: Load) -> None:
    stages = "stages: [{notify: [b]}, {delay: 30m, notify: [b]}]"
    text = f"escalations: {{a: {{{stages}, repeat: {{every: 30m, times: 1}}}}}}\nchannels: {{b: {{type: terminal}}}}"
    (fault,) = faults(load, text)
    assert "escalations.a.repeat.every: found '30m', and the last stage comes after 30m, expected longer" in fault
    load(text.replace("every: 30m", "every: 31m"))


def written_at(key: str, duration: str) -> str:
    """A good file but for one duration."""
    return {
        "sources.NAME.gone_after": f"sources: {{a: {{alertmanager_url: 'http://a', gone_after: {duration}}}}}",
        "sources.NAME.watchdog.late_after": f"sources: {{a: {{watchdog: {{late_after: {duration}}}}}}}",
        "correlate[].window": f"correlate: [{{name: a, by: [b], window: {duration}}}]",
        "escalations.NAME.repeat.every": _escalation(f"repeat: {{every: {duration}, times: 2}}"),
        "escalations.NAME.acknowledged_for": _escalation(f"acknowledged_for: {duration}"),
        "actions.NAME.timeout": f"actions: {{a: {{command: [/bin/true], timeout: {duration}}}}}",
        "actions.NAME.retry_for": f"actions: {{a: {{command: [/bin/true], retry_for: {duration}}}}}",
        "links.valid_for": f"links: {{valid_for: {duration}}}",
        "channels.NAME.fallback_after": "channels: {b: {type: terminal}, "
        f"a: {{type: webhook, url: 'http://a', fallback: b, fallback_after: {duration}}}}}",
        "storms.per_channel.per": f"storms: {{per_channel: {{per: {duration}}}}}",
        "cooldowns[].duration": f"cooldowns: [{{duration: {duration}}}]",
        "flapping.calm": f"flapping: {{calm: {duration}}}",
        "reopen_within": f"reopen_within: {duration}",
        "stale_after": f"stale_after: {duration}",
        "retention.journal": f"retention: {{journal: {duration}}}",
        "retention.incidents": f"retention: {{incidents: {duration}}}",
        "schedules.NAME.rotations[].shift": "people: {ana: {notify: [{email: a@b}]}}\n"
        f"schedules: {{a: {{rotations: [{{people: [ana], shift: {duration}, starts: '2026-01-05T09:00'}}]}}}}",
    }[key]


@pytest.mark.parametrize("bounds", checks.DURATIONS, ids=[bounds.key for bounds in checks.DURATIONS])
def test_durations_have_bounds(load: Load, bounds: checks.Bounds) -> None:
    for good in (bounds.least, bounds.most, *(["0s"] if bounds.zero else [])):
        load(written_at(bounds.key, good))
    below = f"{parse_duration(bounds.least) // timedelta(milliseconds=1) - 1}ms"
    above = f"{parse_duration(bounds.most) // timedelta(milliseconds=1) + 1}ms"
    for bad in (below, above, *([] if bounds.zero else ["0s"])):
        (fault,) = faults(load, written_at(bounds.key, bad))
        assert f"found '{bad}'" in fault
        assert f"from {bounds.least} to {bounds.most}" in fault or "at most 100 years" in fault


@pytest.mark.parametrize("shape", ["5", "x", "[5]", "[[5]]", "{a: 5}", "{a: [5]}", "[{}]", "[{name: 5}]", "{5: 5}"])
@pytest.mark.parametrize(
    "key",
    [
        "sources",
        "correlate",
        "topology",
        "topology_file",
        "storms",
        "maintenance",
        "cooldowns",
        "flapping",
        "retention",
    ],
)
def test_any_shape_is_a_fault_and_never_a_traceback(load: Load, key: str, shape: str) -> None:
    assert faults(load, f"{key}: {shape}")
