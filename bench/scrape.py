"""What a scrape costs, beside node_exporter with the same collectors in the same run.

    python -m bench.scrape [--rounds=7] [--scrapes=300]

Both programs are started here, on free ports of the loopback, and are scraped in turns as Prometheus scrapes
them: one connection kept alive, OpenMetrics asked for, gzip accepted. Processor time is the kernel's count for
the whole process (user and system), divided by the scrapes of the round. The table shows the least, the middle
and the most of all rounds.
"""

import argparse
import contextlib
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.collectors import COLLECTORS
from exporter.collectors.filesystem import MOUNT_POINTS_EXCLUDED, TYPES_EXCLUDED

HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
WARM_UP_SCRAPES = 50


class Peer(NamedTuple):
    name: str
    process_id: int
    connection: http.client.HTTPConnection
    path: str


class Round(NamedTuple):
    cpu_milliseconds: float
    wall_milliseconds: float
    resident_megabytes: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Processor time of a scrape, beside node_exporter's.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scrapes", type=int, default=300, help="scrapes in a round")
    arguments = parser.parse_args()
    node_exporter = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if node_exporter is None:
        print("node_exporter is not installed, and without it there is nothing to compare", file=sys.stderr)
        return 1
    with (
        running("tocsin", [sys.executable, "-m", "exporter"], path="/metrics/system") as ours,
        running("node_exporter", node_exporter_command(node_exporter), path="/metrics") as theirs,
    ):
        rounds = measure((ours, theirs), rounds=arguments.rounds, scrapes=arguments.scrapes)
    print(table(rounds, scrapes=arguments.scrapes))
    return 0


def node_exporter_command(path: str) -> list[str]:
    return [
        path,
        "--web.disable-exporter-metrics",
        "--collector.disable-defaults",
        *(f"--collector.{collector.name}" for collector in COLLECTORS),
        f"--collector.filesystem.mount-points-exclude={MOUNT_POINTS_EXCLUDED}",
        f"--collector.filesystem.fs-types-exclude={TYPES_EXCLUDED}",
    ]


@contextlib.contextmanager
def running(name: str, command: Sequence[str], *, path: str) -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    silent = subprocess.DEVNULL
    with subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=silent, stderr=silent
    ) as process:
        try:
            yield Peer(name, process.pid, connected(port), path)
        finally:
            process.kill()


def connected(port: int, *, patience_seconds: float = 20.0) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection


def measure(peers: Sequence[Peer], *, rounds: int, scrapes: int) -> dict[str, list[Round]]:
    """In turns, so that whatever else the machine does meets both alike."""
    for peer in peers:
        scrape(peer, WARM_UP_SCRAPES)
    results: dict[str, list[Round]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            results[peer.name].append(one_round(peer, scrapes))
    return results


def one_round(peer: Peer, scrapes: int) -> Round:
    cpu_before, wall_before = cpu_seconds(peer.process_id), time.perf_counter()
    scrape(peer, scrapes)
    cpu, wall = cpu_seconds(peer.process_id) - cpu_before, time.perf_counter() - wall_before
    return Round(cpu / scrapes * 1000, wall / scrapes * 1000, resident_bytes(peer.process_id) / 1e6)


def scrape(peer: Peer, times: int) -> None:
    for _ in range(times):
        peer.connection.request("GET", peer.path, headers=HEADERS)
        answer = peer.connection.getresponse()
        body = answer.read()
        if answer.status != 200 or not body:
            raise RuntimeError(f"{peer.name} answered {answer.status} with {len(body)} bytes")


def cpu_seconds(process_id: int) -> float:
    with open(f"/proc/{process_id}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process_id: int) -> int:
    with open(f"/proc/{process_id}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(results: dict[str, list[Round]], *, scrapes: int) -> str:
    rounds = len(next(iter(results.values())))
    lines = [f"{rounds} rounds of {scrapes} scrapes each, {len(COLLECTORS)} collectors, {os.cpu_count()} processors"]
    lines.append(f"{'':<16}{'':<22}{'min':>8}{'median':>8}{'max':>8}")
    for name, found in results.items():
        for title, index in (("CPU ms a scrape", 0), ("wall ms a scrape", 1), ("resident MB", 2)):
            values = [each[index] for each in found]
            numbers = "".join(f"{of(values):8.2f}" for of in (min, statistics.median, max))
            lines.append(f"{name:<16}{title:<22}{numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
