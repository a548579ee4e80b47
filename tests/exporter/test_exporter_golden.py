"""The whole page, from files of our own making: whatever changes on it is seen in review."""

import asyncio
import os
import re
from collections.abc import Callable

import pytest

from exporter.collectors.cpu import Cpu
from exporter.collectors.filesystem import Filesystem
from exporter.collectors.loadavg import Loadavg
from exporter.collectors.meminfo import Meminfo
from exporter.collectors.stat import Stat
from exporter.collectors.time import Time
from exporter.collectors.uname import Uname
from tests.exporter.builders import FIXTURE_PATHS, running

UNAME = os.uname_result(("Linux", "crow", "6.1.0-28-amd64", "#1 SMP", "x86_64"))
STATUS = os.statvfs_result((65536, 4096, 2_621_440, 1_048_576, 914_358, 655_360, 600_000, 600_000, 0, 255))
# What no test can know beforehand: how long things take, this process, this machine's time zone.
VOLATILE = re.compile(
    r"^((?:node_scrape_collector_duration_seconds|process_\w+|node_time_zone_offset_seconds"
    r"|tocsin_exporter_build_info)(?:\{.*\})?) .*$",
    re.MULTILINE,
)
VOLATILE_LABELS = re.compile(r'(python_version|version|time_zone)="[^"]*"(?=[^\n]* VOLATILE$)', re.MULTILINE)


def masked(page: str) -> str:
    return VOLATILE_LABELS.sub(r'\1="VOLATILE"', VOLATILE.sub(r"\1 VOLATILE", page))


@pytest.fixture
def page() -> str:
    async def scrape() -> str:
        collectors = (
            Cpu(FIXTURE_PATHS),
            Filesystem(FIXTURE_PATHS, statvfs=lambda path: STATUS),
            Loadavg(FIXTURE_PATHS),
            Meminfo(FIXTURE_PATHS),
            Stat(FIXTURE_PATHS),
            Time(FIXTURE_PATHS, now=lambda: 1795251600.25),
            Uname(FIXTURE_PATHS, uname=lambda: UNAME),
        )
        async with running(*collectors) as exporter:
            return await exporter.text("/metrics")

    return asyncio.run(scrape())


def test_the_page_is_the_one_that_was_reviewed(page: str, golden: Callable[[str, str], None]) -> None:
    golden("exporter-metrics.txt", masked(page))


def test_two_scrapes_differ_only_where_something_changed(page: str) -> None:
    async def scrape_twice() -> tuple[str, str]:
        async with running(Meminfo(FIXTURE_PATHS), Cpu(FIXTURE_PATHS)) as exporter:
            return await exporter.text("/metrics"), await exporter.text("/metrics")

    first, second = asyncio.run(scrape_twice())
    assert masked(first) == masked(second)
