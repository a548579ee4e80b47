"""What promtool says about names and types, the lint of mappings says too, and nothing else."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from exporter.mapping import lint
from exporter.mapping.rule import Label, Metric, Type

pytestmark = pytest.mark.real

# Each with what promtool's sentence has and no other one does.
SENTENCES = {
    "use base unit": "the unit ",
    'should have "_total"': "the name of a counter to end in _total",
    'should not have "_total"': " not to end in _total",
    'should not have "_bucket"': "looks like a part of a histogram",
    'should not have "_count"': "looks like a part of a histogram or a summary",
    'should not have "_sum"': "looks like a part of a histogram or a summary",
    "should not include type": "a name without a type",
    "should not contain ':'": "a name without colons",
    "snake_case": "in snake_case",
    "abbreviated units": "units that are written out",
}
PARTS = [
    *("shop", "orders", "total", "count", "sum", "bucket", "created", "info", "ratio", "x:y", "httpStatus", "HTTP"),
    *("gauge", "counter", "histogram", "summary", "Gauge", "untyped", "gaugehistogram", "percent", "watts"),
    *("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d", "MS", "Seconds", "seconds1"),
]
# Of several, promtool looks at one by chance.
UNITS = [
    *("seconds", "milliseconds", "minutes", "days", "bytes", "kilobytes", "kibibytes", "mebibytes", "mibibytes"),
    *("megabits", "bits", "celsius", "fahrenheit", "kelvin", "kelvins", "meters", "metres", "miles", "kilometers"),
    *("grams", "pounds", "joules", "calories", "volts", "amperes"),
]
LABELS = ["country", "userName", "le_", "HTTPStatus", "a1B"]
TYPES: tuple[Type, ...] = get_args(Type)


def metrics(chance: random.Random) -> list[Metric]:
    """Many, without parts of one that are another: promtool takes such a line for the first of them."""
    found: dict[str, Metric] = {}
    for _ in range(1_500):
        parts = [*chance.choices(PARTS, k=chance.randint(0, 2)), *chance.sample(UNITS, chance.randint(0, 1))]
        chance.shuffle(parts)
        name, label = "_".join(parts or ["shop"]), chance.choice([None, *LABELS])
        labels = (Label(label, label),) if label else ()
        found[name] = Metric(name=name, type=chance.choice(TYPES), help="Something.", labels=labels)
    whole = {name: name.rpartition("_") for name in found}
    return [
        metric
        for name, metric in found.items()
        if not (whole[name][2] in ("bucket", "sum", "count") and whole[name][0] in found)
    ]


def page(found: list[Metric]) -> str:
    return "".join(line for metric in found for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = metric.name
    yield f"# HELP {name} {metric.help}\n# TYPE {name} {metric.published_type.replace('unknown', 'untyped')}\n"
    label = "".join(f'{each.name}="1"' for each in metric.labels)
    braced = f"{{{label}}}" if label else ""
    if metric.type == "histogram":
        yield f'{name}_bucket{{{label}{"," if label else ""}le="+Inf"}} 1\n'
    if metric.type in ("histogram", "summary"):
        yield f"{name}_sum{braced} 1\n{name}_count{braced} 1\n"
    else:
        yield f"{name}{braced} 1\n"


def theirs(promtool: str, found: list[Metric]) -> set[tuple[str, str]]:
    said = subprocess.run(
        [promtool, "check", "metrics"], input=page(found), capture_output=True, text=True, check=False, timeout=60
    )
    assert said.returncode in (0, 3), said.stderr
    verdicts = set()
    for line in said.stderr.splitlines():
        name, _, sentence = line.partition(" ")
        (known,) = {ours for key, ours in SENTENCES.items() if key in sentence}
        verdicts.add((name, known))
    return verdicts


def ours(found: list[Metric]) -> set[tuple[str, str]]:
    return {
        (metric.name, known)
        for metric in found
        for complaint in lint.names(metric)
        for known in SENTENCES.values()
        if _says(complaint.expected, known)
    }


def _says(sentence: str, known: str) -> bool:
    if known == "the unit ":
        return sentence.startswith(known)
    if known.startswith("looks"):
        return sentence.endswith(known)
    return known in sentence


@pytest.mark.parametrize("seed", range(3))
def test_promtool_and_the_lint_say_the_same_of_any_name(seed: int, needs: Callable[[str], str]) -> None:
    found = metrics(random.Random(seed))
    assert len(found) > 500
    assert theirs(needs("promtool"), found) == ours(found)
