"""`tocsin check`: every configuration file of a repository, and every fault in them, at once.

Our own kinds of file are handed in and read exactly as the programs read them; Prometheus' files are judged
by Prometheus' own programs. Nothing is changed, and nothing is sent anywhere unless `--send` asks for it. Warnings
change no exit status.
"""

import argparse
import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from guard import flags
from guard.configfile import Fault, InvalidConfig, Kind, read, read_and_warn, syntax
from guard.document import Unparsable
from receiver import settings as receiver
from tocsin import filekinds, preview, promcheck
from tocsin.filekinds import AnyKind
from tocsin.promcheck import PrometheusFile, Verdict

FORMATS = ("text", "json", "github")


class Report(NamedTuple):
    """What there is to say about all files."""

    files: int
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    notes: tuple[str, ...]


def main(
    argv: Sequence[str],
    *,
    kinds: Sequence[Kind[Any]],
    out: TextIO,
    err: TextIO,
    environ: Mapping[str, str],
    folder: Path | None = None,
) -> int:
    """0 when all is well, 1 when a fault was found, 2 when the command line is wrong.

    Names are seen from `folder`, which is the current one unless a caller says otherwise.
    """
    parser = flags.command("tocsin check", "Reads every configuration file and tells every fault at once.")
    parser.add_argument("files", nargs="*", metavar="FILE", help="a file or a folder (default: all there are)")
    flags.flag(
        parser,
        "--format",
        help="how to tell it: " + ", ".join(FORMATS),
        default="text",
        parse=flags.one_of(*FORMATS),
        scope="check",
        environ=environ,
    )
    trial = parser.add_mutually_exclusive_group()
    trial.add_argument("--preview", action="store_true", help="print what each channel would send, without sending it")
    trial.add_argument("--send", metavar="CHANNEL", help="send one test message through a channel, and say the answer")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            arguments = parser.parse_args(argv)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    here = Path.cwd() if folder is None else folder
    if arguments.preview or arguments.send is not None:
        return _try_out(arguments, here, kinds=kinds, out=out, err=err, environ=environ)
    verdicts = dict(_verdicts(arguments.files, here, kinds, environ))
    faults = tuple(dict.fromkeys(fault for verdict in verdicts.values() for fault in verdict.faults))
    warned = tuple(dict.fromkeys(warning for verdict in verdicts.values() for warning in verdict.warnings))
    notes = tuple(note for verdict in verdicts.values() for note in verdict.notes)
    if not verdicts:
        notes = (f"no configuration file below {here}",)
    report = _REPORTS[arguments.format](Report(len(verdicts), faults, warned, notes))
    out.writelines(f"{line}\n" for line in report)
    return 1 if faults else 0


def _try_out(
    arguments: argparse.Namespace,
    folder: Path,
    *,
    kinds: Sequence[Kind[Any]],
    out: TextIO,
    err: TextIO,
    environ: Mapping[str, str],
) -> int:
    """The channels of the one policy that is meant."""
    found = [path for path, kind in _chosen(arguments.files, folder, kinds) if kind is receiver.KIND]
    if len(found) != 1:
        count = f"{len(found)} policies" if found else "no policy"
        err.write(f"tocsin check: found {count}, expected one: name the file, such as receiver.yml\n")
        return 2
    try:
        if arguments.preview:
            return preview.show(found[0], out=out, environ=environ)
        return preview.send(found[0], channel=arguments.send, out=out, environ=environ)
    except InvalidConfig as invalid:
        out.writelines(
            f"{msgspec.structs.replace(each, file=_shown(Path(each.file), folder))}\n" for each in invalid.faults
        )
        return 1


def _verdicts(
    files: Sequence[str], folder: Path, kinds: Sequence[Kind[Any]], environ: Mapping[str, str]
) -> Iterator[tuple[str, Verdict]]:
    for path, kind in _chosen(files, folder, kinds):
        name = _shown(path, folder)
        yield name, _verdict(name, kind, folder=folder, kinds=kinds, environ=environ)


def _chosen(files: Sequence[str], folder: Path, kinds: Sequence[Kind[Any]]) -> Iterator[tuple[Path, AnyKind | None]]:
    """What to read: every known file below a folder, and a file that is named in any case."""
    for path in [folder / file for file in files] or [folder]:
        if path.is_dir():
            yield from filekinds.find(path, kinds)
        else:
            yield path, filekinds.by_name(Path(folder.name, _shown(path, folder)), kinds)


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _verdict(
    name: str, kind: AnyKind | None, *, folder: Path, kinds: Sequence[Kind[Any]], environ: Mapping[str, str]
) -> Verdict:
    path = folder / name
    if path.exists() and not path.is_file():
        # A pipe would be empty by the time that it is read again, and an empty file is a good one.
        return Verdict((Fault(name, 0, "", "neither a file nor a folder", "a file that can be read twice"),))
    if kind is None:
        kind = _by_content(path, kinds)
    match kind:
        case None:
            unknown = (Fault(name, 0, "", "a file of no known kind", f"one of: {filekinds.known(kinds)}"),)
            return Verdict(_named(syntax(path), name) or unknown)
        case PrometheusFile():
            return promcheck.check(name, kind, folder=folder, environ=environ)
    try:
        value, warned = read_and_warn(path, kind, environ=environ)
    except InvalidConfig as invalid:
        return Verdict(_named(invalid.faults, name))
    return Verdict(
        tuple(_faults_of_others(kind.others(value), folder=folder, environ=environ)),
        warnings=_named(warned, name),
    )


def _faults_of_others(
    others: Iterable[tuple[Path, Kind[Any]]], *, folder: Path, environ: Mapping[str, str]
) -> Iterator[Fault]:
    """Of files that a file names, whatever their own names are."""
    for path, kind in others:
        try:
            read(path, kind, environ=environ)
        except InvalidConfig as invalid:
            yield from _named(invalid.faults, _shown(path, folder))


def _by_content(path: Path, kinds: Sequence[Kind[Any]]) -> AnyKind | None:
    try:
        return filekinds.by_content(path.read_text(encoding="utf-8-sig"), kinds)
    except (OSError, ValueError, Unparsable):
        # Reading it once more for its syntax tells why.
        return None


def _named(faults: Sequence[Fault], name: str) -> tuple[Fault, ...]:
    return tuple(msgspec.structs.replace(fault, file=name) for fault in faults)


def _text(report: Report) -> Iterator[str]:
    yield from map(str, report.faults)
    for warning in report.warnings:
        yield f"warning: {warning}"
    yield from report.notes
    yield _summary(report)


def _json(report: Report) -> Iterator[str]:
    yield json.dumps(msgspec.to_builtins(report._asdict()), indent=2)


def _github(report: Report) -> Iterator[str]:
    """Workflow commands that put each fault beside its line in the review."""
    for word, faults in (("error", report.faults), ("warning", report.warnings)):
        for fault in faults:
            line = f",line={fault.line}" if fault.line else ""
            title = _property(fault.path or "configuration")
            expected = f", expected {fault.expected}" if fault.expected else ""
            message = _message(f"found {fault.found}{expected}")
            yield f"::{word} file={_property(fault.file)}{line},title={title}::{message}"
    for note in report.notes:
        yield f"::notice::{_message(note)}"
    yield _summary(report)


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _summary(report: Report) -> str:
    warned = f", {_counted(len(report.warnings), 'warning')}" if report.warnings else ""
    return f"checked {_counted(report.files, 'file')}: {_counted(len(report.faults), 'fault')}{warned}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_REPORTS = {"text": _text, "json": _json, "github": _github}
