"""Debian's real node_exporter, and what its page and ours have in common. Shared by the tests that run both."""

from __future__ import annotations

import json
import math
import re
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from exporter.collectors import COLLECTORS
from exporter.collectors.options import Kind
from tests.exporter.builders import SURELY

Labels = frozenset[tuple[str, str]]

ENABLED = re.compile(r"--(?:\[no-\])?collector\.(\w+)\s+Enable\s+the\s+\w+\s+collector\s+\(default:\s+enabled\)")
COLLECTOR = re.compile(r"--(?:\[no-\])?collector\.(\w+)\s")
DEFAULT = re.compile(r'--(collector\.\w+\.[\w.-]+)=("[^\n]*")')
OPTION = re.compile(r"--(?:\[no-\])?(collector\.\w+\.[\w.-]+)")
MISSING = re.compile(r"^\| `(\w+)` \| [^|]+ \|$", re.MULTILINE)
# About the programs themselves, not about the machine.
THEMSELVES = ("go_", "process_", "promhttp_", "node_exporter_", "tocsin_")
# Labels that node_exporter has had since a version newer than Debian's.
NEWER_LABELS: Mapping[str, frozenset[str]] = {
    "node_disk_info": frozenset({"rotational"}),
    "node_network_info": frozenset({"adminstate"}),
    **{
        f"node_filesystem_{measure}": frozenset({"device_error"})
        for measure in ("avail_bytes", "device_error", "files", "files_free", "free_bytes", "readonly", "size_bytes")
    },
}


class Family(NamedTuple):
    """A family as it matters to whoever asks for it: its type, and its series with their values."""

    type: str
    series: dict[Labels, float]


Families = dict[str, Family]


@contextmanager
def node_exporter(path: str, *flags: str) -> Iterator[str]:
    """The real one, with all its defaults but for these flags; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [path, f"--web.listen-address={address}", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if 'msg="Listening on"' in line:
                    break
            else:
                raise AssertionError(f"node_exporter did not start: {said}")
            # Its log must go on being read, or it would stand still once the pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield f"http://{address}"
        finally:
            process.kill()


def usage(path: str) -> str:
    return subprocess.run([path, "--help"], capture_output=True, text=True, timeout=SURELY).stdout


def enabled_by_default(path: str) -> frozenset[str]:
    """The collectors that it runs when nobody says anything."""
    return frozenset(ENABLED.findall(usage(path)))


def not_common(path: str) -> frozenset[str]:
    """The collectors that run by default in one of the two only."""
    ours = {kind.name for kind in COLLECTORS}
    return (enabled_by_default(path) - ours) | (ours - frozenset(COLLECTOR.findall(usage(path))))


def documented_as_missing() -> frozenset[str]:
    """The families and collectors of node_exporter that docs/node-exporter.md says we do not have."""
    page = (Path(__file__).parents[2] / "docs" / "node-exporter.md").read_text()
    return frozenset(MISSING.findall(page.partition("\n## What is missing\n")[2].partition("\n## ")[0]))


def our_filters(path: str) -> list[str]:
    """Our default filters as its flags, as Debian's package has filters of its own."""
    known = set(OPTION.findall(usage(path)))
    flags = {
        f"collector.{kind.name}.{option.name}": option.default
        for kind in COLLECTORS
        for option in kind.options
        if option.kind is Kind.PATTERN
    }
    return [f"--{flag}={value}" for flag, value in flags.items() if flag in known]


def their_filters(path: str) -> list[str]:
    """Its default filters as our flags; each option's default stands in its usage as in the language Go."""
    defaults = dict(DEFAULT.findall(usage(path)))
    flags = (f"collector.{kind.name}.{each.name}" for kind in COLLECTORS for each in kind.options)
    return [f"--{flag}={json.loads(defaults[flag])}" for flag in flags if flag in defaults]


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SURELY) as answer:
        return str(answer.read().decode())


def families(page: str) -> Families:
    """What the page says about the machine. A label that is empty is the same as none, as it is for Prometheus."""
    found: Iterable[Metric] = parse_text(page)
    result: Families = {}
    for metric in found:
        if metric.name.startswith(THEMSELVES):
            continue
        # A histogram's series differ in their names as well.
        of_parts = metric.type in ("histogram", "summary")
        result[metric.name] = Family(
            metric.type,
            {
                frozenset(pair for pair in labels_of(sample, with_name=of_parts).items() if pair[1]): sample.value
                for sample in metric.samples
            },
        )
    return result


def labels_of(sample: Sample, *, with_name: bool) -> dict[str, str]:
    return sample.labels | ({"__name__": sample.name} if with_name else {})


def strictly(page: str) -> list[Metric]:
    """What the strict parser reads; it raises where a page in OpenMetrics is not what the specification asks for."""
    return list(parse_openmetrics(page))  # type: ignore[no-untyped-call]


def linted(promtool: str, page: str) -> set[str]:
    """What promtool says about the page, a sentence each."""
    check = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    return set((check.stdout + check.stderr).splitlines())


def without_newer_labels(found: Families) -> Families:
    return {
        name: Family(
            family.type,
            {
                frozenset(pair for pair in labels if pair[0] not in NEWER_LABELS.get(name, ())): value
                for labels, value in family.series.items()
            },
        )
        for name, family in found.items()
    }


def of_collectors(address: str, collectors: Iterable[str]) -> Families:
    """What these collectors of node_exporter publish here: nothing where the machine has nothing of the kind."""
    query = "&".join(f"collect[]={name}" for name in sorted(collectors))
    found = families(fetch(f"{address}/metrics?{query}")) if query else {}
    return {name: family for name, family in found.items() if not name.startswith("node_scrape_collector_")}


def without_collectors(found: Families, collectors: Iterable[str]) -> Families:
    """The same without what is said about these collectors' success, and without how long anything took."""
    left_out = {frozenset({("collector", name)}) for name in collectors}
    about = "node_scrape_collector_success"
    success = Family(
        "gauge", {labels: value for labels, value in found[about].series.items() if labels not in left_out}
    )
    return {
        name: success if name == about else family
        for name, family in found.items()
        if name != "node_scrape_collector_duration_seconds"
    }


def told_apart(theirs: Families, ours: Families) -> list[str]:
    """Where the type or the series of one of their families are others with us; one sentence each."""
    complaints = []
    for name, family in theirs.items():
        own = ours.get(name)
        if own is None:
            complaints.append(f"{name} is missing")
        elif own.type != family.type:
            complaints.append(f"{name} is a {own.type}, theirs a {family.type}")
        else:
            complaints.extend(f"{name} has no {_pairs(labels)}" for labels in family.series.keys() - own.series.keys())
            # A collector that is newer than theirs is no fault.
            more = own.series.keys() - family.series.keys() if name != "node_scrape_collector_success" else ()
            complaints.extend(f"{name} has {_pairs(labels)}" for labels in more)
    return sorted(complaints)


def other_values(theirs: Families, ours: Families) -> list[str]:
    """Where the same series has another value; one sentence each."""
    return sorted(
        f"{name}{_pairs(labels)} is {ours[name].series[labels]}, theirs {value}"
        for name, family in theirs.items()
        if name in ours
        for labels, value in family.series.items()
        if labels in ours[name].series and not _same(ours[name].series[labels], value)
    )


class Between(NamedTuple):
    """A page of ours, and theirs from before and after it."""

    before: Families
    ours: Families
    after: Families

    def outside(self, name: str, *, slack: float = 0.0) -> set[Labels]:
        """The series of a family whose value with us is not between theirs."""
        before, ours, after = (families[name].series for families in self)
        return {
            labels
            for labels in before.keys() & ours.keys() & after.keys()
            if not (
                min(before[labels], after[labels]) - slack <= ours[labels] <= max(before[labels], after[labels]) + slack
            )
            and not (_same(before[labels], ours[labels]) or _same(after[labels], ours[labels]))
        }


def missed_always(rounds: Sequence[Between], slack: Mapping[str, float]) -> dict[str, set[Labels]]:
    """The series whose value was not between theirs in any round: what moves both ways may miss it in some of them."""
    missed = {
        name: set.intersection(*(each.outside(name, slack=most) for each in rounds)) for name, most in slack.items()
    }
    return {name: labels for name, labels in missed.items() if labels}


def _same(one: float, other: float) -> bool:
    # node_exporter multiplies where we divide, which may differ in the last digit.
    return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))


def _pairs(labels: Labels) -> str:
    return "{" + ",".join(f"{name}={value!r}" for name, value in sorted(labels)) + "}"
