"""Whatever a name is made of, the page stays what it was but for that name, and the name arrives in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from exporter.collectors import Collector, build
from tests.exporter import hostile, machine
from tests.exporter.builders import running
from tests.exporter.hostile import CARRIERS, Carrier

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
NAMES = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda name: name.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(hostile.WORST), min_size=1, max_size=3).map(b"".join),
)


class MachineRoom(NamedTuple):
    """The machine `server` and the collectors that show names; one that may know them by heart is made anew.

    `plain` are the names of all samples when a carrier has a harmless name.
    """

    root: Path
    collectors: dict[str, Collector]
    plain: dict[str, list[str]]

    def with_new(self, name: str) -> list[Collector]:
        self.collectors[name] = built(self.root, [name])[name]
        return list(self.collectors.values())

    @contextmanager
    def keeping(self, path: str) -> Iterator[None]:
        file = self.root / path
        content = file.read_bytes() if file.exists() else None
        yield
        file.unlink()
        if content is not None:
            file.write_bytes(content)


@pytest.fixture(scope="module")
def machine_room(tmp_path_factory: pytest.TempPathFactory) -> MachineRoom:
    root = tmp_path_factory.mktemp("server")
    machine.unpack("server", root)
    return MachineRoom(root, built(root, [carrier.collector for carrier in CARRIERS]), {})


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def built(root: Path, names: list[str]) -> dict[str, Collector]:
    said = {"textfile": {"directory": str(root / hostile.TEXTFILES)}}
    return {
        kind.name: build(kind, machine.paths(root), said.get(kind.name))
        for kind in machine.ON_FILES
        if kind.name in names
    }


async def pages(collectors: Iterable[Collector]) -> tuple[str, str]:
    async with running(*collectors) as exporter:
        return await exporter.text("/metrics/system"), await exporter.text("/metrics/system", **OPENMETRICS)


def samples(page: str) -> list[Sample]:
    return [sample for family in parse_text(page) for sample in family.samples]


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.metric)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_a_name_arrives_in_one_piece_and_changes_nothing_else(
    machine_room: MachineRoom, runner: asyncio.Runner, carrier: Carrier, name: bytes
) -> None:
    with machine_room.keeping(carrier.path):
        if carrier.metric not in machine_room.plain:
            carrier.write(machine_room.root, b"plain")
            plain, _ = runner.run(pages(machine_room.with_new(carrier.collector)))
            machine_room.plain[carrier.metric] = [each.name for each in samples(plain)]
        shown = carrier.write(machine_room.root, name)
        text, openmetrics = runner.run(pages(machine_room.with_new(carrier.collector)))
    found = samples(text)
    strict = [sample for family in parse_openmetrics(openmetrics) for sample in family.samples]  # type: ignore[no-untyped-call]
    assert [(each.name, each.labels) for each in strict] == [(each.name, each.labels) for each in found]
    assert [each.name for each in found] == machine_room.plain[carrier.metric]
    names = {each.labels.get(carrier.label, "").strip() for each in found if each.name == carrier.metric}
    assert shown.strip() in names
