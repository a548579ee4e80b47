"""`tocsin statistics`: how long people take to answer, who is paged and when, which alerts are noise."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO
from urllib.parse import urlencode

from guard import flags
from guard.printable import printable
from tocsin.client import DEFAULT_URL, ask, declare_login, login_of, status_of
from tocsin.layout import columns_of, lasting, moment, table, written
from tocsin.typed import as_json

OUTPUTS = ("text", "json")
ALERTS_SHOWN_MAX = 10
PEOPLE_SHOWN_MAX = 20
BAR_COLUMNS = 24


def main(
    arguments: Sequence[str], environ: Mapping[str, str], *, out: TextIO | None = None, err: TextIO | None = None
) -> int:
    out, err = out or sys.stdout, err or sys.stderr
    chosen = _chosen(arguments, environ)
    told = {"from": chosen.since, "to": chosen.until, "time_zone": chosen.time_zone}
    base = chosen.url.rstrip("/") + "/api/v1/statistics"

    def work() -> int:
        query = urlencode({key: value for key, value in told.items() if value is not None})
        document = ask(f"{base}?{query}", login=chosen.login)
        out.write(as_json(document) if chosen.output == "json" else _text(document, columns=columns_of(out, environ)))
        return 0

    return status_of("tocsin statistics", base, work, err=err)


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    command = flags.command(
        "tocsin statistics", "How long people take to answer, who is paged and when, and which alerts are noise."
    )
    command.add_argument("--from", dest="since", metavar="TIME", help="such as 30d or 2026-11-01T00:00; absent: 7d")
    command.add_argument("--to", dest="until", metavar="TIME", help="likewise; absent: now")
    command.add_argument("--time-zone", metavar="ZONE", help="whose hours of the day; absent: UTC")
    flags.flag(command, "--url", help="the receiver", default=DEFAULT_URL, environ=environ)
    declare_login(command, environ)
    flags.flag(
        command,
        "--output",
        help=", ".join(OUTPUTS),
        default="text",
        parse=flags.one_of(*OUTPUTS),
        scope="statistics",
        environ=environ,
    )
    chosen = command.parse_args(arguments)
    chosen.login = login_of(chosen, command)
    return chosen


# --- what people read --------------------------------------------------------------------------------------


def _text(found: Mapping[str, Any], *, columns: int | None) -> str:
    begin, end = (written(moment(found[key])) for key in ("from", "to"))
    parts = [f"{begin} to {end}\n", _severities(found["by_severity"], columns), _hours(found, columns)]
    parts += [_people(found, columns), _alerts(found, columns)]
    return "\n".join(part for part in parts if part)


def _severities(rows: Sequence[Mapping[str, Any]], columns: int | None) -> str:
    if not rows:
        return "no incident began in this time\n"
    within = ("half within", "90% within")
    head = ("severity", "incidents", "reopened", "acknowledged", *within, "resolved", *within)
    lines = [
        (
            printable(each["name"]),
            *_numbers(each, "incidents", "reopened", "acknowledged"),
            *_times(each["time_to_acknowledge"]),
            *_numbers(each, "resolved"),
            *_times(each["time_to_resolve"]),
        )
        for each in rows
    ]
    return table([head, *lines], columns)


def _hours(found: Mapping[str, Any], columns: int | None) -> str:
    pages, digests = found["pages"], found["digests"]
    head = f"{_count(pages, 'page')} and {_count(digests, 'digest')}"
    if not pages:
        return f"{head}\n"
    most = max(found["by_hour"])
    bars = [
        (f"{hour:02}", f"{count}", "▇" * max(1, count * BAR_COLUMNS // most))
        for hour, count in enumerate(found["by_hour"])
        if count
    ]
    return f"{head}, by the hour of the day ({printable(found['time_zone'])}):\n{table(bars, columns)}"


def _people(found: Mapping[str, Any], columns: int | None) -> str:
    rows = found["by_person"]
    if not rows:
        return ""
    head = ("person", "pages", "at night", "acknowledged", "half within", "90% within", "by the clock of")
    lines = [
        (
            printable(each["person"]),
            *_numbers(each, "pages", "night_pages", "acknowledged"),
            *_times(each["time_to_acknowledge"]),
            printable(each["time_zone"]),
        )
        for each in rows[:PEOPLE_SHOWN_MAX]
    ]
    left_out = found["people_left_out"] + len(rows) - len(lines)
    return table([head, *lines], columns) + _more(left_out, "people")


def _alerts(found: Mapping[str, Any], columns: int | None) -> str:
    rows = found["by_alert"]
    if not rows:
        return ""
    head = ("pages", "incidents", "noise", "flaps", "resolved half within", "alert")
    lines = [
        (
            *_numbers(each, "pages", "incidents", "noise", "flaps"),
            _lasting(each["time_to_resolve"]["p50_seconds"]),
            printable(each["name"]),
        )
        for each in rows[:ALERTS_SHOWN_MAX]
    ]
    left_out = found["alerts_left_out"] + len(rows) - len(lines)
    return table([head, *lines], columns) + _more(left_out, "alerts")


def _numbers(row: Mapping[str, Any], *keys: str) -> Iterator[str]:
    return (str(row[key]) for key in keys)


def _times(times: Mapping[str, Any]) -> tuple[str, str]:
    return _lasting(times["p50_seconds"]), _lasting(times["p90_seconds"])


def _lasting(seconds: float | None) -> str:
    return "-" if seconds is None else lasting(seconds)


def _count(number: int, what: str) -> str:
    return f"{number} {what if number == 1 else f'{what}s'}"


def _more(count: int, what: str) -> str:
    return f"and {count} more {what}: --output=json shows more\n" if count else ""
