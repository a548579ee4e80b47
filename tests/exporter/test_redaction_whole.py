"""Personal data hidden in everything that can be sent: nothing of it on any page, in any answer, in any log line.

First in every field of every kind of event, without a program around it; then against the real program.
"""

from __future__ import annotations

import json
import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exporter.exposition import Format, render
from exporter.mapping.bundled import RULES
from exporter.mapping.compiled import fields_of
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction
from tests.exporter.builders import SURELY
from tests.exporter.hidden import anything, emails, needles
from tests.exporter.program import Program, started, stream

AROUND = ("{}", "x {} y", "a={}&b", "/v1/{}/x", "({}), [{}]", '{"k": "{}"}', "SELECT '{}' FROM t", "\n{}\t")
around = st.sampled_from(AROUND)
# What a user may ask for: every field that events below have, by every policy that hides.
FIELDS = ("note", "user", "client_ip", "path", "statement", "region", "short")
MAPPING = f"""
mapping:
  - match: hidden
    name: hidden_events_total
    type: counter
    help: Whatever was said.
    labels: {{{", ".join(f"{name}: {name}" for name in FIELDS)}}}
redaction:
  rules:
    - {{fields: [short], policy: truncate}}
    - {{fields: [region], policy: hash}}
"""
KINDS = fields_of(RULES)
PAGES = ("/metrics", "/metrics/app", "/metrics/self", "/sd", "/sd?app=by_source", "/health", "/health/detailed", "/")
FORMATS = (
    "application/openmetrics-text;version=1.0.0",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
)


def found(values: Sequence[str], text: str) -> list[str]:
    lower = text.lower()
    return [value for value in values for needle in needles(value) if needle.lower() in lower]


def traces(value: str) -> dict[str, str]:
    """Identifiers that programs make look as those of people do, and become examples: a UUID, hexadecimal digits."""
    made = re.fullmatch("(?:urn:uuid:)?[0-9a-f-]{32,64}", value.lower())
    return {} if made else {"trace_id": value, "correlation_id": value}


@settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(st.lists(st.tuples(anything, around), min_size=1, max_size=5))
def test_no_field_of_any_bundled_kind_says_anything_personal(hidden: list[tuple[str, str]]) -> None:
    redaction = Redaction(seen=str)
    pipeline = Pipeline(RULES, redact=redaction.redact)
    values = [value for value, _ in hidden]
    for value, form in hidden:
        text = form.replace("{}", value)
        said = []
        for kind, fields in KINDS.items():
            texts = {"event": kind, **traces(value), **dict.fromkeys(fields.texts, text)}
            said += [
                {**texts, **dict.fromkeys(fields.numbers, 1)},
                {**texts, **dict.fromkeys(fields.numbers, 1), "source": value},
                {**texts, **dict.fromkeys(fields.numbers, text)},
            ]
        assert found([value], repr(pipeline.lines(b"\n".join(map(msgspec.json.encode, said)), now=1.0))) == []
    for source in ("", *pipeline.sources(now=1.0)):
        assert found(values, render(pipeline.families(source, now=1.0), Format.OPENMETRICS).decode()) == []
    assert found(values, repr(pipeline.sources(now=1.0))) == []


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    path = tmp_path_factory.mktemp("redaction") / "exporter.yml"
    path.write_text(MAPPING)
    with started(f"--config.file={path}", "--log.level=debug", f"--log.output={path.parent / 'log'}") as running:
        yield running


def post(program: Program, body: bytes, path: str = "/events", headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(program.url + path, data=body, headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SURELY) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return f"{refused.headers} {refused.read().decode()}"


@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(
    st.lists(st.tuples(anything, around), min_size=4, max_size=12),
    emails,
    st.lists(st.sampled_from(FIELDS), min_size=2, max_size=4),
)
def test_nothing_personal_is_said_by_the_real_program(
    program: Program, tmp_path_factory: pytest.TempPathFactory, hidden: list[tuple[str, str]], name: str, few: list[str]
) -> None:
    events = []
    for value, form in hidden:
        text = form.replace("{}", value)
        events += [
            {"event": "hidden", **dict.fromkeys(FIELDS, text)},
            {"event": "hidden", **dict.fromkeys(few, "ab " * 330 + text)},
            {"event": "hidden", "source": value, "note": text},
            {"event": "hidden", "note": value, value: value},
            {"event": value, "note": text},
            {"event": "http_request", "method": text, "route": text, "status": value, "duration_seconds": text},
            {"event": "http_request", "route": text, "duration_seconds": 0.1, **traces(value), "at": value},
        ]
    values = [*(value for value, _ in hidden), name]
    asked = urllib.parse.quote(name)
    lines = b"\n".join(json.dumps(event).encode() for event in events)
    answers = [
        post(program, lines),
        post(program, json.dumps(events).encode()),
        post(program, lines[: len(lines) // 2] + b"\xff" + name.encode() + b"{"),
        post(program, lines, f"/events?user={asked}", {"User-Agent": asked, "X-Forwarded-For": asked}),
        post(program, lines, headers={"Authorization": f"Bearer {asked}", "Content-Encoding": asked, "Cookie": asked}),
        post(program, name.encode(), "/-/reload"),
    ]
    assert found(values, "\n".join(answers)) == []
    pages = [
        program.get(page, Accept=form) for page in PAGES for form in (FORMATS if "metrics" in page else FORMATS[:1])
    ]
    pages += [program.get(each["labels"]["__metrics_path__"]) for each in json.loads(program.get("/sd?app=by_source"))]
    assert found(values, "\n".join(pages)) == []
    assert "hidden_events_total{" in pages[0]


def test_the_log_of_the_real_program_says_nothing_personal_at_level_debug(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started("--log.level=debug", f"--log.output={log}") as running:
        for value in ("ana.smith@example.org", "203.0.113.77", "4111111111111111"):
            asked = urllib.parse.quote(value)
            event = json.dumps({"event": "http_request", "source": value, "route": value, "duration_seconds": value})
            post(running, event.encode(), f"/events?{asked}", {"X-Correlation-ID": asked, "User-Agent": asked})
            post(running, asked.encode(), f"/{asked}")
        assert running.stop(signal.SIGTERM) == 0
        said = log.read_text() + stream(running.process.stderr).read()
    assert "stopping" in said
    assert found(["ana.smith@example.org", "203.0.113.77", "4111111111111111"], said) == []
