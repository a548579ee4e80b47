"""`tocsin oncall [SCHEDULE]`: who is on call, who is next, and who is when, over the receiver's API."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from guard import flags
from guard.printable import printable
from receiver.policy.windows import parse_moment, zone
from tocsin.client import DEFAULT_URL, ask, ask_text, declare_login, login_of, status_of
from tocsin.layout import columns_of, moment, table
from tocsin.typed import as_json

OUTPUTS = ("text", "json", "ical")
DAYS_MAX = 366


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
    base = chosen.url.rstrip("/") + "/api/v1/oncall"
    query = _query(chosen, now)

    def work() -> int:
        if chosen.output == "ical":
            text = ask_text(f"{base}/{quote(chosen.schedule, safe='')}.ics?{urlencode(query)}", login=chosen.login)
        else:
            if chosen.schedule is not None:
                query["schedule"] = chosen.schedule
            document = ask(f"{base}?{urlencode(query)}", login=chosen.login)
            if chosen.output == "json":
                text = as_json(document)
            else:
                text = _text(document["schedules"], shifts="until" in query, columns=columns_of(out, environ))
        out.write(text)
        return 0

    return status_of("tocsin oncall", base, work, err=err)


def _chosen(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    command = flags.command("tocsin oncall", "Who is on call, and who is next; with --days or --until, who is when.")
    command.add_argument("schedule", nargs="?", metavar="SCHEDULE", help="only this one")
    command.add_argument("--at", type=_moment, metavar="TIME", help="such as 2026-12-24T18:00+01:00; absent: now")
    ends = command.add_mutually_exclusive_group()
    ends.add_argument("--until", type=_moment, metavar="TIME", help="the shifts up to then")
    ends.add_argument("--days", type=_days, metavar="DAYS", help="the shifts of so many days")
    flags.flag(command, "--url", help="the receiver", default=DEFAULT_URL, environ=environ)
    declare_login(command, environ)
    flags.flag(
        command,
        "--output",
        help=", ".join(OUTPUTS),
        default="text",
        parse=flags.one_of(*OUTPUTS),
        scope="oncall",
        environ=environ,
    )
    chosen = command.parse_args(arguments)
    if chosen.output == "ical" and chosen.schedule is None:
        command.error("a calendar is of one schedule: say which")
    chosen.login = login_of(chosen, command)
    return chosen


def _moment(text: str) -> datetime:
    try:
        found = parse_moment(text)
    except ValueError as error:
        raise ArgumentTypeError(f"found {text!r}, expected {error}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= DAYS_MAX):
        raise ArgumentTypeError(f"found {text!r}, expected a whole number from 1 to {DAYS_MAX}")
    return int(text)


def _query(chosen: Namespace, now: datetime) -> dict[str, str]:
    """As the API reads it: to the second, with an offset."""
    at = chosen.at or (now if chosen.days else None)
    until = at + timedelta(days=chosen.days) if at and chosen.days else chosen.until
    told = {"at": at, "until": until}
    return {key: value.astimezone(UTC).isoformat(timespec="seconds") for key, value in told.items() if value}


# --- what people read --------------------------------------------------------------------------------------


def _text(schedules: Sequence[Mapping[str, Any]], *, shifts: bool, columns: int | None) -> str:
    if not schedules:
        return "there are no schedules\n"
    if not shifts:
        return table([_now(schedule) for schedule in schedules], columns)
    return "\n".join(_shifts(schedule, columns) for schedule in schedules)


def _now(schedule: Mapping[str, Any]) -> tuple[str, ...]:
    where = zone(schedule["time_zone"])
    now, following = schedule["now"], schedule["next"]
    return (
        printable(schedule["name"]),
        "nobody" if now is None else _people(now),
        "" if now is None else f"until {_written(now['end'], where)}",
        "" if following is None else f"next {_people(following)} from {_written(following['begin'], where)}",
    )


def _shifts(schedule: Mapping[str, Any], columns: int | None) -> str:
    head = printable(f"{schedule['name']} ({schedule['time_zone']})")
    return f"{head}\n{table(list(_rows(schedule)), columns)}"


def _rows(schedule: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    where = zone(schedule["time_zone"])
    for shift in schedule["shifts"]:
        begin, end = (_written(shift[key], where) for key in ("begin", "end"))
        yield begin, end, _people(shift), printable(shift["by"] or "")


def _people(shift: Mapping[str, Any]) -> str:
    return printable(", ".join(shift["people"])) or "nobody"


def _written(text: str, where: ZoneInfo) -> str:
    """By the clock on the wall of the schedule, as hand-overs are meant; the offset tells which hour it is."""
    local = moment(text).astimezone(where)
    return f"{local:%a} {local.isoformat(' ', timespec='minutes')}"
