"""What becomes of findings: counted, logged, kept, and shown to whom they may be shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.finding import Finding
from exporter.findings.counts import KINDS_MAX, Counts
from exporter.findings.kept import FINDINGS_MAX, Kept
from exporter.findings.lines import LINES_MAX, NAMED_MAX, Lines
from exporter.findings.part import Findings
from exporter.findings.tally import FindingCounts
from exporter.identity import Person, address_of
from guard.access import Access
from guard.callers import Role
from guard.webconfig import WebConfig
from tests.exporter.builders import promptly, running

ADDRESS = address_of("203.0.113.7")
FOUND = Finding(
    detector="brute_force_address",
    severity="high",
    at=1_795_251_600.25,
    why="51 failed logins in 1 h, more than 50",
    value=51.0,
    threshold=50.0,
    window_seconds=3600.0,
    address=ADDRESS,
)


def counted(counts: Counts) -> dict[str, dict[tuple[str, ...], object]]:
    return {family.name: dict(family.samples) for family in counts.families()}


# --- counted -----------------------------------------------------------------------------------------------------


def test_a_detector_that_is_on_is_there_at_zero_and_a_dry_run_counts_for_itself() -> None:
    counts = Counts(expected=lambda: [("brute_force_address", "high"), ("graphql_bomb", "critical")])
    counts.take([FOUND, replace(FOUND, dry_run=True), FOUND])
    assert counted(counts) == {
        "security_findings_total": {("brute_force_address", "high"): 2.0, ("graphql_bomb", "critical"): 0.0},
        "security_findings_dry_run_total": {("brute_force_address", "high"): 1.0, ("graphql_bomb", "critical"): 0.0},
    }


def test_a_detector_that_was_taken_out_keeps_its_count() -> None:
    on = [("brute_force_address", "high")]
    counts = Counts(expected=lambda: on)
    counts.take([FOUND])
    on.clear()
    assert counted(counts)["security_findings_total"] == {("brute_force_address", "high"): 1.0}
    assert counted(counts)["security_findings_dry_run_total"] == {}


def test_more_names_than_there_may_be_count_as_other_and_none_is_lost() -> None:
    counts = Counts()
    for number in range(KINDS_MAX + 7):
        counts.take([replace(FOUND, detector=f"own_{number}")])
    found = counted(counts)["security_findings_total"]
    assert found["other", "high"] == 7.0
    assert len(found) == KINDS_MAX + 1


# --- logged ------------------------------------------------------------------------------------------------------


class Clock:
    """A time that is set, and what is to be called later."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, do))

    def pass_to(self, now: float) -> None:
        self.now = now
        ready = [do for at, do in self.due if at <= now]
        self.due = [(at, do) for at, do in self.due if at > now]
        for do in ready:
            do()


def lines_of(clock: Clock) -> tuple[Lines, FindingCounts]:
    told = FindingCounts()
    return Lines(told, clock=clock, later=clock.later), told


def test_a_finding_is_one_line_without_who_it_was(caplog: pytest.LogCaptureFixture) -> None:
    lines, _ = lines_of(Clock())
    caplog.set_level(logging.INFO)
    lines.take([FOUND, replace(FOUND, dry_run=True, source="shop")])
    first, second = caplog.records
    assert (first.levelname, first.getMessage(), first.detector, first.value) == (  # type: ignore[attr-defined]
        *("WARNING", "security finding", "brute_force_address", 51.0),
    )
    assert (second.levelname, second.getMessage(), second.source) == (  # type: ignore[attr-defined]
        *("INFO", "security finding in a dry run", "shop"),
    )
    assert not any("203.0.113" in str(record.__dict__) for record in caplog.records)


def test_the_network_is_in_the_line_where_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    lines, _ = lines_of(Clock())
    lines.networks = True
    lines.take([FOUND])
    (record,) = caplog.records
    assert record.network == "203.0.113.0/24"  # type: ignore[attr-defined]
    assert "203.0.113.7" not in str(record.__dict__)


def test_a_flood_of_findings_is_one_line_a_minute_that_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    lines, told = lines_of(clock)
    many = [replace(FOUND, detector=f"own_{number % 40:02}") for number in range(10_000)]
    lines.take(many)
    clock.pass_to(130.0)
    lines.take([FOUND] * 500)
    assert len(caplog.records) == LINES_MAX
    assert told.without_line == 10_500 - LINES_MAX
    clock.pass_to(160.0)
    digest = caplog.records[-1]
    assert digest.getMessage() == "further security findings"
    assert digest.findings == 10_500 - LINES_MAX  # type: ignore[attr-defined]
    named = digest.detectors  # type: ignore[attr-defined]
    assert len(named) == NAMED_MAX
    assert named["brute_force_address"] == 500
    clock.pass_to(161.0)
    lines.take([FOUND] * 2)
    assert len(caplog.records) == LINES_MAX + 3
    assert clock.due == []


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(1, 50)), max_size=20))
def test_each_finding_is_in_a_line_or_in_a_digest(batches: list[tuple[float, int]]) -> None:
    clock = Clock()
    lines, told = lines_of(clock)
    said: list[int] = []

    class Listens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(getattr(record, "findings", 1))

    listens = Listens()
    log = logging.getLogger("tocsin.exporter")
    log.addHandler(listens)
    try:
        for seconds, size in batches:
            lines.take([FOUND] * size)
            clock.pass_to(clock.now + seconds)
        clock.pass_to(clock.now + 60.0)
    finally:
        log.removeHandler(listens)
    total = sum(size for _, size in batches)
    assert sum(said) == total
    assert told.without_line <= total


# --- kept and shown ----------------------------------------------------------------------------------------------


def test_the_last_findings_are_kept_and_the_others_said_to_be_forgotten() -> None:
    kept = Kept()
    for number in range(FINDINGS_MAX + 5):
        kept.take([replace(FOUND, at=float(number), detector="even" if number % 2 == 0 else "odd")])
    assert kept.forgotten == 5
    assert [number for number, _ in kept.last(2)] == [FINDINGS_MAX + 5, FINDINGS_MAX + 4]
    assert [finding.at for _, finding in kept.last(10, since=FINDINGS_MAX + 2.0, detector="even")] == [
        FINDINGS_MAX + 4.0,
        FINDINGS_MAX + 2.0,
    ]
    assert len(kept.last(FINDINGS_MAX)) == FINDINGS_MAX


def asked(*found: Finding, path: str = "/findings", access: Access | None = None, **headers: str) -> tuple[int, str]:
    findings = Findings(FindingCounts())
    findings.kept.take(found)

    async def scenario() -> tuple[int, str]:
        async with (
            running(findings=findings, access=access) as exporter,
            exporter.client.get(path, headers=headers) as a,
        ):
            return a.status, await a.text()

    return promptly(scenario())


def test_this_machine_sees_everything() -> None:
    status, text = asked(replace(FOUND, person=Person(255)))
    assert (status, json.loads(text)) == (
        200,
        {
            "findings": [
                {
                    "number": 1,
                    "at": "2026-11-21T09:00:00.250Z",
                    "detector": "brute_force_address",
                    "severity": "high",
                    "why": "51 failed logins in 1 h, more than 50",
                    "value": 51.0,
                    "threshold": 50.0,
                    "window_seconds": 3600.0,
                    "source": None,
                    "dry_run": False,
                    "network": "203.0.113.0/24",
                    "address": "203.0.113.7",
                    "person": "00000000000000ff",
                }
            ],
            "found": 1,
            "forgotten": 0,
        },
    )


TOKENS = """
tokens:
  - {name: looks, role: viewer, hash: "sha256:%s"}
  - {name: acts, role: responder, hash: "sha256:%s"}
  - {name: shop, role: source, hash: "sha256:%s"}
"""


@pytest.mark.parametrize(("role", "status"), [("looks", 200), ("acts", 200), ("shop", 403)])
def test_who_may_not_act_sees_networks_at_most(role: str, status: int, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(TOKENS % tuple(sha256(name.encode()).hexdigest() for name in ("looks", "acts", "shop")))
    access = Access(WebConfig(path, environ={}), strangers=Role.VIEWER)
    found, text = asked(FOUND, access=access, Authorization=f"Bearer {role}")
    assert found == status
    assert ("203.0.113.7" in text) == (role == "acts")
    assert ("203.0.113.0/24" in text) == (status == 200)
    assert ("person" in text) == (role == "acts")


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 3),
        ("?limit=1", 1),
        ("?detector=graphql_bomb", 1),
        ("?detector=nobody", 0),
        ("?since=2026-11-21T09:00:01Z", 1),
        ("?since=2026-11-21T10:00:01%2B01:00&limit=1000", 1),
        ("?since=1795251600", 3),
    ],
)
def test_findings_are_asked_for_by_time_and_detector(query: str, number: int) -> None:
    found = FOUND, replace(FOUND, detector="graphql_bomb"), replace(FOUND, at=FOUND.at + 2)
    status, text = asked(*found, path=f"/findings{query}")
    assert (status, len(json.loads(text)["findings"])) == (200, number)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=-1", "limit=%D9%A1", "limit=1e3", "limit=", "since=soon", "since=nan"),
        *("since=inf", "since=2026-11-21T09:00:00", "limit=1&limit=2", "sinse=1", "since=0001-01-01T00:00:00%2B23:59x"),
    ],
)
def test_a_question_that_is_not_understood_is_a_400_that_says_what_was_expected(query: str) -> None:
    status, text = asked(path=f"/findings?{query}")
    assert status == 400
    assert "expected" in json.loads(text)["error"]


def test_a_number_that_json_does_not_have_is_null() -> None:
    status, text = asked(replace(FOUND, value=float("inf"), threshold=float("nan")))
    (shown,) = json.loads(text)["findings"]
    assert (status, shown["value"], shown["threshold"]) == (200, None, None)


# --- together ----------------------------------------------------------------------------------------------------


def test_whoever_wants_to_hear_of_findings_is_told() -> None:
    findings = Findings(FindingCounts())
    heard: list[Finding] = []
    findings.tell(heard.extend)
    findings.take([FOUND])
    assert heard == [FOUND]
    assert [family.name for family in findings.families(0.0)] == [
        "security_findings_total",
        "security_findings_dry_run_total",
    ]
