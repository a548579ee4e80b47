"""A page of a million series: how long it takes, and how long others wait meanwhile.

    python -m bench.million [--rounds=6]

An exporter is started with one collector that makes a million series anew at each scrape, behind the doors and in the
server that the program has. While its page is being made, compressed and not in turns, `/-/healthy` is asked every few
milliseconds. The table has the least, the middle and the most of all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence

from bench.scrape import resident_bytes, spread
from exporter.control import Control, Plan
from exporter.dependencies.part import Background
from exporter.doors import Doors
from exporter.family import Family, Shape
from exporter.metrics import Tally
from exporter.probes.part import Probes
from exporter.registry import Registry
from exporter.roles import System
from exporter.wiring.program import settle_memory
from guard.listen import parse_address
from guard.web.server import serving

SERIES = 1_000_000
SHAPE = Shape("shop_requests", "gauge", "What an application might publish.", ("route",))
SECONDS = 120.0
PAUSE_SECONDS = 0.005
WAIT_MILLISECONDS_GOAL = 50


class Million:
    name = "million"
    help = "A million series."

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        return [SHAPE.of([((f"/cart/{number}",), number) for number in range(SERIES)])]


async def serve() -> None:
    tally = Tally(started_at=time.time())
    registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
    plan = Plan((Million.name,), SECONDS)
    control = Control(plan, load=lambda: plan, build=lambda *_: Million(), registry=registry, tally=tally)
    doors = Doors(
        roles=(System(registry),),
        registry=registry,
        control=control,
        tally=tally,
        background=Background(Probes(tally.probes), reasons=(), seed=b""),
        requests_max=0,
        timeout_offset_seconds=0.0,
    )
    settle_memory()
    async with serving(doors.server(), [parse_address("127.0.0.1:0")], grace_seconds=0.5) as (url,):
        print(url, flush=True)
        await asyncio.Event().wait()


def measure(rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with subprocess.Popen([sys.executable, "-m", "bench.million", "--serve"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().decode().strip().removeprefix("http://")
            for number in range(rounds):
                title = "compressed" if number % 2 == 0 else "as it is"
                one_round(address, process.pid, title, found)
        finally:
            process.kill()
    return found


def one_round(address: str, process_id: int, title: str, found: dict[str, list[float]]) -> None:
    def keep(what: str, value: float) -> None:
        found.setdefault(what, []).append(value)

    def scrape() -> None:
        began = time.perf_counter()
        size = len(get(address, "/metrics/system", {"Accept-Encoding": "gzip"} if title == "compressed" else {}))
        keep(f"the page {title}, s", time.perf_counter() - began)
        keep(f"the page {title}, MB", size / 1e6)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    most = 0
    waits = []
    while scraper.is_alive():
        began = time.perf_counter()
        get(address, "/-/healthy", {})
        waits.append((time.perf_counter() - began) * 1000)
        most = max(most, resident_bytes(process_id))
        time.sleep(PAUSE_SECONDS)
    waits.sort()
    keep("`/-/healthy` meanwhile, p50, ms", waits[len(waits) // 2])
    keep("`/-/healthy` meanwhile, p99, ms", waits[len(waits) * 99 // 100])
    keep("`/-/healthy` meanwhile, the longest, ms", waits[-1])
    keep("resident at most, MB", most / 1e6)


def get(address: str, path: str, headers: dict[str, str]) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        return body
    finally:
        connection.close()


def table(found: dict[str, list[float]], *, rounds: int) -> str:
    lines = [
        f"{SERIES:,} series, made anew at each of {rounds} scrapes.",
        "",
        "| | min / median / max | goal |",
        "|---|---|---|",
    ]
    for title, values in found.items():
        goal = f"≤ {WAIT_MILLISECONDS_GOAL}" if "p99" in title else ""
        lines.append(f"| {title} | {spread(values)} | {goal} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A page of a million series, and who waits for it.")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--serve", action="store_true", help="be the exporter that is measured")
    arguments = parser.parse_args(argv)
    if arguments.serve:
        asyncio.run(serve())
        return 0
    print(table(measure(arguments.rounds), rounds=arguments.rounds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
