"""What a machine depends on is killed, stopped and started again; the exporter says which of it is sick, and why."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import fenced, text_of
from tests.real.servers import TOCSIN, Server, environment, free_port, redis, started, until

# Twice in a row, five times a second: a second is enough for everything, and this machine may be busy.
TELLING_SECONDS = 10.0

CONFIGURATION = """
probes:
  allow: ['127.0.0.1']
health:
  dependencies:
    shop: {{probe: {{module: http_2xx, target: 'http://127.0.0.1:{shop}/'}}, needs: [stock, cache], {quick}}}
    stock: {{probe: {{module: http_2xx, target: 'http://127.0.0.1:{stock}/'}}, critical: true, {quick}}}
    cache: {{probe: {{module: tcp_connect, target: '127.0.0.1:{cache}'}}, {quick}}}
"""
QUICK = "every: 200ms, timeout: 500ms, failures: 2, successes: 2, wait: 200ms, wait_max: 1s"

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ {answer} }}
    location /-/ready {{ return 200; }}
  }}
}}
"""


@contextmanager
def nginx(program: str, folder: Path, *, port: int, answer: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, answer=answer))
    command = [program, "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    with started(command, url=f"http://127.0.0.1:{port}", log=folder / "nginx.log") as server:
        yield server


@dataclass
class Shop:
    """A shop that asks its stock, and an exporter beside them."""

    exporter: Server
    stock: Server
    cache: Server
    again: Callable[[str], None]

    def health(self) -> tuple[int, dict[str, Any]]:
        status, body = self.exporter.ask("/health")
        return status, json.loads(body)

    def becomes(self, wanted: Callable[[int, dict[str, Any]], bool], what: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status, found = self.health()
            return found if wanted(status, found) else None

        return until(look, what=what, seconds=TELLING_SECONDS) or {}

    def is_healthy(self) -> None:
        self.becomes(lambda status, found: (status, found["status"]) == (200, "healthy"), "everything is well")

    def detail(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.exporter.ask("/health/detailed")[1])["dependencies"][name]
        return found

    def sample(self, series: str) -> float:
        page = self.exporter.text("/metrics/probes")
        (line,) = [line for line in page.splitlines() if line.startswith(f"{series} ")]
        return float(line.rpartition(" ")[2])


@pytest.fixture
def shop(tmp_path: Path, needs: Callable[[str], str]) -> Iterator[Shop]:
    nginx_program, redis_program = needs("nginx"), needs("redis-server")
    ports = {name: free_port() for name in ("shop", "stock", "cache", "exporter")}
    file = tmp_path / "exporter.yml"
    file.write_text(CONFIGURATION.format(quick=QUICK, **ports))
    with ExitStack() as stack:

        def start(name: str) -> Server:
            match name:
                case "stock":
                    answer = "return 200 'seven left';"
                    return stack.enter_context(nginx(nginx_program, tmp_path / name, port=ports[name], answer=answer))
                case "shop":
                    answer = f"proxy_pass http://127.0.0.1:{ports['stock']};"
                    return stack.enter_context(nginx(nginx_program, tmp_path / name, port=ports[name], answer=answer))
                case _:
                    return stack.enter_context(redis(redis_program, tmp_path, port=ports[name]))

        servers = {name: start(name) for name in ("stock", "shop", "cache")}
        command = [TOCSIN, "exporter", f"--config.file={file}", f"--web.listen-address=127.0.0.1:{ports['exporter']}"]
        exporter = stack.enter_context(
            started(
                [*command, "--statsd.listen-udp=", "--log.format=json"],
                url=f"http://127.0.0.1:{ports['exporter']}",
                log=tmp_path / "exporter.log",
                env=environment(),
            )
        )
        found = Shop(exporter, servers["stock"], servers["cache"], lambda name: start(name) and None)
        found.is_healthy()
        yield found


def test_what_is_killed_is_down_and_what_needs_it_is_sick_because_of_it(shop: Shop) -> None:
    shop.stock.ended(signal.SIGKILL)
    found = shop.becomes(lambda status, _: status == 503, "the stock is critical and down")
    assert found["status"] == "down"
    both = {"stock": "down: refused", "shop": "down: status, because of stock: down: refused"}
    found = shop.becomes(lambda _, found: found["dependencies"] == both, "both are down, one because of the other")
    assert found["root_causes"] == ["stock"]
    assert shop.sample('dependency_up{dependency="stock"}') == 0
    assert shop.sample('dependency_root_cause{dependency="stock"}') == 1
    assert shop.sample('dependency_root_cause{dependency="shop"}') == 0
    detail = shop.detail("stock")
    assert detail["circuit_breaker"]["state"] in ("open", "half_open")
    assert detail["last_success"] <= detail["since"]

    shop.again("stock")
    shop.is_healthy()
    assert shop.sample('dependency_circuit_breaker{dependency="stock",dependency_circuit_breaker="closed"}') == 1
    assert shop.sample('dependency_status_changes_total{dependency="stock",status="down"}') == 1
    told = [json.loads(line) for line in shop.exporter.said.splitlines() if line.startswith("{")]
    stories = [line for line in told if line.get("dependency") == "stock"]
    assert [line["status"] for line in stories] == ["up", "failing", "down", "up"]


def test_what_is_stopped_times_out_and_nobody_else_waits(shop: Shop) -> None:
    shop.stock.process.send_signal(signal.SIGSTOP)
    try:
        both = {"stock": "down: timeout", "shop": "down: timeout, because of stock: down: timeout"}
        found = shop.becomes(lambda _, found: found["dependencies"] == both, "both are down, one because of the other")
        assert found["root_causes"] == ["stock"]
        before = shop.sample('dependency_probes_total{dependency="cache"}')
        until(
            lambda: shop.sample('dependency_probes_total{dependency="cache"}') > before + 3,
            what="the cache is asked as before",
        )
        assert "cache" not in shop.health()[1]["dependencies"]
    finally:
        shop.stock.process.send_signal(signal.SIGCONT)
    shop.is_healthy()


def test_what_is_not_critical_is_degraded_and_still_200(shop: Shop) -> None:
    shop.cache.ended(signal.SIGKILL)
    found = shop.becomes(lambda _, found: found["dependencies"] == {"cache": "down: refused"}, "the cache is down")
    assert (shop.health()[0], found["status"]) == (200, "degraded")
    assert shop.exporter.ask("/health?strict=true")[0] == 503
    shop.again("cache")
    shop.is_healthy()


# --- Kubernetes --------------------------------------------------------------------------------------------------


@dataclass
class Kubelet:
    """Asks as a kubelet does: 200 to 399 in time is a success, so many failures in a row are one, a success ends it."""

    url: str
    probe: Mapping[str, Any]
    failures: int = 0
    slowest: float = 0.0

    @property
    def is_well(self) -> bool:
        return self.failures < self.probe["failureThreshold"]

    def asks(self) -> bool:
        began = time.monotonic()
        try:
            with urllib.request.urlopen(
                self.url + self.probe["httpGet"]["path"], timeout=self.probe["timeoutSeconds"]
            ) as answer:
                well = 200 <= answer.status < 400
        except (OSError, urllib.error.HTTPError):
            well = False
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.failures = 0 if well else self.failures + 1
        return self.is_well


def container() -> dict[str, Any]:
    (block,) = [block for block in fenced(text_of("health.md"), "yaml") if block.startswith("# a container of a pod")]
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def test_the_probes_of_the_page_ask_at_the_port_where_the_exporter_is_told_to_listen() -> None:
    spec = container()
    port = spec["ports"][0]["containerPort"]
    assert f"--web.listen-address=:{port}" in spec["args"]
    for name in ("livenessProbe", "readinessProbe"):
        assert spec[name]["httpGet"]["port"] == port
        assert spec[name]["timeoutSeconds"] <= spec[name]["periodSeconds"]


def test_a_pod_gets_no_work_while_its_stock_is_gone_and_is_never_restarted_for_it(shop: Shop) -> None:
    spec = container()
    liveness, readiness = (Kubelet(shop.exporter.url, spec[name]) for name in ("livenessProbe", "readinessProbe"))

    def both_ask() -> bool:
        assert liveness.asks()
        return readiness.asks()

    assert both_ask()
    shop.stock.ended(signal.SIGKILL)
    until(lambda: not both_ask(), what="the pod is not ready", seconds=TELLING_SECONDS)
    shop.again("stock")
    until(both_ask, what="the pod is ready again", seconds=TELLING_SECONDS)
    assert max(liveness.slowest, readiness.slowest) < 1

    shop.cache.ended(signal.SIGKILL)
    shop.becomes(lambda _, found: found["status"] == "degraded", "the cache is gone")
    assert both_ask()
