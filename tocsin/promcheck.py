"""Prometheus' and Alertmanager's own files, judged by the programs that they are written for.

promtool and amtool decide; here their output is only turned into faults. Where such a program is missing
the file is still read as YAML, and a note says that it went no further. No program runs without end.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from guard.configfile import Fault, syntax

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PrometheusFile:
    """One kind of file, the program that judges it, and the keys that it is known by."""

    title: str
    example: str
    program: str
    arguments: tuple[str, ...]
    keys: frozenset[str]


CONFIGURATION = PrometheusFile(
    "Prometheus configuration",
    "prometheus.yml",
    "promtool",
    ("check", "config"),
    frozenset(["global", "rule_files", "scrape_configs", "alerting", "remote_write", "remote_read", "storage"]),
)
ALERTMANAGER = PrometheusFile(
    "Alertmanager configuration",
    "alertmanager.yml",
    "amtool",
    ("check-config",),
    frozenset(["global", "route", "receivers", "inhibit_rules", "templates", "time_intervals"]),
)
RULES = PrometheusFile("Prometheus rules", "rules/*.yml", "promtool", ("check", "rules"), frozenset(["groups"]))
RULE_TESTS = PrometheusFile(
    "tests of Prometheus rules",
    "rules/tests/*.yml",
    "promtool",
    ("test", "rules"),
    frozenset(["rule_files", "evaluation_interval", "group_eval_order", "tests"]),
)
PROMETHEUS_FILES = (CONFIGURATION, ALERTMANAGER, RULES, RULE_TESTS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say about one file."""

    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Fault, ...] = ()


def check(
    name: str,
    kind: PrometheusFile,
    *,
    folder: Path,
    environ: Mapping[str, str],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Verdict:
    """Judges the file `name`, seen from `folder`. YAML comes first: its faults make the rest meaningless."""
    faults = syntax(folder / name)
    if faults:
        return Verdict(tuple(msgspec.structs.replace(fault, file=name) for fault in faults))
    program = shutil.which(kind.program, path=environ.get("PATH", os.defpath))
    if program is None:
        return Verdict(notes=(f"{name}: checked as YAML only: {kind.program} is not installed",))
    # A name that begins with a dash is a file, not a flag.
    command = [program, *kind.arguments, name if not name.startswith("-") else f"./{name}"]
    status, output = _run(command, folder, environ, timeout_seconds)
    if status is None:
        return Verdict((Fault(name, 0, "", f"no answer of {kind.program} in {timeout_seconds:g} seconds", ""),))
    if status == 0:
        return Verdict()
    said = tuple(dict.fromkeys(_faults(output, name, kind.program)))
    return Verdict(said or (Fault(name, 0, "", f"what {kind.program} refuses: exit status {status}", ""),))


def _run(
    command: list[str], folder: Path, environ: Mapping[str, str], timeout_seconds: float
) -> tuple[int | None, str]:
    """The exit status, or none when the time was up, and what was said.

    The output goes through a file: a pipe would stay open, and be waited for, as long as some child of the
    program lives.
    """
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(  # noqa: S603 - the program of that name in the user's own PATH
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                status: int | None = process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return status, output.read().decode("utf-8", "replace")


_SUCCESS = re.compile(r"\s*SUCCESS\b.*")
_HEADLINE = re.compile(r"\s*(Checking '?.*?'?(?=\s+FAILED|$)|Unit Testing:.*|FAILED:|amtool: error:.*)\s*")
_PLACED = re.compile(r"(?P<file>\S.*?): (?P<line>\d+):\d+: (?P<said>.*)")
_YAML = re.compile(r".*?\bline (?P<line>\d+): (?P<said>.*)")


def _faults(output: str, name: str, program: str) -> Iterator[Fault]:
    """A fault for each message that names a line, and one for all that names none."""
    rest: list[str] = []
    for line in output.splitlines():
        said = line.strip()
        while said and (match := _HEADLINE.match(said)):
            said = said[match.end() :].strip()
        if not said or _SUCCESS.fullmatch(said):
            continue
        if match := _PLACED.fullmatch(said):
            yield _refused(match["file"], int(match["line"]), match["said"], program)
        elif match := _YAML.fullmatch(said):
            yield _refused(name, int(match["line"]), match["said"], program)
        elif not said.endswith("unmarshal errors:"):
            rest.append(said)
    if rest:
        yield _refused(name, 0, " ".join(rest), program)


def _refused(file: str, line: int, said: str, program: str) -> Fault:
    plain = "".join(each if each.isprintable() else " " for each in said)
    return Fault(file, line, "", f"what {program} refuses: {plain}", "")
