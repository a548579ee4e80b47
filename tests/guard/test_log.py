"""Log lines: one event is one line, in both formats, whatever the values contain."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard import log
from guard.redaction.text import redacted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def logged(message: str, /, style: str, **extra: object) -> str:
    stream = io.StringIO()
    log.set_up(format=style, level="info", stream=stream)
    logging.getLogger("tocsin.exporter").warning(message, extra=extra)
    return stream.getvalue()


def test_json_carries_the_extra_fields_as_keys() -> None:
    event = json.loads(logged("collector failed", "json", collector="cpu", attempts=3, fatal=False))
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "warning",
        "logger": "tocsin.exporter",
        "message": "collector failed",
        "collector": "cpu",
        "attempts": 3,
        "fatal": False,
    }


def test_text_carries_the_extra_fields_as_pairs() -> None:
    line = logged("collector failed", "text", collector="cpu", error="no such file", attempts=3)
    _, rest = line.split(" ", 1)
    assert rest == 'WARNING tocsin.exporter: collector failed collector=cpu error="no such file" attempts=3\n'


@pytest.mark.parametrize("style", ["text", "json"])
@given(message=st.text(), value=st.text())
def test_one_event_is_one_printable_line_whatever_it_says(style: str, message: str, value: str) -> None:
    line = logged(message.replace("%", "%%"), style, said=value)
    assert line.endswith("\n")
    assert line[:-1].isprintable()


@given(value=st.text())
def test_json_gives_every_text_back_that_is_nobodys(value: str) -> None:
    assume(redacted(value) == value)
    assert json.loads(logged("heard", "json", said=value))["said"] == value


def test_a_forged_line_stays_inside_its_value() -> None:
    line = logged("heard", "text", said="x\n2026-11-21T08:00:00.000Z ERROR root: all is lost")
    assert line.count("\n") == 1
    assert r"said=\"x\n2026" in line.replace('"', r"\"")


def test_an_escape_sequence_never_reaches_a_terminal() -> None:
    assert "\x1b" not in logged("red \x1b[31m", "text", said="\x1b]0;title\x07")


def test_a_trace_is_part_of_its_line() -> None:
    stream = io.StringIO()
    log.set_up(format="json", level="info", stream=stream)
    try:
        raise LookupError("nothing here")
    except LookupError:
        logging.getLogger("tocsin").exception("failed")
    event = json.loads(stream.getvalue())
    assert event["trace"].startswith("Traceback")
    assert event["trace"].endswith("LookupError: nothing here")


def test_values_that_json_cannot_say_become_text() -> None:
    event = json.loads(logged("odd", "json", ratio=float("nan"), kinds={1: [float("inf")]}, error=OSError("gone")))
    assert (event["ratio"], event["kinds"], event["error"]) == ("nan", {"1": ["inf"]}, "gone")


def test_an_extra_field_cannot_replace_what_every_line_has() -> None:
    event = json.loads(logged("odd", "json", level="none", time="never"))
    assert event["level"] == "warning"
    assert (event["level_"], event["time_"]) == ("none", "never")


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    for stream, is_json in ((Terminal(), False), (io.StringIO(), True)):
        log.set_up(format="auto", level="info", stream=stream)
        logging.getLogger("tocsin").info("hello")
        assert stream.getvalue().startswith("{") is is_json


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    log.set_up(format="text", level="warning", stream=stream)
    logging.getLogger("tocsin").info("hello")
    assert stream.getvalue() == ""


def test_setting_up_again_replaces_the_earlier_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.set_up(format="text", level="info", stream=first)
    log.set_up(format="text", level="info", stream=second)
    logging.getLogger("tocsin").info("hello")
    assert first.getvalue() == ""
    assert second.getvalue().count("hello") == 1


@pytest.mark.parametrize(("style", "level"), [("xml", "info"), ("text", "loud")])
def test_an_unknown_format_or_level_is_refused(style: str, level: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        log.set_up(format=style, level=level, stream=io.StringIO())
