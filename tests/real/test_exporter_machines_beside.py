"""The same made-up machines in front of both programs: every family, series and value is node_exporter's.

On files nothing moves, so values are equal, not only near.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import pytest

from exporter.collectors import COLLECTORS, build
from exporter.collectors.files import Paths
from tests.exporter import machine
from tests.exporter.builders import running
from tests.real.peer import (
    Families,
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


class Beside(NamedTuple):
    ours: Families
    theirs: Families
    theirs_alone: Families


def ours_on(paths: Paths) -> str:
    async def scrape() -> str:
        collectors = [build(kind, paths) for kind in COLLECTORS if kind.enabled and kind.name != NO_FILES]
        async with running(*collectors) as exporter:
            return await exporter.text("/metrics/system")

    return asyncio.run(scrape())


@pytest.fixture(scope="module", params=machine.NAMES)
def beside(
    request: pytest.FixtureRequest, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Beside:
    path = needs("prometheus-node-exporter")
    root = tmp_path_factory.mktemp(request.param)
    paths = machine.unpack(request.param, root)
    lacking = enabled_by_default(path) - {kind.name for kind in COLLECTORS}
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
        theirs = without_collectors(families(fetch(f"{address}/metrics")), lacking)
        theirs_alone = of_collectors(address, lacking - {NO_FILES})
    ours = without_collectors(without_newer_labels(families(ours_on(paths))), lacking)
    return Beside(ours, theirs, theirs_alone)


def test_families_types_labels_and_series_are_node_exporters(beside: Beside) -> None:
    excused = {f"{name} is missing" for name in beside.theirs_alone}
    assert [each for each in told_apart(beside.theirs, beside.ours) if each not in excused] == []


def test_every_value_is_node_exporters(beside: Beside) -> None:
    moving = OF_THE_KERNEL + OF_THE_DISK
    still = {name: family for name, family in beside.theirs.items() if not name.startswith(moving)}
    assert other_values(still, beside.ours) == []
