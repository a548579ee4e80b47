"""The same made-up machines in front of both programs: every family, series and value is node_exporter's.

On files nothing moves, so values are equal, not only near.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.collectors import COLLECTORS, build
from exporter.collectors.files import Paths
from tests.exporter import machine
from tests.exporter.builders import running
from tests.real.peer import (
    Families,
    documented_as_missing,
    enabled_by_default,
    families,
    fetch,
    linted,
    node_exporter,
    not_common,
    of_collectors,
    other_values,
    our_filters,
    strictly,
    told_apart,
    without_collectors,
    without_newer_labels,
)

pytestmark = pytest.mark.real

# What the kernel says of itself wherever its files are; test_exporter_beside.py compares that.
OF_THE_KERNEL = ("node_time_seconds", "node_time_zone_", "node_timex_", "node_uname_", "node_selinux_")
# How full the real disk is on which the made-up mount points are, which changes at any moment.
OF_THE_DISK = ("node_filesystem_avail_bytes", "node_filesystem_files_free", "node_filesystem_free_bytes")
# Where Debian's node_exporter says something else, and why that is so. Each must be seen on some machine.
DIFFERENT = {
    r"node_disk_info has (no )?\{device='vda',": "newer versions show a virtual disk's only serial number as well",
    r"node_cpu_(guest_)?seconds has no \{cpu='2',": "it made up a processor that is offline; newer versions do not",
    r"node_uname_info has (no )?\{": "the domain is read from --path.procfs, not asked of the kernel of this machine",
    r"node_zfs_zpool_state has \{state='suspended',": "newer versions know this state",
}
OTHER_VALUES = {
    r"node_bcache_btree_read_average_duration_seconds\{": "it takes the kernel's microseconds for nanoseconds",
    r"node_nfsd_requests\w*\{.*(RelLockOwner|Verify|Write).*4": "it took others for these; newer versions do not",
}


class Beside(NamedTuple):
    our_page: str
    their_page: str
    ours: Families
    theirs: Families
    theirs_alone: frozenset[str]

    def complaints(self) -> list[str]:
        excused = {f"{name} is missing" for name in self.theirs_alone}
        return [each for each in told_apart(self.theirs, self.ours) if each not in excused]

    def other(self) -> list[str]:
        moving = OF_THE_KERNEL + OF_THE_DISK
        still = {name: family for name, family in self.theirs.items() if not name.startswith(moving)}
        return other_values(still, self.ours)


async def scraped(paths: Paths) -> str:
    async with running(*(build(kind, paths) for kind in machine.ON_FILES)) as exporter:
        strictly(await exporter.text("/metrics/system", Accept="application/openmetrics-text;version=1.0.0"))
        return await exporter.text("/metrics/system")


def both_on(name: str, root: Path, path: str) -> Beside:
    paths = machine.unpack(name, root)
    lacking = enabled_by_default(path) - {kind.name for kind in COLLECTORS} - {"systemd"}
    flags = [
        *machine.flags(root),
        # It would ask this machine's kernel instead of the file.
        "--no-collector.netdev.netlink",
        # It asks over D-Bus, not in files.
        "--no-collector.systemd",
    ]
    with node_exporter(path, *our_filters(path), *flags) as address:
        their_page = fetch(f"{address}/metrics")
        theirs_alone = documented_as_missing() | of_collectors(address, lacking).keys()
    our_page = asyncio.run(scraped(paths))
    ours = without_collectors(without_newer_labels(families(our_page)), not_common(path))
    theirs = without_collectors(families(their_page), not_common(path))
    return Beside(our_page, their_page, ours, theirs, frozenset(theirs_alone))


@pytest.fixture(scope="module")
def machines(needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Beside]:
    path = needs("prometheus-node-exporter")
    return {name: both_on(name, tmp_path_factory.mktemp(name), path) for name in machine.NAMES}


@pytest.mark.parametrize("name", machine.NAMES)
def test_families_types_labels_and_series_are_node_exporters(machines: dict[str, Beside], name: str) -> None:
    assert [each for each in machines[name].complaints() if not re.match("|".join(DIFFERENT), each)] == []


@pytest.mark.parametrize("name", machine.NAMES)
def test_every_value_is_node_exporters(machines: dict[str, Beside], name: str) -> None:
    assert [each for each in machines[name].other() if not re.match("|".join(OTHER_VALUES), each)] == []


def test_nothing_is_excused_that_agrees(machines: dict[str, Beside]) -> None:
    complaints = [each for beside in machines.values() for each in beside.complaints()]
    complaints += [each for beside in machines.values() for each in beside.other()]
    excuses = (*DIFFERENT, *OTHER_VALUES)
    assert [pattern for pattern in excuses if not any(re.match(pattern, each) for each in complaints)] == []


def test_each_collector_finds_something_on_some_machine(machines: dict[str, Beside]) -> None:
    """Where both find nothing they agree easily."""
    success: dict[str, float] = {}
    for beside in machines.values():
        for labels, value in beside.ours["node_scrape_collector_success"].series.items():
            name = dict(labels)["collector"]
            success[name] = max(value, success.get(name, 0.0))
    assert [name for name, value in success.items() if not value] == []


@pytest.mark.parametrize("name", machine.NAMES)
def test_promtool_complains_of_nothing_but_what_is_node_exporters(
    machines: dict[str, Beside], name: str, needs: Callable[[str], str]
) -> None:
    """The kernel's own names are in camel case, some gauges count, and so on: names that dashboards ask for."""
    promtool = needs("promtool")
    assert linted(promtool, machines[name].our_page) - linted(promtool, machines[name].their_page) == set()
