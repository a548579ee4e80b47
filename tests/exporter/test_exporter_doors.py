"""The exporter's doors, asked over real connections."""

import asyncio
import html
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import pytest
from aiohttp import ClientSession
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.collectors import Collector
from exporter.control import Plan, Refused
from exporter.doors import parse_telemetry_path
from exporter.outcome import Absent
from tests.exporter.builders import PATIENT, SURELY, Hangs, Running, Says, gauge, promptly, running, sample

TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"


def asked(scenario: Callable[[Running], Awaitable[None]], *collectors: Collector) -> None:
    async def run() -> None:
        async with running(*collectors) as exporter:
            await scenario(exporter)

    promptly(run())


@asynccontextmanager
async def one_scrape_waits(exporter: Running, slow: Hangs) -> AsyncIterator[asyncio.Task[str]]:
    """Inside, a scrape is being served and will be until the end."""
    waiting = asyncio.create_task(exporter.text("/metrics/system"))
    assert await asyncio.to_thread(slow.inside.wait, SURELY)
    try:
        yield waiting
    finally:
        slow.release.set()
        await waiting


def broken() -> None:
    raise ValueError("found '<script>alert(1)</script>', expected a number")


def test_the_whole_page_has_every_role_and_each_role_has_its_own() -> None:
    async def scenario(exporter: Running) -> None:
        whole = await exporter.text("/metrics")
        system = await exporter.text("/metrics/system")
        itself = await exporter.text("/metrics/self")
        assert "node_x 1.0" in whole
        assert "tocsin_exporter_build_info{" in whole
        assert "node_x 1.0" in system
        assert "tocsin_exporter_" not in system
        assert "process_open_fds" in itself
        assert "node_" not in itself

    asked(scenario, Says("x", gauge("node_x")))


def test_the_metrics_can_be_elsewhere_and_every_link_leads_there() -> None:
    async def run() -> None:
        async with running(Says("x", gauge("node_x")), telemetry_path="/a/prom") as exporter:
            assert "node_x 1.0" in await exporter.text("/a/prom")
            assert "node_" not in await exporter.text("/a/prom/self")
            for gone in ("/metrics", "/metrics/self"):
                async with exporter.client.get(gone) as answer:
                    assert answer.status == 404
            groups = json.loads(await exporter.text("/sd"))
            assert [group["labels"]["__metrics_path__"] for group in groups] == ["/a/prom/self", "/a/prom/system"]
            page = Page(await exporter.text("/"))
            assert {"/a/prom", "/a/prom/self", "/a/prom/system"} <= set(page.links)

    promptly(run())


@pytest.mark.parametrize(
    "path", ["/", "", "prom", "/sd", "/sd/x", "/health", "/health/x", "/-/x", "/a//b", "/a/", "/{a}", "/é", "/a?b"]
)
def test_a_path_for_the_metrics_that_is_none_or_another_doors_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="which is no other door's"):
        parse_telemetry_path(path)


def test_the_exporters_own_metrics_can_be_left_out_of_the_whole_page() -> None:
    async def run() -> None:
        async with running(Says("x", gauge("node_x")), left_out=["self"]) as exporter:
            whole = await exporter.text("/metrics")
            assert "node_x 1.0" in whole
            assert "tocsin_exporter_" not in whole
            assert "process_" not in whole
            assert "tocsin_exporter_build_info" in await exporter.text("/metrics/self")

    promptly(run())


def test_the_page_that_meets_a_failure_already_counts_it() -> None:
    async def scenario(exporter: Running) -> None:
        page = await exporter.text("/metrics")
        failures = 'tocsin_exporter_collector_failures_total{collector="bad",reason="error"}'
        assert sample(page, failures) == 1
        assert sample(page, 'node_scrape_collector_success{collector="bad"}') == 0
        assert sample(page, "node_x") == 1

    asked(scenario, Says("bad", then=broken), Says("x", gauge("node_x")))


def test_a_role_that_does_not_exist_is_a_404_that_names_those_that_do() -> None:
    async def scenario(exporter: Running) -> None:
        async with exporter.client.get("/metrics/prober") as answer:
            assert answer.status == 404
            error = (await answer.json())["error"]
            assert error == "no role 'prober' here; the roles are: self, system"

    asked(scenario)


def test_service_discovery_lists_exactly_the_roles_that_answer() -> None:
    async def scenario(exporter: Running) -> None:
        groups = json.loads(await exporter.text("/sd", Host="monitor.example.org:29100"))
        assert groups == [
            {
                "targets": ["monitor.example.org:29100"],
                "labels": {"__metrics_path__": f"/metrics/{role}", "__meta_tocsin_role": role},
            }
            for role in ("self", "system")
        ]
        for group in groups:
            async with exporter.client.get(group["labels"]["__metrics_path__"]) as answer:
                assert answer.status == 200

    asked(scenario)


@pytest.mark.parametrize("host", ["a b", "evil/metrics", "x@y", "[::1", "h:123456", '"', "-x"])
def test_a_host_that_is_no_address_is_answered_with_where_we_listen(host: str) -> None:
    async def scenario(exporter: Running) -> None:
        groups = json.loads(await exporter.text("/sd", Host=host))
        assert {target for group in groups for target in group["targets"]} == {exporter.url.removeprefix("http://")}

    asked(scenario)


def test_prometheus_gets_openmetrics_compressed_and_whole() -> None:
    async def scenario(exporter: Running) -> None:
        headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
        async with exporter.client.get("/metrics", headers=headers) as answer:
            assert answer.headers["Content-Type"] == (
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            )
            assert answer.headers["Content-Encoding"] == "gzip"
            page = await answer.text()
        assert page.endswith("# EOF\n")
        parsed = parse_openmetrics(page)  # type: ignore[no-untyped-call]
        assert "node_x" in [metric.name for metric in parsed]

    asked(scenario, Says("x", gauge("node_x")))


def test_nothing_said_is_plain_text_uncompressed() -> None:
    async def scenario(exporter: Running) -> None:
        async with exporter.client.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "Content-Encoding" not in answer.headers
            assert (await answer.read()).startswith(b"# HELP ")

    asked(scenario, Says("x", gauge("node_x")))


def test_the_scrapers_timeout_is_the_deadline() -> None:
    async def run() -> None:
        slow = Hangs("slow")
        try:
            async with running(slow, Says("x", gauge("node_x"))) as exporter:
                page = await exporter.text("/metrics", **{TIMEOUT: "0.1"})
                assert sample(page, 'node_scrape_collector_success{collector="slow"}') == 0
                assert sample(page, 'tocsin_exporter_collector_stuck{collector="slow"}') == 1
                late = 'tocsin_exporter_collector_failures_total{collector="slow",reason="deadline"}'
                assert sample(page, late) == 1
                assert sample(page, "node_x") == 1
        finally:
            slow.release.set()

    promptly(run())


def test_more_scrapes_than_allowed_are_refused_and_counted() -> None:
    async def run() -> None:
        slow = Hangs("slow")
        async with running(slow, requests_max=1) as exporter:
            async with one_scrape_waits(exporter, slow):
                async with exporter.client.get("/metrics") as answer:
                    assert answer.status == 503
                    assert "--web.max-requests" in (await answer.json())["error"]
                async with exporter.client.get("/-/healthy") as answer:
                    assert answer.status == 200
            page = await exporter.text("/metrics/self")
            assert sample(page, "tocsin_exporter_scrapes_rejected_total") == 1

    promptly(run())


def test_no_limit_on_scrapes_is_zero() -> None:
    async def run() -> None:
        slow = Hangs("slow")
        async with running(slow, requests_max=0) as exporter:
            async with one_scrape_waits(exporter, slow) as waiting:
                assert "process_open_fds" in await exporter.text("/metrics/self")
            assert "node_slow 1.0" in waiting.result()

    promptly(run())


def test_health_is_degraded_while_something_is_missing_and_healthy_again() -> None:
    failing = [True]

    def sometimes() -> None:
        if failing[0]:
            broken()

    async def health(exporter: Running, path: str = "/health") -> tuple[int, dict[str, object]]:
        async with exporter.client.get(path) as answer:
            return answer.status, await answer.json()

    async def scenario(exporter: Running) -> None:
        well = {"status": "healthy", "failing": {}, "dependencies": {}, "root_causes": []}
        assert await health(exporter) == (200, well)
        await exporter.text("/metrics")
        status, found = await health(exporter)
        assert (status, found["status"]) == (200, "degraded")
        assert found["failing"] == {"sick": "found '<script>alert(1)</script>', expected a number"}
        assert await health(exporter, "/health?strict=true") == (503, found)
        assert (await health(exporter, "/health/detailed?strict=true"))[0] == 503
        failing[0] = False
        await exporter.text("/metrics")
        assert await health(exporter) == (200, well)
        assert await health(exporter, "/health?strict=true") == (200, well)

    asked(scenario, Says("sick", gauge("node_x"), then=sometimes))


@pytest.mark.parametrize("query", ["strict=false", "strict=", "strict=true&strict=true", "strict=true&x=1", "x"])
def test_health_with_another_question_is_a_400(query: str) -> None:
    async def scenario(exporter: Running) -> None:
        for path in ("/health", "/health/detailed"):
            async with exporter.client.get(f"{path}?{query}") as answer:
                assert answer.status == 400
                assert (await answer.json())["error"] == "expected strict=true, or nothing"

    asked(scenario)


def test_detailed_health_tells_of_each_collector() -> None:
    async def scenario(exporter: Running) -> None:
        before = json.loads(await exporter.text("/health/detailed"))
        assert before["collectors"]["x"]["status"] == "not run yet"
        await exporter.text("/metrics")
        found = json.loads(await exporter.text("/health/detailed"))["collectors"]
        assert found["x"]["status"] == "ok"
        assert found["x"]["duration_seconds"] > 0
        assert found["x"]["last_success"].endswith("+00:00")
        assert found["bad"]["status"] == "error"
        assert found["bad"]["last_success"] is None
        assert "expected a number" in found["bad"]["error"]

    asked(scenario, Says("x", gauge("node_x")), Says("bad", then=broken))


def test_a_name_clash_is_degraded_and_never_an_error() -> None:
    async def scenario(exporter: Running) -> None:
        page = await exporter.text("/metrics")
        assert page.count("\nnode_x ") == 1
        quarantined = 'tocsin_exporter_families_quarantined_total{collector="second"}'
        assert sample(page, quarantined) == 1
        found = json.loads(await exporter.text("/health"))
        assert found["failing"] == {"second": "node_x is left out: the name belongs to first"}

    asked(scenario, Says("first", gauge("node_x")), Says("second", gauge("node_x")))


def test_a_reload_puts_the_new_plan_into_force() -> None:
    plans = [Plan(("b",), PATIENT)]

    async def run() -> None:
        async with running(Says("a", gauge("node_a")), Says("b", gauge("node_b")), load=plans.pop) as exporter:
            assert "node_a" in await exporter.text("/metrics/system")
            async with exporter.client.post("/-/reload") as answer:
                assert (answer.status, await answer.json()) == (200, {"status": "reloaded"})
            page = await exporter.text("/metrics")
            assert "node_a" not in page
            assert sample(page, "node_b") == 1
            assert sample(page, "tocsin_exporter_config_last_reload_successful") == 1
            assert sample(page, "tocsin_exporter_config_last_reload_success_timestamp_seconds") > 0

    promptly(run())


def test_a_refused_reload_names_every_fault_and_changes_nothing() -> None:
    faults = ("exporter.yml:1: timeout: found 'x'", "exporter.yml:2: collectors: found 'y'")

    def refuse() -> Plan:
        raise Refused(faults)

    async def run() -> None:
        async with running(Says("a", gauge("node_a")), load=refuse) as exporter:
            async with exporter.client.post("/-/reload") as answer:
                assert answer.status == 500
                assert (await answer.json())["faults"] == list(faults)
            page = await exporter.text("/metrics")
            assert sample(page, "node_a") == 1
            assert sample(page, "tocsin_exporter_config_last_reload_successful") == 0
            assert sample(page, "tocsin_exporter_config_last_reload_success_timestamp_seconds") == 0
            found = json.loads(await exporter.text("/health"))
            assert list(found["failing"]) == ["configuration"]

    promptly(run())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/metrics", "GET,HEAD"),
        ("DELETE", "/metrics/system", "GET,HEAD"),
        ("PUT", "/sd", "GET,HEAD"),
        ("GET", "/-/reload", "POST"),
        ("POST", "/", "GET,HEAD"),
    ],
)
def test_the_wrong_method_is_a_405_in_json(method: str, path: str, allowed: str) -> None:
    async def scenario(exporter: Running) -> None:
        async with exporter.client.request(method, path) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, allowed)
            assert "error" in await answer.json()

    asked(scenario)


@pytest.mark.parametrize("path", ["/", "/metrics", "/metrics/self", "/sd", "/-/healthy", "/-/ready", "/health"])
def test_head_is_get_without_the_body(path: str) -> None:
    async def scenario(exporter: Running) -> None:
        async with exporter.client.head(path) as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) > 0
            assert await answer.read() == b""

    asked(scenario)


class Page(HTMLParser):
    """The links of a page, its text, and everything that it would fetch or run."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.foreign: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag in ("script", "link", "img", "iframe", "object") or any(name == "src" for name, _ in attrs):
            self.foreign.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


async def every_link_answers(client: ClientSession, page: Page) -> None:
    assert "/metrics/system" in page.links
    for link in page.links:
        async with client.get(link) as answer:
            assert answer.status in (200, 503)


def test_the_start_page_leads_to_every_door_and_says_what_is_failing() -> None:
    async def scenario(exporter: Running) -> None:
        assert "Nobody has scraped yet" in Page(await exporter.text("/")).text
        await exporter.text("/metrics")
        source = await exporter.text("/")
        page = Page(source)
        assert "found '<script>alert(1)</script>', expected a number" in page.text
        assert html.escape("<script>alert(1)</script>") in source
        assert page.foreign == []
        await every_link_answers(exporter.client, page)

    asked(scenario, Says("bad", then=broken))


def test_the_start_page_says_what_is_not_on_this_machine() -> None:
    def nothing() -> None:
        raise Absent("no /proc/mdstat")

    async def scenario(exporter: Running) -> None:
        await exporter.text("/metrics")
        text = Page(await exporter.text("/")).text
        assert "Nothing is failing." in text
        assert "The last scrape asked 2 collectors. Not on this machine: mdadm." in text

    asked(scenario, Says("cpu", gauge("node_x")), Says("mdadm", then=nothing))
