"""What exporter.yml says of logs, as frozen values, and what can be wrong with it besides its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from exporter.columns import ALWAYS, FIELD_NAME, FIELD_NAME_EXPECTED
from exporter.mapping.pattern import legal, varying

LOGS_MAX = 100
PATHS_MAX = 100
PATTERNS_MAX = 50
NAME = r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$"

_Path = Annotated[str, Meta(min_length=1, max_length=1_000)]
_Regex = Annotated[str, Meta(min_length=1, max_length=5_000, extra_json_schema={"format": "regex"})]
_Kind = Annotated[str, Meta(max_length=100)]


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular expression for lines of one kind."""

    match: Annotated[
        _Regex,
        Meta(description="Found anywhere in the line; named groups, (?P<name>…), are the fields of the event."),
    ]
    event: Annotated[_Kind, Meta(description="The kind of event that such a line is.")] = ""


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a line says that it was written."""

    field: Annotated[str, Meta(description="The field of the line that holds it.", min_length=1)]
    layout: Annotated[
        str,
        Meta(
            description="iso, unix (seconds), unix_ms, or a layout in the signs of strptime; UTC where it has no zone.",
            examples=["iso", "unix", "unix_ms", "%d/%b/%Y:%H:%M:%S %z"],
            min_length=1,
        ),
    ] = "iso"


class Multiline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records of several lines."""

    starts: Annotated[_Regex, Meta(description="What the first line of a record begins with.")]


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files whose lines are events."""

    name: Annotated[
        str,
        Meta(
            description="The source of the events, unless a line says one, and the label log of the metrics about it.",
            pattern=NAME,
        ),
    ]
    paths: Annotated[
        tuple[_Path, ...],
        Meta(
            description="The files: paths with *, ? and [abc]; ** is any number of folders.",
            min_length=1,
            max_length=PATHS_MAX,
        ),
    ]
    exclude: Annotated[
        tuple[_Path, ...],
        Meta(description="Files among them that are left out, as paths of the same form.", max_length=PATHS_MAX),
    ] = ()
    format: Annotated[
        Literal["json", "logfmt", "pattern", "auth_log"],
        Meta(description="How a line is written; auth_log is that of sshd, sudo and su, which says what it is."),
    ] = "json"
    patterns: Annotated[
        tuple[Pattern | _Regex, ...],
        Meta(description="For the format pattern: the first that is found in a line counts.", max_length=PATTERNS_MAX),
    ] = ()
    event: Annotated[_Kind, Meta(description="The kind of event of each line. Empty: the line says it.")] = ""
    fields: Annotated[
        dict[str, str],
        Meta(description="What fields of events are called in the lines, where they are called otherwise."),
    ] = {}
    time: Annotated[Time | None, Meta(description="When a line says that it was written.")] = None
    multiline: Annotated[Multiline | None, Meta(description="For the format pattern: records of several lines.")] = None
    read_from: Annotated[
        Literal["end", "beginning"],
        Meta(description="Where to begin in files that are there at the first start. Later ones are read whole."),
    ] = "end"
    compressed: Annotated[
        bool, Meta(description="Read rotated .gz files among the paths too, once, at the first start.")
    ] = False

    def regexes(self) -> list[Pattern]:
        """Each with the kind of its events."""
        given = [each if isinstance(each, Pattern) else Pattern(each) for each in self.patterns]
        return [Pattern(each.match, each.event or self.event) for each in given]

    def names(self) -> dict[str, str]:
        """Our field to theirs."""
        return self.fields if self.time is None else {**self.fields, "at": self.time.field}


def wrong(logs: Sequence[Log]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What their shape cannot say: where, what was found, what was expected."""
    names: dict[str, int] = {}
    for number, log in enumerate(logs):
        if log.name in names:
            yield (number, "name"), repr(log.name), f"another name than that of logs[{names[log.name]}]"
        names.setdefault(log.name, number)
        if (log.format == "pattern") is not bool(log.patterns):
            expected = "at least one pattern" if log.format == "pattern" else "format: pattern, or no patterns"
            yield (number, "patterns"), f"{len(log.patterns)} with format: {log.format}", expected
        if log.multiline is not None and log.format != "pattern":
            yield (number, "multiline"), f"it with format: {log.format}", "format: pattern"
        if log.format == "auth_log":
            yield from (
                ((number, key), f"it with format: {log.format}", "another format, or nothing of this")
                for key in ("event", "fields", "time")
                if getattr(log, key)
            )
            continue
        for where, found, expected in _wrong_fields(log):
            yield (number, *where), found, expected
        if log.time is not None and not _is_layout(log.time.layout):
            expected = "iso, unix, unix_ms, or signs of strptime such as %d/%b/%Y:%H:%M:%S %z"
            yield (number, "time", "layout"), repr(log.time.layout), expected
        for where, expression in _expressions(log):
            try:
                legal(expression)
                varying(expression)
            except ValueError as expected:
                yield (number, *where), repr(expression), str(expected)
        for place, pattern in enumerate(log.regexes()):
            groups = re.compile(pattern.match).groupindex
            if not pattern.event and log.names().get("event", "event") not in groups:
                yield (
                    (number, "patterns", place),
                    "no kind of event",
                    "an event for the log, for the pattern, or a group (?P<event>…)",
                )


def _wrong_fields(log: Log) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    places = {name: ("fields", name) for name in log.fields}
    if log.time is not None:
        places["at"] = ("time", "field")
    names = log.names()
    for name, where in places.items():
        if not FIELD_NAME.fullmatch(names[name]):
            yield where, repr(names[name]), FIELD_NAME_EXPECTED
    if log.event or log.format == "pattern":
        return
    kind = names.get("event", "event")
    for name in ALWAYS:
        if names.get(name, name) == kind:
            where = places.get(name) or places["event"]
            yield where, repr(kind), f"different fields for the kind of event and for {name}, or one event for the log"


def _expressions(log: Log) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, each in enumerate(log.patterns):
        if isinstance(each, Pattern):
            yield ("patterns", place, "match"), each.match
        else:
            yield ("patterns", place), each
    if log.multiline is not None:
        yield ("multiline", "starts"), log.multiline.starts


def _is_layout(text: str) -> bool:
    """What is written in it can be read in it. A text without a sign is a name that somebody has misspelt."""
    if text in ("iso", "unix", "unix_ms"):
        return True
    try:
        datetime.strptime(datetime(2026, 11, 22, tzinfo=UTC).strftime(text), text)  # noqa: DTZ007 - only tried
    except (ValueError, re.error):
        return False
    return "%" in text
