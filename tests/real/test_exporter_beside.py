"""A drop-in, held to it: beside Debian's real node_exporter with all its defaults, on this machine, at this moment.

Each family that it publishes is on our page with the same type, label names and series, and every value lies between
theirs of just before and just after. What is missing has a row with a reason in docs/node-exporter.md, and each such
row is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.collectors import COLLECTORS
from tests.exporter.program import Program, started
from tests.real.peer import (
    Between,
    Families,
    documented_as_missing,
    enabled_by_default,
    families,
    fetch,
    linted,
    missed_always,
    node_exporter,
    not_common,
    of_collectors,
    our_filters,
    their_filters,
    told_apart,
    without_collectors,
    without_newer_labels,
)

pytestmark = pytest.mark.real

ROUNDS_MAX = 30
# These say what each of the two programs is doing itself at the moment of asking, so they are only near.
OF_THE_MOMENT = {
    # Their collectors run side by side, ours one after another; each counts itself, and the files that it has open.
    "node_procs_running": 64.0,
    "node_filefd_allocated": 2048.0,
    # This one is about the program alone.
    "node_scrape_collector_duration_seconds": 10.0,
}
# Both programs hold these still when the kernel's own counter runs backwards, each at what it saw itself.
HELD = {"node_cpu_seconds": 1.0}


class Beside(NamedTuple):
    ours: Program
    theirs: str
    path: str

    def pages(self) -> Between:
        return Between(self._theirs(), self._ours(), self._theirs())

    def _ours(self) -> Families:
        return without_newer_labels(families(self.ours.get("/metrics/system")))

    def _theirs(self) -> Families:
        return families(fetch(f"{self.theirs}/metrics"))


@pytest.fixture(scope="module")
def beside(needs: Callable[[str], str]) -> Iterator[Beside]:
    path = needs("prometheus-node-exporter")
    with node_exporter(path, *our_filters(path)) as theirs, started() as ours:
        yield Beside(ours, theirs, path)


@pytest.fixture(scope="module")
def lacking(beside: Beside) -> frozenset[str]:
    """Collectors that node_exporter runs by default and that are not ours."""
    return enabled_by_default(beside.path) - {kind.name for kind in COLLECTORS}


def test_every_collector_that_runs_by_default_is_ours_too_or_documented_as_missing(
    beside: Beside, lacking: frozenset[str]
) -> None:
    collectors = {name for name in documented_as_missing() if not name.startswith("node_")}
    assert lacking == collectors


def test_a_family_that_is_documented_as_missing_is_theirs_and_not_ours(beside: Beside) -> None:
    """Of what this machine has nothing, their program knows at least the name (without `node_` and the subsystem)."""
    program, ours = Path(beside.path).read_bytes(), beside.ours.get("/metrics")
    for name in documented_as_missing():
        if name.startswith("node_"):
            assert name.split("_", maxsplit=2)[2].encode() in program
            assert f"# TYPE {name} " not in ours


def test_families_types_labels_and_series_are_node_exporters(beside: Beside, lacking: frozenset[str]) -> None:
    theirs_alone = documented_as_missing() | of_collectors(beside.theirs, lacking).keys()
    before, ours, after = (without_collectors(each, not_common(beside.path)) for each in beside.pages())
    # What came or went meanwhile is on one of their two pages only.
    complaints = {*told_apart(before, ours)} & {*told_apart(after, ours)}
    assert sorted(complaints - {f"{name} is missing" for name in theirs_alone}) == []


def test_with_its_defaults_as_our_flags_the_series_are_those_of_the_program_without_any(beside: Beside) -> None:
    """The other way round: Debian's package has filters of its own, and our flags of that name do the same."""
    flags = their_filters(beside.path)
    assert "--collector.netdev.device-exclude=^lo$" in flags
    with node_exporter(beside.path) as theirs, started(*flags) as ours:
        pages = Beside(ours, theirs, beside.path).pages()
    before, ours_then, after = (without_collectors(each, not_common(beside.path)) for each in pages)
    complaints = {*told_apart(before, ours_then)} & {*told_apart(after, ours_then)}
    assert sorted(complaints - {f"{name} is missing" for name in documented_as_missing()}) == []


def test_every_counter_lies_between_node_exporters_before_and_after(beside: Beside) -> None:
    for _ in range(3):
        pages = beside.pages()
        counters = [name for name, family in pages.before.items() if family.type == "counter" and name in pages.ours]
        assert len(counters) >= 5
        outside = {name: pages.outside(name, slack=HELD.get(name, 0.0)) for name in counters}
        assert {name: labels for name, labels in outside.items() if labels} == {}


def test_every_other_value_lies_between_node_exporters_before_and_after(beside: Beside) -> None:
    """What moves up and down may miss in one round what lies between; what means something else misses in all."""
    rounds = [beside.pages()]
    slack = {name: OF_THE_MOMENT.get(name, 0.0) for name in rounds[0].before.keys() & rounds[0].ours.keys()}
    while (missed := missed_always(rounds, slack)) and len(rounds) < ROUNDS_MAX:
        rounds.append(beside.pages())
    assert missed == {}


@pytest.mark.parametrize("role", ["", "/self", "/system"])
def test_promtool_complains_of_nothing_but_what_is_node_exporters(
    beside: Beside, role: str, needs: Callable[[str], str]
) -> None:
    """The kernel's own names are in camel case, some gauges count, and so on: names that dashboards ask for."""
    promtool = needs("promtool")
    theirs = linted(promtool, fetch(f"{beside.theirs}/metrics"))
    assert linted(promtool, beside.ours.get(f"/metrics{role}")) - theirs == set()
