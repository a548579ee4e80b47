"""A label with a million different values: memory, and the time that an event takes meanwhile.

    python -m bench.cardinality [--rounds=3] [--values=1000000]

A counter with two labels, of which one never has the same value twice: what an identifier in the wrong place does. In
the exporter it comes as events, which are decoded, redacted, mapped and counted on two pages. In prometheus-client, as
an application would do it, it is `labels(…).inc()` and nothing else. Each round is a process of its own; memory is what
is resident more than before the first value. The table has the least, the middle and the most.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from bench.scrape import spread

BATCH = 1_000
GROWTH_MEGABYTES_GOAL = 5
# Digits become letters.
WORDS = str.maketrans("0123456789", "ghijklmnop")
EVENTS_GOAL = 200_000


def name_of(number: int) -> str:
    """A word, as what looks like a number would be hidden before it is a label."""
    return f"cart {number:08x}".translate(WORDS)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def tocsin() -> tuple[Callable[[int], None], Callable[[], int]]:
    from exporter.exposition import Format, render
    from exporter.mapping.rule import Label, Metric, Rule
    from exporter.pipeline import Pipeline
    from exporter.redaction import Redaction

    labels = Label("name", "name"), Label("country", "country")
    metric = Metric(name="orders_total", type="counter", help="Orders.", labels=labels)
    pipeline = Pipeline([Rule(event="order", metric=metric)], redact=Redaction(seen=lambda *_: None).redact)

    def batch(first: int) -> None:
        lines = [
            f'{{"event":"order","source":"shop","name":"{name_of(number)}","country":"c{number % 7}"}}'
            for number in range(first, first + BATCH)
        ]
        data = "\n".join(lines).encode()
        began = time.perf_counter()
        pipeline.lines(data, now=time.time())
        SECONDS.append(time.perf_counter() - began)

    return batch, lambda: render(pipeline.families(), Format.TEXT).count(b"\norders_total{")


def prometheus_client() -> tuple[Callable[[int], None], Callable[[], int]]:
    from prometheus_client import CollectorRegistry, Counter, generate_latest

    registry = CollectorRegistry()
    counter = Counter("orders", "Orders.", ("name", "country"), registry=registry)

    def batch(first: int) -> None:
        values = [(name_of(number), f"c{number % 7}") for number in range(first, first + BATCH)]
        began = time.perf_counter()
        for name, country in values:
            counter.labels(name, country).inc()
        SECONDS.append(time.perf_counter() - began)

    return batch, lambda: generate_latest(registry).count(b"\norders_total{")


SECONDS: list[float] = []
SUBJECTS = {"Tocsin": tocsin, "prometheus-client": prometheus_client}


def one(subject: str, values: int) -> None:
    """Prints how much memory grew, in bytes, the events a second, and the series on the page."""
    batch, series = SUBJECTS[subject]()
    batch(0)
    SECONDS.clear()
    before = resident_bytes()
    for first in range(BATCH, values + BATCH, BATCH):
        batch(first)
    print(resident_bytes() - before, values / sum(SECONDS), series())


def measure(rounds: int, values: int) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {subject: [] for subject in SUBJECTS}
    for _ in range(rounds):
        for subject, measured in found.items():
            command = [sys.executable, "-m", "bench.cardinality", "--subject", subject, f"--values={values}"]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            measured.append([float(number) for number in said.split()])
    return found


def table(found: dict[str, list[list[float]]], values: int) -> str:
    titles = {
        "memory grew by, MB": (lambda numbers: numbers[0] / 1e6, f"≤ {GROWTH_MEGABYTES_GOAL}"),
        "events a second": (lambda numbers: numbers[1], f"≥ {EVENTS_GOAL:,}"),
        "series in the end": (lambda numbers: numbers[2], ""),
    }
    ours, theirs = found
    lines = [
        f"{values:,} different values of one label.",
        "",
        f"| | {ours} (min / median / max) | {theirs} | ratio of medians | goal |",
        "|---|---|---|---|---|",
    ]
    for title, (pick, goal) in titles.items():
        one, other = ([pick(numbers) for numbers in found[subject]] for subject in found)
        ratio = statistics.median(one) / statistics.median(other)
        lines.append(f"| {title} | {spread(one)} | {spread(other)} | {ratio:.3f} | {goal} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A label with a million different values.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--subject", choices=tuple(SUBJECTS), help="be what is measured, once")
    arguments = parser.parse_args(argv)
    if arguments.subject:
        one(arguments.subject, arguments.values)
    else:
        print(table(measure(arguments.rounds, arguments.values), arguments.values))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
