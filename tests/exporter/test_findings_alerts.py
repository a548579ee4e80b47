"""Findings as alerts of Alertmanager: which there are, for how long, and what they say."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.__main__ import load_plan
from exporter.finding import SEVERITIES, Finding
from exporter.findings.alerts import ADDRESSES_MAX, ALERTS_MAX, NETWORKS_MAX, OWED_SECONDS_MAX, Alerts, Choice
from exporter.identity import Address, Person, address_of
from exporter.settings import KIND
from guard import configfile
from tests.exporter.test_findings import FOUND

AT = FOUND.at
END = AT + 900.0


class Told:
    """Alerts with two Alertmanagers, and what they are told."""

    def __init__(self, choice: Choice = Choice(), *targets: str) -> None:  # noqa: B008 - it is frozen
        self.dropped: list[str] = []
        self.alerts = Alerts(dropped=self.dropped.append)
        self.alerts.use(choice, targets or ("one", "two"))

    def post(self, target: str, now: float, *, taken: bool = True) -> list[dict[str, dict[str, str]]]:
        keys = self.alerts.to_tell(target, now)
        written = json.loads(msgspec.json.encode(self.alerts.written(keys, now)))
        if taken:
            self.alerts.taken(target, keys)
        return list(written)


def seconds(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def test_an_alert_says_which_detector_and_not_who_it_was() -> None:
    told = Told(Choice(labels={"instance": "crow", "cluster": "eu1"}, external_url="https://crow:29100/"))
    assert told.alerts.take([replace(FOUND, source="shop", person=Person(77))])
    (alert,) = told.post("one", AT)
    assert alert == {
        "labels": {
            "alertname": "SecurityFinding",
            "detector": "brute_force_address",
            "severity": "critical",
            "source": "shop",
            "instance": "crow",
            "cluster": "eu1",
        },
        "annotations": {
            "summary": "brute_force_address: 1 finding, 1 address",
            "description": "The last of them: 51 failed logins in 1 h, more than 50. Severity: high.",
            "runbook_url": "docs/runbooks/tocsin.md#securityfinding",
        },
        "startsAt": "2026-11-21T09:00:00.250Z",
        "endsAt": "2026-11-21T09:15:00.250Z",
        "generatorURL": "https://crow:29100/findings?detector=brute_force_address",
    }
    assert "203.0.113" not in json.dumps(alert)
    assert "77" not in json.dumps(alert)


def test_an_alert_of_a_clock_that_was_ahead_begins_now_and_ends_as_any_other() -> None:
    told = Told()
    told.alerts.take([replace(FOUND, at=AT + 10 * 365 * 86_400)])
    for target in ("one", "two"):
        (alert,) = told.post(target, AT)
        assert (seconds(alert["startsAt"]), seconds(alert["endsAt"])) == (AT, END)
    assert told.alerts.active(AT) == 1
    assert told.post("one", END + 1) == []
    assert told.alerts.active(END + 1) == 0


def test_what_goes_on_stays_one_alert_and_ends_after_the_last_finding() -> None:
    told = Told()
    assert told.alerts.take([FOUND])
    (first,) = told.post("one", AT)
    assert not told.alerts.take([replace(FOUND, at=AT + 600, address=address_of("198.51.100.1"))])
    (second,) = told.post("one", AT + 600)
    assert first["labels"] == second["labels"]
    assert first["startsAt"] == second["startsAt"]
    assert seconds(second["endsAt"]) == END + 600
    assert second["annotations"]["summary"] == "brute_force_address: 2 findings, 2 addresses"
    assert told.post("one", END + 601) == []


def test_what_begins_again_after_its_end_is_new() -> None:
    told = Told()
    told.alerts.take([FOUND])
    told.post("one", AT), told.post("two", AT)
    assert told.alerts.take([replace(FOUND, at=END + 1)])
    (again,) = told.post("one", END + 1)
    assert seconds(again["startsAt"]) == END + 1
    assert again["annotations"]["summary"].startswith("brute_force_address: 1 finding,")


def test_two_severities_that_are_one_word_for_alertmanager_are_one_alert() -> None:
    told = Told()
    told.alerts.take([replace(FOUND, severity=severity) for severity in SEVERITIES])
    found = [alert["labels"]["severity"] for alert in told.post("one", AT)]
    assert found == ["critical", "info", "warning"]


def test_a_dry_run_is_no_alert_and_neither_is_anything_without_an_alertmanager() -> None:
    told = Told()
    assert not told.alerts.take([replace(FOUND, dry_run=True)])
    assert told.post("one", AT) == []
    told.alerts.use(Choice(), ())
    assert not told.alerts.take([FOUND])
    told.alerts.use(Choice(), ("one",))
    assert told.post("one", AT) == []


def test_networks_are_named_where_that_is_wanted_and_only_some_of_them() -> None:
    told = Told(Choice(networks=True))
    told.alerts.take([replace(FOUND, address=Address(0xC6336400 + (number << 8) + 7)) for number in range(9)])
    (alert,) = told.post("one", AT)
    named = alert["annotations"]["networks"].split(", ")
    assert named[0] == "198.51.100.0/24"
    assert len(named) == NETWORKS_MAX
    assert alert["annotations"]["summary"] == "brute_force_address: 9 findings, 9 addresses"


def test_more_addresses_than_are_counted_are_said_to_be_at_least_so_many() -> None:
    told = Told()
    told.alerts.take([replace(FOUND, address=Address(1 + number)) for number in range(ADDRESSES_MAX + 50)])
    (alert,) = told.post("one", AT)
    assert alert["annotations"]["summary"].endswith(f", at least {ADDRESSES_MAX} addresses")


def test_who_was_away_is_told_once_of_what_ended_meanwhile() -> None:
    told = Told()
    told.alerts.take([FOUND])
    told.post("two", AT)
    assert told.alerts.owed("one") == 1
    late = END + 1_000
    assert told.post("two", late) == []
    (alert,) = told.post("one", late)
    assert seconds(alert["startsAt"]) == AT
    assert seconds(alert["endsAt"]) == late + 900
    assert told.alerts.owed("one") == 0
    assert told.post("one", late + 1) == []
    assert told.dropped == []


def test_who_is_away_for_too_long_is_not_told_any_more_and_that_is_counted() -> None:
    told = Told()
    told.alerts.take([FOUND])
    told.post("two", AT)
    assert told.post("one", END + OWED_SECONDS_MAX) == []
    assert told.dropped == ["one"]
    assert told.alerts.owed("one") == 0


def test_too_many_at_a_time_are_counted_as_dropped_and_those_that_are_there_go_on() -> None:
    told = Told()
    told.alerts.take([replace(FOUND, detector=f"own_{number:04}") for number in range(ALERTS_MAX + 3)])
    assert told.dropped == ["one", "two"] * 3
    assert len(told.post("one", AT)) == len(told.post("two", AT)) == ALERTS_MAX
    assert not told.alerts.take([replace(FOUND, detector="own_0000", at=AT + 1)])
    later = END + 10
    assert told.alerts.take([replace(FOUND, detector="own_9999", at=later)])
    assert [alert["labels"]["detector"] for alert in told.post("one", later)] == ["own_9999"]


FINDINGS = st.builds(
    lambda detector, severity, seconds, address, dry: Finding(
        detector=detector,
        severity=severity,
        at=AT + seconds,
        why="because",
        value=1.0,
        threshold=1.0,
        window_seconds=1.0,
        address=address,
        dry_run=dry,
    ),
    st.sampled_from(["a", "b"]),
    st.sampled_from(SEVERITIES),
    st.integers(-100, 2_000),
    st.none() | st.integers(1, 2**32 - 1).map(Address),
    st.booleans(),
)


@given(st.lists(st.tuples(FINDINGS, st.sampled_from(["one", "two"]), st.booleans()), max_size=30))
def test_whatever_is_found_and_whoever_is_away_alertmanager_can_take_it(
    steps: list[tuple[Finding, str, bool]],
) -> None:
    """No two of a body are the same alert, none ends before it starts or has ended already, and each is told."""
    told = Told()
    now = AT
    expected: set[tuple[str, str]] = set()
    heard: set[tuple[str, str]] = set()
    for finding, target, taken in steps:
        now = max(now, finding.at)
        told.alerts.take([finding])
        if not finding.dry_run and finding.at + 900 > now:
            expected.add(("one", finding.detector))
            expected.add(("two", finding.detector))
        posted = told.post(target, now, taken=taken)
        for alert in posted:
            assert seconds(alert["startsAt"]) < seconds(alert["endsAt"])
            assert now < seconds(alert["endsAt"])
            if taken:
                heard.add((target, alert["labels"]["detector"]))
        bodies = [json.dumps(alert["labels"], sort_keys=True) for alert in posted]
        assert len(bodies) == len(set(bodies))
    for target in ("one", "two"):
        heard |= {(target, alert["labels"]["detector"]) for alert in told.post(target, now)}
        assert told.alerts.owed(target) == 0
    assert expected <= heard


# --- settings ----------------------------------------------------------------------------------------------------


def faults(text: str) -> list[str]:
    with pytest.raises(configfile.InvalidConfig) as raised:
        configfile.read_text(f"findings:\n  {text}\n", "exporter.yml", KIND, environ={})
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alertmanager_url: ftp://a", r"findings\.alertmanager_url: found a URL that begins neither"),
        ("alertmanager_url: 'http://ana:geheim@a:9093'", r"found a login in a URL, expected a URL such as"),
        ("alertmanager_url: 'http://a:9093/?x=geheim'", r"found a URL with a query"),
        ("alertmanager_url: 'http://a:99999'", r"found what is no URL"),
        ("alertmanager_url: 'http:///x'", r"found a URL without a host"),
        ("alertmanager_url: 'https://a..b:9093'", r"found a URL without a host, or with signs that belong in none"),
        (f"alertmanager_url: 'https://{'a' * 64}.b'", r"found a URL without a host, or with signs that belong in none"),
        ("alertmanager_url: 'https://xn--:9093'", r"found a URL without a host, or with signs that belong in none"),
        ("alertmanager_url: 'https://a%25b'", r"found a URL without a host, or with signs that belong in none"),
        (
            "alertmanager_url: 'https://köln.example.org'",
            r"found a URL without a host, or with signs that belong in none",
        ),
        ("alertmanager_url: ['http://a:9093', '']", r"alertmanager_url\[1\]: found a URL that begins neither"),
        ("alertmanager_url: ['http://a', 'http://A:80/x']", r"alertmanager_url\[1\]: found an address that is there"),
        (
            "alertmanager_url: [" + ", ".join(f"'http://a{n}'" for n in range(9)) + "]",
            r"found 9 of them, expected at most 8",
        ),
        ("alertmanager_url: 7", r"findings\.alertmanager_url: found the number 7"),
        ("resolve_after: 1m", r"resolve_after: found '1m', expected a duration from 2m to 24h"),
        ("labels: {severity: high}", r"labels\.severity: found a label that each alert has by itself"),
        ("labels: {a-b: high}", r"labels: found a name that is none"),
        ("labels: {a: ''}", r"labels\.a: found"),
        ("external_url: geheim", r"external_url: found a URL that begins neither"),
        ("token_file: gone", r"token_file: found 'gone', expected a file that exists"),
        ("ca_file: gone", r"ca_file: found 'gone', expected a file that exists"),
        ("basic_auth: {username: ana}", r"basic_auth.*password_file"),
        ("alertmanager: x", r"found .*alertmanager"),
    ],
)
def test_a_fault_names_its_place_and_no_secret(text: str, said: str) -> None:
    found = faults(text)
    assert any(re.search(said, fault) for fault in found), found
    assert not any("geheim" in fault for fault in found)


def urls(*flags: str) -> tuple[str, ...]:
    return load_plan(flags, {}).alertmanager_urls


@pytest.mark.parametrize(
    "url",
    [
        "http://alertmanager:9093",
        "https://am-1.example.org./prefix/",
        "http://127.0.0.1:9093",
        "http://[::1]:9093",
        "https://monitoring_alertmanager",
    ],
)
def test_what_is_a_url_is_no_fault(url: str) -> None:
    assert urls(f"--findings.alertmanager-url={url}") == (url,)


def test_who_is_told_can_be_said_by_a_flag_which_outweighs_the_file(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("findings: {alertmanager_url: [http://a:9093, http://b:9093]}\n")
    assert urls() == ()
    assert urls(f"--config.file={path}") == ("http://a:9093", "http://b:9093")
    assert urls(f"--config.file={path}", "--findings.alertmanager-url=http://c, https://d/am") == (
        "http://c",
        "https://d/am",
    )
    assert urls(f"--config.file={path}", "--findings.alertmanager-url=") == ()


@pytest.mark.parametrize("text", ["ftp://geheim", "http://ana:geheim@a", "http://a,http://a:80", "geheim"])
def test_a_flag_that_is_no_url_is_wrong_use_and_not_repeated(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        urls(f"--findings.alertmanager-url={text}")
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "--findings.alertmanager-url: found" in said
    assert "geheim" not in said
