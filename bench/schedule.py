"""Who is on call in a year: all shifts of schedules that have 500 people together, and of one that has 500 alone.

    python -m bench.schedule [--rounds=5]

Each schedule of the first kind has ten people who take turns by the week, two of them for the nights, five for office
hours, and ten overrides in the year, mostly in zones whose clock changes. The one of the second kind hands over every
day, or every hour. Nothing is kept from one round to the next.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from receiver.policy import windows
from receiver.policy.policy import Override, Rotation, Schedule
from receiver.policy.schedule import on_call, shifts
from receiver.policy.windows import parse_weekly

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
GOAL_SECONDS = 1.0
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--rounds", type=int, default=5)
    chosen = command.parse_args(arguments)
    people = tuple((f"person{number}",) for number in range(500))
    kinds = {
        "50 schedules of 10 people": [_team(number) for number in range(50)],
        "one schedule of 500 people, by the day": [_alone(people, DAY)],
        "one schedule of 500 people, by the hour": [_alone(people, HOUR)],
    }
    lines = ["| a year of | shifts | seconds (min / median / max) | goal |", "|---|---|---|---|"]
    for name, schedules in kinds.items():
        taken = []
        for _ in range(chosen.rounds):
            windows._occurrence.cache_clear()
            began = time.perf_counter()
            count = sum(len(shifts(schedule, BEGIN, END)) for schedule in schedules)
            taken.append(time.perf_counter() - began)
        told = " / ".join(f"{each:.2f}" for each in (min(taken), median(taken), max(taken)))
        lines.append(f"| {name} | {count:,} | {told} | < {GOAL_SECONDS:g} |")
    team = kinds["50 schedules of 10 people"][0]
    began = time.perf_counter()
    for number in range(10_000):
        on_call(team, BEGIN + number * HOUR / 2)
    lines.append(f"\nWho is on call at one moment: {(time.perf_counter() - began) * 100:.0f} µs.")
    return "\n".join(lines)


def _team(number: int) -> Schedule:
    zone = ZONES[number % len(ZONES)]
    starts = datetime(2026, 1, 1, 9, number % 60)  # noqa: DTZ001 - by the clock on the wall
    people = tuple((f"team{number}-{each}",) for each in range(10))
    return Schedule(
        name=f"team{number}",
        time_zone=zone,
        rotations=(
            Rotation("weeks", people, 7 * DAY, starts),
            Rotation("nights", people[:2], 12 * HOUR, starts, parse_weekly("Mon-Sun 20:00-08:00", time_zone=zone)),
            Rotation("office", people[5:], DAY, starts, parse_weekly("Mon-Fri 09:00-17:00", time_zone=zone)),
        ),
        overrides=tuple(
            Override(people[each][0], BEGIN + (30 * each + 5) * DAY, BEGIN + (30 * each + 8) * DAY)
            for each in range(10)
        ),
    )


def _alone(people: tuple[tuple[str, ...], ...], shift: timedelta) -> Schedule:
    starts = datetime(2025, 1, 1, 9)  # noqa: DTZ001 - by the clock on the wall
    return Schedule("alone", "Europe/Berlin", (Rotation("all", people, shift, starts),))


if __name__ == "__main__":
    print(main())
