"""The whole page of the role `system` on each made-up machine: whatever changes on it is seen in review."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.collectors import build
from tests.exporter import machine
from tests.exporter.builders import running

# What is not said in files: the real clock, the real kernel, the real disk below the made-up mount points.
VOLATILE = re.compile(
    r"^(node_(?:filesystem_(?:avail_bytes|files|files_free|free_bytes|size_bytes)|scrape_collector_duration_seconds"
    r"|time_seconds|timex_\w+)(?:\{.*\})?) .*$",
    re.MULTILINE,
)
VOLATILE_TOO = re.compile(r"^(node_time_zone_offset_seconds|node_uname_info)\{.*$", re.MULTILINE)


def masked(page: str, root: Path) -> str:
    page = VOLATILE.sub(r"\1 VOLATILE", page.replace(str(root), ""))
    return VOLATILE_TOO.sub(r"\1 VOLATILE", page)


@pytest.mark.parametrize("name", machine.NAMES)
def test_the_page_is_the_one_that_was_reviewed(name: str, golden: Callable[[str, str], None], tmp_path: Path) -> None:
    async def scrape() -> str:
        paths = machine.unpack(name, tmp_path)
        async with running(*(build(kind, paths) for kind in machine.ON_FILES)) as exporter:
            return await exporter.text("/metrics/system")

    golden(f"exporter-{name}.txt", masked(asyncio.run(scrape()), tmp_path))
