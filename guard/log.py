"""Structured logging on top of the standard `logging`: one event is one line, whoever wrote the values.

    logging.getLogger("tocsin.exporter").warning("collector failed", extra={"collector": "cpu"})

What is in `extra` becomes a key of the JSON object, or `key=value` in text. Lines of each level are counted, and those
that were lost. What nobody caught, in a thread or anywhere else, and what Python warns of, is a line like any other.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import warnings
from abc import ABC, abstractmethod
from types import TracebackType
from typing import NamedTuple, TextIO

from guard.logline import FORMATS as FORMATS
from guard.logline import LEVELS_COUNTED, Bare, Json, Lines, Syslog, Text, level_of
from guard.logline import Ours as Ours
from guard.logwriter import STANDARD_ERROR, Datagrams, File, Stderr, Writer

LEVELS = ("debug", "info", "warning", "error")
SYSLOG_SOCKET = "/dev/log"

_HOST_PORT = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:/@\s]+)):([0-9]{1,5})")


class CannotLog(Exception):
    """The text names the file that cannot be written, and the reason."""


class Output(NamedTuple):
    """Where lines go. `where` is a file, or a Unix socket, or host and port."""

    kind: str = "stderr"  # or file, or syslog
    where: str | tuple[str, int] = ""


class Counts:
    """What was logged. Called under the locks of whoever counts; read at any time."""

    def __init__(self) -> None:
        self.messages = dict.fromkeys(LEVELS_COUNTED, 0)
        self.lines_dropped = 0

    def drop(self) -> None:
        self.lines_dropped += 1


class Log:
    """What was set up."""

    def __init__(self, counts: Counts, writer: Writer | None) -> None:
        self.counts = counts
        self._writer = writer

    def reopen(self) -> None:
        """The file was perhaps moved away."""
        if self._writer is not None:
            self._writer.reopen()


def parse_output(text: str) -> Output:
    """`stderr`, `syslog`, `syslog:/run/log.sock`, `syslog:[::1]:514`, or a file, by a path with a slash in it."""
    kind, _, address = text.partition(":")
    if text == "stderr":
        return Output()
    if text == "syslog":
        return Output("syslog", SYSLOG_SOCKET)
    if kind == "syslog" and address.startswith("/"):
        return Output("syslog", address)
    if kind == "syslog" and (match := _HOST_PORT.fullmatch(address)) and 0 < int(match[3]) <= 65535:
        return Output("syslog", (match[1] or match[2], int(match[3])))
    if kind != "syslog" and "/" in text and "\0" not in text:
        return Output("file", text)
    expected = "stderr, syslog, syslog:/PATH, syslog:HOST:PORT, or a file such as /var/log/tocsin.log or ./tocsin.log"
    raise ValueError(f"found {text!r}, expected {expected}")


def start(*, format: str, level: str, output: Output, program: str) -> Log:  # noqa: A002 - the flag's name
    """For a program: from here on everything goes to `output`. Raises CannotLog."""
    counts = Counts()
    try:
        destination = _destination(output)
    except OSError as error:
        raise CannotLog(f"cannot log to {output.where}: {error.strerror}") from None
    to_terminal = output.kind == "stderr" and os.isatty(STANDARD_ERROR)
    formatter: logging.Formatter = _lines(format, to_terminal=to_terminal)
    if output.kind == "syslog":
        inner = Bare() if isinstance(formatter, Text) else Json()
        formatter = Syslog(inner, program=program, host=socket.gethostname(), process=os.getpid())
    writer = Writer(destination, counts.drop)
    _replace(_Behind(writer, counts), formatter, level)
    _log_what_nobody_caught()
    return Log(counts, writer)


def set_up(*, format: str, level: str, stream: TextIO) -> Log:  # noqa: A002 - the flag's name
    """Sends every logger of the process to `stream`, at once. A later call replaces it."""
    if format not in FORMATS:
        raise ValueError(f"found {format!r}, expected one of: {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise ValueError(f"found {level!r}, expected one of: {', '.join(LEVELS)}")
    counts = Counts()
    _replace(_AtOnce(stream, counts), _lines(format, to_terminal=stream.isatty()), level)
    return Log(counts, None)


class _Ours(logging.Handler, ABC):
    """A type of its own, so that setting up again takes away only what we added."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        self._counts.messages[level_of(record)] += 1
        try:
            self._put(self.format(record))
        except Exception:  # noqa: BLE001 - who logs must not fail of it, and a value can raise anything when asked
            self._counts.drop()

    @abstractmethod
    def _put(self, line: str) -> None: ...


class _Behind(_Ours):
    def __init__(self, writer: Writer, counts: Counts) -> None:
        super().__init__(counts)
        self._writer = writer

    def _put(self, line: str) -> None:
        self._writer.put(line.encode())

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        super().close()
        self._writer.close()


class _AtOnce(_Ours):
    def __init__(self, stream: TextIO, counts: Counts) -> None:
        super().__init__(counts)
        self._stream = stream

    def _put(self, line: str) -> None:
        self._stream.write(f"{line}\n")


def _lines(name: str, *, to_terminal: bool) -> Lines:
    return Text() if name == "text" or (name == "auto" and to_terminal) else Json()


def _destination(output: Output) -> Stderr | File | Datagrams:
    match output:
        case Output("file", str(path)):
            return File(path)
        case Output("syslog", where):
            return Datagrams(where)
        case _:
            return Stderr()


def _replace(handler: _Ours, formatter: logging.Formatter, level: str) -> None:
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _Ours)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(level.upper())


# --- what nobody caught ----------------------------------------------------------------------------------------

_Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def _log_what_nobody_caught() -> None:
    log = logging.getLogger("tocsin")

    def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("the program ends of an error", exc_info=(kind, error, trace))

    def in_thread(what: threading.ExceptHookArgs) -> None:
        raised = _raised(what.exc_type, what.exc_value, what.exc_traceback)
        name = what.thread.name if what.thread is not None else ""
        log.error("a thread ended of an error", exc_info=raised, extra={"thread_name": name})

    def nowhere(what: sys.UnraisableHookArgs) -> None:
        raised = _raised(what.exc_type, what.exc_value, what.exc_traceback)
        log.error("an error came where nobody could catch it", exc_info=raised, extra={"where": what.err_msg or ""})

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001 - the interface of warnings
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        where = {"category": category.__name__, "text": str(message), "file": filename, "line": lineno}
        log.warning("Python warns", extra=where)

    sys.excepthook = ended
    threading.excepthook = in_thread
    sys.unraisablehook = nowhere
    warnings.showwarning = warned


def _raised(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> _Raised | tuple[None, None, None]:
    return (None, None, None) if error is None else (kind, error, trace)
