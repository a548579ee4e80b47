"""`tocsin mapping try FILE`: what exporter.yml makes of a sample, and why. `tocsin mapping show`: all rules in force.

Nothing is sent anywhere, and no exporter has to run.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO

import msgspec

from exporter import settings as exporter
from exporter.control import Refused
from exporter.intake.logs.settings import Log
from exporter.settings import Settings
from guard import flags
from guard.printable import printable
from guard.wording import quote
from tocsin import ruletext
from tocsin.trial import Report, Took, Trial
from tocsin.typed import as_json

OUTPUTS = ("text", "json")
# Of a sample; of a larger one the beginning is taken.
SAMPLE_BYTES_MAX = 16 * 1024 * 1024


def main(
    arguments: Sequence[str], environ: Mapping[str, str], *, out: TextIO | None = None, err: TextIO | None = None
) -> int:
    """0 when something counted and nothing was wrong, 1 otherwise, 2 when the command line is wrong."""
    out, err = out or sys.stdout, err or sys.stderr
    chosen = _chosen(arguments, environ)
    try:
        settings = (
            Settings() if chosen.config_file is None else exporter.read(Path(chosen.config_file), environ=environ)
        )
        if chosen.verb == "show":
            out.write(ruletext.written(settings.rules))
            return 0
        trial = Trial(settings)
        log = _log_of(settings, chosen)
    except Refused as refused:
        err.writelines(f"{fault}\n" for fault in refused.faults)
        return 1
    except LookupError:
        err.write(f"tocsin mapping try: --log: found {chosen.log!r}, expected {_names(settings)}\n")
        return 2
    try:
        data, is_whole = _sample(chosen.sample)
    except OSError as error:
        err.write(f"tocsin mapping try: {chosen.sample}: {error.strerror or error}\n")
        return 2
    report = trial.report(data, log, now=time.time())
    if chosen.output == "json":
        out.write(as_json({**msgspec.to_builtins(report), "whole": is_whole}))
    else:
        out.writelines(f"{line}\n" for line in _text(report, settings, is_whole=is_whole))
    return 0 if report.counted and not report.faults else 1


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    command = flags.command("tocsin mapping", "What becomes of events: try it on a sample, or show all rules.")
    verbs = command.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    attempt = verbs.add_parser(
        "try", help="what a sample becomes, and why", description="What a sample becomes, and why."
    )
    attempt.add_argument("sample", metavar="FILE", help="a log, or events as lines of JSON; - reads standard input")
    _declare_file(attempt, environ)
    flags.flag(
        attempt,
        "--log",
        metavar="NAME",
        help="the entry of logs: whose lines these are; without it, the one whose paths match, else events",
        scope="mapping",
        environ=environ,
    )
    flags.flag(
        attempt,
        "--output",
        help=", ".join(OUTPUTS),
        default="text",
        parse=flags.one_of(*OUTPUTS),
        scope="mapping",
        environ=environ,
    )
    show = verbs.add_parser("show", help="all rules in force, as YAML", description="All rules in force, as YAML.")
    _declare_file(show, environ)
    return command.parse_args(arguments)


def _declare_file(command: ArgumentParser, environ: Mapping[str, str]) -> None:
    flags.flag(
        command,
        "--config.file",
        metavar="FILE",
        help="exporter.yml; without one, the bundled rules alone",
        scope="EXPORTER",
        environ=environ,
    )


def _log_of(settings: Settings, chosen: Namespace) -> Log | None:
    """The one that is named, or whose paths match the sample's. LookupError where there is none of that name."""
    if chosen.log:
        named = [log for log in settings.logs if log.name == chosen.log]
        if not named:
            raise LookupError(chosen.log)
        return named[0]
    path = str(Path(chosen.sample).absolute())
    matching = (log for log in settings.logs if any(fnmatchcase(path, pattern) for pattern in log.paths))
    return next(matching, None)


def _names(settings: Settings) -> str:
    names = ", ".join(log.name for log in settings.logs)
    return f"one of: {names}" if names else "none, as exporter.yml has no logs"


def _sample(name: str) -> tuple[bytes, bool]:
    """As many whole lines as are taken, and whether that is all of them."""
    if name == "-":
        data = sys.stdin.buffer.read(SAMPLE_BYTES_MAX + 1)
    else:
        with Path(name).open("rb") as file:
            data = file.read(SAMPLE_BYTES_MAX + 1)
    if len(data) <= SAMPLE_BYTES_MAX:
        return data, True
    return data[: data.rfind(b"\n", 0, SAMPLE_BYTES_MAX) + 1], False


def _text(report: Report, settings: Settings, *, is_whole: bool) -> Iterator[str]:
    """The page first; what is said about it are comments, so that all of it is a page."""
    yield from report.page.splitlines()
    yield from (f"# {line}" if line else "#" for line in ("", *_explained(report, settings, is_whole=is_whole)))


def _explained(report: Report, settings: Settings, *, is_whole: bool) -> Iterator[str]:
    beginning = "" if is_whole else f" (the first {SAMPLE_BYTES_MAX} bytes of the sample)"
    of = f" of the log {report.log}" if report.log else ""
    asked = sum(report.events.values())
    yield f"{_counted(report.lines, 'line')}{of}{beginning}, {_counted(asked, 'event')} that rules ask for"
    if settings.logs and not report.log:
        yield f"read as events, as no log has this path; --log=NAME reads it as {_names(settings)}"
    for kind, count in report.events.items():
        yield f"  {count} of the kind {printable(kind)}"
    for rule in report.rules:
        counted = f"{rule.metric}: counted {rule.events} of {rule.of} {printable(rule.event)} ({rule.said_in})"
        yield "; ".join([counted, *_not_counted(rule)])
    for kind, count in report.unmatched.items():
        if kind:
            yield f"no rule asks for {count} of the kind {kind}{_meant(kind, report)}"
        else:
            places = f", first in line {', '.join(map(str, report.unlike))}" if report.unlike else ""
            yield f"no pattern is found in {_counted(count, 'line')}{places}"
    if report.faults:
        yield f"{_counted(report.faults, 'line')} cannot be used; the first:"
        yield from (f"  line {fault.place}: {fault.text}" for fault in report.first_faults)
    for kind, names in report.fields_unasked.items():
        yield f"no rule asks for these fields of {printable(kind)}: {', '.join(names)}"
    if report.redacted:
        yield "redacted, different values: " + ", ".join(f"{count} {name}" for name, count in report.redacted.items())
    for metric, label, count in report.folded:
        yield f"{metric}: {label} became other in {_counted(count, 'event')}, as it has too many values"
    yield from (f"warning: {warning}" for warning in report.warnings)


def _not_counted(rule: Took) -> Iterator[str]:
    if rule.without_value:
        yield f"{rule.without_value} without {printable(rule.value)}"
    if rule.left_out:
        yield f"{rule.left_out} left out by where"


def _meant(kind: str, report: Report) -> str:
    """The kind with a name like it that a user's rule waits for in vain."""
    near = get_close_matches(kind, [rule.event for rule in report.rules if not rule.of], n=1)
    return f" (did you mean {quote(near[0])}?)" if near else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
