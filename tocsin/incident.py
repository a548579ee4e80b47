"""`tocsin incident list | show ID`: what is open, and the story of one incident with the reason for each step."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from guard import flags
from tocsin.client import DEFAULT_URL, Failed, ask


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    command = flags.command("tocsin incident", "What is open, and why.")
    flags.flag(command, "--url", help="the receiver", default=DEFAULT_URL, environ=environ)
    flags.flag(
        command, "--output", help="text or json", default="text", parse=flags.one_of("text", "json"), environ=environ
    )
    verbs = command.add_subparsers(dest="verb", required=True, metavar="list | show ID")
    listing = verbs.add_parser("list", help="incidents, newest first", allow_abbrev=False)
    listing.add_argument("--status", default="active", help="active, open, resolved or all")
    listing.add_argument("--limit", type=int, default=100, help="at most so many")
    listing.add_argument("text", nargs="?", default="", help="only those whose title or labels contain it")
    show = verbs.add_parser("show", help="one incident: its alerts and its story", allow_abbrev=False)
    show.add_argument("id")
    for each in (listing, show):  # people write --output=json where they think of it
        each.add_argument("--output", choices=("text", "json"), default=SUPPRESS)
        each.add_argument("--url", default=SUPPRESS)
    chosen = command.parse_args(arguments)
    base = chosen.url.rstrip("/") + "/api/v1/incidents"
    try:
        if chosen.verb == "list":
            query = urlencode({"status": chosen.status, "limit": chosen.limit, "q": chosen.text})
            document = ask(f"{base}?{query}")
            plain = chosen.status == "active" and not chosen.text
            empty = "nothing is open" if plain else "no incident matches"
            text = _table(document["incidents"], empty=empty)
        else:
            document = ask(f"{base}/{quote(chosen.id, safe='')}")
            text = _story(document)
    except Failed as error:
        sys.stderr.write(f"tocsin incident: {error}\n")
        return 1
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n" if chosen.output == "json" else text)
    return 0


def _table(incidents: Sequence[Mapping[str, Any]], *, empty: str) -> str:
    if not incidents:
        return f"{empty}\n"
    rows = [("ID", "STATUS", "SEVERITY", "OPENED", "FIRING", "TITLE")]
    rows += [
        (
            each["id"],
            each["status"],
            each["severity"],
            _time(each["opened_at"]),
            str(each["alerts"]["firing"]),
            each["title"],
        )
        for each in incidents
    ]
    shown = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(5)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]) for row in shown
    ]
    return "\n".join(lines) + "\n"


def _story(incident: Mapping[str, Any]) -> str:
    counts = incident["alert_counts"]
    lines = [
        f"{incident['id']}  {incident['severity']}  {incident['status']}",
        f"  {incident['title']}",
        f"  opened {_time(incident['opened_at'])}"
        + (f", resolved {_time(incident['resolved_at'])}" if incident["resolved_at"] else ""),
        f"  source {incident['source']}, route {incident['route'] or 'none'}, "
        f"escalation {incident['escalation'] or 'none'}"
        + (f", next stage {_time(incident['next_stage_at'])}" if incident["next_stage_at"] else ""),
        "",
        f"alerts ({counts['firing']} firing, {counts['resolved']} resolved)",
    ]
    for alert in incident["alerts"]:
        labels = ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
        lines.append(f"  {alert['status']:<9} since {_time(alert['starts_at'])}  {labels}")
    lines += ["", "story"]
    for step in incident["timeline"]:
        lines += [f"  {_time(step['at'])}  {step['what']}", f"      {step['why']}"]
    return "\n".join(map(printable, lines)) + "\n"


def _time(text: str) -> str:
    """2026-11-21T08:00:00.123Z as 2026-11-21 08:00:00Z: to the second, still sortable."""
    return text[:19].replace("T", " ") + "Z"


def printable(text: str) -> str:
    """Labels come from anywhere; an escape sequence in one must not drive the terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
