"""Jobs: as a block, as a decorator, and as any command; and log records that are counted."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tocsin.exporters import SURELY, Door, door, free_port
from tests.tocsin.test_middleware import OutOfStock, Told
from tocsin.identifiers import CURRENT, accepted
from tocsin.jobs import Job
from tocsin.records import Handler, JSONFormatter

ROOT = Path(__file__).parents[2]


def ended(told: Told) -> list[tuple[object, object]]:
    return [(event["job_name"], event["outcome"]) for event in told.of("job")]


def test_a_block_is_a_job_with_its_outcome_and_its_duration() -> None:
    told = Told()
    with Job("backup", tell=told, source="shop"):
        assert told.events == []
    with pytest.raises(OutOfStock), Job("backup", tell=told):
        raise OutOfStock
    with pytest.raises(SystemExit), Job("backup", tell=told):
        sys.exit(0)
    with pytest.raises(SystemExit), Job("backup", tell=told):
        sys.exit(3)
    with Job("backup", tell=told) as job:
        job.outcome = "failure"
    outcomes = [outcome for _, outcome in ended(told)]
    assert outcomes == ["success", "failure", "success", "failure", "failure"]
    assert told.events[0]["source"] == "shop"
    assert all(0 <= event["duration_seconds"] < SURELY for event in told.events)


def test_each_call_of_a_decorated_function_is_a_job() -> None:
    told = Told()

    @Job("double", tell=told)
    def double(number: int) -> int:
        return number * 2

    @Job("later", tell=told)
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        assert len(told.events) >= 2
        if not number:
            raise OutOfStock
        return number

    assert [double(1), double(2)] == [2, 4]
    assert asyncio.run(later(7)) == 7
    with pytest.raises(OutOfStock):
        asyncio.run(later(0))
    assert ended(told) == [("double", "success")] * 2 + [("later", "success"), ("later", "failure")]


# --- tocsin job ---------------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tocsin.cli", "job", *arguments]


def environ(url: str, **more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {**plain, "PYTHONPATH": str(ROOT), "TOCSIN_EVENTS_URL": url, **more}


def run(url: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environ(url), input=given, capture_output=True, text=True, timeout=SURELY
    )


@pytest.fixture
def there() -> Iterator[Door]:
    with door() as standing:
        yield standing


@pytest.mark.parametrize(
    ("script", "status", "outcome"),
    [("true", 0, "success"), ("exit 3", 3, "failure"), ("kill -TERM $$", 128 + signal.SIGTERM, "failure")],
)
def test_a_command_is_a_job_and_keeps_its_exit_status(there: Door, script: str, status: int, outcome: str) -> None:
    done = run(there.url, "--events.source=shop", "backup", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
    (event,) = there.events
    assert 0 <= event.pop("duration_seconds") < SURELY
    assert event.pop("at") > 0
    assert event == {"event": "job", "source": "shop", "job_name": "backup", "outcome": outcome}


def test_input_output_and_arguments_are_the_commands_own(there: Door) -> None:
    script = 'cat; echo "$@"; echo two >&2'
    done = run(there.url, "backup", "--", "sh", "-c", script, "sh", "--events.url=x", "--", "a b", given="one\n")
    assert (done.stdout, done.stderr) == ("one\n--events.url=x -- a b\n", "two\n")


def test_a_command_that_cannot_be_run_is_a_job_that_failed(there: Door, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    assert run(there.url, "a", "--", "no-such-command-here").returncode == 127
    assert run(there.url, "b", "--", str(tmp_path / "plain")).returncode == 126
    assert [(event["job_name"], event["outcome"]) for event in there.events] == [("a", "failure"), ("b", "failure")]


@pytest.mark.parametrize("arguments", [("backup",), ("backup", "--"), ("--", "true"), ("a", "b", "--", "true")])
def test_a_command_line_without_a_name_or_a_command_is_wrong(arguments: tuple[str, ...]) -> None:
    done = run("http://127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@contextmanager
def running(url: str, *arguments: str, **how: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command(*arguments), env=environ(url), stdout=subprocess.PIPE, text=True, **how) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


TRAPS = "trap 'echo caught; exit 5' TERM HUP INT USR1; echo ready; while :; do sleep 0.02; done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_reaches_the_command_and_what_it_makes_of_it_counts(there: Door, number: signal.Signals) -> None:
    with running(there.url, "backup", "--", "sh", "-c", TRAPS, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "caught\n"
        assert process.wait(SURELY) == 5
    assert [event["outcome"] for event in there.events] == ["failure"]


def test_without_an_exporter_a_job_ends_in_time_with_its_own_status() -> None:
    began = time.monotonic()
    done = run(f"http://127.0.0.1:{free_port()}", "backup", "--", "sh", "-c", "echo done; exit 4")
    assert time.monotonic() - began < SURELY
    assert (done.returncode, done.stdout) == (4, "done\n")
    assert "was not told that backup has ended" in done.stderr


# --- log records --------------------------------------------------------------------------------------------------


def logger(*handlers: logging.Handler) -> logging.Logger:
    found = logging.Logger("shop.cart")
    for handler in handlers:
        found.addHandler(handler)
    return found


def test_log_records_are_counted_by_level_and_logger_and_nothing_of_what_they_say() -> None:
    told = Told()
    log = logger(Handler(logging.INFO, tell=told))
    log.debug("too low")
    log.info("ana@example.org %s", "s3cret")
    log.log(35, "a level of our own")
    log.error("%d", "not a number")
    assert told.events == [
        {"event": "log", "level": level, "logger": "shop.cart"} for level in ("info", "warning", "error")
    ]


def test_what_the_sending_of_events_logs_is_no_event() -> None:
    told = Told()
    Handler(tell=told).handle(logging.makeLogRecord({"name": "tocsin.events", "levelno": logging.WARNING}))
    assert told.events == []


def lines_of(say: Sequence[str]) -> list[dict[str, object]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    log = logger(handler)
    for text in say:
        log.warning(text, extra={"cart": 7})
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_the_identifiers_of_its_request() -> None:
    (outside,) = lines_of(["a\nb"])
    assert outside.pop("time")
    assert outside == {"level": "warning", "logger": "shop.cart", "message": "a\nb", "cart": 7}
    ids = accepted("order-4711", None)
    token = CURRENT.set(ids)
    try:
        (inside,) = lines_of(["a"])
    finally:
        CURRENT.reset(token)
    assert (inside["correlation_id"], inside["trace_id"]) == ("order-4711", ids.trace_id)
