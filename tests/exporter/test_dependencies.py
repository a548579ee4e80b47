"""Dependencies in the program: what the file may say, what is asked in the background, what the doors tell."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.control import Plan, Refused
from exporter.dependencies.part import Background
from exporter.exposition import Format, render
from exporter.probes import Probed
from exporter.probes.attempt import REASONS
from exporter.probes.foreseen import NOT_ALLOWED
from exporter.roles import Dependencies
from exporter.settings import read
from tests.exporter.builders import PATIENT, Running, promptly, running, sample
from tests.left_out import left_out
from tests.pages import fenced, text_of

FILE = """
probes: {{allow: ['app:1', 'db:1']}}
health:
  dependencies:
    app: {{probe: {{module: tcp_connect, target: 'app:1'}}, needs: [db], {quick}}}
    db: {{probe: {{module: tcp_connect, target: 'db:1'}}, critical: true, {quick}}}
"""
QUICK = "every: 100ms, timeout: 200ms, failures: 2, successes: 2, wait: 100ms, wait_max: 100ms"


@dataclass
class Told:
    """A prober that does as it is told, and says who was asked."""

    answers: dict[str, Callable[[], Awaitable[Probed]]] = field(default_factory=dict)
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    asking: int = 0
    at_once: int = 0

    async def probe(self, module: str, target: str, *, seconds: float) -> Probed:
        self.asking += 1
        self.at_once = max(self.at_once, self.asking)
        try:
            await self.asked.put(target)
            return await self.answers.get(target, well)()
        finally:
            self.asking -= 1

    async def has_asked(self, target: str, times: int = 1) -> None:
        for _ in range(times):
            while await self.asked.get() != target:
                pass


async def well() -> Probed:
    return Probed(success=True, seconds=0.01)


async def refused() -> Probed:
    return Probed(success=False, seconds=0.01, reason="refused")


async def never() -> Probed:
    await asyncio.Event().wait()
    raise AssertionError


async def broken() -> Probed:
    raise RuntimeError("a mistake of ours")


def plan_of(folder: Path, text: str) -> Plan:
    file = folder / "exporter.yml"
    file.write_text(text)
    return Plan((), PATIENT, file=read(file, environ={}))


def faults(folder: Path, dependencies: str) -> list[str]:
    with pytest.raises(Refused) as raised:
        plan_of(folder, f"probes: {{allow: [x]}}\nhealth:\n  dependencies:\n{dependencies}")
    return [fault.partition(": ")[2] for fault in raised.value.faults]


@asynccontextmanager
async def asked_in_the_background(
    folder: Path, prober: Told, text: str = ""
) -> AsyncIterator[tuple[Background, Running]]:
    background = Background(prober, reasons=REASONS, seed=b"seed")
    background.prepare(plan_of(folder, text or FILE.format(quick=QUICK)))()
    async with running(background=background) as exporter, background:
        yield background, exporter


async def page(background: Background, form: Format = Format.TEXT) -> str:
    return render(background.families(0.0), form).decode()


async def becomes(exporter: Running, prober: Told, http: int, **wanted: object) -> dict[str, object]:
    """Looks after each question, as nothing else changes anything."""
    while True:
        async with exporter.client.get("/health") as answer:
            found: dict[str, object] = await answer.json()
            if answer.status == http and all(found[key] == value for key, value in wanted.items()):
                return found
        await prober.asked.get()


# --- the file ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_dependencies_is_told_with_its_place(tmp_path: Path) -> None:
    probe = "probe: {module: tcp_connect, target: 'x:1'}"
    found = faults(
        tmp_path,
        f"""
    a: {{{probe}, needs: [b]}}
    b: {{{probe}, needs: [a]}}
    c: {{{probe}, needs: [nobody, a, a]}}
    d: {{probe: {{module: telepathy}}, wait: 5m}}
    e: {{probe: {{module: tcp_connect, target: 'y:1'}}}}
""",
    )
    (modules,) = (each for each in found if each.startswith("health.dependencies.d.probe.module"))
    found.remove(modules)
    assert "found 'telepathy', expected one of " in modules
    assert sorted(found) == [
        "health.dependencies.b.needs: found a cycle, a → b → a, expected no dependency that needs itself",
        "health.dependencies.c.needs[0]: found 'nobody', expected the name of a dependency",
        "health.dependencies.c.needs[2]: found 'a', expected each name once",
        "health.dependencies.d.wait_max: found '2m', expected at least 5m, which is wait",
        f"health.dependencies.e.probe.target: found something else, expected {NOT_ALLOWED}",
    ]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("every: 50ms", "expected between 100ms and 1h"),
        ("every: 2h", "expected between 100ms and 1h"),
        ("wait_max: 25h", "expected between 100ms and 24h"),
        ("wait: soon", "expected a duration such as 8s, 1m30s or 500ms"),
        ("timeout: 11m", "expected between 100ms and 10m"),
        ("slow_after: fast", "expected a duration such as 8s, 1m30s or 500ms"),
        ("failures: 0", "expected"),
        ("needs: ['../db']", "expected"),
        ("critical: maybe", "expected"),
    ],
)
def test_what_a_setting_cannot_be_is_told(tmp_path: Path, setting: str, expected: str) -> None:
    (fault,) = faults(tmp_path, f"    db: {{probe: {{module: tcp_connect, target: 'x:1'}}, {setting}}}\n")
    assert expected in fault


# --- in the background -------------------------------------------------------------------------------------------


def test_a_critical_dependency_that_goes_is_503_and_its_return_200(tmp_path: Path) -> None:
    async def scenario() -> None:
        prober = Told()
        async with asked_in_the_background(tmp_path, prober) as (background, exporter):
            await becomes(exporter, prober, 200, status="healthy", dependencies={}, root_causes=[])
            prober.answers = {"db:1": refused, "app:1": refused}
            found = await becomes(exporter, prober, 503, status="down", root_causes=["db"])
            assert found["dependencies"] in (
                {"app": f"{app}: refused, because of db: down: refused", "db": "down: refused"}
                for app in ("failing", "down")
            )
            said = await page(background)
            assert sample(said, 'dependency_root_cause{dependency="db"}') == 1
            assert sample(said, 'dependency_up{dependency="db"}') == 0
            assert sample(said, 'dependency_circuit_breaker{dependency="db",dependency_circuit_breaker="closed"}') == 0
            prober.answers = {}
            await becomes(exporter, prober, 200, status="healthy")

    promptly(scenario())


def test_what_never_answers_is_a_time_out_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Also where the prober itself does not keep to its time-out."""

    async def scenario() -> None:
        prober = Told({"db:1": never})
        text = FILE.format(quick=QUICK.replace("failures: 2", "failures: 1"))
        async with asked_in_the_background(tmp_path, prober, text) as (background, exporter):
            await prober.has_asked("app:1", times=10)
            found = await becomes(exporter, prober, 503, root_causes=["db"])
            assert found["dependencies"] == {"db": "down: timeout"}
            assert (
                sample(await page(background), 'dependency_probe_failures_total{dependency="db",reason="timeout"}') > 0
            )
        assert (prober.asking, prober.at_once) == (0, 2)

    promptly(scenario())


def test_a_prober_that_breaks_off_is_an_error_and_is_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        prober = Told({"db:1": broken})
        async with asked_in_the_background(tmp_path, prober) as (_, exporter):
            found = await becomes(exporter, prober, 503, root_causes=["db"])
            assert found["dependencies"] == {"db": "down: error"}
            prober.answers = {}
            await becomes(exporter, prober, 200, status="healthy")

    promptly(scenario())


def test_a_reload_puts_other_dependencies_into_force(tmp_path: Path) -> None:
    async def scenario() -> None:
        prober = Told({"db:1": refused, "cache:1": refused})
        async with asked_in_the_background(tmp_path, prober) as (background, exporter):
            await becomes(exporter, prober, 503, root_causes=["db"])
            cache = (
                "probes: {allow: ['cache:1']}\n"
                f"health: {{dependencies: {{cache: {{probe: {{module: tcp_connect, target: 'cache:1'}}, {QUICK}}}}}}}"
            )
            background.prepare(plan_of(tmp_path, cache))()
            found = await becomes(exporter, prober, 200, root_causes=["cache"])
            assert found["status"] == "degraded"
            background.prepare(Plan((), PATIENT))()
            async with exporter.client.get("/health") as answer:
                assert (await answer.json())["status"] == "healthy"
            assert await page(background) == ""

    promptly(scenario())


def test_every_series_that_can_be_foreseen_is_there_from_the_start(tmp_path: Path) -> None:
    background = Background(Told(), reasons=REASONS, seed=b"seed")
    background.prepare(plan_of(tmp_path, FILE.format(quick=QUICK)))()
    said = asyncio.run(page(background))
    for reason in (*REASONS, "other"):
        assert sample(said, f'dependency_probe_failures_total{{dependency="db",reason="{reason}"}}') == 0
    for status in ("up", "slow", "failing", "down"):
        assert sample(said, f'dependency_status_changes_total{{dependency="db",status="{status}"}}') == 0
    assert sample(said, 'dependency_circuit_breaker{dependency="db",dependency_circuit_breaker="closed"}') == 1
    assert sample(said, 'dependency_root_cause{dependency="db"}') == 0
    assert "dependency_up" not in said


def test_prometheus_reads_the_page_in_both_formats_and_promtool_finds_nothing(tmp_path: Path) -> None:
    background = Background(Told(), reasons=REASONS, seed=b"seed")
    background.prepare(plan_of(tmp_path, FILE.format(quick=QUICK)))()
    told = {family.name: family.type for family in parse_openmetrics(asyncio.run(page(background, Format.OPENMETRICS)))}
    assert told["dependency_circuit_breaker"] == "stateset"
    text = asyncio.run(page(background))
    assert "# TYPE dependency_circuit_breaker gauge\n" in text
    promtool = shutil.which("promtool")
    if promtool is None:
        left_out("promtool is not installed (Debian's package prometheus)")
    judged = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


def test_the_role_is_there_and_empty_without_dependencies() -> None:
    async def scenario() -> None:
        background = Background(Told(), reasons=REASONS, seed=b"seed")
        async with (
            running(background=background, dependencies=Dependencies((background.families,))) as exporter,
            exporter.client.get("/metrics/probes") as answer,
        ):
            assert (answer.status, await answer.text()) == (200, "")

    promptly(scenario())


# --- the page of the documentation -------------------------------------------------------------------------------


def test_the_example_of_the_page_answers_what_the_page_says(tmp_path: Path) -> None:
    (file,) = [block for block in fenced(text_of("health.md"), "yaml") if block.startswith("# exporter.yml")]
    (answer,) = [json.loads(block) for block in fenced(text_of("health.md"), "json")]
    quick = file.replace("every: 5s", "").replace("every: 30s", "").replace("timeout: 3s", "timeout: 200ms")
    quick = quick.replace("      probe:", "      every: 100ms\n      wait: 100ms\n      timeout: 200ms\n      probe:")
    quick = quick.replace("      timeout: 200ms\n      needs: [gateway]", "      needs: [gateway]")

    async def slow() -> Probed:
        return Probed(success=True, seconds=0.6)

    async def timeout() -> Probed:
        return Probed(success=False, seconds=0.2, reason="timeout")

    async def scenario() -> None:
        prober = Told(
            {
                "http://127.0.0.1:8080/ready": slow,
                "https://payments.example.org/health": timeout,
                "10.0.0.1:443": timeout,
            }
        )
        async with asked_in_the_background(tmp_path, prober, quick) as (_, exporter):
            assert await becomes(exporter, prober, 200, dependencies=answer["dependencies"]) == answer

    promptly(scenario())
