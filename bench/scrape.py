"""What a scrape costs, beside node_exporter with the same collectors in the same run.

    python -m bench.scrape [--rounds=7] [--scrapes=300]

Both programs are started here, on free ports of the loopback, with the collectors that both have on by default, and
are scraped in turns as Prometheus scrapes them: one connection kept alive, OpenMetrics asked for, gzip accepted.
Processor time is the kernel's count for the whole process (user and system), divided by the scrapes of the round.
Memory is what is resident after all of that; then come bursts of scrapes at the same time. Before, each is started a
few times, from the start of the process to its first answer. The table has the least, the middle and the most.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from exporter.collectors import COLLECTORS
from exporter.collectors.filesystem import MOUNT_POINTS_EXCLUDED, TYPES_EXCLUDED

HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
WARM_UP_SCRAPES = 50
BURST = 50
BURSTS = 10
STARTS = 5
# How node_exporter's help tells what is on by default.
ON_BY_DEFAULT = re.compile(r"--collector\.(\w+)\s+Enable the \w+ collector\s+\(default:\s+enabled\)")
GOALS = {"CPU, ms a scrape": 0.5, "resident, MB": 2.0}
# Installed packages have their bytecode. Where none may be kept, a start takes twice as long.
AS_INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
START_SECONDS_MAX = 0.5


class Program(NamedTuple):
    name: str
    command: Sequence[str]
    path: str


class Peer(NamedTuple):
    program: Program
    process_id: int
    port: int
    connection: http.client.HTTPConnection


def main() -> int:
    parser = argparse.ArgumentParser(description="Processor time of a scrape, beside node_exporter's.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scrapes", type=int, default=300, help="scrapes in a round")
    arguments = parser.parse_args()
    node_exporter = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if node_exporter is None:
        print("node_exporter is not installed, and without it there is nothing to compare", file=sys.stderr)
        return 1
    names = on_by_default_in_both(node_exporter)
    # Without a limit on scrapes at once, which is smaller than the bursts here.
    chosen = ["--web.max-requests=0", "--collector.disable-defaults", *(f"--collector.{name}" for name in names)]
    filters = [
        f"--collector.filesystem.mount-points-exclude={MOUNT_POINTS_EXCLUDED}",
        f"--collector.filesystem.fs-types-exclude={TYPES_EXCLUDED}",
    ]
    programs = (
        Program("Tocsin", [sys.executable, "-m", "exporter", *chosen], "/metrics/system"),
        Program("node_exporter", [node_exporter, "--web.disable-exporter-metrics", *chosen, *filters], "/metrics"),
    )
    found = measure(programs, rounds=arguments.rounds, scrapes=arguments.scrapes)
    print(table(found, names=names, rounds=arguments.rounds, scrapes=arguments.scrapes))
    return 0


def on_by_default_in_both(node_exporter: str) -> list[str]:
    told = subprocess.run([node_exporter, "--help"], capture_output=True, text=True, check=False)
    theirs = set(ON_BY_DEFAULT.findall(told.stdout + told.stderr))
    return [kind.name for kind in COLLECTORS if kind.enabled and kind.name in theirs]


Found = dict[str, dict[str, list[float]]]


def measure(programs: Sequence[Program], *, rounds: int, scrapes: int) -> Found:
    """In turns, so that whatever else the machine does meets both alike."""
    found: Found = {program.name: {} for program in programs}

    def keep(program: Program, title: str, value: float) -> None:
        found[program.name].setdefault(title, []).append(value)

    for _ in range(STARTS):
        for program in programs:
            with running(program) as (_, seconds):
                keep(program, "start to first answer, s", seconds)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(running(program))[0] for program in programs]
        for peer in peers:
            scrape(peer, WARM_UP_SCRAPES)
            keep(peer.program, "series on the page", series(peer))
        for _ in range(rounds):
            for peer in peers:
                cpu_before, wall_before = cpu_seconds(peer.process_id), time.perf_counter()
                scrape(peer, scrapes)
                keep(peer.program, "CPU, ms a scrape", (cpu_seconds(peer.process_id) - cpu_before) / scrapes * 1000)
                keep(peer.program, "wall, ms a scrape", (time.perf_counter() - wall_before) / scrapes * 1000)
                keep(peer.program, "resident, MB", resident_bytes(peer.process_id) / 1e6)
        for peer in peers:
            bursts(peer, partial(keep, peer.program))
    return found


def bursts(peer: Peer, keep: Callable[[str, float], None]) -> None:
    """Many scrapes at once, again and again."""
    with ThreadPoolExecutor(BURST) as together:
        connections = [http.client.HTTPConnection("127.0.0.1", peer.port, timeout=30) for _ in range(BURST)]
        for _ in range(BURSTS):
            began = time.perf_counter()
            list(together.map(partial(ask, program=peer.program), connections))
            keep(f"{BURST} scrapes at once, ms for all", (time.perf_counter() - began) * 1000)
            keep(f"resident after {BURST} at once, MB", resident_bytes(peer.process_id) / 1e6)
        for connection in connections:
            connection.close()


@contextlib.contextmanager
def running(program: Program) -> Iterator[tuple[Peer, float]]:
    """The program and the seconds from its start to its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    silent = subprocess.DEVNULL
    began = time.perf_counter()
    with subprocess.Popen(
        [*program.command, f"--web.listen-address=127.0.0.1:{port}"], stdout=silent, stderr=silent, env=AS_INSTALLED
    ) as process:
        try:
            connection = connected(process, port)
            ask(connection, program)
            yield Peer(program, process.pid, port, connection), time.perf_counter() - began
        finally:
            process.kill()


def connected(
    process: subprocess.Popen[bytes], port: int, *, patience_seconds: float = 20.0
) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            connection.connect()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return connection


def scrape(peer: Peer, times: int) -> None:
    for _ in range(times):
        ask(peer.connection, peer.program)


def ask(connection: http.client.HTTPConnection, program: Program) -> bytes:
    try:
        connection.request("GET", program.path, headers=HEADERS)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeError(f"{program.name} did not answer: {error!r}") from None
    if answer.status != 200 or not body:
        raise RuntimeError(f"{program.name} answered {answer.status} with {len(body)} bytes")
    return body


def series(peer: Peer) -> int:
    page = gzip.decompress(ask(peer.connection, peer.program))
    return sum(1 for line in page.splitlines() if line and not line.startswith(b"#"))


def cpu_seconds(process_id: int) -> float:
    with open(f"/proc/{process_id}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process_id: int) -> int:
    with open(f"/proc/{process_id}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(found: Found, *, names: Sequence[str], rounds: int, scrapes: int) -> str:
    (ours, our_values), (theirs, their_values) = found.items()
    what = f"{rounds} rounds of {scrapes} scrapes each, with what both have on by default, {len(names)} collectors"
    lines = [
        f"{what}: {', '.join(names)}.",
        "",
        f"| | {ours} (min / median / max) | {theirs} | ratio of medians | goal |",
        "|---|---|---|---|---|",
    ]
    for title, values in our_values.items():
        ratio = statistics.median(values) / statistics.median(their_values[title])
        goal = f"≤ {GOALS[title]}" if title in GOALS else f"< {START_SECONDS_MAX} s" if title.endswith(", s") else ""
        lines.append(f"| {title} | {spread(values)} | {spread(their_values[title])} | {ratio:.2f} | {goal} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:,.0f}"
    return " / ".join(f"{of(values):,.2f}" for of in (min, statistics.median, max))


if __name__ == "__main__":
    raise SystemExit(main())
