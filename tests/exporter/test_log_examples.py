"""The examples of docs/logs.md, each with a line as the program in question writes it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from exporter.intake.logs.parsing import parser_of
from exporter.pipeline import Pipeline
from exporter.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "logs.md").read_text()
EXAMPLES = {
    log.name: (log, settings.rules)
    for block in re.findall(r"```yaml\n# exporter.yml\n(.*?)```", PAGE, re.DOTALL)
    for settings in [msgspec.convert(yaml.safe_load(block), Settings)]
    for log in settings.logs
}
WRITTEN = {
    "shop": ('{"event": "auth", "method": "password", "outcome": "failed"}', {"method": "password"}),
    "nginx": ('{"method":"GET","route":"/a","status":200,"took":0.004}', {"route": "/a", "duration_seconds": 0.004}),
    "apache": (
        '10.0.0.1 - - [21/Nov/2026:08:00:00 +0000] "GET /a?q=1 HTTP/1.1" 404 196 "-" "curl/8.5.0"',
        {"method": "GET", "status": "404"},
    ),
    "postgres": (
        '{"timestamp":"2026-11-21 08:00:00.123 UTC","pid":7,"error_severity":"ERROR","backend_type":"client backend"}',
        {"level": "ERROR", "logger": "client backend"},
    ),
    "django": (
        "ERROR 2026-11-21 08:00:00,123 django.request Internal Server Error: /a\nTraceback (most recent call last):",
        {"level": "ERROR"},
    ),
    "gateway": ("path=/a method=GET status=200 took=0.25", {"route": "/a", "duration_seconds": "0.25"}),
    "ssh": (
        "Nov 22 03:40:18 crow sshd[7]: Failed password for invalid user a from 192.0.2.7 port 5 ssh2",
        {"method": "ssh", "reason": "invalid_user"},
    ),
    "journal": ('{"PRIORITY":"6","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"x"}', {"level": "6", "logger": "sshd"}),
}


def test_each_example_is_tried() -> None:
    assert EXAMPLES.keys() == WRITTEN.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_line_of_the_example_becomes_the_event_and_counts(name: str) -> None:
    log, rules = EXAMPLES[name]
    pipeline = Pipeline(rules, redact=lambda kind, field: lambda text: text)
    line, expected = WRITTEN[name]
    found = parser_of(log, pipeline.asked).parse(f"{line}\n".encode() * 2)
    assert (found.faults, found.unmatched) == ([], {})
    (raw,) = found.events
    assert {field: list(raw.columns[field]) for field in expected} == {
        key: [value] * 2 for key, value in expected.items()
    }
    taken = pipeline.found(found, now=1.0)
    assert (taken.accepted, taken.unmatched) == (2, 0)
