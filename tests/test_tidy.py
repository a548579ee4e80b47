"""The lines that hold the architecture, and for each of them a piece of bad source that shows it can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tidy
from tests.tidy import Module

ROOT = Path(__file__).parents[1]
MODULES = tidy.modules(ROOT)
KNOWN = [module.name for module in MODULES]
LISTING = (
    *("receiver", "receiver.doors", "receiver.store", "receiver.channels", "receiver.policy"),
    *("exporter", "exporter.wiring", "exporter.collectors", "exporter.mapping", "exporter.series", "exporter.stats"),
    *("exporter.intake", "exporter.intake.logs", "exporter.intake.statsd"),
    *("exporter.detectors", "exporter.detectors.anomaly", "exporter.findings", "exporter.reputation", "exporter.score"),
    *("exporter.probes", "exporter.dependencies", "exporter.postgres"),
    *("guard", "guard.web", "tocsin"),
)
SOURCES = ("exporter", "receiver", "guard", "rules", "grafana", "tocsin", "prometheus", "bench", "tests")

Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    tidy.strangers,
    lambda module: tidy.wiring(module, KNOWN),
    tidy.impure_imports,
    tidy.impure_calls,
    tidy.unordered,
    tidy.star_imports,
    tidy.catch_alls,
    tidy.too_long,
)
NAMES = (
    "the packages meet on the wire",
    "only the wiring knows concrete parts",
    "the core imports only the core",
    "the core asks nobody",
    "the core never goes through a set",
    "names are imported one by one",
    "a file is named for its subject",
    "no file is too long",
)


def test_there_is_something_to_judge() -> None:
    assert {module.top for module in MODULES} == set(tidy.PACKAGES)
    core = {name for name in KNOWN if tidy.is_core(name)}
    assert {f"receiver.{name}" for name in tidy.CORE} <= core
    assert {f"exporter.{name}" for name in tidy.EXPORTER_CORE} <= core
    assert set(tidy.WIRED) <= set(KNOWN)
    assert {wirer for wirers in tidy.WIRED.values() for wirer in wirers} <= set(KNOWN)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_repository_keeps_the_rule(rule: Rule) -> None:
    assert [complaint for module in MODULES for complaint in rule(module)] == []


@pytest.mark.parametrize("package", LISTING)
def test_a_package_lists_its_modules_and_no_others(package: str) -> None:
    (module,) = (each for each in MODULES if each.name == package)
    assert list(tidy.unlisted(module, tidy.members_of(package, KNOWN))) == []


def test_nothing_is_left_unfinished() -> None:
    complaints: list[str] = []
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            # What npm has installed for the tests is not ours.
            if path.suffix in (".py", ".yml") and "node_modules" not in path.parts:
                complaints += tidy.unfinished(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    assert complaints == []


# --- each rule can fail ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("receiver.sources", "import exporter"),
        ("receiver.sources", "from exporter.family import Family"),
        ("receiver.doors.api", "def f():\n    from tocsin import client"),
        ("exporter.pool", "from receiver import alert"),
        ("guard.flags", "import receiver.alert as alert"),
        ("guard.flags", "from tocsin.kinds import KINDS"),
        ("tocsin.up", "from tests import tidy"),
    ],
)
def test_a_stranger_is_noticed(name: str, source: str) -> None:
    assert len(list(tidy.strangers(Module(name, source)))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("receiver.runner", "from receiver.store.sqlite import open_sqlite"),
        ("receiver.runner", "from receiver.store import sqlite"),
        ("receiver.outbox", "from receiver.channels.webhook import Webhook"),
        ("receiver.doors.api", "import receiver.store.database"),
        ("receiver.metrics", "from receiver.doors.api import Api"),
        ("exporter.health", "from exporter.doors import Doors"),
        ("exporter.registry", "from exporter.collectors.cpu import Cpu"),
    ],
)
def test_knowing_a_concrete_part_outside_the_wiring_is_noticed(name: str, source: str) -> None:
    assert len(list(tidy.wiring(Module(name, source), KNOWN))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("receiver.runner", "from receiver.store import Store"),
        ("receiver.__main__", "from receiver.store.sqlite import open_sqlite"),
        ("receiver.store.sqlite", "from receiver.store.database import Database"),
        ("tocsin.up", "from receiver.store.sqlite import open_sqlite"),
    ],
)
def test_protocols_families_and_the_wiring_itself_are_free(name: str, source: str) -> None:
    assert list(tidy.wiring(Module(name, source), KNOWN)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import time as clock",
        "from random import choice",
        "import logging",
        "from os import environ",
        "from pathlib import Path",
        "import sqlite3",
        "from receiver.runner import Runner",
        "from . import runner",
        "from guard.configfile import Problem",
    ],
)
def test_a_core_module_with_a_shell_in_it_is_noticed(source: str) -> None:
    assert len(list(tidy.impure_imports(Module("receiver.engine", source)))) == 1


def test_the_one_exception_is_no_wider_than_it_is_written() -> None:
    name = "receiver.policy.checks"
    assert list(tidy.impure_imports(Module(name, "from guard.configfile import Problem"))) == []
    assert len(list(tidy.impure_imports(Module(name, "from guard.configfile import Problem, read")))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "open('x')",
        "print(1)",
        "hash(alert)",
        "id(alert)",
        "at.astimezone()",
        "datetime.fromtimestamp(1)",
    ],
)
def test_a_core_module_that_asks_is_noticed(source: str) -> None:
    assert len(list(tidy.impure_calls(Module("receiver.engine", source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "for each in {1, 2}: pass",
        "[each for each in set(names)]",
        "tuple({each for each in names})",
        "[*{*names}]",
        "', '.join(set(names))",
        "dict.fromkeys(frozenset(names))",
        "for each in set(a) | set(b): pass",
        "for each in set(a).union(b): pass",
        "def f():\n    seen = set()\n    for each in seen: pass",
        "def f(seen: set[str]):\n    return list(seen)",
        "def f():\n    seen: set[str] = made()\n    yield from seen",
        "def f():\n    seen = set()\n    return seen.pop()",
    ],
)
def test_going_through_a_set_is_noticed(source: str) -> None:
    assert len(list(tidy.unordered(Module("receiver.engine", source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "for each in sorted({1, 2}): pass",
        "any(each for each in {1, 2})",
        "{each for each in {1, 2}}",
        "len(set(names))",
        "sorted({*names, *set(others)})",
        "def f():\n    seen = set()\n    seen.add(1)\n    return 1 in seen",
        "def f():\n    def g():\n        seen = set()\n    seen = []\n    return list(seen)",
    ],
)
def test_a_set_whose_order_does_not_show_is_free(source: str) -> None:
    assert list(tidy.unordered(Module("receiver.engine", source))) == []


@pytest.mark.parametrize("rule", [tidy.impure_imports, tidy.impure_calls, tidy.unordered])
def test_outside_the_core_the_rules_of_the_core_do_not_hold(rule: Rule) -> None:
    source = "import time\nprint(time.time())\nfor each in {1}: pass"
    assert list(rule(Module("receiver.runner", source))) == []
    assert list(rule(Module("receiver.state", source))) != []


def test_star_imports_catch_alls_and_long_files_are_noticed() -> None:
    assert len(list(tidy.star_imports(Module("guard.log", "from json import *")))) == 1
    assert len(list(tidy.catch_alls(Module("guard.utils", "")))) == 1
    assert len(list(tidy.too_long(Module("guard.log", "\n" * (tidy.LINES_MAX + 1))))) == 1
    assert list(tidy.too_long(Module("guard.log", "\n" * tidy.LINES_MAX))) == []


def test_unfinished_work_is_noticed_with_its_line() -> None:
    assert list(tidy.unfinished("a.py", "x = 1\n# TO" + "DO: more")) == ["a.py:2: TO" + "DO: finish it or take it out"]
    assert list(tidy.unfinished("a.py", "# what is to do here is done")) == []


def test_a_docstring_that_lists_too_little_too_much_or_twice_is_noticed() -> None:
    docstring = (
        '"""A package.\n\nhere.py  something\ngone.py  something else\nfolder/  many\nb … d    letters\nhere  it\n"""'
    )
    complaints = list(tidy.unlisted(Module("p", docstring, is_package=True), ["c", "folder", "here", "missing"]))
    assert complaints == [
        "p: the docstring lists here twice",
        "p: the docstring does not list missing",
        "p: the docstring lists gone, which does not exist",
    ]


def test_relative_imports_are_seen_as_what_they_are() -> None:
    assert [name for _, name in tidy.imports(Module("a.b.c", "from . import d\nfrom ..x import y"))] == [
        "a.b.d",
        "a.x.y",
    ]
    assert [name for _, name in tidy.imports(Module("a.b", "from .d import e", is_package=True))] == ["a.b.d.e"]
