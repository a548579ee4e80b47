"""Configuration files: what is read, and how each fault is told."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from guard.configfile import FILE_BYTES_MAX, Fault, InvalidConfig, Kind, Problem, read, read_text, schema, syntax
from guard.wording import describe
from tests.guard.kinds import POLICY, STRICT, Chat, Hook, Policy, Route, quoting

FULL = """\
# yaml-language-server: $schema=../docs/schemas/policy.schema.json
channels:
  ops: {type: chat, token: '${TOKEN}', room: '$${literally}'}
  hook: {type: hook, url: 'http://${HOST}/', headers: {Authorization: 'Bearer ${TOKEN}', Accept: text/plain}}
routes:
  - channel: ops
    labels: {team: a}
    every: 1h30m
window: 5m
mode: closed
"""
REFERENCE = "expected ${NAME}, or $${ for the characters themselves"
ELSEWHERE = "expected a value from ${ENV} or a *_file"
KEYS_AT_THE_TOP = "channels, routes, window, limit, ratio, mode, enabled"
ENVIRON = {"TOKEN": "sesame-open", "HOST": "example.org"}


def told(text: str, kind: Kind[Any] = POLICY, **environ: str) -> list[str]:
    with pytest.raises(InvalidConfig) as invalid:
        read_text(text, "policy.yml", kind, environ=environ)
    return [str(fault) for fault in invalid.value.faults]


def test_a_file_becomes_a_frozen_value() -> None:
    assert read_text(FULL, "policy.yml", POLICY, environ=ENVIRON) == Policy(
        channels={
            "ops": Chat(token="sesame-open", room="${literally}"),
            "hook": Hook(
                url="http://example.org/",
                headers={"Authorization": "Bearer sesame-open", "Accept": "text/plain"},
            ),
        },
        routes=(Route(channel="ops", labels={"team": "a"}, every="1h30m"),),
        window="5m",
        mode="closed",
    )


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "{}", "null"])
def test_a_file_that_says_nothing_is_all_defaults(text: str) -> None:
    assert read_text(text, "policy.yml", POLICY, environ={}) == Policy()


def test_a_file_that_says_nothing_is_a_fault_where_something_is_required() -> None:
    assert told("", STRICT) == ["policy.yml:1: name: found nothing, expected text (required)"]


def test_every_fault_is_told_at_once_and_in_the_order_of_lines() -> None:
    text = """\
window: 5
channels:
  ops: {type: chat, room: 7}
  ops: {type: chat, token: literal}
limit: 11
routes:
  - {channel: nobody, labels: {port: 9}}
mod: open
room: ${ROOM}
ratio: .inf
"""
    assert told(text) == [
        "policy.yml:1: window: found the number 5, expected a duration such as 5m",
        "policy.yml:4: channels.ops: found the key a second time (first on line 3), expected each key once",
        f"policy.yml:4: channels.ops.token: found a secret that is written out, {ELSEWHERE}",
        "policy.yml:5: limit: found the number 11, expected a number of at most 10",
        "policy.yml:7: routes[0].labels.port: found the number 9, expected text (put it in quotes)",
        "policy.yml:7: routes[0].channel: found the unknown channel 'nobody', expected one of: ops",
        f"policy.yml:8: mod: found an unknown key, expected one of: {KEYS_AT_THE_TOP} (did you mean 'mode'?)",
        "policy.yml:9: room: found ${ROOM}, which is not set, expected the environment variable ROOM",
        "policy.yml:10: ratio: found the number .inf, expected a number that is finite",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mode: opne", "mode: found 'opne', expected one of: closed, open (did you mean 'open'?)"),
        ("mode: on", "mode: found true, expected one of: closed, open"),
        ("mode: OPEN", "mode: found 'OPEN', expected one of: closed, open (did you mean 'open'?)"),
        ("limit: on", "limit: found true, expected a whole number"),
        ("channels: {o: {type: hook}}", "channels.o.url: found nothing, expected text (required)"),
        ("enabled: maybe", "enabled: found 'maybe', expected true or false"),
        ("window: 2026-01-05", "window: found '2026-01-05', expected a duration such as 5m"),
        ("window: 1:30", "window: found '1:30', expected a duration such as 5m"),
        ("window:", "window: found nothing, expected a duration such as 5m"),
        ("routes: {}", "routes: found a mapping, expected a list"),
        ("routes:", "routes: found nothing, expected a list"),
        ("routes: [[]]", "routes[0]: found an empty list, expected a mapping"),
        ("routes: [{}]", "routes[0].channel: found nothing, expected text (required)"),
        ("channels: {ops: {}}", "channels.ops.type: found nothing, expected one of: chat, hook"),
        ("channels: {ops: {type: caht}}",
         "channels.ops.type: found 'caht', expected one of: chat, hook (did you mean 'chat'?)"),
        ("channels: {ops: chat}", "channels.ops: found 'chat', expected a mapping"),
        ("channels: {o.ps: 5}", "channels['o.ps']: found the number 5, expected a mapping"),
        ("limit: '5'", "limit: found '5', expected a whole number"),
        ("limit: 5.0", "limit: found the number 5.0, expected a whole number"),
        ("limit: 99999999999999999999",
         f"limit: found a number with too many digits, expected a number of at most {2**63 - 1}"),
        ("5: x", "5: found a key that is the number 5, expected a key that is text (put it in quotes)"),
        ("on: x", "on: found a key that is true, expected a key that is text (put it in quotes)"),
        ("[a]: x",
         "['?']: found a key that is not a single word, expected a key that is text (put it in quotes)"),
        ("mode: !special open", "mode: found 'open' with the tag '!special', expected a plain value"),
        ("routes: !!set {a}", "routes: found the tag '!!set', expected a plain value"),
        ("limit: !!int five", "limit: found 'five' with the tag '!!int', expected a plain value"),
        ("<<: 5", "['<<']: found the number 5, expected a mapping to merge"),
        ("mode: ${}", f"mode: found ${{ without the name of a variable, {REFERENCE}"),
    ],
)  # fmt: skip
def test_one_fault_is_told_in_one_sentence(text: str, expected: str) -> None:
    assert told(text) == [f"policy.yml:1: {expected}"]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a: [\n", 1, "what YAML cannot read"),
        ("mode: open\n\tlimit: 5\n", 2, "what YAML cannot read"),
        ("a: 1\n--- b\n", 2, "what YAML cannot read"),
        ("a: 1\nb: \x07\n", 2, "what YAML cannot read (a control character)"),
        ("a: \ud800", 1, "what YAML cannot read (half of a surrogate pair)"),
        ("a: &a\n  - *a\n", 1, "an alias inside of what it stands for"),
        ("a: &a\n  <<: *a\n", 1, "an alias inside of what it stands for"),
        ("\n" + "[" * 65, 2, "more than 64 levels"),
        ("- a\n", 1, "a list, expected a mapping"),
        ("just words", 1, "'just words', expected a mapping"),
    ],
)
def test_what_is_no_document_is_one_fault_with_its_line(text: str, line: int, found: str) -> None:
    (fault,) = told(text)
    assert fault.startswith(f"policy.yml:{line}: found {found}")


def test_aliases_and_merge_keys_work_and_what_is_said_beside_them_wins() -> None:
    text = """\
routes:
  - &base {channel: ops, every: 5m}
  - {<<: *base, every: 1h}
  - {<<: [{channel: hook}, *base]}
channels: {ops: {type: chat}, hook: {type: hook, url: x}}
"""
    routes = read_text(text, "policy.yml", POLICY, environ={}).routes
    assert [(each.channel, each.every) for each in routes] == [("ops", "5m"), ("ops", "1h"), ("hook", "5m")]


def test_a_fault_inside_an_alias_is_told_where_it_is_written() -> None:
    text = "channels: {ops: {type: chat}}\nroutes:\n  - &base {channel: 5}\n  - *base\n"
    assert told(text) == [
        "policy.yml:3: routes[0].channel: found the number 5, expected text (put it in quotes)",
        "policy.yml:3: routes[1].channel: found the number 5, expected text (put it in quotes)",
    ]


def test_a_small_file_cannot_become_a_large_document() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (fault,) = told("\n".join(levels))
    assert "more than 100000 values, aliases followed" in fault


def test_a_missing_variable_is_told_by_its_name_and_nothing_else_is_held_against_its_value() -> None:
    assert told("window: '${WINDOW}'\nlimit: 0") == [
        "policy.yml:1: window: found ${WINDOW}, which is not set, expected the environment variable WINDOW",
        "policy.yml:2: limit: found the number 0, expected a number of at least 1",
    ]


def test_a_secret_whose_variable_is_missing_is_told_once() -> None:
    assert told("channels:\n  ops: {type: chat, token: '${T}'}") == [
        "policy.yml:2: channels.ops.token: found ${T}, which is not set, expected the environment variable T"
    ]


def test_what_a_variable_holds_is_never_yaml() -> None:
    assert told("mode: ${MODE}", MODE="open\nlimit: 3") == [
        "policy.yml:1: mode: found '${MODE}', expected one of: closed, open"
    ]


def test_a_fault_never_shows_what_came_from_the_environment() -> None:
    text = """\
window: ${SECRET}
mode: x${SECRET}
limit: ${SECRET}
routes: [{channel: 'x${SECRET}'}]
"""
    assert told(text, SECRET="sesame-open") == [
        "policy.yml:1: window: found '${SECRET}', expected a duration such as 5m",
        "policy.yml:2: mode: found 'x${SECRET}', expected one of: closed, open",
        "policy.yml:3: limit: found '${SECRET}', expected a whole number",
        "policy.yml:4: routes[0].channel: found the unknown channel 'x${SECRET}', expected one of: ",
    ]


@pytest.mark.parametrize("secret", ["sesame\nopen", "sesame " + "x" * 100, "ab", "se'same\"\\", "sésame\u202e"])
@pytest.mark.parametrize("shown", [str, repr, json.dumps, describe])
def test_what_came_from_the_environment_stays_hidden_however_a_check_shows_it(
    secret: str, shown: Callable[[str], str]
) -> None:
    def telltale(document: object) -> Iterable[Problem]:
        assert isinstance(document, dict)
        yield Problem(("routes",), f"the {shown(document['window'])}", f"not {shown(document['window'])}")

    kind = Kind(name="policy", struct=Policy, title="", check=telltale)
    assert [text.replace("'", "").replace('"', "") for text in told("window: '${S}'", kind, S=secret)] == [
        "policy.yml:1: routes: found the ${S}, expected not ${S}"
    ]


def test_a_place_that_is_wrong_already_is_not_held_against_the_rest() -> None:
    kind = Kind(name="p", struct=Policy, title="", check=lambda _: [Problem(("limit",), "too much", "less")])
    assert told("limit: 11", kind) == ["policy.yml:1: limit: found the number 11, expected a number of at most 10"]
    assert told("limit: 10", kind) == ["policy.yml:1: limit: found too much, expected less"]


def test_a_struct_that_forgets_to_forbid_unknown_keys_is_strict_all_the_same() -> None:
    class Loose(msgspec.Struct, frozen=True):
        name: str = ""

    (fault,) = told("nmae: x", Kind(name="loose", struct=Loose, title=""))
    assert fault == "policy.yml:1: nmae: found an unknown key, expected 'name'"


@pytest.mark.parametrize("value", ["sesame", "sesame${DIGITS}"])
def test_a_secret_that_is_wrong_in_its_shape_is_not_shown(value: str) -> None:
    class Digits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        pin: Annotated[str, msgspec.Meta(pattern="^[0-9]+$", extra_json_schema={"x-secret": True})]

    faults = told(f"pin: '{value}'", Kind(name="digits", struct=Digits, title=""), DIGITS="12")
    assert faults == [
        "policy.yml:1: pin: found a value that is not shown, expected text that matches ^[0-9]+$",
        f"policy.yml:1: pin: found a secret that is written out, {ELSEWHERE}",
    ]


def test_what_only_the_conversion_finds_is_a_fault_with_its_place() -> None:
    class Dated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        at: tuple[datetime, ...]

    kind = Kind(name="dated", struct=Dated, title="")
    assert told("at:\n- 2026-01-05T09:00:00Z\n- tomorrow\n", kind) == [
        "policy.yml:3: at[1]: found a value that does not fit, expected Invalid RFC3339 encoded datetime"
    ]


def test_a_format_that_quotes_its_text_does_not_show_what_came_from_the_environment() -> None:
    kind = Kind(name="policy", struct=Policy, title="", formats={"duration": quoting})
    assert told("window: '${SECRET}'", kind, SECRET="sesame-open") == [
        "policy.yml:1: window: found '${SECRET}', expected anything but ${SECRET}"
    ]


@pytest.mark.parametrize(
    "channel",
    [
        "{type: chat, token: sesame-open}",
        "{type: chat, token: 'sesame-open${EMPTY}'}",
        "{type: chat, token: '$${sesame-open}'}",
        "{type: hook, url: x, headers: {authorization: sesame-open}}",
        "{type: hook, url: x, headers: {X-API-Key: sesame-open}}",
    ],
)
def test_a_secret_that_is_written_out_is_a_fault_that_does_not_repeat_it(channel: str) -> None:
    (fault,) = told(f"channels: {{ops: {channel}}}", EMPTY="")
    assert "a secret that is written out, expected a value from ${ENV} or a *_file" in fault
    assert "sesame" not in fault


def test_a_secret_of_the_wrong_shape_is_not_repeated_either() -> None:
    text = "{ops: {type: chat, token: sesame-open, rom: sesame-open}, b: {type: z, token: sesame-open}}"
    faults = told(f"channels: {text}")
    assert len(faults) == 3
    assert "sesame" not in " ".join(faults)


def test_an_empty_variable_is_no_secret() -> None:
    (fault,) = told("channels: {ops: {type: chat, token: '${TOKEN}'}}", TOKEN="")
    assert "found an empty variable TOKEN, expected a value from ${ENV} or a *_file" in fault


def test_headers_without_credentials_may_be_written_out() -> None:
    text = "channels: {ops: {type: hook, url: x, headers: {Accept: text/plain}}}"
    channel = read_text(text, "policy.yml", POLICY, environ={}).channels["ops"]
    assert isinstance(channel, Hook)
    assert channel.headers == {"Accept": "text/plain"}


def test_a_secret_file_is_seen_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "chat.token").write_text("sesame", encoding="utf-8")
    path = tmp_path / "policy.yml"
    path.write_text("channels: {ops: {type: chat, token_file: secrets/chat.token}}", encoding="utf-8")
    channel = read(path, POLICY, environ={}).channels["ops"]
    assert isinstance(channel, Chat)
    assert channel.token_file == str(tmp_path / "secrets" / "chat.token")


def test_a_secret_file_that_is_missing_or_a_folder_is_a_fault(tmp_path: Path) -> None:
    for name in ("missing.token", "."):
        assert told(f"channels: {{ops: {{type: chat, token_file: '{tmp_path}/{name}'}}}}")[0].endswith(
            "expected a file that exists and can be read"
        )


def test_a_file_that_cannot_be_read_is_a_fault_and_never_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"mode: open\nroom: caf\xe9\n")
    (tmp_path / "large.yml").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    readable = "expected a file that exists and can be read"
    for name, expected in {
        "missing.yml": f": found no such file or directory, {readable}",
        ".": f": found a directory, {readable}",
        "nul\0.yml": f": found embedded null byte, {readable}",
        "latin.yml": ":2: found bytes that are not UTF-8, expected UTF-8 text",
        "large.yml": f": found a larger file, expected at most {FILE_BYTES_MAX} bytes",
    }.items():
        with pytest.raises(InvalidConfig) as invalid:
            read(tmp_path / name, POLICY, environ={})
        assert str(invalid.value) == f"{tmp_path / name}{expected}"


def test_a_byte_order_mark_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    path.write_bytes(b"\xef\xbb\xbfmode: closed\n")
    assert read(path, POLICY, environ={}).mode == "closed"


def test_syntax_alone_asks_no_more_than_yaml_and_single_keys(tmp_path: Path) -> None:
    path = tmp_path / "any.yml"
    path.write_text("anything: ${GOES}\nanything: 1\n", encoding="utf-8")
    assert syntax(path) == (
        Fault(str(path), 2, "anything", "the key a second time (first on line 1)", "each key once"),
    )


def test_the_schema_is_valid_strict_and_says_what_the_fields_are_for() -> None:
    found = schema(POLICY)
    Draft202012Validator.check_schema(found)
    assert "$id" not in found
    assert (found["title"], found["description"]) == ("A policy", "What goes where.")
    assert {name for name, each in found["$defs"].items() if each["additionalProperties"] is not False} == set()
    assert found["$defs"]["Policy"]["properties"]["routes"]["description"] == "First match wins."
    assert json.dumps(found) == json.dumps(schema(POLICY))


def checked(text: str, environ: Mapping[str, str]) -> Policy | tuple[Fault, ...]:
    try:
        return read_text(text, "policy.yml", POLICY, environ=environ)
    except InvalidConfig as invalid:
        return invalid.faults


def hold(text: str, environ: Mapping[str, str]) -> None:
    """What is true of every text: a value or faults, faults within the file, and the same again."""
    found = checked(text, environ)
    if isinstance(found, tuple):
        assert found
        assert all(1 <= fault.line <= max(1, len(text.splitlines())) for fault in found)
        assert all(str(fault).isprintable() for fault in found)
    assert checked(text, environ) == found


WORDS = [
    "channels",
    "routes",
    "window",
    "type",
    "chat",
    "token",
    "token_file: x\0",
    "5m",
    "5",
    "on",
    "~",
    "=",
]
MARKS = [
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&a ",
    "*a",
    "<<",
    "|\n",
    "'",
    '"',
    "? ",
    "#",
]
TRAPS = [
    "${A}",
    "$${",
    "${",
    ".nan",
    "!x ",
    "!!int ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\u2028",
    "\x85",
]
RARE = ["\\ud800", "1_000", "0x", "!!float ", "!!bool ", "0b", "-", "1:30"]
SNIPPETS = st.sampled_from(WORDS + MARKS + TRAPS + RARE)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["${A}", "5m", "chat"])
KEYS = st.sampled_from(["channels", "routes", "window", "type", "token", "token_file", "headers", "channel", "url"])
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.text())
def test_any_text_is_a_value_or_faults(text: str) -> None:
    hold(text, {"A": "x"})


@given(st.lists(SNIPPETS, max_size=14).map("".join))
def test_any_text_that_looks_like_yaml_is_a_value_or_faults(text: str) -> None:
    hold(text, {"A": "x"})


@given(DOCUMENTS)
def test_any_document_is_a_value_or_faults(document: object) -> None:
    hold(json.dumps(document), {"A": "x"})


@given(DOCUMENTS)
def test_any_document_below_a_known_key_is_a_value_or_faults(document: object) -> None:
    hold(json.dumps({"channels": {"ops": document}, "routes": [document]}), {})


@given(st.text(alphabet="abcdefgh", min_size=8), st.sampled_from(["window", "mode", "limit", "unknown"]))
def test_no_fault_shows_what_a_variable_holds(secret: str, key: str) -> None:
    text = f"{key}: '-${{A}}-'\nroutes: [{{channel: '${{A}}'}}]"
    found = checked(text, {"A": secret})
    assert isinstance(found, tuple)
    assert secret not in " ".join(map(str, found))


def test_paths_stay_absolute_whatever_folder_the_process_is_in(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x", encoding="utf-8")
    text = "channels: {ops: {type: chat, token_file: t}}"
    name = os.path.relpath(tmp_path / "policy.yml")
    channel = read_text(text, name, POLICY, environ={}).channels["ops"]
    assert isinstance(channel, Chat)
    assert channel.token_file == str(tmp_path / "t")
