"""What turns the whole lines of a log into events: the format that the log asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from exporter.columns import Written
from exporter.event import Fields
from exporter.intake.logs.authlog import AuthLog
from exporter.intake.logs.jsonlines import JsonLines
from exporter.intake.logs.logfmt import Logfmt
from exporter.intake.logs.moments import reader_of
from exporter.intake.logs.patterns import Patterns
from exporter.intake.logs.settings import Log
from exporter.reader import Found


class Parser(Protocol):
    def parse(self, data: bytes) -> Found:
        """Whole lines, or whole records. `unmatched` has lines that nobody asks for by kind; those in which no pattern
        was found have none."""


def parser_of(log: Log, asked: Mapping[str, Fields]) -> Parser:
    written = Written(kind=log.event, source=log.name, names=log.names(), moments=False)
    moment = reader_of(log.time.layout if log.time is not None else "iso")
    match log.format:
        case "json":
            return JsonLines(asked, written, moment)
        case "logfmt":
            return Logfmt(asked, written, moment)
        case "pattern":
            starts = log.multiline.starts if log.multiline is not None else ""
            return Patterns(asked, written, moment, patterns=log.regexes(), starts=starts)
        case "auth_log":
            return AuthLog(asked, written)
