"""What it costs to have a hundred thousand addresses on the blocklist.

    python -m bench.blocklist [--rounds=2]

Findings put them there, one each. Then it is looked whether addresses are on the list (half of them are) beside a
thousand networks, the list is asked for in each way, everything is written to a file, and all of it ends. *Pause* is
the longest that anybody else who asks the exporter had to wait meanwhile. The table has the least, the middle and the
most.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from exporter.finding import Finding
from exporter.identity import Address
from exporter.reputation.blocklist import BLOCKS_MAX, NETWORKS_MAX
from exporter.reputation.keeper import Keeper, settle
from exporter.reputation.kept import KeptCounts
from exporter.reputation.listing import Form, Listing
from exporter.reputation.place import Network
from exporter.reputation.reputation import Reputation
from exporter.reputation.trail import Trail

NOW = 1_800_000_000.0
FIRST = 45 << 24
BLOCKED = BLOCKS_MAX - NETWORKS_MAX
# As a batch of events may bring.
FINDINGS_AT_ONCE = 100
FINDING = Finding(
    "brute_force_address",
    "critical",
    NOW,
    "51 failed logins in 1 h, more than 50",
    51,
    50,
    3_600,
    address=Address(FIRST),
)
Figures = dict[str, list[float]]


async def paused(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """How long it took, and for how long nobody else was answered."""
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    await asyncio.sleep(0)
    looking.cancel()
    return seconds * 1e3, longest * 1e3


async def measure(figures: Figures, folder: str) -> None:
    def keep(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    trail = Trail()
    reputation = Reputation(told=[trail.take])
    began = time.perf_counter()
    for at in range(0, BLOCKED, FINDINGS_AT_ONCE):
        many = range(at, min(at + FINDINGS_AT_ONCE, BLOCKED))
        reputation.take([replace(FINDING, address=Address(FIRST + each)) for each in many], now=NOW)
    keep("a finding that blocks, µs", (time.perf_counter() - began) / BLOCKED * 1e6)
    for at in range(NETWORKS_MAX):
        network = Network(Address((46 << 24) + at * 256), 24)
        reputation.block(network, now=NOW, seconds=3_600, reason="a benchmark")
    addresses = [Address(FIRST + at * 2) for at in range(BLOCKED)]
    began = time.perf_counter()
    found = sum(reputation.blocks.covering(address) is not None for address in addresses)
    keep("is this address on the list, µs", (time.perf_counter() - began) / BLOCKED * 1e6)
    assert found == BLOCKED // 2, found
    listing = Listing(reputation.blocks, start="x")
    for form in (Form("text"), Form("text", gzip=True), Form("json"), Form("json", gzip=True), Form("nginx")):
        name = f"the list as {form.kind}{', squeezed' if form.gzip else ''}, ms"
        milliseconds, pause = await paused(lambda form=form: listing.whole(form, now=NOW))  # type: ignore[misc]
        keep(name, milliseconds)
        keep(f"{name[:-4]}: pause, ms", pause)
    milliseconds, _ = await paused(lambda: listing.whole(Form("text"), now=NOW))
    keep("the list as text once more, ms", milliseconds)
    file = os.path.join(folder, "state")
    keeper = Keeper(reputation, trail, told=KeptCounts(), state_file=file, clock=lambda: NOW)
    milliseconds, pause = await paused(keeper.keep)
    keep("blocks and scores to the disk, ms", milliseconds)
    keep("blocks and scores to the disk: pause, ms", pause)
    keep("the file, MiB", os.stat(file).st_size / 2**20)
    again = Reputation()
    keeper = Keeper(again, Trail(), told=KeptCounts(), state_file=file, clock=lambda: NOW)
    milliseconds, _ = await paused(keeper.load)
    keep("and back at a start, ms", milliseconds)
    assert len(again.blocks) == len(reputation.blocks)
    milliseconds, pause = await paused(lambda: settle(reputation, NOW + 7_200))
    keep("all of them end together, ms", milliseconds)
    keep("all of them end together: pause, ms", pause)
    assert not len(reputation.blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(parser.parse_args().rounds):
            gc.collect()
            asyncio.run(measure(figures, folder))
            os.unlink(os.path.join(folder, "state"))
    print(f"| {BLOCKED:,} addresses and {NETWORKS_MAX:,} networks | least | middle | most |\n|---|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {min(values):,.1f} | {statistics.median(values):,.1f} | {max(values):,.1f} |")


if __name__ == "__main__":
    main()
