"""What is said of a target before anybody is asked is what the probe says when it is."""

from __future__ import annotations

import pytest

from exporter.probes.allow import Allowed
from exporter.probes.foreseen import NOT_ALLOWED, expected_of
from exporter.probes.settings import Module
from tests.exporter.builders import promptly
from tests.exporter.probing import SHORT_SECONDS, ask

ALLOWED = ("127.0.0.1:1-900", "[::1]:1", "unix:/nowhere/*", "file:/nowhere/*", "process:nobody", "*.invalid:80")


@pytest.mark.parametrize(
    ("prober", "target", "is_allowed"),
    [
        ("tcp", "127.0.0.1:1", True),
        ("tcp", "[::1]:1", True),
        ("tcp", "127.0.0.1:901", False),
        ("tcp", "127.0.0.2:1", False),
        ("tcp", "localhost:1", False),
        ("tcp", "unix:/nowhere/socket", True),
        ("tcp", "unix:/elsewhere", False),
        ("http", "http://127.0.0.1:2/x", True),
        ("http", "http://shop.invalid", True),
        ("http", "https://shop.invalid", False),
        ("dns", "127.0.0.1", True),
        ("dns", "127.0.0.1:5353", False),
        ("redis", "127.0.0.1:3", True),
        ("redis", "127.0.0.1", False),
        ("postgres", "unix:/nowhere/.s.PGSQL.5432", True),
        ("postgres", "127.0.0.1", False),
        ("file", "/nowhere/x", True),
        ("file", "file:/elsewhere", False),
        ("process", "nobody", True),
        ("process", "somebody", False),
    ],
)
def test_what_is_not_allowed_is_known_before(prober: str, target: str, is_allowed: bool) -> None:
    module = Module(prober=prober)  # type: ignore[arg-type]
    said = expected_of(module, target, Allowed.of(ALLOWED))
    assert said == (None if is_allowed else NOT_ALLOWED)
    more = ", dns: {query_name: example.org}" if prober == "dns" else ""
    text = f"probes: {{allow: {list(ALLOWED)}, modules: {{it: {{prober: {prober}{more}}}}}}}"
    found = promptly(ask(text, "it", target, seconds=SHORT_SECONDS))
    assert (found.reason == "not_allowed") is not is_allowed


@pytest.mark.parametrize(
    ("prober", "target"),
    [("tcp", "127.0.0.1"), ("http", "ftp://127.0.0.1"), ("dns", "a..b"), ("redis", "127.0.0.1:0"), ("tcp", "")],
)
def test_what_can_be_no_target_is_known_before(prober: str, target: str) -> None:
    module = Module(prober=prober)  # type: ignore[arg-type]
    said = expected_of(module, target, Allowed.of(ALLOWED))
    assert said is not None
    assert said.startswith("another target: the target ")
