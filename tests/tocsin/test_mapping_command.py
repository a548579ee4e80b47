"""`tocsin mapping`: what a sample becomes, why, and all rules as YAML."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from exporter.mapping.bundled import RULES
from exporter.settings import KIND
from guard import configfile
from tocsin import mapping, ruletext

ORDERS = r"""
mapping:
  - match: order
    where: ['outcome=~"paid|free"']
    name: shop_orders_total
    type: counter
    help: Orders.
    labels: {country: {field: customer.country, known: [it], values_max: 2}, mail: {field: mail, replace: {'-': none}}}
  - {match: bestellung, name: shop_orders_total, labels: {country: land, mail: mail}, scale: 0.5, value: anzahl}
"""
EVENTS: list[dict[str, object]] = [
    {"event": "order", "outcome": "paid", "customer": {"country": "it"}, "mail": "ada@example.org", "basket": 4},
    {"event": "order", "outcome": "paid", "customer": {"country": "de"}, "mail": "bob@example.org"},
    {"event": "order", "outcome": "free", "customer": {"country": "at"}},
    {"event": "order", "outcome": "left"},
    {"event": "order", "outcome": {"secret": "hunter22"}},
    {"event": "cookie"},
    {"event": "auth", "method": "password", "outcome": "failed", "ip": "203.0.113.9", "user": "ada"},
]


class Said:
    def __init__(self, folder: Path, *arguments: str, sample: bytes | None = None, text: str = ORDERS) -> None:
        config, file = folder / "exporter.yml", folder / "sample.log"
        config.write_text(text)
        file.write_bytes(b"\n".join(json.dumps(each).encode() for each in EVENTS) if sample is None else sample)
        out, err = io.StringIO(), io.StringIO()
        words = [word.replace("SAMPLE", str(file)) for word in arguments]
        self.status = mapping.main([*words, f"--config.file={config}"], {}, out=out, err=err)
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def test_try_shows_the_page_and_explains_it(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE")
    assert said.status == 1
    for line in (
        'shop_orders_total{country="it",mail="[MASKED]"} 1.0',
        'auth_failures_total{method="password",reason="unknown"} 1.0',
        "# 7 lines, 6 events that rules ask for",
        "#   5 of the kind order",
        "# shop_orders_total: counted 3 of 5 order (mapping[0]); 1 left out by where",
        "# shop_orders_total: counted 0 of 0 bestellung (mapping[1])",
        "# auth_attempts_total: counted 1 of 1 auth (bundled)",
        "# no rule asks for 1 of the kind cookie",
        "# 1 line cannot be used; the first:",
        "#   line 5: outcome: found an object, expected a text, a number or true or false",
        "# no rule asks for these fields of order: basket",
        "# no rule asks for these fields of auth: ip, user",
        "# shop_orders_total: country became other in 1 event, as it has too many values",
    ):
        assert line in said.out.splitlines()
    assert "job_seconds" not in said.out


def test_try_never_shows_what_is_redacted_or_left_out(tmp_path: Path) -> None:
    for output in ("text", "json"):
        said = Said(tmp_path, "try", "SAMPLE", f"--output={output}")
        for value in ("ada@", "bob@", "hunter22", "203.0.113.9", "secret"):
            assert value not in said.out


def test_try_in_json_has_the_same(tmp_path: Path) -> None:
    document = Said(tmp_path, "try", "SAMPLE", "--output=json").document
    assert document["lines"] == 7
    assert document["events"] == {"auth": 1, "order": 5}
    assert document["unmatched"] == {"cookie": 1}
    assert document["faults"] == 1
    assert document["first_faults"][0][0] == 5
    assert document["fields_unasked"] == {"order": ["basket"], "auth": ["ip", "user"]}
    assert sum(document["redacted"].values()) == 2
    assert document["folded"] == [["shop_orders_total", "country", 1]]
    assert document["whole"] is True
    assert document["warnings"] == []
    assert {
        "metric": "shop_orders_total",
        "event": "order",
        "said_in": "mapping[0]",
        "events": 3,
        "of": 5,
        "value": "",
        "without_value": 0,
        "left_out": 1,
    } in document["rules"]


def test_a_sample_without_faults_that_counts_is_status_0(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", sample=json.dumps(EVENTS[0]).encode())
    assert said.status == 0
    assert Said(tmp_path, "try", "SAMPLE", sample=b'{"event":"cookie"}\n').status == 1
    assert Said(tmp_path, "try", "SAMPLE", sample=b"").status == 1


def test_a_mapping_with_faults_is_told_instead_of_tried(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", text="mapping: [{match: a, name: a, type: counter, help: A}]")
    assert said.status == 1
    assert said.out == ""
    assert "mapping[0].name: found 'a', expected the name of a counter to end in _total" in said.err


def test_warnings_about_a_users_own_metrics_are_told(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", text=ORDERS.replace(", replace: {'-': none}", ""))
    (warning,) = [line for line in said.out.splitlines() if line.startswith("# warning: ")]
    assert "shop_orders_total: found the field 'mail', expected one with few values" in warning


@pytest.mark.parametrize(
    "sample", [b"\0\0\n\xff\xfe\n{", b"[" * 5000, b'{"event":"order"', b'{"event":5}\n{"event":""}']
)
def test_any_bytes_are_told_as_faults(tmp_path: Path, sample: bytes) -> None:
    said = Said(tmp_path, "try", "SAMPLE", sample=sample)
    assert said.status == 1
    assert "cannot be used" in said.out


def test_of_a_large_sample_the_beginning_is_tried(tmp_path: Path) -> None:
    line = json.dumps({**EVENTS[2], "padding": "x" * 60_000}).encode() + b"\n"
    document = Said(tmp_path, "try", "SAMPLE", "--output=json", sample=line * 300).document
    assert document["whole"] is False
    assert document["lines"] == document["events"]["order"] == mapping.SAMPLE_BYTES_MAX // len(line)


def test_a_sample_that_is_not_there_is_a_wrong_command_line(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE.gone")
    assert said.status == 2
    assert "sample.log.gone: No such file or directory" in said.err


def read_back(text: str) -> object:
    return configfile.read_text(f"{text}\nmapping_bundled: false\n", "exporter.yml", KIND, environ={}).rules


def test_what_show_prints_can_be_pasted_and_is_the_same(tmp_path: Path) -> None:
    said = Said(tmp_path, "show")
    assert said.status == 0
    own = configfile.read_text(ORDERS, "exporter.yml", KIND, environ={}).rules
    assert read_back(said.out) == own
    assert own[: len(RULES)] == RULES


def test_a_rule_with_everything_is_the_same_after_it_was_written() -> None:
    text = r"""
mapping:
  - match: [a, b]
    where: ['x.y="a\"b"', 'z!~"5.."']
    name: a_seconds
    type: histogram
    help: 'A "quoted": help'
    value: ms
    scale: 0.001
    buckets: [0.1, 2.0]
    ttl: 1h500ms
    labels: {l: {field: f, missing: none, known: [p, q], values_max: 7, replace: {'v(.*)': '$$$1'}}}
    limits: {series_max: 9}
  - {match: c, name: c_timestamp_seconds, type: gauge, help: C, moment: true, ttl: never}
  - {match: d, name: d_items, type: gauge, help: D, action: subtract, least: -2}
"""
    rules = configfile.read_text(f"{text}\nmapping_bundled: false\n", "exporter.yml", KIND, environ={}).rules
    assert read_back(ruletext.written(rules)) == rules


LOGS = r"""
logs:
  - {name: web, paths: [FOLDER/*.log], event: request, fields: {took: response.took}}
  - name: app
    paths: [/var/log/app.log]
    format: pattern
    event: line
    patterns: ['^(?P<level>[A-Z]+) (?P<who>\S+) ']
  - {name: gateway, paths: [/var/log/gateway.log], format: logfmt, event: line}
mapping:
  - {match: request, name: web_seconds_total, type: counter, help: W, value: took, labels: {status: status}}
  - {match: line, name: lines_total, type: counter, help: L, labels: {level: {field: level, known: [WARN]}}}
"""


def test_a_log_whose_paths_match_the_sample_says_how_its_lines_are_read(tmp_path: Path) -> None:
    sample = b'{"status":200,"response":{"took":2},"host":"a"}\n\n{"status":200,"response":{"took":"ada"}}\n'
    said = Said(tmp_path, "try", "SAMPLE", sample=sample, text=LOGS.replace("FOLDER", str(tmp_path)))
    lines = said.out.splitlines()
    assert 'web_seconds_total{status="200"} 2.0' in lines
    assert 'lines_total{level="WARN"} 0.0' in lines
    assert "# 2 lines of the log web, 2 events that rules ask for" in lines
    assert "#   line 3: took: found a text of 3 characters, expected a finite number" in lines
    assert "# no rule asks for these fields of request: host" in lines
    assert "ada" not in said.out


def test_lines_in_which_no_pattern_is_found_are_named(tmp_path: Path) -> None:
    sample = b"WARN ada x\nnothing here of hunter22\n\nERROR bob y\nnor here\n"
    said = Said(tmp_path, "try", "SAMPLE", "--log=app", sample=sample, text=LOGS)
    assert said.status == 0
    lines = said.out.splitlines()
    assert 'lines_total{level="ERROR"} 1.0' in lines
    assert "# no pattern is found in 2 lines, first in line 2, 5" in lines
    assert "# no rule asks for these fields of line: who" in lines
    assert "hunter22" not in said.out


def test_a_log_of_another_format_is_read_by_its_name(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", "--log=gateway", sample=b"level=WARN x=1\n", text=LOGS)
    assert said.status == 0
    assert 'lines_total{level="WARN"} 1.0' in said.out.splitlines()


def test_a_log_that_is_not_there_is_a_wrong_command_line(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", "--log=wep", text=LOGS)
    assert said.status == 2
    assert said.err == "tocsin mapping try: --log: found 'wep', expected one of: web, app, gateway\n"
    assert "expected none, as exporter.yml has no logs" in Said(tmp_path, "try", "SAMPLE", "--log=web").err


def test_who_called_the_kind_otherwise_is_told_which_rule_waits_for_it(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", sample=b'{"event":"bestelung"}\n')
    assert "# no rule asks for 1 of the kind bestelung (did you mean 'bestellung'?)" in said.out.splitlines()
    one = "mapping: [{match: order, name: orders_total, type: counter, help: O}]"
    said = Said(tmp_path, "try", "SAMPLE", sample=b'{"event":"ordr"}\n', text=one)
    assert "# no rule asks for 1 of the kind ordr (did you mean 'order'?)" in said.out.splitlines()
    said = Said(tmp_path, "try", "SAMPLE", sample=b'{"event":"cookie"}\n')
    assert "# no rule asks for 1 of the kind cookie" in said.out.splitlines()


def test_why_a_rule_did_not_count_is_told(tmp_path: Path) -> None:
    text = """
mapping:
  - {match: order, where: [paid=true], name: paid_total, type: counter, help: P, value: amount}
"""
    sample = b"\n".join(
        json.dumps({"event": "order", **fields}).encode()
        for fields in ({"paid": True, "amount": 1}, {"paid": True}, {"paid": False}, {"amount": 2}, {"amount": "ada"})
    )
    lines = Said(tmp_path, "try", "SAMPLE", sample=sample, text=text).out.splitlines()
    assert "# paid_total: counted 1 of 5 order (mapping[0]); 2 without amount; 1 left out by where" in lines
    assert "#   line 5: amount: found a text of 3 characters, expected a finite number" in lines
    request = b'{"event":"http_request","method":"GET"}'
    lines = Said(tmp_path, "try", "SAMPLE", sample=request).out.splitlines()
    metric = "http_server_request_duration_seconds"
    assert f"# {metric}: counted 0 of 1 http_request (bundled); 1 without duration_seconds" in lines


def test_a_sample_at_another_path_than_its_log_is_told_how_to_be_read(tmp_path: Path) -> None:
    said = Said(tmp_path, "try", "SAMPLE", sample=b"level=WARN x=1\n", text=LOGS)
    hint = "# read as events, as no log has this path; --log=NAME reads it as one of: web, app, gateway"
    assert hint in said.out.splitlines()
    assert "--log=NAME" not in Said(tmp_path, "try", "SAMPLE", "--log=gateway", sample=b"level=A\n", text=LOGS).out
    assert "--log=NAME" not in Said(tmp_path, "try", "SAMPLE").out
