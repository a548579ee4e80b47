"""`tocsin audit verify | list`: does the journal's chain hold, and what does the journal hold?

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
from pathlib import Path
from typing import Any, TextIO

import msgspec

from guard import flags
from receiver.entry import (
    KINDS,
    AlertsReceived,
    Delivered,
    EntriesSetAside,
    Entry,
    Fact,
    PolicyLoaded,
    TimePassed,
    Undeliverable,
    Unreadable,
    kind_of,
)
from receiver.store import StoreUnusable
from receiver.store.journal import Journal, open_journal
from receiver.store.sqlite import path_of
from tocsin.incident import printable

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
) -> int:
    out, err = out or sys.stdout, err or sys.stderr
    chosen = _parser(environ).parse_args(arguments)
    path: Path = chosen.storage_url
    try:
        journal, close = open_journal(path)
        try:
            if chosen.verb == "verify":
                return _verify(journal, out=out, err=err, monotonic=monotonic)
            return _list(journal, chosen, out=out)
        finally:
            close()
    except StoreUnusable as error:
        err.write(f"tocsin audit: {error}\n")
    except sqlite3.Error as error:
        err.write(f"tocsin audit: cannot read {path}: {error}\n")
    return 1


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    command = flags.command("tocsin audit", "What the journal holds, and whether its chain holds.")
    verbs = command.add_subparsers(dest="verb", required=True, metavar="verify | list")
    verify = verbs.add_parser("verify", help="walk the whole chain", allow_abbrev=False)
    listing = verbs.add_parser("list", help="one line for each entry", allow_abbrev=False)
    for each in (verify, listing):
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
    listing.add_argument("--limit", type=_count, default=100, help="at most so many")
    listing.add_argument("--output", choices=("text", "json"), default="text", help="text or json")
    return command


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number")
    return int(text)


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
    entries = "1 entry" if walked.position == 1 else f"{walked.position} entries"
    out.write(f"{entries}, the chain holds, head {walked.hash.hex()}\n")
    return 0


# --- list --------------------------------------------------------------------------------------------------


def _list(journal: Journal, chosen: argparse.Namespace, *, out: TextIO) -> int:
    after = journal.position_before_last(chosen.limit, chosen.kind) if chosen.after is None else chosen.after
    found = journal.of_kind(chosen.kind, after=after, limit=chosen.limit)
    if chosen.output == "json":
        document = {"entries": [_document(entry) for entry in found]}
        out.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return 0
    for entry in found:
        line = f"{entry.position:>8}  {entry.at:%Y-%m-%d %H:%M:%S}Z  {_who(entry.fact)}: {_what(entry.fact)}"
        out.write(printable(line) + "\n")
    return 0


def _document(entry: Entry) -> dict[str, object]:
    return {
        "position": entry.position,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "kind": kind_of(entry.fact),
        "who": _who(entry.fact),
        "what": _what(entry.fact),
    }


def _who(fact: Fact) -> str:
    match fact:
        case AlertsReceived() | Unreadable():
            return fact.source or "tocsin"
        case Delivered() | Undeliverable():
            return fact.channel
        case _:
            return str(getattr(fact, "by", "tocsin"))


def _what(fact: Fact) -> str:
    match fact:
        case AlertsReceived():
            return _posted(fact)
        case TimePassed():
            return "time passed, and something was due"
        case PolicyLoaded():
            return f"the policy {fact.policy.digest[:12]} was put in force"
        case Delivered():
            return f"took message {fact.message} about {fact.incident} at attempt {fact.attempts}: {fact.answer}"
        case Undeliverable():
            return f"refused message {fact.message} about {fact.incident} at attempt {fact.attempts}: {fact.reason}"
        case EntriesSetAside(entries):
            return f"{_few([f'entry {each.position} ({each.error})' for each in entries])} could not be decided"
        case Unreadable():
            return f"{fact.kind}, {len(fact.body)} bytes, {fact.problem}"
        case _:
            return _deed(fact)


def _posted(fact: AlertsReceived) -> str:
    alerts = fact.notification.alerts
    counts = Counter(alert.status for alert in alerts)
    names = dict.fromkeys(alert.labels.get("alertname", "unnamed alert") for alert in alerts)
    told = f"{len(alerts)} {'alert' if len(alerts) == 1 else 'alerts'}"
    return (
        f"posted {told} ({counts['firing']} firing, {counts['resolved']} resolved) "
        f"of the group {fact.notification.group_key}: {_few(list(names))}"
    )


def _deed(fact: Fact) -> str:
    """What a person did: the kind of deed, to which incident, and whatever else there is to say of it."""
    values: dict[str, Any] = msgspec.to_builtins(fact)
    rest = {name: value for name, value in values.items() if name not in ("type", "by", "incident")}
    incident = [str(values["incident"])] if "incident" in values else []
    told = " ".join([kind_of(fact).replace("_", " "), *incident])
    return ", ".join([told, *(f"{name} {value}" for name, value in rest.items())])


def _few(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN_MAX
    return ", ".join(texts[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
