"""docs/metrics-exporter.md and the exporter say the same."""

import asyncio
import re
from pathlib import Path

import pytest

from exporter.collectors import COLLECTORS
from exporter.collectors.files import Paths
from exporter.family import Family
from exporter.metrics import Tally
from exporter.roles import Itself
from tests.exporter.builders import FIXTURE_PATHS, Says, registry_of

PAGE = (Path(__file__).parents[2] / "docs" / "metrics-exporter.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
COLLECTOR_ROW = re.compile(r"^\| `(\w+)` \| ([^|]*`node_[^|]*) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, set[str]]]:
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}


def test_the_role_self_is_exactly_what_is_documented() -> None:
    itself = Itself(registry_of(Says("x")), Tally(started_at=0.0))
    families = asyncio.run(itself.families(1.0))
    assert documented() == {family.name: (family.type, set(family.labels)) for family in families}


@pytest.mark.parametrize("paths", [FIXTURE_PATHS, Paths()])
def test_every_collector_is_documented_with_every_metric(paths: Paths) -> None:
    rows = dict(COLLECTOR_ROW.findall(PAGE))
    assert set(rows) == {collector.name for collector in COLLECTORS}
    for collector in COLLECTORS:
        families: list[Family] = list(collector(paths).collect(float("inf")))
        listed = set(re.findall(r"`(node_\w+)(?:…)?`", rows[collector.name]))
        if collector.name == "meminfo":
            assert all(family.name.startswith("node_memory_") for family in families)
        else:
            assert {family.name for family in families} <= listed
            assert paths != FIXTURE_PATHS or {family.name for family in families} == listed
