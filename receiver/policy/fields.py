"""Kinds of text that stand in the files at many places, and how an editor checks them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Duration = Annotated[
    str, Meta(description="a duration such as 30s, 5m or 1h30m", extra_json_schema={"format": "duration"})
]
MatcherText = Annotated[
    str, Meta(description='a matcher such as severity="critical"', extra_json_schema={"format": "matcher"})
]
TimeZone = Annotated[
    str, Meta(description="a time zone such as Europe/Berlin", extra_json_schema={"format": "time_zone"})
]
Weekly = Annotated[
    str,
    Meta(
        description="days and times such as 'Sun 02:00-04:00', 'Mon,Wed 22:00-02:00' or 'Mon-Fri 09:00-17:00'",
        extra_json_schema={"format": "weekly"},
    ),
]
Moment = Annotated[
    str,
    Meta(
        description="a moment such as 2026-12-24T18:00, by the clock of the time zone unless it has an offset",
        extra_json_schema={"format": "moment"},
    ),
]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\u0000-\u001f]*$")]
