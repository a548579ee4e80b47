"""What the documentation says of node_exporter and Prometheus, held to the real ones: flags, configurations."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.choices import flag_of
from exporter.collectors import COLLECTORS
from exporter.commandline import command_line
from exporter.foreign import ALIASES, COLLECTORS_THERE, explained
from tests.pages import fenced, rows, text_of
from tests.real.peer import enabled_by_default, usage

pytestmark = pytest.mark.real

FLAG = re.compile(r"^ +(?:-h, )?(--[a-z][\w.-]*)", re.MULTILINE | re.IGNORECASE)
COLLECTOR = re.compile(r"--(?:\[no-\])?collector\.(\w+)\s+Enable\s+the")


def test_every_flag_is_ours_or_told_what_to_do_instead(needs: Callable[[str], str]) -> None:
    flags = FLAG.findall(usage(needs("prometheus-node-exporter")))
    known = re.findall(r"--[a-z][\w.-]*", command_line({}, {}).format_help())
    assert len(flags) > 100
    unknown = {flag: explained([flag], known) for flag in flags if flag not in {*known, *ALIASES}}
    # A collector that both have must not lack an option in silence.
    silent = ("there is no such flag", "has no option")
    assert {flag: said for flag, said in unknown.items() if any(each in said for each in silent)} == {}


def test_each_collector_that_is_off_there_is_ours_or_documented_as_missing(needs: Callable[[str], str]) -> None:
    path = needs("prometheus-node-exporter")
    there = set(COLLECTORS_THERE.split())
    assert set(COLLECTOR.findall(usage(path))) <= there
    off = there - enabled_by_default(path) - {kind.name for kind in COLLECTORS}
    assert set(rows("node-exporter.md", "What is off there, and missing here")) == off


def test_the_table_of_collectors_is_what_both_run_by_default(needs: Callable[[str], str]) -> None:
    path = needs("prometheus-node-exporter")
    on, there = enabled_by_default(path), set(COLLECTOR.findall(usage(path)))
    ours = {kind.name: "on" if kind.enabled else "off" for kind in COLLECTORS}
    told = {
        name: [cell.strip() for cell in row.split("|")] for name, row in rows("node-exporter.md", "Collectors").items()
    }
    assert told == {
        name: ["on" if name in on else "off" if name in there else "newer", ours.get(name, "missing")]
        for name in COLLECTORS_THERE.split()
    }


# Where the defaults of node_exporter's newest version differ from those of Debian's 1.5.
NEWER_DEFAULTS = {
    "--collector.diskstats.device-exclude",
    "--collector.filesystem.fs-types-exclude",
    "--collector.netstat.fields",
}


def test_the_unit_for_debian_has_the_defaults_of_debians_package(needs: Callable[[str], str]) -> None:
    told = dict(re.findall(r'(--collector\.[\w.-]+)="(.*)"', usage(needs("prometheus-node-exporter"))))
    theirs = {name: default.replace("\\\\", "\\") for name, default in told.items()}
    ours = {flag_of(kind.name, option): option.default for kind in COLLECTORS for option in kind.options}
    others = {name: theirs[name] for name, default in ours.items() if theirs.get(name, default) != default}
    (unit,) = fenced(text_of("node-exporter.md"), "ini")
    flags = dict(re.findall(r"(--collector\.[\w.-]+)=(\S+)", unit.replace("$$", "$").replace("\\\\", "\\")))
    assert {name: default for name, default in others.items() if name not in NEWER_DEFAULTS} == flags


@pytest.mark.parametrize("page", ["exporter.md", "metrics-exporter.md", "node-exporter.md"])
def test_prometheus_understands_each_configuration_of_the_page(
    needs: Callable[[str], str], page: str, tmp_path: Path
) -> None:
    blocks = [block for block in fenced(text_of(page), "yaml") if "scrape_configs:" in block]
    assert blocks
    for block in blocks:
        file = tmp_path / "prometheus.yml"
        file.write_text(block)
        end = subprocess.run(
            [needs("promtool"), "check", "config", str(file)], capture_output=True, text=True, timeout=60
        )
        assert end.returncode == 0, end.stderr
