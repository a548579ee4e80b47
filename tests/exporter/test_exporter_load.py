"""Many at once, and those who go away: the running exporter answers, and does not grow."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import struct
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.exporter.builders import FIXTURES, SURELY, sample
from tests.exporter.program import Program, started

AT_ONCE = 50
ROUNDS = 10
# The event loop's, and what the loop keeps for looking up names.
OWN_THREADS = 2
# What an allocator may still take after the first rounds.
GROWN_BYTES_MAX = 4 * 1024 * 1024


class Taken(NamedTuple):
    """What a process has of the machine."""

    resident_bytes: int
    threads: int
    files: int


def taken(program: Program) -> Taken:
    folder = Path(f"/proc/{program.process.pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    resident = int(status["VmRSS"].split()[0]) * 1024
    return Taken(resident, int(status["Threads"]), len(os.listdir(folder / "fd")))


async def scraped(url: str, rounds: int) -> set[int]:
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(SURELY)) as client:

        async def scrape() -> int:
            async with client.get("/metrics") as answer:
                assert b"node_load1" in await answer.read()
                return answer.status

        found: set[int] = set()
        for _ in range(rounds):
            found |= set(await asyncio.gather(*(scrape() for _ in range(AT_ONCE))))
        return found


def test_many_scrapes_at_once_again_and_again_leave_nothing_behind() -> None:
    with started(f"--path.procfs={FIXTURES}/proc", f"--path.sysfs={FIXTURES}/sys") as program:
        assert asyncio.run(scraped(program.url, 2)) == {200}
        program.get("/metrics")
        before = taken(program)
        assert asyncio.run(scraped(program.url, ROUNDS)) == {200}
        program.get("/metrics")
        after = taken(program)
        collectors = program.get("/metrics").count("\nnode_scrape_collector_success{")
        assert after.threads <= collectors + OWN_THREADS
        assert after.files <= before.files + 1
        assert after.resident_bytes <= before.resident_bytes + GROWN_BYTES_MAX


def connected(program: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(program.url.rpartition(":")[2])), timeout=SURELY)


def test_a_thousand_connections_that_ask_nothing_keep_out_no_scrape() -> None:
    with started() as program:
        program.get("/metrics")
        before = taken(program)
        idle = [connected(program) for _ in range(1_000)]
        try:
            page = program.get("/metrics")
            after = taken(program)
            assert sample(page, 'tocsin_exporter_connections_cut_total{reason="crowded"}') >= 1_000 - 512
            assert after.files <= before.files + 520
            assert after.resident_bytes <= before.resident_bytes + 3 * GROWN_BYTES_MAX
        finally:
            for each in idle:
                each.close()


def test_who_goes_away_in_the_middle_of_a_scrape_takes_nothing_along(tmp_path: Path) -> None:
    procfs = tmp_path / "proc"
    shutil.copytree(FIXTURES / "proc", procfs)
    (procfs / "loadavg").unlink()
    os.mkfifo(procfs / "loadavg")
    with started(f"--path.procfs={procfs}") as program:
        scraper = connected(program)
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        program.get("/-/healthy")  # which came after it
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        scraper.close()
        page = program.get("/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": "0.7"})
        assert sample(page, "node_forks_total") == 26442
        assert sample(page, 'node_scrape_collector_success{collector="loadavg"}') == 0
        assert program.stop(signal.SIGTERM) == 0


def test_bytes_that_are_no_http_are_counted_and_cost_one_connection() -> None:
    with started() as program:
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00" * 100_000,
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        ):
            with connected(program) as client:
                client.sendall(data)
                assert client.recv(12) == b"HTTP/1.1 400"
        page = program.get("/metrics/self")
        assert sample(page, 'tocsin_exporter_connections_cut_total{reason="malformed"}') == 3
