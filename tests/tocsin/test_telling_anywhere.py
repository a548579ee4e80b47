"""`tocsin.event` never raises and never stands in the way: any values, forks, signals, the end of a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.event import Fields
from exporter.reader import Reader
from tests.tocsin.exporters import SURELY, Door, client, door, free_port
from tocsin.encoding import EVENT_BYTES_MAX, encoded, head_of, line_of
from tocsin.identifiers import accepted
from tocsin.sending import Pace
from tocsin.telling import FLUSH_SECONDS, Client

ROOT = Path(__file__).parents[2]


@pytest.fixture
def there() -> Iterator[Door]:
    with door() as standing:
        yield standing


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        env={**plain, **environ},
        capture_output=True,
        text=True,
        timeout=SURELY,
    )


# --- odd values -------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Nasty:
    def __str__(self) -> str:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        return "Nasty()"


def test_values_that_json_does_not_have_are_written_as_what_they_mean() -> None:
    itself: list[object] = []
    itself.append(itself)
    odd = {
        "decimal": Decimal("1.5"),
        "uuid": UUID(int=1),
        "enum": Colour.RED,
        "bytes": b"a\xff",
        "half": "\ud800",
        "nan": float("nan"),
        "infinity": float("inf"),
        "large": 10**400,
        "huge": 10**5_000,
        "nasty": Nasty(),
        "when": datetime(2026, 1, 1, tzinfo=UTC),
        "list": [1],
        "itself": itself,
        "set": {1},
        "long": "x" * 5_000,
    }
    assert json.loads(encoded(odd)) == {
        "decimal": 1.5,
        "uuid": str(UUID(int=1)),
        "enum": "red",
        "bytes": "a\ufffd",
        "half": "?",
        "when": "2026-01-01T00:00:00+00:00",
        "long": "x" * 1_000,
    }


# Nothing is sent before the tests end: each event waits for an hour, or the queue is full.
NOWHERE = Client({"TOCSIN_EVENTS_URL": "http://127.0.0.1:1"}, pace=Pace(batch_seconds=3_600))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(alphabet=st.characters()),  # halves of characters as well
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.uuids(),
    st.just(Nasty()),
    st.lists(st.integers() | st.lists(st.text())),
    st.dictionaries(st.text(), st.floats()),
)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=100), st.dictionaries(st.text(), ODD, max_size=8))
def test_whatever_the_values_are_the_exporters_reader_takes_the_line(kind: str, fields: dict[str, object]) -> None:
    """What the reader is not asked for it does not look at, so all of them are asked for."""
    ids = accepted(None, None)
    ours = {"event", "source", "at", "trace_id", "correlation_id"}
    line = line_of(kind, head_of(kind, "shop"), {n: v for n, v in fields.items() if n not in ours}, at=1.5, ids=ids)
    names = tuple(name for name in fields if name.isidentifier())
    found = Reader({kind: Fields(texts=names)}).lines(line)
    assert (found.faults, found.unmatched) == ([], {})
    (raw,) = found.events
    assert raw.source == "shop"
    assert list(raw.columns["correlation_id"]) == [ids.correlation_id]


@given(st.one_of(st.text(max_size=300), st.integers(), st.none()), st.dictionaries(st.text(), ODD, max_size=4))
def test_event_never_raises(kind: object, fields: dict[str, object]) -> None:
    NOWHERE.event(kind, **fields)  # type: ignore[arg-type]


def test_an_event_that_is_too_large_or_has_no_name_is_counted(there: Door) -> None:
    ours = client(there)
    ours.event("a", **{f"field_{number}": "x" * 999 for number in range(20)})
    ours.event("")
    ours.event("x" * 101)
    ours.event(7)  # type: ignore[arg-type]
    ours.event("b", text="x" * (EVENT_BYTES_MAX + 1))
    assert ours.flush(SURELY)
    assert [event["event"] for event in there.events] == ["b"]
    assert ours.dropped() == {"unusable": 4}


# --- processes --------------------------------------------------------------------------------------------------


def test_what_is_said_last_is_sent_at_the_end_of_a_program(there: Door) -> None:
    done = run("import tocsin; tocsin.event('a')", **there.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["event"] for event in there.events] == ["a"]


# What is registered first is called last: after the end of what Tocsin does there.
ENDS = """
import atexit, time, tocsin
atexit.register(lambda: print(time.monotonic() - began, tocsin.dropped(), sep="\\n"))
tocsin.event("a")
began = time.monotonic()
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_a_program_ends_in_time_without_an_exporter(hangs: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if hangs else free_port()
        done = run(ENDS, TOCSIN_EVENTS_URL=f"http://127.0.0.1:{port}")
    assert done.returncode == 0
    seconds, lost = done.stdout.splitlines()
    assert FLUSH_SECONDS <= float(seconds) < 5 * FLUSH_SECONDS if hangs else float(seconds) < FLUSH_SECONDS
    assert lost == ("{}" if hangs else "{'away': 1}")


FORKS = """
import os, tocsin
tocsin.event("parent", number=1)
if START: tocsin.flush(10)
if os.fork():
    os.wait()
    tocsin.event("parent", number=2)
else:
    tocsin.event("child")
    raise SystemExit(0)
"""


@pytest.mark.parametrize("start", [True, False])
def test_after_a_fork_both_processes_send_what_is_theirs(there: Door, start: bool) -> None:
    done = run(FORKS.replace("START", str(start)), **there.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted((event["event"], event.get("number")) for event in there.events) == [
        *(("child", None), ("parent", 1), ("parent", 2)),
    ]


POOL = """
import multiprocessing, tocsin
def work(number):
    tocsin.event("worker", number=number)
if __name__ == "__main__":
    tocsin.event("parent")
    context = multiprocessing.get_context(METHOD)
    for number in range(3):
        process = context.Process(target=work, args=(number,))
        process.start()
        process.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_send_what_is_theirs(there: Door, method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(POOL.replace("METHOD", repr(method)))
    environ = {**os.environ, **there.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, program], env=environ, capture_output=True, text=True, timeout=SURELY)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted((event["event"], event.get("number", -1)) for event in there.events) == [
        *(("parent", -1), ("worker", 0), ("worker", 1), ("worker", 2)),
    ]


def test_a_signal_handler_may_say_something_in_the_middle_of_an_event(there: Door) -> None:
    ours = client(there)
    heard = []

    def hear(*_: object) -> None:
        heard.append(1)
        ours.event("signal")

    before = signal.signal(signal.SIGALRM, hear)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        said = 0
        while len(heard) < 50:
            ours.event("a")
            said += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ours.flush(SURELY)
    assert len(there.events) + ours.dropped().get("full", 0) == said + len(heard)


def test_the_chance_of_the_application_stays_its_own() -> None:
    """Where it is seeded, a program that says something draws the same numbers as one that says nothing."""
    program = "import random, tocsin; random.seed(1); tocsin.event('a'); tocsin.flush(0.7); print(random.random())"
    environ = {"TOCSIN_EVENTS_URL": f"http://127.0.0.1:{free_port()}"}
    assert run(program, **environ).stdout == run(program, **environ, TOCSIN_EVENTS="off").stdout


def test_importing_it_brings_nothing_along_that_is_large() -> None:
    large = ("aiohttp", "msgspec", "yaml", "jinja2", "http.client", "ssl", "email", "exporter", "receiver")
    done = run(f"import sys, tocsin; print([name for name in {large!r} if name in sys.modules])")
    assert done.stdout.strip() == "[]"
