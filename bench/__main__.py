"""Runs the benchmarks and writes docs/performance.md.

python -m bench [bench.scrape …]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = {
    "Alerts accepted, each on disk before its answer": "bench.intake",
    "One body of 20,000 alerts": "bench.body",
    "From a webhook to the message": "bench.latency",
    "Deciding, pure": "bench.decide",
    "Memory": "bench.memory",
    "kill -9, and ready again": "bench.restart",
    "More webhooks than can be decided": "bench.overload",
    "An hour of a storm while every channel is down": "bench.outage",
    "10,000 messages are owed when a channel comes back": "bench.drain",
    "Who is on call in a year": "bench.schedule",
    "Lines of a log": "bench.logs",
    "A scrape of the exporter": "bench.scrape",
    "A page of a million series": "bench.million",
    "A label with a million different values": "bench.cardinality",
    "Packets of StatsD": "bench.statsd",
    "One line of code in an application": "bench.client",
    "Events over HTTP": "bench.events",
    "Logins that detectors look at": "bench.detectors",
    "Finding personal data": "bench.redaction",
    "Floods, and false alarms": "bench.detection",
    "A city under attack": "bench.attacks",
    "Probes of what never answers": "bench.probes",
    "Who guesses at sshd": "bench.guesses",
    "A hundred thousand addresses on the blocklist": "bench.blocklist",
}
# What stays when the figures are measured again.
NOTES_MARK = "## Where the time goes"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help="only these, such as bench.scrape; the others stay"
    )
    asked = parser.parse_args().modules
    if unknown := set(asked) - set(PARTS.values()):
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of: {', '.join(PARTS.values())}")
    page = PAGE.read_text() if PAGE.exists() else ""
    sections = []
    for title, module in PARTS.items():
        before = section(page, title)
        if before is not None and asked and module not in asked:
            sections.append(before)
            continue
        print(f"{title} ({module}) …", flush=True)
        done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        table = done.stdout.strip()
        print(table, flush=True)
        sections.append(f"## {title}\n\n{table}\n\n`python -m {module}`, {datetime.now(UTC):%Y-%m-%d}\n")
    notes = page.partition(NOTES_MARK)[2] or "\n"
    PAGE.write_text(f"{_head()}\n{chr(10).join(sections)}\n{NOTES_MARK}{notes}")
    return 0


def section(page: str, title: str) -> str | None:
    """What the page says under a title, the title included; None where it says nothing."""
    _, mark, rest = page.partition(f"## {title}\n")
    return mark + rest.partition("\n## ")[0] if mark else None


def _head() -> str:
    return (
        "# Performance\n\n"
        "Measured with `make bench`: each program starts its peer, does the same work with both in turns, and prints "
        "the least, the middle and the most. Figures drift between machines; the ratios hold.\n\n"
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
