"""Packets of StatsD, beside the Node.js daemon with the same sender in the same run.

    python -m bench.statsd [--rounds=3] [--seconds=1]

Each packet has one line: six of ten count, three time, one sets a gauge, over a hundred names. The kernel cuts each
buffer of the sender into packets, so that it is faster than who receives. Flooded: packets that were taken in a second
of that, the rest is dropped. Without drops: the highest rate of those tried at which the kernel drops none in a round.
Then what a packet costs in processor time at a rate that both can take. The daemon has a backend that does nothing. Its
buffer is the system's default, as it asks for no other; the exporter is there with that one and with its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

NODE = Path(__file__).parents[1] / "tests" / "real" / "node"
LINE_BYTES = 28
# Of one call of the sender: the kernel takes at most 64 packets and 64 KiB.
PACKETS_A_CALL = 64
UDP_SEGMENT = 103
RATES = (5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000)
COST_RATE = 20_000
STARTED_SECONDS_MAX = 30.0
DRAINED_SECONDS_MAX = 10.0
NULL_BACKEND = "exports.init = () => true;\n"
CONFIGURATION = '{{port: {port}, address: "127.0.0.1", mgmt_port: {management}, backends: ["{backend}"]}}\n'


class Peer(NamedTuple):
    name: str
    process_id: int
    port: int


class Seen(NamedTuple):
    """What the kernel says of the socket."""

    waiting: int
    drops: int


def main() -> int:
    parser = argparse.ArgumentParser(description="Packets of StatsD, beside the Node.js daemon.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    node = shutil.which("node")
    if node is None or not (NODE / "node_modules" / "statsd").is_dir():
        print("node and its packages are not installed (make packages); there is nothing to compare", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        default = Path("/proc/sys/net/core/rmem_default").read_text().strip()
        peers = (
            stack.enter_context(_daemon(node, folder)),
            stack.enter_context(_exporter("Tocsin, the same buffer", f"--statsd.read-buffer={int(default) // 2}")),
            stack.enter_context(_exporter("Tocsin")),
        )
        _report(peers, arguments.rounds, arguments.seconds)
    return 0


def _report(peers: tuple[Peer, ...], rounds: int, seconds: float) -> None:
    for peer in peers:
        _flood(peer, 0.2, rate=COST_RATE)
    flooded: dict[str, list[float]] = {peer.name: [] for peer in peers}
    costs: dict[str, list[float]] = {peer.name: [] for peer in peers}
    clean: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            before = _processor_seconds(peer.process_id)
            sent, dropped, lasted = _flood(peer, seconds)
            flooded[peer.name].append((sent - dropped) / lasted)
            before = _processor_seconds(peer.process_id)
            sent, dropped, _ = _flood(peer, seconds, rate=COST_RATE)
            costs[peer.name].append((_processor_seconds(peer.process_id) - before) / (sent - dropped) * 1e6)
            clean[peer.name].append(_without_drops(peer, seconds / 3))
    print("| | flooded, packets/s taken | without drops, packets/s | processor, µs a packet |")
    print("|---|---|---|---|")
    for peer in peers:
        columns = (
            _spread(flooded[peer.name], ",.0f"),
            _spread(clean[peer.name], ",.0f"),
            _spread(costs[peer.name], ".1f"),
        )
        print(f"| {peer.name} | {' | '.join(columns)} |")


def _spread(values: list[float], form: str) -> str:
    return " / ".join(format(each, form) for each in (min(values), statistics.median(values), max(values)))


def _without_drops(peer: Peer, seconds: float) -> float:
    best = 0
    for rate in RATES:
        sent, dropped, lasted = _flood(peer, seconds, rate=rate)
        # Who sends late has not sent at that rate.
        if dropped or sent / lasted < rate * 0.8:
            break
        best = rate
    return float(best)


def _flood(peer: Peer, seconds: float, *, rate: int = 0) -> tuple[int, int, float]:
    """Packets sent and dropped, and how long until none was waiting. Without a rate: as fast as it goes."""
    before = _seen(peer.port)
    calls = list(_buffers())
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", peer.port))
        client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, LINE_BYTES)
        begun = time.perf_counter()
        while (passed := time.perf_counter() - begun) < seconds:
            if rate and sent >= rate * passed:
                time.sleep(0.0002)
                continue
            client.send(calls[sent // PACKETS_A_CALL % len(calls)])
            sent += PACKETS_A_CALL
    deadline = time.perf_counter() + DRAINED_SECONDS_MAX
    while _seen(peer.port).waiting and time.perf_counter() < deadline:
        time.sleep(0.001)
    return sent, _seen(peer.port).drops - before.drops, time.perf_counter() - begun


def _buffers() -> Iterator[bytes]:
    """Lines of one length, as the kernel cuts them by it."""
    lines = []
    for number in range(PACKETS_A_CALL * 100):
        name = f"bench.{number % 100:03}.requests"
        rest = (
            f":{number % 997:03}|ms"
            if number % 10 in (1, 4, 7)
            else f":{number % 89:03}|{'g' if number % 10 == 9 else 'c'}"
        )
        lines.append((name + "x" * (LINE_BYTES - len(name) - len(rest)) + rest).encode())
    for start in range(0, len(lines), PACKETS_A_CALL):
        yield b"".join(lines[start : start + PACKETS_A_CALL])


def _seen(port: int) -> Seen:
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1] == f"0100007F:{port:04X}":
            return Seen(int(words[4].rpartition(":")[2], 16), int(words[-1]))
    raise LookupError(f"nobody listens at the port {port}")


def _processor_seconds(process_id: int) -> float:
    words = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _daemon(node: str, folder: Path) -> Iterator[Peer]:
    port = _free_port()
    (folder / "nothing.js").write_text(NULL_BACKEND)
    text = CONFIGURATION.format(port=port, management=_free_port(), backend=folder / "nothing.js")
    (folder / "statsd.js").write_text(text)
    with _running("statsd of Node.js", [node, "stats.js", str(folder / "statsd.js")], port) as peer:
        yield peer


@contextmanager
def _exporter(name: str, *flags: str) -> Iterator[Peer]:
    port = _free_port()
    command = [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", "--collector.disable-defaults"]
    with _running(name, [*command, f"--statsd.listen-udp=127.0.0.1:{port}", *flags], port) as peer:
        yield peer


@contextmanager
def _running(name: str, command: list[str], port: int) -> Iterator[Peer]:
    folder = NODE / "node_modules" / "statsd" if command[1] == "stats.js" else None
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + STARTED_SECONDS_MAX
            while True:
                try:
                    _seen(port)
                    break
                except LookupError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise
                    time.sleep(0.05)
            yield Peer(name, process.pid, port)
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
