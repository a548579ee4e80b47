"""The exporter's pages in front of those that read them: promtool, the strict parser, Prometheus."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.exporter.builders import SURELY
from tests.exporter.program import Program, started
from tests.real.peer import fetch, strictly

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
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
        wanted = dict.fromkeys(("app", "node", "probes", "security", "tocsin-exporter"), "1")
        while values(url, "up") != wanted and time.monotonic() < deadline:
            # Another process decides when it scrapes, and tells nobody.
            time.sleep(0.1)
        assert values(url, "up") == wanted
        assert set(values(url, "node_load1")) == {"node"}
        assert set(values(url, "tocsin_exporter_build_info")) == {"tocsin-exporter"}


def complaints(promtool: str, page: str) -> set[str]:
    check = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    return set((check.stdout + check.stderr).splitlines())


def test_the_strict_parser_accepts_every_page(exporter: Program) -> None:
    for role in ("", "/self", "/system"):
        page = exporter.get(f"/metrics{role}", Accept="application/openmetrics-text;version=1.0.0")
        assert len(strictly(page)) > 10


def test_both_formats_say_the_same() -> None:
    # What is mounted changes now and then, also between two scrapes.
    with started("--no-collector.filesystem") as exporter:
        text = exporter.get("/metrics/system")
        openmetrics = exporter.get("/metrics/system", Accept="application/openmetrics-text;version=1.0.0")
    strict = strictly(openmetrics)
    plain: Iterable[Metric] = parse_text(text)
    assert [shape(metric) for metric in plain] == [shape(metric) for metric in strict]


def shape(metric: Metric) -> tuple[str, str, str, list[tuple[str, dict[str, str]]]]:
    samples = [(sample.name, sample.labels) for sample in metric.samples]
    return metric.name, metric.type, metric.documentation, samples
