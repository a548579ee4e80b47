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
    node_exporter,
    of_collectors,
    other_values,
    our_filters,
    told_apart,
    without_collectors,
    without_newer_labels,
)

pytestmark = pytest.mark.real

# What the kernel says of itself wherever its files are; test_exporter_beside.py compares that.
OF_THE_KERNEL = ("node_time_seconds", "node_time_zone_", "node_timex_", "node_uname_", "node_selinux_")
# How full the real disk is on which the made-up mount points are, which changes at any moment.
OF_THE_DISK = ("node_filesystem_avail_bytes", "node_filesystem_files_free", "node_filesystem_free_bytes")
# It asks over D-Bus, not in files.
NO_FILES = "systemd"
# Where Debian's node_exporter says something else, and why that is so. Each must be seen on some machine.
DIFFERENT = {
    r"node_disk_info has (no )?\{device='vda',": "newer versions show a virtual disk's only serial number as well",
    r"node_cpu_(guest_)?seconds has no \{cpu='2',": "it made up a processor that is offline; newer versions do not",
    r"node_uname_info has (no )?\{": "the domain is read from --path.procfs, not asked of the kernel of this machine",
}


class Beside(NamedTuple):
    ours: Families
    theirs: Families
    theirs_alone: frozenset[str]

    def complaints(self) -> list[str]:
        excused = {f"{name} is missing" for name in self.theirs_alone}
        return [each for each in told_apart(self.theirs, self.ours) if each not in excused]


def ours_on(paths: Paths) -> str:
    async def scrape() -> str:
        collectors = [build(kind, paths) for kind in COLLECTORS if kind.enabled and kind.name != NO_FILES]
        async with running(*collectors) as exporter:
            return await exporter.text("/metrics/system")

    return asyncio.run(scrape())


def both_on(name: str, root: Path, path: str) -> Beside:
    paths = machine.unpack(name, root)
    lacking = enabled_by_default(path) - {kind.name for kind in COLLECTORS} - {NO_FILES}
    flags = [
        f"--path.procfs={paths.procfs}",
        f"--path.sysfs={paths.sysfs}",
        f"--path.rootfs={paths.rootfs}",
        f"--path.udev.data={root}/run/udev/data",
        # It would ask this machine's kernel instead of the file.
        "--no-collector.netdev.netlink",
        f"--no-collector.{NO_FILES}",
    ]
    with node_exporter(path, *our_filters(path), *flags) as address:
        theirs = families(fetch(f"{address}/metrics"))
        theirs_alone = documented_as_missing() | of_collectors(address, lacking).keys()
    ours = without_newer_labels(families(ours_on(paths)))
    return Beside(without_collectors(ours, lacking), without_collectors(theirs, lacking), frozenset(theirs_alone))


@pytest.fixture(scope="module")
def machines(needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Beside]:
    path = needs("prometheus-node-exporter")
    return {name: both_on(name, tmp_path_factory.mktemp(name), path) for name in machine.NAMES}


@pytest.mark.parametrize("name", machine.NAMES)
def test_families_types_labels_and_series_are_node_exporters(machines: dict[str, Beside], name: str) -> None:
    assert [each for each in machines[name].complaints() if not re.match("|".join(DIFFERENT), each)] == []


@pytest.mark.parametrize("name", machine.NAMES)
def test_every_value_is_node_exporters(machines: dict[str, Beside], name: str) -> None:
    theirs = machines[name].theirs
    moving = OF_THE_KERNEL + OF_THE_DISK
    still = {name: family for name, family in theirs.items() if not name.startswith(moving)}
    assert other_values(still, machines[name].ours) == []


def test_nothing_is_excused_that_agrees(machines: dict[str, Beside]) -> None:
    complaints = [each for beside in machines.values() for each in beside.complaints()]
    assert [pattern for pattern in DIFFERENT if not any(re.match(pattern, each) for each in complaints)] == []
