"""`tocsin delivery VERB`: what was sent, what became of it, and dead letters sent again, over the receiver's API.

What a channel refused, or what was given up, is a dead letter until the channel was told something newer about the same
incident. Each that is named has its own line: what was done on standard output, what was not on standard error; then
the exit status is 1.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, urlencode

from guard import flags
from guard.printable import printable
from tocsin.client import DEFAULT_URL, Failed, Refused, ask, declare_again, declare_login, login_of, status_of
from tocsin.layout import columns_of, lasting, moment, table
from tocsin.typed import as_json, login_name, positive

OUTCOMES = ("owed", "delivered", "refused", "withdrawn")
LISTED_MAX = 10_000  # as many as the receiver lists at once
ANSWER_CHARACTERS_MAX = 200
_DIGEST = "digest"
_HEADERS = {"X-Tocsin-Via": "cli"}

Document = Mapping[str, Any]


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
    base = chosen.url.rstrip("/") + "/api/v1/deliveries"

    def work() -> int:
        if chosen.verb == "resend":
            return _resend(base, chosen, out=out, err=err)
        query = {name: getattr(chosen, name) for name in ("outcome", "channel", "incident", "limit")}
        document = ask(f"{base}?{urlencode(query)}", login=chosen.login)
        text = _list_of(document["deliveries"], now=now, columns=columns_of(out, environ))
        out.write(as_json(document) if chosen.output == "json" else text)
        return 0

    return status_of("tocsin delivery", base, work, err=err)


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    command = flags.command("tocsin delivery", "What was sent to whom, what became of it; and what is sent again.")
    flags.flag(command, "--url", help="the receiver", default=DEFAULT_URL, environ=environ)
    declare_login(command, environ)
    flags.flag(
        command, "--output", help="text or json", default="text", parse=flags.one_of("text", "json"), environ=environ
    )
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> ArgumentParser:
        parser = verbs.add_parser(name, help=text, description=f"{text.capitalize()}.", allow_abbrev=False)
        declare_again(parser)
        parser.add_argument("--channel", default="", metavar="NAME", help="only what is for this channel")
        return parser

    listing = verb("list", "messages, newest first")
    listing.add_argument("--outcome", choices=OUTCOMES, default="", metavar="OUTCOME", help=", ".join(OUTCOMES))
    listing.add_argument("--incident", default="", metavar="ID", help="only what is about this incident")
    listing.add_argument("--limit", type=positive, default=100, help="at most so many")
    resend = verb("resend", "tell a channel again what it refused, or what was given up")
    flags.flag(
        resend,
        "--by",
        help="who does it; absent: who --token-file or --user says, or your login name",
        metavar="NAME",
        environ=environ,
    )
    resend.add_argument("--all", action="store_true", help="with --channel: every dead letter of that channel")
    resend.add_argument("ids", nargs="*", metavar="ID", help="as `list` prints them")

    chosen = command.parse_args(arguments)
    chosen.login = login_of(chosen, command)
    if chosen.verb == "resend":
        every = chosen.all and bool(chosen.channel)
        if every == bool(chosen.ids) or ((chosen.all or chosen.channel) and not every):
            resend.error("name either messages or --channel=NAME with --all")
        if chosen.by is None and not chosen.login.says_who:
            chosen.by = login_name(environ)
            if chosen.by is None:
                resend.error("who are you? say --by=NAME, or set TOCSIN_BY")
    return chosen


def _list_of(deliveries: Sequence[Document], *, now: datetime, columns: int | None) -> str:
    if not deliveries:
        return "no message matches\n"
    rows = [("AGE", "OUTCOME", "KIND", "CHANNEL", "INCIDENT", "ID", "ANSWER")]
    rows += [
        (
            lasting((now - moment(each["created_at"])).total_seconds()),
            printable(str(each["outcome"])),
            printable(str(each["kind"])),
            printable(str(each["channel"])),
            printable(str(each["incident"])),
            printable(str(each["message"])),
            printable(str(each["answer"]), ANSWER_CHARACTERS_MAX),
        )
        for each in deliveries
    ]
    return table(rows, columns)


def _resend(base: str, chosen: Namespace, *, out: TextIO, err: TextIO) -> int:
    done: list[Document] = []
    failed: list[dict[str, str]] = []

    def fail(identifier: str, text: str) -> None:
        failed.append({"id": identifier, "error": text})
        err.write(f"tocsin delivery: {printable(f'{identifier}: {text}')}\n")

    identifiers = list(dict.fromkeys(chosen.ids)) or _dead_letters(base, chosen)
    body = {} if chosen.by is None else {"by": chosen.by}
    while identifiers:
        identifier = identifiers.pop(0)
        try:
            incident = ask(
                f"{base}/{quote(identifier, safe='')}/resend", body=body, headers=_HEADERS, login=chosen.login
            )
            line = f"{identifier}: {_outcome(incident)}"
        except Refused as error:
            fail(identifier, f"answered {error.status}: {error.said}")
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
    elif not done and not failed:
        out.write("nothing to send again\n")
    return 1 if failed else 0


def _dead_letters(base: str, chosen: Namespace) -> list[str]:
    """The newest message about each incident, where that is refused; in the order in which they were decided. A digest
    told how things were at a time that is over."""
    query = urlencode({"channel": chosen.channel, "limit": LISTED_MAX})
    listed = ask(f"{base}?{query}", login=chosen.login)["deliveries"]
    if not listed:
        raise Failed(f"nothing was ever sent to {chosen.channel!r}: is that its name?")
    newest: dict[str, Document] = {}
    for each in listed:
        newest.setdefault(each["incident"], each)
    dead = [each for each in newest.values() if each["outcome"] == "refused" and each["incident"] != _DIGEST]
    return [str(each["message"]) for each in reversed(dead)]


def _outcome(incident: Document) -> str:
    """What the receiver made of it, in a few words."""
    last = incident["timeline"][-1]
    held = str(last["what"]).startswith("held back")
    return f"{last['why']}" if held else f"sent again, about {incident['id']} as it is now ({incident['status']})"
