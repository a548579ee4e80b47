"""The kinds of event that Tocsin knows: what docs/events.md says, and what becomes of its examples."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exporter.exposition import Format, render
from exporter.mapping.bundled import RULES
from exporter.mapping.compiled import fields_of
from exporter.pipeline import Pipeline
from tests.exporter.builders import pipeline_of, sample
from tests.left_out import left_out

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\| (`[a-z]+_[^|]*) \|$", re.MULTILINE)
(EXAMPLES,) = re.findall(r"^```json\n((?:\{.*\}\n){10,})```", PAGE, re.MULTILINE)
NOW = 1_795_400_000.0


def fed(*events: dict[str, Any]) -> str:
    return fed_lines("\n".join(map(json.dumps, events)))


def fed_lines(text: str, pipeline: Pipeline | None = None) -> str:
    pipeline = pipeline or pipeline_of()
    outcome = pipeline.lines(text.encode(), now=NOW)
    assert (outcome.faults, outcome.unmatched) == ((), 0)
    return page_of(pipeline)


def page_of(pipeline: Pipeline) -> str:
    return render(pipeline.families(), Format.TEXT).decode()


def value(page: str, series: str) -> float | None:
    return sample(page, series) if f"\n{series} " in page else None


def test_the_page_for_people_says_what_the_rules_say() -> None:
    said = {
        kind: (set(re.findall(r"`(\w+)`", fields)), set(re.findall(r"`([^`]+)`", metrics)))
        for kind, fields, metrics in ROW.findall(PAGE)
    }
    rules = {
        kind: (
            {*fields.texts, *fields.numbers},
            {
                metric.name + (f"{{{','.join(metric.label_names)}}}" if metric.labels else "")
                for metric in (rule.metric for rule in RULES if rule.event == kind)
            },
        )
        for kind, fields in fields_of(RULES).items()
    }
    assert said == rules


def test_every_example_counts_and_nothing_is_left_without_one() -> None:
    pipeline = pipeline_of()
    fed_lines(EXAMPLES, pipeline)
    assert {json.loads(line)["event"] for line in EXAMPLES.splitlines()} == set(fields_of(RULES))
    silent = []
    for family in pipeline.families():
        values = [getattr(each, "count", getattr(each, "value", each)) for _, each in family.samples]
        if not any(values):
            silent.append(family.name)
    # What opens has closed again.
    assert sorted(silent) == ["app_active_connections", "http_server_active_requests", "websocket_connections"]


def test_promtool_has_no_complaint_about_any_of_them() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        left_out("promtool is not installed")
    page = fed_lines(EXAMPLES)
    found = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_no_metric_says_who_it_was_or_has_a_label_that_a_target_has() -> None:
    names = {label.name for rule in RULES for label in rule.metric.labels}
    fields = {field for asked in fields_of(RULES).values() for field in (*asked.texts, *asked.numbers)}
    assert not names & {"job", "instance", "service", "env", "type", "le", "ip", "user"}
    assert not fields & {"ip", "user", "email", "address"}
    assert "192.0.2.7" not in fed_lines(EXAMPLES)


def test_rules_that_feed_one_metric_say_the_same_of_it() -> None:
    by_name = {}
    for rule in RULES:
        assert by_name.setdefault(rule.metric.name, rule.metric) == rule.metric


@pytest.mark.parametrize(
    ("outcome", "failures", "revenue"),
    [
        ("success", 0, 10),
        ("OK", 0, 10),
        (True, 0, 10),
        (None, 0, 10),
        ("", 0, 10),
        (1, 0, 10),
        ("failed", 1, None),
        ("Error", 1, None),
        (False, 1, None),
        ("DECLINED", 1, None),
        ("pending", 0, None),
    ],
)
def test_outcomes_in_their_usual_spellings(outcome: object, failures: int, revenue: float | None) -> None:
    page = fed({"event": "transaction", "amount": 10, "currency": "EUR", "outcome": outcome})
    assert value(page, "business_transactions_total") == 1
    assert value(page, "business_transaction_failures_total") == failures
    assert value(page, 'business_revenue_total{currency="EUR"}') == revenue


@pytest.mark.parametrize(("status", "failures"), [("sent", 0), (200, 0), (503, 1), ("404", 1), ("failed", 1)])
def test_the_status_of_a_message_may_be_that_of_http(status: object, failures: int) -> None:
    page = fed({"event": "message_sent", "message_type": "order", "status": status})
    assert value(page, 'messages_sent_total{message_type="order"}') == 1
    assert value(page, 'messages_send_failures_total{message_type="order"}') == failures


@pytest.mark.parametrize(
    ("event", "series"),
    [
        (
            {"event": "job", "job_name": "backup", "outcome": "success"},
            'background_job_failures_total{job_name="backup"}',
        ),
        ({"event": "mfa", "method": "totp"}, 'mfa_failures_total{method="totp"}'),
        ({"event": "permission", "action": "read"}, 'permission_denials_total{action="read"}'),
        ({"event": "threat", "threat_type": "scan"}, 'threats_blocked_total{threat_type="scan"}'),
        ({"event": "threat", "threat_type": "scan"}, 'threat_false_positives_total{threat_type="scan"}'),
    ],
)
def test_failures_are_there_at_0_before_the_first_one(event: dict[str, Any], series: str) -> None:
    assert value(fed(event), series) == 0


def test_what_opened_before_the_exporter_started_does_not_make_a_gauge_negative() -> None:
    closed = {"event": "websocket_closed", "user_type": "member"}
    opened = {"event": "websocket_opened", "user_type": "member"}
    series = 'websocket_connections{user_type="member"}'
    assert value(fed(closed, closed), series) == 0
    # In one batch what opens comes first, in whichever order it was sent.
    assert value(fed(closed, opened, opened), series) == 1


def test_a_request_is_active_from_its_start_to_its_end() -> None:
    pipeline = pipeline_of()
    series = 'http_server_active_requests{http_request_method="GET",url_scheme="https"}'
    request = {"method": "GET", "scheme": "https"}
    started, ended = {"event": "http_request_started", **request}, {"event": "http_request", **request}
    page = fed_lines("\n".join(map(json.dumps, [started, started])), pipeline)
    assert value(page, series) == 2
    page = fed_lines(json.dumps({**ended, "started": True, "duration_seconds": 1}), pipeline)
    assert value(page, series) == 1
    # Whoever does not tell of the start does not tell of the end.
    page = fed_lines(json.dumps({**ended, "duration_seconds": 1}), pipeline)
    assert value(page, series) == 1
    # In one batch what starts comes first.
    both = [{**ended, "started": True, "duration_seconds": 1}, started]
    assert value(fed_lines("\n".join(map(json.dumps, both)), pipeline), series) == 1


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-22T02:03:04Z", 1_795_312_984),
        ("2026-11-22T04:03:04+02:00", 1_795_312_984),
        (1_795_312_984.5, 1_795_312_984.5),
        (None, NOW),
        ("2999-01-01T00:00:00Z", NOW),
        (NOW + 1, NOW),
        (0, 0),
    ],
)
def test_a_moment_is_when_it_happened_and_never_later_than_now(at: object, expected: float) -> None:
    page = fed({"event": "job", "job_name": "backup", "at": at})
    assert value(page, 'background_job_last_success_timestamp_seconds{job_name="backup"}') == expected


def test_a_job_that_failed_is_no_success_and_is_still_counted() -> None:
    page = fed({"event": "job", "job_name": "backup", "outcome": "failure", "duration_seconds": 3})
    assert value(page, 'background_jobs_total{job_name="backup"}') == 1
    assert value(page, 'background_job_failures_total{job_name="backup"}') == 1
    assert value(page, 'background_job_last_success_timestamp_seconds{job_name="backup"}') is None


@pytest.mark.parametrize(
    "event",
    [
        {"event": "transaction", "amount": -1},
        {"event": "http_request", "duration_seconds": -0.1},
        {"event": "satisfaction", "score": -3},
    ],
)
def test_what_is_added_up_is_not_negative(event: dict[str, Any]) -> None:
    outcome = pipeline_of().lines(json.dumps(event).encode(), now=NOW)
    (field,) = set(event) - {"event"}
    assert [fault.text for fault in outcome.faults] == [
        f"{field}: found a negative number, expected a number that is not negative"
    ]


def test_what_has_no_labels_or_known_ones_is_there_from_the_start() -> None:
    page = page_of(pipeline_of())
    for series in ("business_transactions_total", "cache_hits_total", 'websocket_messages_total{direction="sent"}'):
        assert value(page, series) == 0
    assert value(page, "graphql_query_depth_count") == 0
