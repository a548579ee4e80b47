"""Real applications in their real servers, with the middleware; a real exporter; what a real Prometheus then has."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.real.servers import (
    REPOSITORY,
    Server,
    environment,
    exporter,
    free_port,
    prometheus,
    started,
    until,
)

pytestmark = pytest.mark.real

SHOP = """
import tocsin, tocsin.asgi
from fastapi import FastAPI
app = FastAPI()
app.add_middleware(tocsin.asgi.Middleware)

@app.get("/cart/{number}")
def cart(number: int) -> dict:
    tocsin.event("feature_used", feature="cart")
    return {"number": number}

@app.get("/fails")
def fails() -> None:
    raise LookupError
"""
KIOSK = """
import os
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, MIDDLEWARE=["tocsin.django.Middleware"], ALLOWED_HOSTS=["*"], SECRET_KEY="x")
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
import tocsin
tocsin.event("feature_used", feature="before_the_fork")

def cart(request, number):
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("cart/<int:number>/", cart)]
application = get_wsgi_application()
"""
CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: app
    metrics_path: /metrics/app
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


@contextmanager
def serving(folder: Path, *arguments: str, ready: str, events: int) -> Iterator[Server]:
    port = free_port()
    with started(
        [sys.executable, "-m", *(each.replace("PORT", str(port)) for each in arguments)],
        url=f"http://127.0.0.1:{port}",
        log=folder / "application.log",
        ready=ready,
        cwd=folder,
        env=environment(
            PYTHONPATH=str(REPOSITORY),
            TOCSIN_EVENTS_URL=f"http://127.0.0.1:{events}/events",
            TOCSIN_EVENTS_SOURCE="shop",
        ),
    ) as server:
        yield server


@contextmanager
def shop(folder: Path, *, events: int) -> Iterator[Server]:
    (folder / "shop.py").write_text(SHOP)
    arguments = ("uvicorn", "shop:app", "--port=PORT", "--log-level=warning")
    with serving(folder, *arguments, ready="/cart/1", events=events) as server:
        yield server


@contextmanager
def kiosk(folder: Path, *, events: int) -> Iterator[Server]:
    (folder / "kiosk.py").write_text(KIOSK)
    arguments = ("gunicorn", "kiosk:application", "--bind=127.0.0.1:PORT", "--workers=2", "--preload")
    with serving(folder, *arguments, ready="/cart/1/", events=events) as server:
        yield server


def count(server: Server, name: str, **labels: str) -> float:
    """The sum of the series of a page that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in server.text("/metrics/app").splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))


REQUESTS = "http_server_request_duration_seconds_count"


def test_a_real_fastapi_application_shows_its_routes_in_a_real_prometheus(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    program = needs("prometheus")
    port, watching = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=port))
    with ExitStack() as stack:
        stack.enter_context(exporter(tmp_path, port=port))
        application = stack.enter_context(shop(tmp_path, events=port))
        server = stack.enter_context(
            prometheus(program, tmp_path, configuration=tmp_path / "prometheus.yml", port=watching)
        )
        for number in range(20):
            status, _ = application.ask(f"/cart/{number}", headers={"X-Correlation-ID": "order-4711"})
            assert status == 200
        assert application.ask("/fails")[0] == 500
        assert application.ask("/ana@example.org")[0] == 404

        def found(query: str) -> dict[tuple[str, ...], float]:
            _, body = server.ask(f"/api/v1/query?query={quote(query)}")
            return {
                tuple(
                    value for name, value in sorted(each["metric"].items()) if name.startswith(("http_", "error_"))
                ): (float(each["value"][1]))
                for each in json.loads(body)["data"]["result"]
            }

        # One more asked whether it is ready.
        expected = {
            ("GET", "200", "/cart/{number}"): 21.0,
            ("GET", "500", "/fails"): 1.0,
            ("GET", "404", "unmatched"): 1.0,
        }
        until(
            lambda: found(f"sum by (http_request_method,http_response_status_code,http_route)({REQUESTS})") == expected,
            what="Prometheus has every request by its route",
        )
        assert found("app_errors_total") == {("LookupError",): 1.0}
        assert found("sum(http_server_active_requests)") == {(): 0.0}
        assert found('sum(business_feature_uses_total{feature="cart"})') == {(): 21.0}
        page = server.ask("/api/v1/series?match[]={__name__=~'.%2B'}")[1].decode()
        assert "ana@" not in page


def test_a_pre_forking_server_counts_every_request_of_every_worker_once(tmp_path: Path) -> None:
    port = free_port()
    with exporter(tmp_path, port=port) as events, kiosk(tmp_path, events=port) as application:
        answered: list[bytes] = []

        def both() -> bool:
            answered.append(application.ask(f"/cart/{len(answered)}/")[1])
            return len({*answered}) == 2 and len(answered) >= 30

        until(both, what="both workers have answered")
        route = "/cart/<int:number>/"
        until(lambda: count(events, REQUESTS, http_route=route) == len(answered) + 1, what="every request is counted")
        assert count(events, "business_feature_uses_total", feature="before_the_fork") == 1
        assert application.ended(signal.SIGTERM) == 0
        assert count(events, REQUESTS, http_route=route) == len(answered) + 1


def test_requests_do_not_notice_an_exporter_that_is_away_killed_or_hangs(tmp_path: Path) -> None:
    port = free_port()
    slowest: dict[str, float] = {}

    def ask(application: Server, what: str) -> None:
        for _ in range(20):
            began = time.monotonic()
            assert application.ask("/cart/1")[0] == 200
            slowest[what] = max(slowest.get(what, 0.0), time.monotonic() - began)

    with shop(tmp_path, events=port) as application:
        ask(application, "away")
        with exporter(tmp_path, port=port) as events:
            until(lambda: count(events, REQUESTS) == 21, what="what happened before it came is counted")
            events.process.send_signal(signal.SIGSTOP)
            ask(application, "hangs")
            events.process.send_signal(signal.SIGCONT)
            until(lambda: count(events, REQUESTS) == 41, what="what happened while it hung is counted once")
            events.process.kill()
            events.process.wait()
            ask(application, "killed")
        with exporter(tmp_path, port=port) as events:
            until(lambda: count(events, REQUESTS) >= 20, what="what happened while it was dead is counted")
            ask(application, "back")
            until(lambda: count(events, REQUESTS) == 40, what="and so is what happens now")
    # Each is answered as if nothing were the matter: a connection that hangs is given up after seconds.
    assert max(slowest.values()) < 1.0, slowest
