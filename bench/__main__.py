"""Runs every benchmark and writes docs/performance.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PARTS = {
    "Alerts accepted, each on disk before its answer": ("bench.intake", "markdown"),
    "One body of 20,000 alerts": ("bench.body", "markdown"),
    "From a webhook to the message": ("bench.latency", "markdown"),
    "Deciding, pure": ("bench.decide", "markdown"),
    "Memory": ("bench.memory", "markdown"),
    "kill -9, and ready again": ("bench.restart", "markdown"),
    "More webhooks than can be decided": ("bench.overload", "markdown"),
    "An hour of a storm while every channel is down": ("bench.outage", "markdown"),
    "10,000 messages are owed when a channel comes back": ("bench.drain", "markdown"),
    "Who is on call in a year": ("bench.schedule", "markdown"),
    "A scrape of the exporter": ("bench.scrape", "markdown"),
}
# What stays when the figures are measured again.
NOTES_MARK = "## Where the time goes"


def main() -> int:
    sections = []
    for title, (module, form) in PARTS.items():
        print(f"{title} ({module}) …", flush=True)
        done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        table = done.stdout.strip()
        if form == "text":
            table = f"```text\n{table}\n```"
        sections.append(f"## {title}\n\n{table}\n\n`python -m {module}`\n")
        print(table, flush=True)
    notes = PAGE.read_text().partition(NOTES_MARK)[2] if PAGE.exists() else "\n"
    PAGE.write_text(f"{_head()}\n{chr(10).join(sections)}\n{NOTES_MARK}{notes}")
    return 0


def _head() -> str:
    return (
        "# Performance\n\n"
        "Measured with `make bench`: each program starts its peer, does the same work with both in turns, and prints "
        "the least, the middle and the most. Figures drift between machines; the ratios hold.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
