"""The exporter beside the programs that it must agree with: promtool, the strict parser, node_exporter."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.collectors import COLLECTORS
from exporter.collectors.filesystem import MOUNT_POINTS_EXCLUDED, TYPES_EXCLUDED
from tests.exporter.builders import FIXTURE_PATHS, SURELY
from tests.exporter.program import Program, started

pytestmark = pytest.mark.real

Labels = frozenset[tuple[str, str]]
# A family as it matters to whoever asks for it: its type, and its series with their values.
Families = dict[str, tuple[str, dict[Labels, float]]]

# Families that node_exporter has only in versions newer than Debian's 1.5.
NEWER = {"node_cpu_online", "node_filesystem_mount_info"}
# What cannot change between three scrapes on an idle machine, or can only be changed by an administrator.
STABLE = {
    "node_boot_time_seconds",
    "node_filesystem_device_error",
    "node_filesystem_files",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_memory_CommitLimit_bytes",
    "node_memory_HugePages_Total",
    "node_memory_Hugepagesize_bytes",
    "node_memory_MemTotal_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_VmallocTotal_bytes",
    "node_scrape_collector_success",
    "node_time_clocksource_available_info",
    "node_time_clocksource_current_info",
    "node_time_zone_offset_seconds",
    "node_uname_info",
}
# Both programs hold these still when the kernel's own counter runs backwards, each at what it saw itself.
HELD = {("mode", "idle"), ("mode", "iowait")}


@contextmanager
def node_exporter(path: str, *flags: str, without: tuple[str, ...] = ()) -> Iterator[str]:
    """The real one with our collectors and our filters; Debian's package has filters of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        path,
        f"--web.listen-address={address}",
        "--collector.disable-defaults",
        *(f"--collector.{each.name}" for each in COLLECTORS if each.name not in without),
        f"--collector.filesystem.mount-points-exclude={MOUNT_POINTS_EXCLUDED}",
        f"--collector.filesystem.fs-types-exclude={TYPES_EXCLUDED}",
        *flags,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any('msg="Listening on"' in line for line in process.stderr), "node_exporter did not start"
            yield f"http://{address}"
        finally:
            process.kill()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SURELY) as answer:
        return str(answer.read().decode())


def families(page: str) -> Families:
    found: Iterable[Metric] = parse_text(page)
    return {
        metric.name: (
            metric.type,
            {frozenset(sample.labels.items()): sample.value for sample in metric.samples},
        )
        for metric in found
        if metric.name.startswith("node_") and not metric.name.startswith("node_exporter_")
    }


def as_before_the_label_device_error(found: Families) -> Families:
    """node_exporter has this label since 1.8; on a filesystem without an error it is empty."""
    return {
        name: (kind, {labels - {("device_error", "")}: value for labels, value in series.items()})
        for name, (kind, series) in found.items()
    }


@pytest.fixture
def exporter() -> Iterator[Program]:
    with started() as program:
        yield program


@contextmanager
def prometheus(path: str, *, config: str, folder: Path) -> Iterator[str]:
    (folder / "prometheus.yml").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        path,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            ready = "Server is ready to receive web requests"
            assert any(ready in line for line in process.stderr), "Prometheus did not start"
            # Its log must go on being read, or it would stand still once the pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield f"http://{address}"
        finally:
            process.kill()


def values(url: str, query: str) -> dict[str, str]:
    """The result of an instant query, by job."""
    answer = json.loads(fetch(f"{url}/api/v1/query?query={query}"))
    return {series["metric"]["job"]: series["value"][1] for series in answer["data"]["result"]}


def test_prometheus_finds_every_role_with_the_configuration_of_the_documentation(
    exporter: Program, needs: Callable[[str], str], tmp_path: Path
) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "metrics-exporter.md").read_text()
    (example,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", documented, re.DOTALL)
    config = example.replace("http://127.0.0.1:29100", exporter.url)
    quickly = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
    with prometheus(needs("prometheus"), config=quickly + config, folder=tmp_path) as url:
        deadline = time.monotonic() + SURELY
        while len(values(url, "up")) < 2 and time.monotonic() < deadline:
            # Another process decides when it scrapes, and tells nobody.
            time.sleep(0.1)
        assert values(url, "up") == {"node": "1", "tocsin-exporter": "1"}
        assert set(values(url, "node_load1")) == {"node"}
        assert set(values(url, "tocsin_exporter_build_info")) == {"tocsin-exporter"}


def test_promtool_accepts_every_page(exporter: Program, needs: Callable[[str], str]) -> None:
    promtool = needs("promtool")
    for role in ("", "/self", "/system"):
        page = exporter.get(f"/metrics{role}")
        # These carry the kernel's own names, some of them in camel case, as node_exporter has them. Nothing
        # but that is wrong with them, and node_exporter's own check leaves them out too.
        lines = [line for line in page.splitlines(keepends=True) if "node_memory_" not in line]
        check = subprocess.run(
            [promtool, "check", "metrics"], input="".join(lines), capture_output=True, text=True, timeout=60
        )
        assert (check.stdout + check.stderr, check.returncode) == ("", 0)


def test_promtool_finds_nothing_but_camel_case_in_the_kernels_names(
    exporter: Program, needs: Callable[[str], str]
) -> None:
    page = exporter.get("/metrics")
    check = subprocess.run(
        [needs("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, timeout=60
    )
    complaints = (check.stdout + check.stderr).splitlines()
    assert all("node_memory_" in line and "camelCase" in line for line in complaints)


def test_the_strict_parser_accepts_every_page(exporter: Program) -> None:
    for role in ("", "/self", "/system"):
        page = exporter.get(f"/metrics{role}", Accept="application/openmetrics-text;version=1.0.0")
        found: list[Metric] = list(parse_openmetrics(page))  # type: ignore[no-untyped-call]
        assert len(found) > 10


def test_both_formats_say_the_same(exporter: Program) -> None:
    text = exporter.get("/metrics/system")
    openmetrics = exporter.get("/metrics/system", Accept="application/openmetrics-text;version=1.0.0")
    strict: Iterable[Metric] = parse_openmetrics(openmetrics)  # type: ignore[no-untyped-call]
    plain: Iterable[Metric] = parse_text(text)
    assert [shape(metric) for metric in plain] == [shape(metric) for metric in strict]


def shape(metric: Metric) -> tuple[str, str, str, list[tuple[str, dict[str, str]]]]:
    samples = [(sample.name, sample.labels) for sample in metric.samples]
    return metric.name, metric.type, metric.documentation, samples


def test_names_types_labels_and_stable_values_are_node_exporters(
    exporter: Program, needs: Callable[[str], str]
) -> None:
    with node_exporter(needs("prometheus-node-exporter")) as peer:
        theirs = families(fetch(f"{peer}/metrics"))
        ours = as_before_the_label_device_error(families(exporter.get("/metrics/system")))
    assert set(ours) - NEWER == set(theirs)
    for name, (kind, series) in theirs.items():
        assert (name, ours[name][0]) == (name, kind)
        assert (name, set(ours[name][1])) == (name, set(series))
        if name in STABLE:
            assert (name, ours[name][1]) == (name, series)
    assert set(theirs) >= STABLE - {"node_time_clocksource_available_info", "node_time_clocksource_current_info"}


def test_from_the_same_files_every_value_is_node_exporters(needs: Callable[[str], str]) -> None:
    """Values that move on a living machine stand still in files of our own making."""
    flags = (f"--path.procfs={FIXTURE_PATHS.procfs}", f"--path.sysfs={FIXTURE_PATHS.sysfs}")
    # These two ask the kernel itself, not its files.
    without = ("filesystem", "uname")
    switched_off = [f"--no-collector.{name}" for name in without]
    with (
        node_exporter(needs("prometheus-node-exporter"), *flags, without=without) as peer,
        started(*flags, *switched_off) as program,
    ):
        theirs = families(fetch(f"{peer}/metrics"))
        ours = families(program.get("/metrics/system"))
    assert "node_cpu_core_throttles" in ours
    assert "node_cpu_isolated" in ours
    for volatile in ("node_scrape_collector_duration_seconds", "node_time_seconds", *NEWER):
        ours.pop(volatile, None)
        theirs.pop(volatile, None)
    assert ours == theirs


def test_every_counter_lies_between_node_exporters_before_and_after(
    exporter: Program, needs: Callable[[str], str]
) -> None:
    with node_exporter(needs("prometheus-node-exporter")) as peer:
        before = families(fetch(f"{peer}/metrics"))
        ours = families(exporter.get("/metrics/system"))
        after = families(fetch(f"{peer}/metrics"))
    counters = [name for name, (kind, _) in before.items() if kind == "counter"]
    assert len(counters) >= 5
    for name in counters:
        for labels, value in ours[name][1].items():
            if not labels & HELD:
                assert before[name][1][labels] <= value <= after[name][1][labels], (name, labels)
    now = "node_time_seconds"
    assert before[now][1][frozenset()] < ours[now][1][frozenset()] < after[now][1][frozenset()]
