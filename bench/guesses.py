"""Failed logins in a log of sshd, beside fail2ban in the same run.

    python -m bench.guesses [--rounds=3] [--lines=50000]

fail2ban's own filter for sshd finds who failed, by `fail2ban-regex`, which does not count by address, and bans nobody.
Tocsin does all that it does without a configuration but for the log: series on two pages, detectors, reputation, who
is to be blocked. Time is that of the processor, less what a start without lines takes; each is started anew for each
round. The table has the least, the middle and the most lines a second of a processor.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.logs import ASKED_SECONDS, counted, running
from bench.scrape import cpu_seconds
from bench.servers import free_port

FILTER = "sshd"
USERS = ("root", "ana", "invalid user admin")


def written(count: int) -> Iterator[str]:
    chance = random.Random(7)
    for number in range(count):
        at = f"Nov 22 05:{number // 60 % 60:02d}:{number % 60:02d} crow sshd[{1_000 + number}]"
        ip = f"198.18.{chance.randrange(200)}.{chance.randrange(1, 255)}"
        port = chance.randrange(1_024, 65_536)
        yield f"{at}: Failed password for {chance.choice(USERS)} from {ip} port {port} ssh2\n"


def by_fail2ban(program: str, log: Path, lines: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "--print-no-missed", "--print-no-ignored", str(log), FILTER]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"Lines: {lines} lines, 0 ignored, {lines} matched" in said, said
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_tocsin(folder: Path, log: Path, lines: int) -> float:
    port = free_port()
    followed = {"name": "ssh", "paths": [str(log)], "format": "auth_log", "read_from": "beginning"}
    (folder / "exporter.yml").write_text(json.dumps({"logs": [followed], "statsd": {"listen_udp": ""}}))
    flags = [f"--web.listen-address=127.0.0.1:{port}", f"--config.file={folder}/exporter.yml"]
    with running([sys.executable, "-m", "exporter", *flags]) as process:
        while counted(port) < lines:
            time.sleep(ASKED_SECONDS)
        return cpu_seconds(process.pid)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=50_000)
    asked = parser.parse_args()
    # It is no program that is installed for tests: it would begin to watch over the machine.
    fail2ban = shutil.which("fail2ban-regex")
    found: dict[str, list[float]] = {"fail2ban, only found": [], "Tocsin, found, counted and judged": []}
    theirs, ours = found.values()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, one, empty = folder / "ssh.log", folder / "one.log", folder / "empty.log"
        texts = list(written(asked.lines))
        log.write_text("".join(texts))
        one.write_text(texts[0])
        empty.touch()
        for _ in range(asked.rounds):
            if fail2ban is not None:
                busy = by_fail2ban(fail2ban, log, asked.lines) - by_fail2ban(fail2ban, one, 1)
                theirs.append((asked.lines - 1) / busy)
            ours.append(asked.lines / (by_tocsin(folder, log, asked.lines) - by_tocsin(folder, empty, 0)))
    print(f"{asked.lines:,} lines about failed logins, of up to {200 * 254:,} addresses.\n")
    print("| lines a second of a processor | least | middle | most |")
    print("|---|---|---|---|")
    for name, speeds in found.items():
        print(f"| {name} | {shown(speeds)} |")
    if theirs:
        print(f"\nTocsin takes {statistics.median(ours) / statistics.median(theirs):.1f} times as many.")
    return 0


def shown(speeds: Sequence[float]) -> str:
    return " | ".join(f"{of(speeds):,.0f}" for of in (min, statistics.median, max)) if speeds else "not installed | |"


if __name__ == "__main__":
    sys.exit(main())
