"""For an application's own logging: its records counted, and each as one line of JSON with the request's identifiers.

    logging.getLogger().addHandler(tocsin.records.Handler())            # log_records_total{level,logger}
    handler.setFormatter(tocsin.records.JSONFormatter())                # {"time": …, "correlation_id": …, …}

What a record says never leaves the process: the exporter hears of its level and its logger, nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from guard.logline import Json, level_of
from tocsin.exchange import Tell
from tocsin.identifiers import CURRENT
from tocsin.telling import event

# What the sending of events says about itself must not become events.
_OURS = "tocsin.events"


class Handler(logging.Handler):
    """Counts. It writes nothing, so it stands beside the handlers that do."""

    def __init__(self, level: int | str = logging.NOTSET, *, tell: Tell = event) -> None:
        super().__init__(level)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _OURS:
            self._tell("log", level=level_of(record), logger=record.name)


class JSONFormatter(Json):
    """What is in `extra` is a key of its own. A line has at most 16,000 bytes, and nothing in it can begin another."""

    def line(self, record: logging.LogRecord, message: str, extra: Mapping[str, object]) -> str:
        ids = CURRENT.get()
        if ids is None:
            return super().line(record, message, extra)
        named = {"correlation_id": ids.correlation_id, "trace_id": ids.trace_id}
        return super().line(record, message, {**named, **extra})
