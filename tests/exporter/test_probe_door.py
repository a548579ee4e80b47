"""GET /probe as Prometheus asks for it."""

import asyncio
import json
import socket
import urllib.error
from pathlib import Path

import pytest

from exporter.probes.door import PROBES_MAX, ProbeDoor
from guard.web.messages import Answer, Request
from tests.exporter.builders import promptly
from tests.exporter.probing import SHORT_SECONDS, file_with, open_files, probes_of, server, silent
from tests.exporter.program import started

CONFIG = """
probes:
  allow: ['127.0.0.1', 'localhost']
  modules:
    secretive: {prober: http, timeout: 500ms, http: {headers: {X-Api-Key: '${KEY}', X-Way: Very-Private}}}
    soon: {prober: http, timeout: 500ms}
    telling: {prober: tcp, tcp: {query_response: [{send: 'PASS Very-Private'}, {expect: HTTP}]}}
"""


def request(query: str, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", "/probe", query, named, {}, b"", "127.0.0.1", None, False, None)


async def probed(query: str, text: str = "{}", **headers: str) -> Answer:
    return await ProbeDoor(probes_of(text), timeout_offset_seconds=0.5).probe(request(query, **headers))


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "target"),
        ("target=", 400, "target"),
        ("target=127.0.0.1:1&module=unheard", 400, "tcp_connect"),
        ("target=nonsense&module=tcp_connect", 400, "HOST:PORT"),
        ("target=a&hostname=a%0d%0ab", 400, "hostname"),
        ("target=a&hostname=a..b", 400, "hostname"),
        (f"target=a&hostname={64 * 'a'}.org", 400, "hostname"),
        ("target=127.0.0.1:1&module=tcp_connect", 403, "probes.allow in exporter.yml"),
        ("target=169.254.169.254", 403, "probes.allow in exporter.yml"),
    ],
)
def test_who_asks_for_what_cannot_be_is_told_why(query: str, status: int, words: str) -> None:
    answer = promptly(probed(query))
    assert answer.status == status
    assert words in json.loads(answer.body)["error"]


def test_the_scraper_says_how_long_it_may_take() -> None:
    async def scenario() -> list[str]:
        text = "probes: {allow: ['127.0.0.1'], modules: {soon: {prober: http, timeout: 500ms}}}"
        seen = []
        async with server(silent) as port:
            for module, header in (("soon", "10"), ("http_2xx", "0.8"), ("http_2xx", "0.2")):
                answer = await probed(
                    f"target=127.0.0.1:{port}&module={module}", text, x_prometheus_scrape_timeout_seconds=header
                )
                assert b"probe_success 0.0\n" in answer.body
                assert b'probe_failure_info{reason="timeout"} 1\n' in answer.body
                (line,) = [line for line in answer.body.decode().splitlines() if line.startswith("probe_timeout")]
                seen.append(line.split()[1][:4])
        return seen

    assert promptly(scenario()) == ["0.5", "0.4", "0.1"]


def test_a_black_hole_costs_its_timeout_and_nothing_else() -> None:
    """A socket whose queue is full answers no more: not even the handshake of TCP."""

    async def scenario() -> None:
        text = "probes: {allow: ['127.0.0.1'], modules: {soon: {prober: tcp, timeout: 500ms}}}"
        door = ProbeDoor(probes_of(text), timeout_offset_seconds=0.5)
        with socket.create_server(("127.0.0.1", 0), backlog=0) as hole:
            port = hole.getsockname()[1]
            before = open_files()
            fill = [socket.socket() for _ in range(4)]
            for each in fill:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            loop = asyncio.get_running_loop()
            began = loop.time()
            lost = [asyncio.create_task(door.probe(request(f"target=127.0.0.1:{port}&module=soon"))) for _ in range(40)]
            async with server(silent) as well:
                await asyncio.sleep(0)
                quick = [await door.probe(request(f"target=127.0.0.1:{well}&module=tcp_connect")) for _ in range(10)]
                assert not any(task.done() for task in lost)
            assert all(b"probe_success 1.0\n" in answer.body for answer in quick)
            answers = await asyncio.gather(*lost)
            assert loop.time() - began < SHORT_SECONDS + 5
            assert all(b'reason="timeout"} 1\n' in answer.body for answer in answers)
            for each in fill:
                each.close()
            for _ in range(100):
                await asyncio.sleep(0)
            assert open_files() <= before

    promptly(scenario())


def test_there_are_only_so_many_at_once() -> None:
    async def scenario() -> None:
        probes = probes_of("probes: {allow: ['127.0.0.1'], modules: {soon: {prober: http, timeout: 500ms}}}")
        door = ProbeDoor(probes, timeout_offset_seconds=0.5)
        async with server(silent) as port:
            asked = request(f"target=127.0.0.1:{port}&module=soon")
            answers = await asyncio.gather(*(door.probe(asked) for _ in range(PROBES_MAX + 3)))
            assert sorted(answer.status for answer in answers)[-4:] == [200, 503, 503, 503]
            assert (await door.probe(asked)).status == 200
        assert probes.counts.rejected["busy"] == 3

    promptly(scenario())


def test_the_program_probes_and_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k3y-of-the-house")
    config = file_with(tmp_path, "exporter.yml", CONFIG)
    with started(f"--config.file={config}") as program:
        own = program.url.removeprefix("http://")
        page = program.get(f"/probe?target={own}&module=http_2xx")
        assert "probe_success 1.0\n" in page
        assert "probe_http_status_code 200\n" in page
        shown = program.get(f"/probe?target={own}&module=secretive&debug=true")
        assert "Logs for the probe:" in shown
        assert "Module configuration:" in shown
        assert "k3y" not in shown
        assert "Very-Private" not in shown
        told = program.get(f"/probe?target={own}&module=telling&debug=true")
        assert '"send": "(not shown)"' in told
        assert "Very-Private" not in told
        with pytest.raises(urllib.error.HTTPError) as refused:
            program.get("/probe?target=192.0.2.1")
        with refused.value as error:
            assert error.code == 403
        metrics = program.get("/metrics/self")
        assert 'tocsin_exporter_probes_total{prober="http"} 2\n' in metrics
        assert 'tocsin_exporter_probes_total{prober="tcp"} 1\n' in metrics
        assert 'tocsin_exporter_probes_rejected_total{reason="not_allowed"} 1\n' in metrics


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("probes: {allow: ['10.0.0.0/40']}", "probes.allow[0]"),
        ("probes: {modules: {m: {prober: icmp}}}", "probes.modules.m.prober"),
        ("probes: {modules: {m: {prober: tcp, http: {method: POST}}}}", "probes.modules.m.http"),
        ("probes: {modules: {m: {prober: http, timeout: 3d}}}", "probes.modules.m.timeout"),
        ("probes: {modules: {m: {prober: http, http: {fail_if_body_matches_regexp: ['(']}}}}", "regexp[0]"),
        ("probes: {modules: {m: {prober: http, http: {tls_config: {cert_file: README.md}}}}}", "tls_config"),
        ("probes: {modules: {m: {prober: http, http: {headers: {Authorization: plain}}}}}", "Authorization"),
        ('probes: {modules: {m: {prober: http, http: {headers: {X: "a\\r\\nb"}}}}}', "headers.X"),
        ('probes: {modules: {m: {prober: http, http: {headers: {X: "a\\n"}}}}}', "headers.X"),
        ('probes: {modules: {m: {prober: http, http: {headers: {"X\\n": a}}}}}', "headers"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(Exception, match=r"exporter\.yml") as wrong:
        probes_of(text)
    assert fault in str(wrong.value)
