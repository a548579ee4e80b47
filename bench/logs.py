"""Lines of a log into series, beside mtail on the same file in the same run.

    python -m bench.logs [--rounds=3] [--lines=1000000]

The log is JSON, one request a line. mtail counts it with one regular expression: a counter with three labels, and a
histogram. Tocsin counts it as the bundled mapping does, on two pages, with its redaction and its limits, in the whole
program: from its start to the last line counted. Then it counts the same requests as logfmt and by a regular
expression. Both programs begin at the first line and are started anew for each round; what a start without lines takes
is measured as well and taken off both. The table has the least, the middle and the most lines a second.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.scrape import AS_INSTALLED, cpu_seconds, resident_bytes

GOAL = 3.0
# How often Tocsin is asked how far it is; it answers with a page, which costs it something.
ASKED_SECONDS = 0.05
PROGRAM = r"""counter requests by method, route, status
histogram seconds buckets 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
/"method": "(?P<method>[^"]*)", "route": "(?P<route>[^"]*)", "status": (?P<status>\d+), "took": (?P<took>[0-9.]+)/ {
  requests[$method][$route][$status]++
  seconds = $took
}
"""
PATTERN = (
    r'"(?P<method>[A-Z]+) (?P<route>[^" ]+)[^"]*" (?P<status>\d+) \d+ "[^"]*" "[^"]*" (?P<duration_seconds>[0-9.]+)$'
)
FORMATS = ("json", "logfmt", "pattern")


class Took(NamedTuple):
    seconds: float
    cpu: float
    resident: int


def main() -> int:
    parser = argparse.ArgumentParser(description="Lines of a log a second, beside mtail.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=1_000_000)
    arguments = parser.parse_args()
    mtail = shutil.which("mtail")
    if mtail is None:
        print("mtail is not installed, and without it there is nothing to compare", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = {form: list(written(form, arguments.lines)) for form in FORMATS}
        for form, texts in lines.items():
            (folder / f"{form}.log").write_text("".join(texts))
        (folder / "empty.log").touch()
        (folder / "requests.mtail").write_text(PROGRAM)
        found: dict[str, list[Took]] = {}
        for _ in range(arguments.rounds):
            idle = by_mtail(mtail, folder, "empty")
            found.setdefault("mtail, json", []).append(less(by_mtail(mtail, folder, "json"), idle))
            idle = by_tocsin(folder, "json", 0)
            for form in FORMATS:
                took = by_tocsin(folder, form, arguments.lines)
                found.setdefault(f"Tocsin, {form}", []).append(less(took, idle))
        print(table(found, lines=arguments.lines, size=(folder / "json.log").stat().st_size))
    return 0


def less(took: Took, idle: Took) -> Took:
    return Took(took.seconds - idle.seconds, took.cpu - idle.cpu, took.resident)


def written(form: str, count: int) -> Iterator[str]:
    chance = random.Random(6)
    routes = ["/", "/login", "/users/{id}", "/users/{id}/orders", "/search"]
    for number in range(count):
        method, status = chance.choice(["GET", "GET", "GET", "POST"]), chance.choice([200, 200, 200, 201, 404, 500])
        route, took = chance.choice(routes), round(chance.random(), 4)
        at, who = "2026-11-21T08:00:00.123Z", f"user{number % 1000}@example.org"
        match form:
            case "json":
                event = {"event": "http_request", "at": at, "method": method, "route": route, "status": status}
                yield json.dumps({**event, "took": took, "user": who}) + "\n"
            case "logfmt":
                yield (
                    f'at={at} level=info msg="request served" method={method} route={route} status={status} '
                    f"duration_seconds={took} user={who}\n"
                )
            case _:
                yield f'10.0.0.{number % 250} - - [{at}] "{method} {route} HTTP/1.1" {status} 512 "-" "agent" {took}\n'


def by_mtail(mtail: str, folder: Path, name: str) -> Took:
    command = [mtail, "--one_shot", f"--progs={folder}/requests.mtail", f"--logs={folder}/{name}.log"]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        most = 0
        while process.poll() is None:
            most = max(most, resident_bytes(process.pid))
            time.sleep(0.005)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most)


def by_tocsin(folder: Path, form: str, lines: int) -> Took:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    name = form if lines else "empty"
    log = {"name": "web", "paths": [f"{folder}/{name}.log"], "format": form, "read_from": "beginning"}
    if form == "json":
        log |= {"fields": {"duration_seconds": "took"}}
    else:
        log |= {"event": "http_request"}
    if form == "pattern":
        log |= {"patterns": [PATTERN]}
    (folder / "exporter.yml").write_text(json.dumps({"logs": [log], "statsd": {"listen_udp": ""}}))
    flags = [f"--web.listen-address=127.0.0.1:{port}", f"--config.file={folder}/exporter.yml"]
    began = time.perf_counter()
    with running([sys.executable, "-m", "exporter", *flags]) as process:
        while counted(port) < lines:
            time.sleep(ASKED_SECONDS)
        return Took(time.perf_counter() - began, cpu_seconds(process.pid), resident_bytes(process.pid))


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent, env=AS_INSTALLED) as process:
        try:
            yield process
        finally:
            process.kill()


def counted(port: int) -> int:
    """-1 before the program answers and has found the file."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics/self")
        page = connection.getresponse().read().decode()
    except OSError:
        return -1
    finally:
        connection.close()
    there = re.search(r"^tocsin_exporter_log_files\{.*\} 1", page, re.MULTILINE)
    found = re.search(r"^tocsin_exporter_log_lines_total\{.*\} (\d+)", page, re.MULTILINE)
    return int(found[1]) if there and found else -1


def table(found: dict[str, list[Took]], *, lines: int, size: int) -> str:
    rows = [
        f"{lines:,} lines of {size // lines} bytes (JSON); the same requests as logfmt and as nginx writes them.",
        "",
        "| | lines/s: least | middle | most | times mtail | CPU, µs a line | most resident, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    peer = statistics.median(lines / each.seconds for each in found["mtail, json"])
    for name, each in found.items():
        speeds = sorted(lines / one.seconds for one in each)
        middle = statistics.median(speeds)
        cpu = statistics.median(one.cpu / lines * 1e6 for one in each)
        resident = max(one.resident for one in each) / 1e6
        speed = f"{speeds[0]:,.0f} | {middle:,.0f} | {speeds[-1]:,.0f} | {middle / peer:.2f}"
        rows.append(f"| {name} | {speed} | {cpu:.1f} | {resident:.0f} |")
    ratio = statistics.median(lines / one.seconds for one in found["Tocsin, json"]) / peer
    verdict = "reached" if ratio >= GOAL else "missed"
    return "\n".join(
        [*rows, "", f"Goal: at least {GOAL:.0f} times mtail's lines a second on the same JSON: {verdict}."]
    )


if __name__ == "__main__":
    sys.exit(main())
