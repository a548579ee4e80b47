"""A machine that changes under the exporter: mounts by the thousand, garbage, interfaces that go, clocks that step."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.collectors import build
from exporter.collectors.files import Paths
from exporter.collectors.time import Time
from tests.exporter import machine
from tests.exporter.builders import Running, running, sample
from tests.exporter.program import started
from tests.exporter.watching import own_files, samples_by_collector

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
MOUNTS = 2000


@pytest.fixture
def vm(tmp_path: Path) -> Paths:
    return machine.unpack("vm", tmp_path)


async def valid_page(exporter: Running) -> str:
    """The page of the machine, after both strict parsers have read it."""
    page = await exporter.text("/metrics/system")
    list(parse_text(page))
    list(parse_openmetrics(await exporter.text("/metrics/system", **OPENMETRICS)))  # type: ignore[no-untyped-call]
    return page


def success(page: str) -> dict[str, float]:
    """Of all collectors that are on and ask nothing but files."""
    return {
        kind.name: sample(page, f'node_scrape_collector_success{{collector="{kind.name}"}}')
        for kind in machine.ON_FILES
    }


def test_thousands_of_mounts_are_all_on_the_page(vm: Paths, tmp_path: Path) -> None:
    lines = []
    for number in range(MOUNTS):
        (tmp_path / "m" / str(number)).mkdir(parents=True)
        lines.append(f"{100 + number} 27 0:{number} / /m/{number} rw,relatime - tmpfs tmpfs{number} rw")
    (tmp_path / "proc/1/mountinfo").write_text("\n".join(lines) + "\n")
    with started(*machine.flags(tmp_path)) as exporter:
        for _ in range(2):
            page = exporter.get("/metrics/system")
            assert page.count("\nnode_filesystem_size_bytes{") == MOUNTS
            assert page.count("\nnode_filesystem_readonly{") == MOUNTS
            assert set(success(page).values()) <= {0.0, 1.0}
            assert success(page)["filesystem"] == 1


@pytest.mark.parametrize("half", [0, 1])
def test_garbage_for_half_of_the_collectors_costs_the_other_half_no_sample(tmp_path: Path, half: int) -> None:
    paths = machine.unpack("server", tmp_path)
    sound = samples_by_collector(paths)
    spoilt = dict(list(own_files(paths, tmp_path).items())[half::2])
    for file in spoilt.values():
        Path(file).write_bytes(b'\xff{garbage}="1" \\ -1 nan\n')

    async def scenario() -> str:
        async with running(*(build(kind, paths) for kind in machine.ON_FILES)) as exporter:
            return await valid_page(exporter)

    page = asyncio.run(scenario())
    others = {name: count for name, count in sound.items() if name not in spoilt}
    assert len(others) > 10
    assert {name: success(page)[name] for name in others} == dict.fromkeys(others, 1.0)
    about = ("#", "node_scrape_collector_")
    assert len([line for line in page.split("\n") if line and not line.startswith(about)]) >= sum(others.values())


def test_an_interface_that_goes_takes_only_its_own_series_along(vm: Paths, tmp_path: Path) -> None:
    devices, links = tmp_path / "sys/devices/pci0000:00/0000:00:05.0/virtio2/net", tmp_path / "sys/class/net"
    dev = tmp_path / "proc/net/dev"

    async def scenario() -> None:
        async with running(*(build(kind, vm) for kind in machine.ON_FILES)) as exporter:
            before = await valid_page(exporter)
            table = dev.read_text()
            shutil.move(devices / "eth0", tmp_path / "gone")
            # Between the listing of the links and the reading of what is behind them.
            between = await valid_page(exporter)
            (links / "eth0").unlink()
            dev.write_text("".join(line for line in table.splitlines(True) if "eth0" not in line))
            after = await valid_page(exporter)
            shutil.move(tmp_path / "gone", devices / "eth0")
            (links / "eth0").symlink_to("../../devices/pci0000:00/0000:00:05.0/virtio2/net/eth0")
            dev.write_text(table)
            again = await valid_page(exporter)
        assert success(before) == success(between) == success(after) == success(again)
        others = [line for line in of_devices(before) if "eth0" not in line]
        assert others
        assert of_devices(after) == [line for line in others if "node_arp_" not in line]
        assert set(of_devices(between)) >= set(others)
        assert of_devices(again) == of_devices(before)

    asyncio.run(scenario())


def of_devices(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("node_network_")]


def test_a_clock_that_steps_costs_no_sample(vm: Paths) -> None:
    readings = [1_795_251_600.25, 1_795_251_000.0, 0.0, -86_400.5, 4_102_444_800.0, 1_795_251_601.0]
    clock = [readings[0]]
    kinds = [kind for kind in machine.ON_FILES if kind is not Time]

    async def scenario() -> None:
        collectors = [*(build(kind, vm) for kind in kinds), Time(vm, now=lambda: clock[0])]
        async with running(*collectors) as exporter:
            first = None
            for reading in readings:
                clock[0] = reading
                page = await valid_page(exporter)
                assert sample(page, "node_time_seconds") == reading
                assert success(page) == (first := first or success(page))

    asyncio.run(scenario())
