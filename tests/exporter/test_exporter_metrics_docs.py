"""docs/metrics-exporter.md and the exporter say the same."""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from exporter.collectors import COLLECTORS, BuiltIn, build
from exporter.collectors.files import Paths
from exporter.dependencies import report
from exporter.dependencies.status import ENTERED, Dependency
from exporter.detection import Detection
from exporter.detectors.lists import Listed
from exporter.family import Family
from exporter.findings.part import Findings
from exporter.findings.tally import FindingCounts
from exporter.listfiles import ListFiles
from exporter.metrics import Tally
from exporter.negotiation import Wishes
from exporter.outcome import Absent
from exporter.postgres.about import SHAPES as ABOUT
from exporter.postgres.questions import QUESTIONS
from exporter.probes.attempt import REASONS
from exporter.reputation.families import families as reputation_families
from exporter.reputation.reputation import Reputation
from exporter.roles import Itself, Publisher, Security
from exporter.score.part import Score
from tests.exporter.builders import FIXTURE_ROOT_PATHS, Says, registry_of
from tests.exporter.sickness import World
from tests.pages import section

PAGE = (Path(__file__).parents[2] / "docs" / "metrics-exporter.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
COLLECTOR_ROW = re.compile(r"^\| `(\w+)` \| ([^|]*`(?:node|namedprocess|security)_[^|]*) \|$", re.MULTILINE)


def documented(heading: str) -> dict[str, tuple[str, set[str]]]:
    found = ROW.findall(section("metrics-exporter.md", heading))
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


def said(families: Iterable[Family]) -> dict[str, tuple[str, set[str]]]:
    return {family.name: (family.type, set(family.labels)) for family in families}


def test_the_role_self_is_exactly_what_is_documented() -> None:
    itself = Itself(registry_of(Says("x")), Tally(started_at=0.0))
    families = asyncio.run(itself.gather(Wishes(1.0))).families
    assert documented("Role `self`: the exporter about itself") == said(families)


def test_the_role_security_is_exactly_what_is_documented() -> None:
    publishers: tuple[Publisher, ...] = (
        Findings(FindingCounts()).families,
        Detection(told=lambda _: None).families,
        ListFiles(Listed()).families,
        partial(reputation_families, Reputation()),
    )
    score = Score(looks=lambda: True)
    security = Security(registry_of(), collectors=(), publishers=publishers, judge=score.families)
    families = asyncio.run(security.gather(Wishes(1.0))).families
    assert documented("Role `security`: attacks") == said(families)


def test_the_role_probes_is_exactly_what_is_documented() -> None:
    world = World(Dependency("db", "tcp_connect", "127.0.0.1:5432"))
    world.run(60)
    families = report.families(world.dependencies, reasons=REASONS)
    assert documented("Role `probes`: dependencies") == said(families)
    changes = re.findall(
        r"`dependency_status_changes_total`.*", section("metrics-exporter.md", "Role `probes`: dependencies")
    )
    assert set(re.findall(r"`(\w+)`", changes[0].split("|")[3])) == {status.value for status in ENTERED}


def test_what_postgresql_servers_say_is_exactly_what_is_documented() -> None:
    shapes = [*ABOUT, *(shape for query in QUESTIONS for shape in query.shapes)]
    rows = ROW.findall(section("postgres.md", "Metrics"))
    found = {name: (kind, set(re.findall(r"`(\w+)`", labels)) | {"server"}) for name, kind, labels in rows}
    assert found == {shape.name: (shape.type, set(shape.labels)) for shape in shapes}


@pytest.mark.parametrize("kind", COLLECTORS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("paths", [FIXTURE_ROOT_PATHS, Paths()], ids=["fixtures", "this machine"])
def test_every_collector_is_documented_with_every_metric(paths: Paths, kind: type[BuiltIn]) -> None:
    """A name that ends in `…` stands for all that begin so: there the kernel chooses the rest."""
    row = dict(COLLECTOR_ROW.findall(PAGE))[kind.name]
    listed = set(re.findall(r"`(\w+)`", row))
    prefixes = tuple(re.findall(r"`(\w+)…`", row))
    try:
        found = {family.name for family in build(kind, paths).collect(float("inf"))}
    except Absent:
        return
    assert {name for name in found if not name.startswith(prefixes or "-")} <= listed
    assert paths != FIXTURE_ROOT_PATHS or listed <= found


def test_exactly_the_collectors_that_there_are_have_a_row() -> None:
    assert set(dict(COLLECTOR_ROW.findall(PAGE))) == {collector.name for collector in COLLECTORS}
