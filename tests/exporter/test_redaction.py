"""What is left of the fields of events: rules of exporter.yml, names of fields, and what a reload does."""

from pathlib import Path

import pytest
from msgspec import convert
from msgspec.structs import replace

from exporter.control import Plan, Refused
from exporter.event import TEXT_CHARACTERS_MAX, TEXT_READ_MAX, Memory
from exporter.redaction import Redaction, RedactionSettings, policy_of
from exporter.settings import KIND, Settings
from guard import configfile
from guard.redaction import PATTERNS
from guard.redaction.ways import CHARACTERS_MAX, MARGIN_CHARACTERS

NOTHING_SAID = RedactionSettings()


def plan_with(redaction: RedactionSettings) -> Plan:
    return Plan(collectors=(), timeout_seconds=1, file=replace(Settings(), redaction=redaction))


def in_force(redaction: RedactionSettings, *, seen: list[str] | None = None) -> Redaction:
    part = Redaction(seen=(seen if seen is not None else []).append)
    part.prepare(plan_with(redaction))()
    return part


def settings(*rules: dict[str, object], hash_key_file: str | None = None) -> RedactionSettings:
    return convert({"rules": rules, "hash_key_file": hash_key_file}, RedactionSettings)


def faults(text: str) -> list[str]:
    with pytest.raises(configfile.InvalidConfig) as raised:
        configfile.read_text(text, "exporter.yml", KIND, environ={})
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("field", "policy"),
    [
        *(
            (field, "mask")
            for field in ("ip", "client_ip", "userId", "user", "email", "X-Forwarded-For", "client.address")
        ),
        *(
            (field, "mask")
            for field in ("password", "token", "session_id", "ssn", "card-number", "phone", "Authorization")
        ),
        *((field, "template") for field in ("route", "path", "url", "endpoint", "http.route")),
        *((field, "sql") for field in ("query", "statement", "sql", "db.statement")),
        *((field, "patterns") for field in ("method", "status", "user_type", "job_name", "tenant_tier", "operation")),
    ],
)
def test_the_name_of_a_field_decides_where_no_rule_does(field: str, policy: str) -> None:
    assert policy_of(NOTHING_SAID, "any", field) == policy


def test_the_first_rule_wins_and_may_be_for_some_events_alone() -> None:
    said = settings(
        {"fields": ["user"], "policy": "keep", "events": ["build_*"]},
        {"fields": ["user", "ip*"], "policy": "hash"},
        {"fields": ["*"], "policy": "drop"},
    )
    assert policy_of(said, "build_done", "user") == "keep"
    assert policy_of(said, "auth", "user") == "hash"
    assert policy_of(said, "auth", "ip.v6") == "hash"
    assert policy_of(said, "auth", "method") == "drop"
    assert policy_of(settings({"fields": ["a.b"], "policy": "keep"}), "x", "axb") == "patterns"


def test_what_was_found_is_told_by_its_pattern() -> None:
    seen: list[str] = []
    redact = in_force(NOTHING_SAID, seen=seen).redact
    assert redact("http_request", "route")("/users/7?x=1") == "/users/[ID]"
    assert redact("auth", "ip")("192.0.2.7") == "[MASKED]"
    assert redact("auth", "reason")("no ana@example.org here") == "no [EMAIL] here"
    assert seen == ["query", "id", "field", "email"]
    assert set(seen) <= set(PATTERNS)


def test_hashes_stay_with_a_key_in_a_file_and_change_with_each_start_without_one(tmp_path: Path) -> None:
    rule = {"fields": ["user"], "policy": "hash"}
    key = tmp_path / "key"
    key.write_text("0123456789abcdef\n")

    def hashed(said: RedactionSettings) -> str:
        return in_force(said).redact("auth", "user")("ana")

    kept = settings(rule, hash_key_file=str(key))
    assert hashed(kept) == hashed(kept)
    assert hashed(settings(rule)) != hashed(settings(rule))
    key.write_text("too short")
    with pytest.raises(Refused, match="found a key of 9 characters, expected at least 16"):
        hashed(kept)
    key.unlink()
    with pytest.raises(Refused, match=r"redaction\.hash_key_file: the secret file key cannot be read"):
        hashed(kept)


def test_a_reload_that_is_refused_changes_nothing_and_one_without_a_key_keeps_the_drawn_one(tmp_path: Path) -> None:
    part = in_force(settings({"fields": ["user"], "policy": "hash"}))
    before = part.redact("auth", "user")("ana")
    with pytest.raises(Refused):
        part.prepare(plan_with(settings(hash_key_file=str(tmp_path / "none"))))
    assert part.redact("auth", "user")("ana") == before
    part.prepare(plan_with(settings({"fields": ["user", "b"], "policy": "hash"})))()
    assert part.redact("auth", "user")("ana") == before
    part.prepare(Plan(collectors=(), timeout_seconds=1))()
    assert part.redact("auth", "user")("ana") == "[MASKED]"


def test_faults_name_the_place() -> None:
    found = faults("redaction:\n  rules:\n    - {fields: [], policy: hide}\n    - {policy: keep}\n  key: x\n")
    assert len(found) == 4
    assert faults("redaction: {hash_key_file: nowhere}") == [
        "exporter.yml:1: redaction.hash_key_file: found 'nowhere', expected a file that exists and can be read"
    ]


def test_a_memory_reads_further_than_it_keeps() -> None:
    """So that redaction can know what stands where the text is cut."""
    assert TEXT_CHARACTERS_MAX == CHARACTERS_MAX
    assert TEXT_READ_MAX == CHARACTERS_MAX + MARGIN_CHARACTERS
    memory = Memory(in_force(NOTHING_SAID).redact("any", "text"))
    text = memory["ab " * 331 + "ana@example.org" + " cd" * 400]
    assert text.startswith("ab ab")
    assert "ana" not in text
    assert "example" not in text
    kept = Memory(in_force(settings({"fields": ["*"], "policy": "keep"})).redact("any", "text"))
    assert len(kept["x" * 5000]) == TEXT_CHARACTERS_MAX


def test_numbers_and_truth_values_survive() -> None:
    memory = Memory(in_force(NOTHING_SAID).redact("http_request", "status"))
    assert [memory[value] for value in (200, 404.0, 0.5, "true", None)] == ["200", "404", "0.5", "true", None]
