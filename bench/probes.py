"""What a probe of a black hole costs, and whom: beside probes of a server that answers.

    python -m bench.probes [--rounds=40] [--holes=10]

An exporter probes, by HTTP, a server that answers at once, and several that take connections and never say a word: each
of those for a second, which is their module's time-out, all of them at once, again and again. Times
are those of who asks `/probe`; processor time is the exporter's. The table has the least, the middle and the most.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.servers import free_port, running

TIMEOUT_SECONDS = 1.0
CONFIGURATION = f"""
probes:
  allow: ['127.0.0.1']
  modules: {{web: {{prober: http, timeout: {TIMEOUT_SECONDS:g}s}}}}
"""


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def who_answers() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class Exporter:
    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._process = process

    def probe(self, port: int) -> tuple[float, bool]:
        """How many seconds it took, and whether it went well."""
        began = time.perf_counter()
        url = f"{self._url}/probe?module=web&target=http://127.0.0.1:{port}/"
        with urllib.request.urlopen(url, timeout=30) as answer:
            said = answer.read().decode()
        return time.perf_counter() - began, "\nprobe_success 1" in said

    def busy_seconds(self) -> float:
        """Of processor time, until now."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def probed(exporter: Exporter, port: int, rounds: int) -> list[float]:
    """Of a server that answers, one after the other, with a pause as a scraper makes it; in milliseconds."""
    took = []
    for _ in range(rounds):
        seconds, well = exporter.probe(port)
        assert well
        took.append(seconds * 1e3)
        time.sleep(0.05)
    return took


def until_over(exporter: Exporter, port: int, over: threading.Event) -> list[float]:
    took = []
    while not over.is_set():
        seconds, well = exporter.probe(port)
        assert not well
        took.append(seconds * 1e3)
    return took


def shown(values: Sequence[float]) -> str:
    return " | ".join(f"{of(values):,.1f}" for of in (min, statistics.median, max))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--holes", type=int, default=10)
    asked = parser.parse_args()
    with ExitStack() as standing:
        folder = Path(standing.enter_context(tempfile.TemporaryDirectory()))
        (folder / "exporter.yml").write_text(CONFIGURATION)
        port = free_port()
        flags = ["--config.file=exporter.yml", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp="]
        command = [sys.executable, "-m", "exporter", *flags]
        ready = f"http://127.0.0.1:{port}/-/ready"
        process = standing.enter_context(running(command, ready=ready, folder=folder))
        exporter = Exporter(port, process)
        web = standing.enter_context(who_answers())
        # The kernel takes their connections, and nobody else does.
        holes = [standing.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(asked.holes)]
        alone = probed(exporter, web, asked.rounds)
        over = threading.Event()
        with ThreadPoolExecutor(asked.holes) as others:
            waiting = [others.submit(until_over, exporter, each.getsockname()[1], over) for each in holes]
            beside = probed(exporter, web, asked.rounds)
            over.set()
            lost = [each for one in waiting for each in one.result()]
        before = exporter.busy_seconds()
        with ThreadPoolExecutor(asked.holes) as others:
            list(others.map(lambda each: exporter.probe(each.getsockname()[1]), holes * 5))
        busy = (exporter.busy_seconds() - before) / (5 * asked.holes) * 1e3
    print("| how long a probe takes, ms | least | middle | most |")
    print("|---|---|---|---|")
    print(f"| of a server that answers | {shown(alone)} |")
    print(f"| of the same, beside {asked.holes} black holes | {shown(beside)} |")
    print(f"| of a black hole, whose time-out is {TIMEOUT_SECONDS * 1e3:,.0f} ms | {shown(lost)} |")
    print(f"\nProcessor time of the exporter for a black hole: {busy:.1f} ms.")


if __name__ == "__main__":
    main()
