"""`tocsin audit verify | list | export`: does the journal's chain hold, and what does the journal hold?

Reads the store itself, also while a receiver runs on it, takes no lock and writes nothing. Bodies are summarised, never
printed: what is in them is for whoever has the store.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from guard import flags
from guard.printable import printable
from receiver.alert import Alert
from receiver.entry import (
    KINDS,
    Accessed,
    AlertsFetched,
    AlertsReceived,
    ChainBroken,
    Delivered,
    EntriesSetAside,
    Entry,
    Fact,
    JournalTrimmed,
    Looked,
    PolicyLoaded,
    TimePassed,
    Undeliverable,
    Unreadable,
    Withdrawn,
    kind_of,
)
from receiver.policy.duration import parse_duration
from receiver.store import StoreUnusable
from receiver.store.journal import Choice, Journal, open_journal
from receiver.store.sqlite import path_of
from tocsin.export import Faulty, verify_export, write_export

PROGRESS_SECONDS = 2.0
SHOWN_MAX = 5
_STORE = "sqlite:///data/receiver.db"


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    out, err = out or sys.stdout, err or sys.stderr
    chosen = _parser(environ, now=now()).parse_args(arguments)
    path: Path = chosen.storage_url
    if chosen.verb == "verify" and chosen.export is not None:
        return _verify_export(chosen.export, out=out, err=err)
    try:
        journal, close = open_journal(path)
        try:
            if chosen.verb == "verify":
                return _verify(journal, out=out, err=err, monotonic=monotonic)
            if chosen.verb == "export":
                return _export(journal, chosen.file, out=out, err=err)
            return _list(journal, chosen, out=out)
        finally:
            close()
    except StoreUnusable as error:
        err.write(f"tocsin audit: {error}\n")
    except sqlite3.Error as error:
        err.write(f"tocsin audit: cannot read {path}: {error}\n")
    return 1


def _parser(environ: Mapping[str, str], *, now: datetime) -> argparse.ArgumentParser:
    command = flags.command("tocsin audit", "What the journal holds, and whether its chain holds.")
    verbs = command.add_subparsers(dest="verb", required=True, metavar="verify | list | export")
    verify = verbs.add_parser("verify", help="walk the whole chain", allow_abbrev=False)
    listing = verbs.add_parser("list", help="one line for each entry", allow_abbrev=False)
    export = verbs.add_parser("export", help="the whole journal as NDJSON, with its hashes", allow_abbrev=False)
    export.add_argument("file", metavar="FILE", type=Path, help="must not be there yet")
    verify.add_argument(
        "--export", type=Path, metavar="FILE", help="walk the chain of an export instead of the store's"
    )
    for each in (verify, listing, export):
        flags.flag(
            each,
            "--storage.url",
            help="where the journal is",
            default=_STORE,
            parse=path_of,
            metavar="URL",
            scope="RECEIVER",
            environ=environ,
        )
    listing.add_argument("--kind", choices=KINDS, default="", metavar="KIND", help=f"only these: {', '.join(KINDS)}")
    listing.add_argument("--after", type=_count, metavar="POSITION", help="those after it; absent: the last ones")
    moment = _moment(now)
    listing.add_argument("--since", type=moment, metavar="TIME", help="2026-11-21T08:00:00Z, or 2h: so long ago")
    listing.add_argument("--until", type=moment, metavar="TIME", help="those before it")
    listing.add_argument("--by", metavar="WHO", help="only what this person did")
    listing.add_argument("--incident", metavar="ID", help="only what is about this incident")
    listing.add_argument("--text", metavar="TEXT", default="", help="only lines that hold it, in capitals or not")
    listing.add_argument("--limit", type=_count, default=100, help="at most so many")
    listing.add_argument("--output", choices=("text", "json"), default="text", help="text or json")
    return command


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number")
    return int(text)


def _moment(now: datetime) -> Callable[[str], datetime]:
    """A point in time as people write it; without a zone it is UTC."""

    def moment(text: str) -> datetime:
        try:
            return now - parse_duration(text)
        except (ValueError, OverflowError):
            pass
        try:
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            expected = "a time such as 2026-11-21T08:00:00Z, or a duration such as 2h"
            raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}") from None

    return moment


# --- verify ------------------------------------------------------------------------------------------------


def _verify(journal: Journal, *, out: TextIO, err: TextIO, monotonic: Callable[[], float]) -> int:
    total, _ = journal.head()
    told_at = monotonic()

    def tell(position: int) -> None:
        nonlocal told_at
        if monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = monotonic()
            err.write(f"tocsin audit: {position} of {max(position, total)} entries\n")

    walked = journal.walk(known=0, on_progress=tell)
    if walked.problem is not None:
        out.write(f"the chain does not hold: {walked.problem}\n")
        return 1
    begin = journal.begin().position
    begun = f", the first {begin} were taken out" if begin else ""
    out.write(f"{_entries(walked.position - begin)}, the chain holds, head {walked.hash.hex()}{begun}\n")
    return 0


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _verify_export(path: Path, *, out: TextIO, err: TextIO) -> int:
    try:
        count, head = verify_export(path)
    except Faulty as error:
        out.write(f"the chain does not hold: {error}\n")
        return 1
    except OSError as error:
        err.write(f"tocsin audit: cannot read {path}: {error.strerror or error}\n")
        return 1
    out.write(f"{_entries(count)}, the chain holds, head {head}\n")
    return 0


# --- export ------------------------------------------------------------------------------------------------


def _export(journal: Journal, path: Path, *, out: TextIO, err: TextIO) -> int:
    try:
        with path.open("xb") as file:
            count = write_export(journal, file)
    except OSError as error:
        err.write(f"tocsin audit: cannot write {path}: {error.strerror or error}\n")
        return 1
    out.write(f"{_entries(count)} in {path}\n")
    return 0


# --- list --------------------------------------------------------------------------------------------------


def _list(journal: Journal, chosen: argparse.Namespace, *, out: TextIO) -> int:
    choice = Choice(chosen.kind, chosen.after or 0, chosen.since, chosen.until)
    walk = journal.backwards(choice) if chosen.after is None else journal.forwards(choice)
    found = list(islice((entry for entry in walk if _wanted(entry, chosen)), chosen.limit))
    if chosen.after is None:
        found.reverse()
    if chosen.output == "json":
        document = {"entries": [_document(entry) for entry in found]}
        out.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return 0
    out.writelines(
        printable(f"{entry.position:>8}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {_line(entry.fact)}") + "\n" for entry in found
    )
    return 0


def _wanted(entry: Entry, chosen: argparse.Namespace) -> bool:
    fact = entry.fact
    about = {getattr(fact, name, None) for name in ("incident", "into", "merged")}
    doers = {each.name for each in fact.uses} if isinstance(fact, Accessed) else {getattr(fact, "by", "")}
    return (
        (chosen.by is None or chosen.by in doers)
        and (chosen.incident is None or chosen.incident in about)
        and chosen.text.lower() in _line(fact).lower()
    )


def _line(fact: Fact) -> str:
    return f"{_who(fact)}: {_what(fact)}"


def _document(entry: Entry) -> dict[str, object]:
    return {
        "position": entry.position,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "kind": kind_of(entry.fact),
        "who": _who(entry.fact),
        "what": _what(entry.fact),
        "by": getattr(entry.fact, "by", None),
        "incident": getattr(entry.fact, "incident", None),
    }


def _who(fact: Fact) -> str:
    match fact:
        case AlertsReceived() | AlertsFetched() | Looked() | Unreadable():
            return fact.source or "tocsin"
        case Delivered() | Undeliverable() | Withdrawn():
            return fact.channel
        case _:
            return str(getattr(fact, "by", "tocsin"))


def _what(fact: Fact) -> str:
    match fact:
        case AlertsReceived():
            return _posted(fact)
        case AlertsFetched(alerts=alerts):
            few = _few(_names(alerts)) or "none"
            return f"was asked for the whole group {fact.group_key}, {_alerts(alerts)}: {few}"
        case Looked():
            return f"was asked, and said: {_few(_said(fact))}"
        case TimePassed():
            return "time passed, and something was due"
        case PolicyLoaded():
            return f"the policy {fact.policy.digest[:12]} was put in force"
        case Delivered():
            return f"took message {fact.message} about {fact.incident} at attempt {fact.attempts}: {fact.answer}"
        case Undeliverable():
            return f"refused message {fact.message} about {fact.incident} at attempt {fact.attempts}: {fact.reason}"
        case Withdrawn():
            return f"was not sent message {fact.message} about {fact.incident} any more: {fact.why}"
        case EntriesSetAside(entries):
            return f"{_few([f'entry {each.position} ({each.error})' for each in entries])} could not be decided"
        case ChainBroken():
            return f"found that the chain holds up to entry {fact.position} only: {fact.problem}"
        case JournalTrimmed():
            gone = f"took out the oldest {_entries(fact.entries)}, up to {fact.position}"
            return f"{gone}; the chain goes on from {fact.hash}"
        case Accessed():
            return _used(fact)
        case Unreadable():
            return f"{fact.kind}, {len(fact.body)} bytes, {fact.problem}"
        case _:
            return _deed(fact)


def _used(fact: Accessed) -> str:
    """Who used the API. All of them: whoever looks for a name must find it."""
    told = [
        f"{each.name or 'somebody'}{f' ({each.role})' if each.role else ''} from {each.address}: {each.door}"
        f" {each.count}x" + (f", {each.refused} refused" if each.refused else "")
        for each in fact.uses
    ]
    return "uses: " + "; ".join([*told, *([f"and {fact.left_out} by others"] if fact.left_out else [])])


def _posted(fact: AlertsReceived) -> str:
    alerts = fact.notification.alerts
    counts = Counter(alert.status for alert in alerts)
    return (
        f"posted {_alerts(alerts)} ({counts['firing']} firing, {counts['resolved']} resolved) "
        f"of the group {fact.notification.group_key}: {_few(_names(alerts))}"
        f"{f', as {fact.correlation}' if fact.correlation else ''}"
    )


def _alerts(alerts: Sequence[Alert]) -> str:
    return f"{len(alerts)} {'alert' if len(alerts) == 1 else 'alerts'}"


def _names(alerts: Sequence[Alert]) -> list[str]:
    return list(dict.fromkeys(alert.labels.get("alertname", "unnamed alert") for alert in alerts))


def _said(fact: Looked) -> list[str]:
    """What Alertmanager's API said about alerts, which are known by their fingerprints."""
    return [
        *(
            f"{each.fingerprint} is {each.how}{f' by {each.by}' if each.by else ''}"
            + (f" until {each.until:%Y-%m-%d %H:%M:%S}Z" if each.until else "")
            for each in fact.suppressed
        ),
        *(f"{fingerprint} is shown" for fingerprint in fact.shown),
        *(f"{each.fingerprint} is gone since {each.since:%Y-%m-%d %H:%M:%S}Z" for each in fact.gone),
    ]


def _deed(fact: Fact) -> str:
    """What a person did: the kind of deed, to which incident, and whatever else there is to say of it."""
    values: dict[str, Any] = msgspec.to_builtins(fact)
    rest = {name: value for name, value in values.items() if value and name not in ("type", "by", "incident")}
    incident = [str(values["incident"])] if "incident" in values else []
    told = " ".join([kind_of(fact).replace("_", " "), *incident])
    return ", ".join([told, *(f"{name} {value}" for name, value in rest.items())])


def _few(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN_MAX
    return ", ".join(texts[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
