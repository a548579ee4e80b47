"""What a real Prometheus keeps of our pages, in every format that it can ask for, is what the pages say.

The pages are those of the made-up machines, which stand still, so that two scrapes say the same. One of them has been
given the worst names that its files can carry. Prometheus asks through a door in between that speaks for versions
which are newer than the one installed here.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.exporter import hostile, machine
from tests.exporter.builders import SURELY
from tests.exporter.program import started
from tests.real.servers import free_port, prometheus, until

pytestmark = pytest.mark.real

# What Prometheus 3 says for each of its `scrape_protocols`.
PROTOCOLS = {
    "PrometheusText0_0_4": "text/plain;version=0.0.4;escaping=underscores;q=0.6,*/*;q=0.1",
    "PrometheusText1_0_0": "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.1",
    "OpenMetricsText0_0_1": "application/openmetrics-text;version=0.0.1;escaping=underscores;q=0.6,*/*;q=0.1",
    "OpenMetricsText1_0_0": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.1",
    "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    ";escaping=underscores;q=0.6,*/*;q=0.1",
}
# What Prometheus adds to each series itself.
ADDED = {"__name__", "instance", "job", "tested_machine", "tested_protocol"}
# What moves between two scrapes of files that stand still: clocks, and the disk on which the files are.
MOVING = ("node_filesystem_", "node_scrape_collector_duration_", "node_time_", "node_timex_")

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def machines(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of two exporters: on the machine `server` as it is, and as its enemies would have it."""
    with ExitStack() as stack:
        addresses = {}
        for name in ("server", "hostile"):
            machine.unpack("server", folder / name)
            if name == "hostile":
                for carrier, worst in zip(hostile.CARRIERS, hostile.WORST * 9, strict=False):
                    carrier.write(folder / name, worst)
                (folder / name / "proc/1/mountinfo").write_bytes(hostile.mountinfo(hostile.WORST))
            addresses[name] = stack.enter_context(started(*machine.flags(folder / name))).url
        yield addresses


@contextmanager
def door_between(addresses: dict[str, str]) -> Iterator[str]:
    """Asks an exporter in the words of the protocol: /MACHINE/PROTOCOL."""

    class Between(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, name, protocol = self.path.split("/")
            request = urllib.request.Request(
                f"{addresses[name]}/metrics/system", headers={"Accept": PROTOCOLS[protocol]}
            )
            with urllib.request.urlopen(request, timeout=SURELY) as answer:
                body = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def configuration(door: str, names: list[str]) -> str:
    """JSON is YAML."""
    jobs = [
        {
            "job_name": f"{name}-{protocol}",
            "metrics_path": f"/{name}/{protocol}",
            "static_configs": [{"targets": [door], "labels": {"tested_machine": name, "tested_protocol": protocol}}],
        }
        for name in names
        for protocol in PROTOCOLS
    ]
    return json.dumps({"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": jobs})


def without_what_moves(series: Series) -> Series:
    return {key: 0.0 if key[0].startswith(MOVING) else value for key, value in series.items()}


def on_the_page(url: str) -> Series:
    with urllib.request.urlopen(f"{url}/metrics/system", timeout=SURELY) as answer:
        page = answer.read().decode()
    return without_what_moves(
        {
            (sample.name, frozenset(pair for pair in sample.labels.items() if pair[1])): float(sample.value)
            for family in parse_text(page)
            for sample in family.samples
        }
    )


def stored(url: str, name: str, protocol: str) -> Series:
    selector = quote(f'{{tested_machine="{name}",tested_protocol="{protocol}",__name__=~"node_.+"}}')
    with urllib.request.urlopen(f"{url}/api/v1/query?query={selector}", timeout=SURELY) as answer:
        found = json.load(answer)["data"]["result"]
    return without_what_moves(
        {
            (
                each["metric"]["__name__"],
                frozenset(pair for pair in each["metric"].items() if pair[0] not in ADDED),
            ): float(each["value"][1])
            for each in found
        }
    )


def test_in_every_format_prometheus_keeps_what_the_page_says(needs: Callable[[str], str], tmp_path: Path) -> None:
    program = needs("prometheus")
    config = tmp_path / "prometheus.yml"
    with machines(tmp_path) as addresses, door_between(addresses) as door:
        config.write_text(configuration(door, list(addresses)))
        pages = {name: on_the_page(url) for name, url in addresses.items()}
        assert all(len(page) > 500 for page in pages.values())
        with prometheus(program, tmp_path, configuration=config, port=free_port()) as server:
            for name in addresses:
                for protocol in PROTOCOLS:
                    kept = until(lambda: stored(server.url, name, protocol), what=f"{name} by {protocol}")  # noqa: B023
                    assert kept == pages[name], (name, protocol)
