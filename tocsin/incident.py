"""`tocsin incident VERB`: what is open and why, and what people do about it, over the receiver's API.

Several incidents may be named where that makes sense. Each has its own line: what was done on standard output, what
was not on standard error; then the exit status is 1.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, urlencode

from guard import flags
from guard.printable import printable
from receiver.incident import Status
from receiver.policy.duration import parse_duration
from tocsin.client import DEFAULT_URL, Failed, Refused, ask, declare_again, declare_login, login_of, status_of
from tocsin.layout import columns_of, moment, written
from tocsin.story import list_of, story_of
from tocsin.typed import as_json, login_name, positive

STATUSES = ("active", "all", *Status)
_DOORS = {"ack": "acknowledge"}  # people type the short word
_HEADERS = {"X-Tocsin-Via": "cli"}


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
    now: datetime | None = None,
) -> int:
    out, err, now = out or sys.stdout, err or sys.stderr, now or datetime.now(UTC)
    chosen = _chosen(arguments, environ)
    base = chosen.url.rstrip("/") + "/api/v1/incidents"
    columns = columns_of(out, environ)

    def work() -> int:
        match chosen.verb:
            case "list":
                document = ask(f"{base}?{_query(chosen)}", login=chosen.login)
                text = list_of(document["incidents"], now=now, columns=columns)
                text = text if document["incidents"] else _nothing(chosen)
            case "show":
                document = ask(f"{base}/{quote(chosen.id, safe='')}", login=chosen.login)
                text = story_of(document, now=now, columns=columns)
            case _:
                return _act_on_all(base, chosen, out=out, err=err)
        out.write(as_json(document) if chosen.output == "json" else text)
        return 0

    return status_of("tocsin incident", base, work, err=err)


# --- the command line --------------------------------------------------------------------------------------


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    command = flags.command("tocsin incident", "What is open, and why; and what people do about it.")
    flags.flag(command, "--url", help="the receiver", default=DEFAULT_URL, environ=environ)
    declare_login(command, environ)
    flags.flag(
        command, "--output", help="text or json", default="text", parse=flags.one_of("text", "json"), environ=environ
    )
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> ArgumentParser:
        parser = verbs.add_parser(name, help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
        declare_again(parser)
        return parser

    listing = verb("list", "incidents, newest first")
    listing.add_argument("--status", choices=STATUSES, default="active", metavar="STATUS", help=", ".join(STATUSES))
    listing.add_argument("--limit", type=positive, default=100, help="at most so many")
    texts = listing.add_mutually_exclusive_group()
    texts.add_argument("--query", default="", metavar="TEXT", help="only those whose title or labels contain it")
    texts.add_argument("text", nargs="?", default="", metavar="TEXT", help="the same, without writing --query")
    verb("show", "one incident: whose it is, its alerts, and its story").add_argument("id", metavar="ID")

    acts = {
        "ack": verb("ack", "you have it: no further stage is taken"),
        "resolve": verb("resolve", "it is over, whatever still fires"),
        "snooze": verb("snooze", "put it off: no stage is taken until then"),
        "note": verb("note", "add a line to its story"),
        "assign": verb("assign", "say whose it is"),
        "merge": verb("merge", "it is the same trouble as another incident, which takes its alerts"),
        "split": verb("split", "take alerts out into an incident of their own"),
    }
    for name, parser in acts.items():
        flags.flag(
            parser,
            "--by",
            help="who does it; absent: who --token-file or --user says, or your login name",
            metavar="NAME",
            environ=environ,
        )
        if name in ("note", "split"):
            parser.add_argument("id", metavar="ID")
        else:
            parser.add_argument("ids", nargs="+", metavar="ID")
    acts["snooze"].add_argument("duration", type=_duration, metavar="DURATION", help="such as 30m or 2h")
    acts["note"].add_argument("text", nargs="+", metavar="TEXT")
    acts["assign"].add_argument("--to", required=True, metavar="NAME", help="whose it is now")
    acts["merge"].add_argument("--into", required=True, metavar="ID", help="the incident that takes the alerts")
    acts["split"].add_argument("alerts", nargs="*", metavar="FINGERPRINT", help="as `show` prints them")
    acts["split"].add_argument("--merged", metavar="ID", help="instead: all that was merged from this incident")

    chosen = command.parse_args(_sorted(arguments))
    if chosen.verb == "split" and bool(chosen.alerts) == (chosen.merged is not None):
        acts["split"].error("name either fingerprints of alerts or --merged=ID")
    chosen.login = login_of(chosen, command)
    if chosen.verb in acts and chosen.by is None and not chosen.login.says_who:
        chosen.by = login_name(environ)
        if chosen.by is None:
            acts[chosen.verb].error("who are you? say --by=NAME, or set TOCSIN_BY")
    return chosen


def _sorted(arguments: Sequence[str]) -> list[str]:
    """The verb, then the flags, then all else: argparse takes no list with a flag in the middle, and people type one.
    Every flag here has a value."""
    flagged: list[str] = []
    others: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*others[:1], *flagged, "--", *others[1:], *rest]
        if word.startswith("-"):
            flagged.append(word)
            if "=" not in word and word not in ("-h", "--help"):
                flagged += rest[:1]
                del rest[:1]
        else:
            others.append(word)
    return [*others[:1], *flagged, *others[1:]]


def _duration(text: str) -> str:
    try:
        parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(f"found {text!r}, expected {error}") from None
    return text


def _query(chosen: Namespace) -> str:
    return urlencode({"status": chosen.status, "limit": chosen.limit, "q": chosen.query or chosen.text})


def _nothing(chosen: Namespace) -> str:
    plain = chosen.status == "active" and not (chosen.query or chosen.text)
    return "nothing is open\n" if plain else "no incident matches\n"


# --- acts --------------------------------------------------------------------------------------------------


def _act_on_all(base: str, chosen: Namespace, *, out: TextIO, err: TextIO) -> int:
    done: list[Mapping[str, Any]] = []
    failed: list[dict[str, str]] = []

    def fail(identifier: str, text: str) -> None:
        failed.append({"id": identifier, "error": text})
        err.write(f"tocsin incident: {printable(f'{identifier}: {text}')}\n")

    identifiers = list(dict.fromkeys(chosen.ids if "ids" in chosen else [chosen.id]))
    while identifiers:
        identifier = identifiers.pop(0)
        url = f"{base}/{quote(identifier, safe='')}/{_DOORS.get(chosen.verb, chosen.verb)}"
        try:
            incident = ask(url, body=_body(chosen), headers=_HEADERS, login=chosen.login)
            line = f"{incident['id']}: {_outcome(chosen, incident)}"
        except Refused as error:
            fail(identifier, f"answered {error.status}: {error.said.removeprefix(f'{identifier}: ')}")
        except Failed as error:  # nobody answers: the others would only wait for the same
            fail(identifier, str(error))
            for other in identifiers:
                fail(other, "not tried")
            break
        else:
            done.append(incident)
            if chosen.output == "text":
                out.write(f"{printable(line)}\n")
    if chosen.output == "json":
        out.write(as_json({"incidents": done, "failed": failed}))
    return 1 if failed else 0


def _body(chosen: Namespace) -> dict[str, object]:
    match chosen.verb:
        case "snooze":
            more: dict[str, object] = {"for": chosen.duration}
        case "note":
            more = {"text": " ".join(chosen.text)}
        case "assign":
            more = {"to": chosen.to}
        case "merge":
            more = {"into": chosen.into}
        case "split" if chosen.merged is not None:
            more = {"merged": chosen.merged}
        case "split":
            more = {"alerts": chosen.alerts}
        case _:
            more = {}
    return more if chosen.by is None else {"by": chosen.by, **more}


def _outcome(chosen: Namespace, incident: Mapping[str, Any]) -> str:
    """What the receiver made of it, in a few words."""
    match chosen.verb:
        case "ack" if chosen.by is None:
            return f"{incident['acknowledged_by']} has it"
        case "ack" if not _is(chosen.by, incident["acknowledged_by"] or chosen.by):
            return f"{incident['acknowledged_by']} has it already"
        case "ack":
            return f"{chosen.by} has it"
        case "resolve":
            return "resolved"
        case "snooze":
            return f"put off until {written(moment(incident['snoozed_until']))}"
        case "note":
            return "noted"
        case "assign":
            return f"assigned to {chosen.to}"
        case "merge":
            return f"merged into {chosen.into}"
        case _:
            steps = reversed(incident["timeline"])
            mine = (step["why"] for step in steps if step["by"] != "tocsin" and _is(chosen.by, step["by"]))
            return f"split: {next(mine, 'done')}"  # which incident it opened, the receiver says


def _is(by: str | None, who: str) -> bool:
    """Whoever proved another name has it in brackets behind the one that was said."""
    return by is None or who == by or who.startswith(f"{by} (")
