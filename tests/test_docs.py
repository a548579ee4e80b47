"""The documentation says what there is: flags, keys, limits, doors, collectors, alerts. Its examples work."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import hmac
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml
from aiohttp import web

from exporter import doors as exporter_doors
from exporter.collectors import COLLECTORS
from exporter.control import Control, Plan
from exporter.detectors.settings import Counted, DetectorsSettings, Rate
from exporter.doors import Doors
from exporter.metrics import Tally
from exporter.registry import Registry
from guard import configfile
from guard.callers import Need
from guard.configfile import Kind, schema
from receiver.chaincheck import ChainCheck
from receiver.clock import SystemClock
from receiver.commandline import parser as receiver_parser
from receiver.doors import app as receiver_doors
from receiver.doors.ack import AckDoor
from receiver.doors.acts import Acts
from receiver.doors.api import Api
from receiver.doors.app import application
from receiver.doors.doing import Doing
from receiver.doors.health import Health
from receiver.doors.incidentpage import IncidentPage
from receiver.doors.oncall import OnCall
from receiver.doors.page import Page
from receiver.doors.pagerduty import PagerDutyDoor
from receiver.doors.slack import SlackDoor
from receiver.doors.statistics import StatisticsDoor
from receiver.doors.webhook import WebhookDoor
from receiver.links import NO_LINKS
from receiver.message import Document
from receiver.metrics import REFUSALS, Metrics
from receiver.outbox import Outbox
from receiver.policy import checks
from receiver.reconcile import Reconciliation
from receiver.runner import Runner
from receiver.store.sqlite import open_sqlite
from tests import tidy
from tests.exporter.builders import Says, background_of
from tests.guard.certificates import authority, signed
from tests.pages import DOCS, PAGES, ROOT, anchors, broken_links, doubled, fenced, links, rows, section, text_of
from tests.real.servers import receiver, until
from tocsin import schemas
from tocsin.kinds import KINDS

NAMED_KINDS: Mapping[str, Kind[Any]] = {kind.name: kind for kind in KINDS}

INCIDENT_ACTS = ("ack", "resolve", "snooze", "note", "assign", "merge", "split")

# Where each command's flags are.
FLAGS_OF = {
    "up": "commands.md",
    "check": "commands.md",
    "fire": "commands.md",
    "mapping try": "commands.md",
    "mapping show": "commands.md",
    "audit verify": "commands.md",
    "audit list": "commands.md",
    "oncall": "commands.md",
    "statistics": "commands.md",
    "token": "commands.md",
    "job": "commands.md",
    "incident": "commands.md",
    "delivery": "commands.md",
    "delivery list": "commands.md",
    "delivery resend": "commands.md",
    **{f"incident {verb}": "commands.md" for verb in ("list", "show", *INCIDENT_ACTS)},
    "exporter": "exporter.md",
    "receiver": "receiver.md",
}

# --- flags -----------------------------------------------------------------------------------------------------


class Flag(NamedTuple):
    """As `--help` tells it."""

    name: str
    default: str


# Asks many commands for their help, for one start of a process.
HELPS = """
import contextlib, io, json, sys
from tocsin.cli import main
helps = {}
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            status = main([*command.split(), "--help"])
        except SystemExit as end:
            status = end.code
    helps[command] = (status, said.getvalue())
print(json.dumps(helps))
"""


def run(*arguments: str, folder: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "tocsin.cli", *arguments, folder=folder, **more)


def python(*arguments: str, folder: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    environ |= {"COLUMNS": "2000", "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=60
    )


@cache
def helps() -> dict[str, tuple[int | None, str]]:
    said = python("-c", HELPS, *FLAGS_OF)
    assert said.returncode == 0, said.stderr
    found: dict[str, tuple[int | None, str]] = json.loads(said.stdout)
    return found


@cache
def flags_of(command: str) -> tuple[Flag, ...]:
    status, said = helps()[command]
    assert not status
    # Each flag begins a line that is indented by two; its help may go on in the lines after it.
    entries = re.findall(r"^  (?=-)(.*(?:\n   .*)*)", said, re.MULTILINE)
    found = []
    for entry in entries:
        told = re.search(r"\(default: (.*?); environment:", " ".join(entry.split()))
        names = re.findall(r"--[a-z][a-zA-Z0-9._-]*", re.split(r" {2,}", entry.strip(), maxsplit=1)[0])
        found += [Flag(name, told[1] if told else "") for name in names if name != "--help"]
    assert found, f"no flags in the help of {command}"
    return tuple(found)


def documented_flags(page: str, heading: str) -> dict[str, str]:
    documented: dict[str, str] = {}
    for name, rest in rows(page, heading).items():
        documented |= dict.fromkeys([name.replace("[no-]", ""), name.replace("[no-]", "no-")], rest)
    return documented


@pytest.mark.parametrize("command", FLAGS_OF)
def test_every_flag_is_documented_with_its_default(command: str) -> None:
    page = FLAGS_OF[command]
    documented = documented_flags(page, f"tocsin {command.split()[0]}" if page == "commands.md" else "Flags")
    for flag in flags_of(command):
        assert flag.name in documented, f"docs/{page} does not have {flag.name} of tocsin {command}"
        # A bar within a table is written with a backslash.
        default = re.split(r"(?<!\\)\|", documented[flag.name])[0].strip().strip("`").replace("\\|", "|")
        assert flag.default in ("", default), f"{flag.name} of tocsin {command}: documented with {default!r}"


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "check",
        "fire",
        "mapping",
        "incident",
        "delivery",
        "audit",
        "oncall",
        "statistics",
        "token",
        "job",
        "exporter",
        "receiver",
    ],
)
def test_no_flag_is_documented_that_does_not_exist(command: str) -> None:
    page = FLAGS_OF.get(command, "commands.md")
    documented = documented_flags(page, f"tocsin {command}" if page == "commands.md" else "Flags")
    known = {flag.name for each in FLAGS_OF if each.split()[0] == command for flag in flags_of(each)}
    assert {name for name in documented if name.startswith("--")} <= known


def test_every_command_is_in_the_readme() -> None:
    listed = re.findall(r"^  ([a-z]+) {2,}\S", run("--help").stdout, re.MULTILINE)
    assert set(listed) == {command.split()[0] for command in FLAGS_OF}
    readme = (ROOT / "README.md").read_text()
    assert [name for name in listed if f"`tocsin {name}`" not in readme] == []


# --- keys ------------------------------------------------------------------------------------------------------


def keys(form: Mapping[str, Any], definitions: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every key that a schema knows, written as the documentation writes it."""
    if "$ref" in form:
        form = definitions[form["$ref"].rpartition("/")[2]]
    for branch in form.get("anyOf", ()):
        yield from keys(branch, definitions, path)
    for name, inner in form.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from keys(inner, definitions, here)
    if isinstance(form.get("items"), dict):
        yield from keys(form["items"], definitions, f"{path}[]")
    if isinstance(form.get("additionalProperties"), dict):
        inside = list(keys(form["additionalProperties"], definitions, f"{path}.NAME"))
        yield from inside


# Parts of exporter.yml whose keys have a page of their own.
ON_PAGES_OF_THEIR_OWN = {
    "mapping[].": "mapping.md",
    "logs[].": "logs.md",
    "detectors.": "detectors.md",
    "postgres[].": "postgres.md",
    "probes.": "probes.md",
    "health.dependencies.NAME.": "health.md",
}


@pytest.mark.parametrize(
    ("kind", "page", "heading"),
    [
        ("receiver", "policy.md", "Every key"),
        ("topology", "policy.md", "topology.yml"),
        ("exporter", "exporter.md", "exporter.yml"),
        ("web", "access.md", "Every key"),
    ],
)
def test_exactly_the_keys_of_a_configuration_file_are_documented(kind: str, page: str, heading: str) -> None:
    form = schema(NAMED_KINDS[kind])
    found = set(keys(form, form["$defs"]))
    if kind == "exporter":  # each collector's own stand in the table of flags, as options
        found = {key for key in found if not key.startswith(("collectors.", *ON_PAGES_OF_THEIR_OWN))} | {
            "collectors.NAME.enabled",
            "collectors.NAME.OPTION",
        }
    assert set(rows(page, heading)) == found


@pytest.mark.parametrize(("part", "page"), ON_PAGES_OF_THEIR_OWN.items())
def test_exactly_the_keys_of_a_part_of_the_exporters_file_are_documented(part: str, page: str) -> None:
    form = schema(NAMED_KINDS["exporter"])
    found = {key.removeprefix(part) for key in keys(form, form["$defs"]) if key.startswith(part)}
    if part == "detectors.":  # what can be set about all of them stands there once, and they in a table
        common = {f".{name}" for name in (*Counted.__struct_fields__, *Rate.__struct_fields__)}
        found = {
            f"NAME.{key.partition('.')[2]}" if key.endswith(tuple(common)) and not key.startswith("own[].") else key
            for key in found
        }
        found -= {*DetectorsSettings.__struct_fields__}
        own = {key for key in found if key.startswith("own[].")}
        assert {f"own[].{key}" for key in rows(page, "Every key of your own")} == own
        found -= own
    assert set(rows(page, "Every key")) == found


def test_exactly_the_detectors_that_there_are_are_documented_with_their_defaults() -> None:
    documented = rows("detectors.md", "The detectors")
    settings = DetectorsSettings()
    assert [*documented, "own"] == list(DetectorsSettings.__struct_fields__)
    for name, row in documented.items():
        chosen = getattr(settings, name)
        threshold = f"{chosen.ratio:g}× usual" if isinstance(chosen, Rate) else getattr(chosen, "threshold", "–")
        said = (threshold, getattr(chosen, "window", "–"), chosen.severity, chosen.cooldown)
        assert tuple(each.strip() for each in row.split("|")[1:5]) == tuple(map(str, said)), name


def defaults(form: Mapping[str, Any], definitions: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key that has a default in a schema which is more than nothing, and that default as people write it."""
    if "$ref" in form:
        form = definitions[form["$ref"].rpartition("/")[2]]
    for branch in form.get("anyOf", ()):
        yield from defaults(branch, definitions, path)
    for name, inner in form.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        match inner.get("default"):
            case bool() as value:
                yield here, str(value).lower()
            case str() | int() as value:
                yield here, str(value)
            case [str() as value]:
                yield here, f"`{value}`"
        yield from defaults(inner, definitions, here)
    if isinstance(form.get("items"), dict):
        yield from defaults(form["items"], definitions, f"{path}[]")
    if isinstance(form.get("additionalProperties"), dict):
        yield from defaults(form["additionalProperties"], definitions, f"{path}.NAME")


def test_the_defaults_in_the_policy_page_are_those_of_the_schema() -> None:
    form = schema(NAMED_KINDS["receiver"])
    documented = {key: row.split("|")[0].strip() for key, row in rows("policy.md", "Every key").items()}
    found = dict(defaults(form, form["$defs"]))
    assert {"channels.NAME.retry_for", "storms.never_hold", "sources.NAME.watchdog.late_after"} <= {*found}
    assert {key: documented[key] for key in found} == found


def test_the_bounds_of_each_duration_are_in_the_policy_page() -> None:
    documented = rows("policy.md", "Every key")
    for bounds in checks.DURATIONS:
        assert f"from {bounds.least} to {bounds.most}" in documented[bounds.key]
        assert not bounds.zero or f"0s: {bounds.zero}" in documented[bounds.key]


def test_the_schemas_for_editors_are_those_that_the_programs_use(tmp_path: Path) -> None:
    generated = {path.name: path.read_bytes() for path in schemas.write(tmp_path, KINDS)}
    published = {path.name: path.read_bytes() for path in (DOCS / "schemas").iterdir()}
    assert published == generated, "docs/schemas/ is stale: run `make schemas`"


# --- limits ----------------------------------------------------------------------------------------------------


def limits() -> dict[tuple[str, str], int]:
    """Every constant that ends in MAX, by file and name."""
    found: dict[tuple[str, str], int] = {}
    for module in tidy.modules(ROOT):
        names = [
            target.id
            for node in module.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.endswith("_MAX")
        ]
        path = module.name.replace(".", "/") + ("/__init__.py" if module.is_package else ".py")
        for name in names:
            found[path, name] = getattr(importlib.import_module(module.name), name)
    return found


def test_exactly_the_limits_that_there_are_stand_in_the_table_with_their_values() -> None:
    table = re.findall(
        r"^\| `([\w/.]+)` \| `(\w+)` \| ([\d,]+)[^|]* \| (.+) \|$", section("architecture.md", "Limits"), re.MULTILINE
    )
    documented = {(file, name): int(value.replace(",", "")) for file, name, value, _ in table}
    assert len(table) == len(documented)
    assert documented == limits()


def test_every_reason_for_a_refusal_stands_in_the_table_of_answers() -> None:
    told = re.findall(r"`([a-z_0-9]+)`", section("architecture.md", "The webhook door's answers"))
    assert [reason for reason in REFUSALS if reason not in told] == []


# --- doors -----------------------------------------------------------------------------------------------------


def doors_of(app: web.Application) -> set[str]:
    return {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def documented_doors(page: str) -> set[str]:
    return set(rows(page, "Doors"))


def test_exactly_the_doors_of_the_receiver_are_documented(tmp_path: Path) -> None:
    async def no_reload() -> str:
        return ""

    async def doors() -> set[str]:
        clock, store = SystemClock(), open_sqlite(tmp_path / "r.db")
        metrics = Metrics(clock=clock)
        runner = Runner(store, clock=clock, on_decided=lambda *_: None, messages_owed=lambda: 0)
        outbox = Outbox(report=runner.submit, clock=clock, chance=lambda: 0.0)
        doing = Doing(store=store, runner=runner)
        app = application(
            webhook=WebhookDoor(runner=runner, store=store, metrics=metrics, clock=clock),
            api=Api(
                store=store,
                runner=runner,
                outbox=outbox,
                clock=clock,
                started_at=clock.now(),
                reconciliation=Reconciliation(known=lambda: runner.state, perform=runner.perform, clock=clock),
                chain=ChainCheck(store, on_checked=lambda _: None, submit=runner.submit, known=lambda: runner.state),
            ),
            acts=Acts(doing=doing),
            slack=SlackDoor(
                doing=doing,
                known=lambda: runner.state,
                tell=lambda *_: None,
                metrics=metrics,
                clock=clock,
            ),
            pagerduty=PagerDutyDoor(
                doing=Doing(store=store, runner=runner),
                store=store,
                known=lambda: runner.state,
                metrics=metrics,
                clock=clock,
            ),
            oncall=OnCall(runner=runner, clock=clock),
            statistics=StatisticsDoor(store=store, runner=runner, clock=clock),
            health=Health(store=store, runner=runner, outbox=outbox, metrics=metrics, reload=no_reload),
            page=Page(store=store, runner=runner, clock=clock, external_url=None),
            incident=IncidentPage(store=store, clock=clock),
            ack=AckDoor(store=store, runner=runner, doing=doing, links=NO_LINKS, clock=clock, metrics=metrics),
            metrics=metrics,
        )
        await store.close()
        return doors_of(app)

    assert documented_doors("receiver.md") == asyncio.run(doors())


def test_exactly_the_doors_of_the_exporter_are_documented() -> None:
    tally = Tally(started_at=0.0)
    registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
    plan = Plan(collectors=(), timeout_seconds=1.0)
    control = Control(plan, load=lambda: plan, build=Says, registry=registry, tally=tally)
    doors = Doors(
        roles=(),
        registry=registry,
        control=control,
        tally=tally,
        background=background_of(),
        requests_max=0,
        timeout_offset_seconds=0.5,
    )
    assert documented_doors("exporter.md") == {f"{route.method} {route.path}" for route in doors.routes()}


@pytest.mark.parametrize(
    ("heading", "needs"),
    [("The receiver's doors", receiver_doors.NEEDS), ("The exporter's doors", exporter_doors.NEEDS)],
)
def test_what_each_door_needs_is_documented(heading: str, needs: Mapping[str, Need]) -> None:
    documented = {door: row.strip(" |") for door, row in rows("access.md", heading).items()}
    assert documented == {door: need.value for door, need in needs.items()}


def test_exactly_the_collectors_that_there_are_are_documented() -> None:
    assert set(rows("exporter.md", "Collectors")) == {collector.name for collector in COLLECTORS}


# --- alerts ----------------------------------------------------------------------------------------------------


def alerts() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "rules" / "bundled").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def test_every_alert_has_a_runbook_and_its_address_leads_there() -> None:
    found = list(alerts())
    assert found
    for alert in found:
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.search(rf"^## {alert['alert']}$", text, re.MULTILINE), f"{page} has no heading for {alert['alert']}"
        assert anchor in anchors(text)
        body = section(Path(page).relative_to("docs").as_posix(), alert["alert"])
        assert all(f"**{part}.**" in body for part in ("Meaning", "Impact", "Diagnosis", "Mitigation"))


# --- links and examples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page, page.read_text(encoding="utf-8"))) == []


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    text = "# A heading\n[a](#a-heading) [b](#b) [c](gone.md) ![d](gone.svg) [e](receiver.md#gone) [f](https://x/)"
    assert [each.partition(":")[0] for each in broken_links(DOCS / "policy.md", text)] == [
        *("#b", "gone.md", "gone.svg", "receiver.md#gone"),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_stands_twice_in_a_table_or_a_list(page: Path) -> None:
    assert list(doubled(page.read_text(encoding="utf-8"))) == []


def test_what_stands_twice_is_noticed() -> None:
    text = "| a | b |\n|---|---|\n| 1 | 2 |\n| 1 | 2 |\n\n| 1 | 2 |\n\n- one\n  more\n- one\n- one\n  more\n\n- one\n"
    assert list(doubled(text)) == ["| 1 | 2 |", "- one\n  more"]


def test_every_page_is_in_the_index() -> None:
    index = text_of("README.md")
    reached = {(DOCS / target.partition("#")[0]).resolve() for target in links(index)}
    decisions = {(DOCS / "decisions" / target).resolve() for target in links(text_of("decisions/README.md"))}
    assert {page for page in PAGES if DOCS in page.parents} - {DOCS / "README.md"} <= reached | decisions


def configurations() -> Iterator[tuple[str, Kind[Any], str]]:
    for page in PAGES:
        for number, block in enumerate(fenced(page.read_text(encoding="utf-8"), "yaml"), start=1):
            name = re.match(r"# (\w+)\.yml$", block.partition("\n")[0])
            if name is not None and name[1] in NAMED_KINDS:
                yield f"{page.relative_to(ROOT)}-{number}", NAMED_KINDS[name[1]], block


EXAMPLES = list(configurations())


@pytest.mark.parametrize(
    ("kind", "block"), [(kind, block) for _, kind, block in EXAMPLES], ids=[e[0] for e in EXAMPLES]
)
def test_every_example_of_a_configuration_is_valid(kind: Kind[Any], block: str, tmp_path: Path) -> None:
    real = {}
    if "tls_server_config" in block:  # its files are looked into
        pair = signed(tmp_path, authority(tmp_path), "localhost")
        real = {"cert_file": pair.certificate.read_text(), "key_file": pair.key.read_text()}
    for key, file in re.findall(r"(\w+_file): ([\w./-]+)", block):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(real.get(key, '"something"'))  # which is also a template of every kind
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "something")
    configfile.read_text(block, str(tmp_path / f"{kind.name}.yml"), kind, environ=environ)


def test_the_examples_of_the_policy_page_are_all_judged() -> None:
    blocks = fenced(text_of("policy.md"), "yaml")
    others = [block for block in blocks if block.startswith("# alertmanager.yml")]
    judged = [block for name, _, block in EXAMPLES if name.startswith("docs/policy.md")]
    assert len(judged) == len(blocks) - len(others) > 3


def typed(page: Path) -> Iterator[tuple[str, str]]:
    """The commands of a page's console blocks, and what the page says that they answer."""
    for block in fenced(page.read_text(encoding="utf-8"), "console"):
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def told(page: Path) -> Iterator[tuple[str, str]]:
    """Those that can be run anywhere."""
    for command, answer in typed(page):
        words = shlex.split(command)
        if words[0] == "tocsin" and (words[1] == "check" or {"--help", "--version", "--config.check"} & {*words}):
            yield command, answer


CONSOLE = [(page, command, answer) for page in PAGES for command, answer in told(page)]


@pytest.mark.parametrize(("page", "command", "answer"), CONSOLE, ids=[command for _, command, _ in CONSOLE])
def test_a_command_answers_what_the_page_says(page: Path, command: str, answer: str, tmp_path: Path) -> None:
    for block in fenced(page.read_text(encoding="utf-8"), "yaml"):
        name = re.match(r"# ([\w.]+\.yml)$", block.partition("\n")[0])
        if name is not None:
            (tmp_path / name[1]).write_text(block)
    for package in ("exporter", "receiver"):
        (tmp_path / package).symlink_to(ROOT / package)
    said = run(*shlex.split(command)[1:], folder=tmp_path)
    assert said.stdout == answer


def session() -> Iterator[tuple[str, str]]:
    """The commands of the page about commands that ask a receiver, in their order."""
    for command, answer in typed(DOCS / "commands.md"):
        if shlex.split(command)[1] in ("fire", "incident"):
            yield command, answer


# What is different each time: times, durations, how wide a column is because of them, and the width of the line.
_VARIES = (
    (r", took [\w.]+|, entry \d+", ""),
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\dZ)?|\d\d:\d\d:\d\d", "TIME"),
    (r"\b(\d+[dhms]){1,2}\b", "DURATION"),
    (r"\s+", " "),
)


def plain(text: str) -> str:
    for pattern, instead in _VARIES:
        text = re.sub(pattern, instead, text)
    return text


def test_the_commands_that_ask_a_receiver_answer_what_the_page_says_one_after_the_other(tmp_path: Path) -> None:
    policy = (ROOT / "receiver" / "example" / "receiver.yml").read_text()
    asked = {shlex.split(command)[2] for command, _ in session() if shlex.split(command)[1] == "incident"}
    assert asked == {"list", "show", *INCIDENT_ACTS}
    with receiver(tmp_path, policy=policy) as server:

        def quiet() -> bool:
            status = server.get("/api/v1/status")
            return not status["lag"] and not any(channel["owed"] for channel in status["channels"].values())

        for command, answer in session():
            said = run(*shlex.split(command)[1:], TOCSIN_URL=server.url, TOCSIN_BY="ana", COLUMNS="100")
            assert plain(said.stdout) == plain(answer), f"$ {command}\n{said.stdout}{said.stderr}"
            until(quiet, what="all is decided and told")


def test_there_are_commands_to_run() -> None:
    assert len(CONSOLE) >= 3


def test_the_unit_for_systemd_uses_flags_that_exist() -> None:
    (unit,) = fenced(text_of("receiver.md"), "ini")
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, command, *flags = shlex.split(line)
    assert (Path(program).name, command) == ("tocsin", "receiver")
    assert receiver_parser({}).parse_args(flags).storage_url == Path("/var/lib/tocsin/receiver.db")


def test_the_sample_of_a_message_has_exactly_the_keys_that_are_posted() -> None:
    samples = [json.loads(sample) for sample in fenced(text_of("webhook-channel.md"), "json")]
    assert [sample["kind"] for sample in samples] == ["opened", "digest"]
    headers = {"Idempotency-Key", "X-Correlation-ID", "traceparent", "X-Tocsin-Signature", "User-Agent"}
    added = {"links"}  # when it is posted
    assert [{*sample} & added for sample in samples] == [added, set()]
    for sample in samples:
        document = {key: value for key, value in sample.items() if key not in added}
        read = msgspec.convert(document, Document)
        assert json.loads(msgspec.json.encode(read)) == document
        assert set(rows("webhook-channel.md", "What is posted")) - headers == {*document} | added


def test_the_signature_check_of_the_page_accepts_what_is_genuine_and_nothing_else() -> None:
    (source,) = fenced(text_of("webhook-channel.md"), "python")
    names: dict[str, Any] = {}
    exec(source, names)
    body, secret = b'{"version":"1"}', b"s3cret"
    signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    assert names["is_genuine"](body, signature, secret)
    assert not names["is_genuine"](body + b" ", signature, secret)
    assert not names["is_genuine"](body, signature, b"another")
    assert not names["is_genuine"](body, "sha256=ä", secret)
