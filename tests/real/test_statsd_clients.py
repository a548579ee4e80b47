"""Clients from PyPI and npm, as people use them: every type, and the values that are then on the page, exactly."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from datadog.dogstatsd import DogStatsd
from prometheus_client.parser import text_string_to_metric_families as parse_text
from statsd import StatsClient

from tests.exporter.builders import SURELY
from tests.exporter.program import Program, started
from tests.exporter.statsd.test_statsd_sockets import ANY_PORT, address, own
from tests.left_out import left_out
from tests.real.servers import free_port, prometheus, until

pytestmark = pytest.mark.real

NODE = Path(__file__).parent / "node"
MAPPING = """
mappings:
- {match: shop.*.*.duration, name: shop_duration_seconds, labels: {shop: $1, step: $2}}
"""

Series = dict[str, float]


def page(program: Program, path: str = "/metrics/app/statsd") -> Series:
    """Without buckets; labels as they are written, without empty ones."""
    return {
        f"{sample.name}{written(sample.labels)}": sample.value
        for family in parse_text(program.get(path))
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def written(labels: dict[str, str]) -> str:
    return "".join(f" {name}={value}" for name, value in sorted(labels.items()) if value)


def arrived(program: Program, lines: int) -> Series:
    """What is on the page when so many lines have come."""
    until(
        lambda: own(program, "tocsin_exporter_statsd_lines_total") >= lines,
        what=f"{lines} lines",
        seconds=SURELY,
    )
    return page(program)


def test_the_statsd_package_of_python(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(MAPPING)
    with started(ANY_PORT, f"--statsd.mapping-config={mapping}") as program:
        host, port = address(program)
        client = StatsClient(host, port, prefix="shop")
        client.incr("hits")
        client.incr("hits", 4)
        client.decr("fallen")
        client.gauge("level", 12.5)
        client.gauge("level", -2.5, delta=True)
        client.gauge("below", -3)
        client.timing("paris.pay.duration", 320)
        client.set("users", "ana")
        client.set("users", "ben")
        client.set("users", "ana")
        with client.pipeline() as pipe:
            for _ in range(50):
                pipe.incr("piped")
        with client.timer("timed"):
            time.monotonic()
        found = arrived(program, 1 + 1 + 1 + 2 + 2 + 1 + 3 + 50 + 1)
        assert own(program, 'tocsin_exporter_statsd_faults_total{reason="negative"}') == 1
        client.close()
    assert 0 <= found.pop("shop_timed_sum") < SURELY
    assert found == {
        "shop_hits_total": 5.0,
        "shop_level": 10.0,
        "shop_below": -3.0,
        "shop_duration_seconds_count shop=paris step=pay": 1.0,
        "shop_duration_seconds_sum shop=paris step=pay": 0.32,
        "shop_users": 2.0,
        "shop_piped_total": 50.0,
        "shop_timed_count": 1.0,
    }


@pytest.mark.parametrize("way", ["udp", "unixgram"])
@pytest.mark.parametrize("aggregates", [True, False], ids=["aggregated", "line by line"])
def test_the_datadog_package_of_python(way: str, aggregates: bool, tmp_path: Path) -> None:
    path = tmp_path / "dsd.sock"
    with started(ANY_PORT, f"--statsd.listen-unixgram={path}") as program:
        host, port = address(program)
        client = DogStatsd(
            host=host,
            port=port,
            socket_path=str(path) if way == "unixgram" else None,
            disable_telemetry=True,
            disable_aggregation=not aggregates,
            # Otherwise it does not wait where the kernel holds as many packets as it may.
            socket_timeout=int(SURELY),
            constant_tags=["env:test"],
        )
        client.increment("hits")
        client.increment("hits", 4, tags=["plan:free"])
        client.gauge("level", 12.5)
        for value in (0.25, 0.5, 1):
            client.histogram("size", value)
            client.distribution("spread", value)
            client.timing("duration", value * 1000)
        client.set("users", "ana")
        client.set("users", "ben")
        client.event("deployed", "version 7")
        client.service_check("database", DogStatsd.OK)
        client.flush()
        expected = {
            "hits_total env=test": 1.0,
            "hits_total env=test plan=free": 4.0,
            "level env=test": 12.5,
            **{f"{name}_count env=test": 3.0 for name in ("size", "spread", "duration")},
            **{f"{name}_sum env=test": 1.75 for name in ("size", "spread", "duration")},
            "users env=test": 2.0,
        }
        until(lambda: page(program) == expected, what=f"{expected}", seconds=SURELY)
        until(lambda: own(program, "tocsin_exporter_statsd_ignored_total") == 2, what="event and check", seconds=SURELY)
        assert 'faults_total{reason="value"} 0' in program.get("/metrics/self")
        client.stop()
        client.close_socket()


def node_modules() -> Path:
    folder = NODE / "node_modules"
    if shutil.which("node") is None or not folder.is_dir():
        left_out("the packages of tests/real/node are not installed (`make packages` does it, with node and npm)")
    return folder


def test_hot_shots_of_node() -> None:
    node_modules()
    with started(ANY_PORT) as program:
        _, port = address(program)
        subprocess.run(["node", "send.js", str(port)], cwd=NODE, check=True, timeout=SURELY)
        found = arrived(program, 1 + 1 + 1 + 2 + 1 + 2 + 2 + 2 + 1 + 50)
        assert own(program, 'tocsin_exporter_statsd_faults_total{reason="negative"}') == 1
        assert own(program, "tocsin_exporter_statsd_ignored_total") == 2
    assert found == {
        "node_hits_total": 1.0,
        "node_hits_total page=/a:b plan=free": 4.0,
        "node_level": 10.0,
        "node_duration_count step=pay": 1.0,
        "node_duration_sum step=pay": 0.32,
        "node_size_count": 1.0,
        "node_size_sum": 0.5,
        "node_spread_count": 1.0,
        "node_spread_sum": 0.5,
        "node_users": 2.0,
        "telegraf_hits_total plan=free": 2.0,
        "buffered_hits_total": 50.0,
    }


def test_a_real_prometheus_has_what_was_sent(needs: Callable[[str], str], tmp_path: Path) -> None:
    with started(ANY_PORT) as program:
        host, port = address(program)
        client = StatsClient(host, port)
        client.incr("hits", 7)
        client.timing("duration", 320)
        client.close()
        arrived(program, 2)
        configuration = tmp_path / "prometheus.yml"
        job = {
            "job_name": "app",
            "metrics_path": "/metrics/app",
            "static_configs": [{"targets": [program.url.removeprefix("http://")]}],
        }
        configuration.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
        with prometheus(needs("prometheus"), tmp_path, configuration=configuration, port=free_port()) as server:

            def asked(query: str) -> list[str]:
                with urlopen(f"{server.url}/api/v1/query?query={quote(query)}", timeout=SURELY) as answer:
                    return [each["value"][1] for each in json.load(answer)["data"]["result"]]

            until(lambda: asked("hits_total") == ["7"], what="the counter", seconds=SURELY)
            assert asked('duration_bucket{le="0.5"}') == ["1"]
            assert asked('duration_bucket{le="0.25"}') == ["0"]
            assert asked('up{job="app"}') == ["1"]
