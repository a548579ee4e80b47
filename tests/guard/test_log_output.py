"""Where log lines go: nothing that is wrong there holds up who logs, and what is lost is counted."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guard import log, logline, logwriter
from guard.logwriter import Datagrams, File, Stderr, Writer

SURELY = 30.0


class Counted:
    """What a writer lost."""

    def __init__(self) -> None:
        self.lost = 0

    def __call__(self) -> None:
        self.lost += 1


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lost() -> Counted:
    return Counted()


def written(writer: Writer, *lines: str) -> None:
    for line in lines:
        writer.put(line.encode())
    assert writer.flush(SURELY)


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [lambda path: path.rename(path.with_suffix(".1")), Path.unlink])
def test_a_file_that_was_moved_away_is_opened_anew(
    tmp_path: Path, clock: Clock, lost: Counted, away: Callable[[Path], object]
) -> None:
    path = tmp_path / "tocsin.log"
    writer = Writer(File(str(path), clock=clock), lost)
    written(writer, "one")
    away(path)
    clock.seconds += logwriter.LOOK_SECONDS
    written(writer, "two")
    writer.close()
    assert (path.read_text(), lost.lost) == ("two\n", 0)


def test_a_file_is_opened_anew_at_once_when_that_is_asked_for(tmp_path: Path, clock: Clock, lost: Counted) -> None:
    path = tmp_path / "tocsin.log"
    writer = Writer(File(str(path), clock=clock), lost)
    written(writer, "one")
    path.rename(tmp_path / "old")
    writer.reopen()
    written(writer, "two")
    writer.close()
    assert ((tmp_path / "old").read_text(), path.read_text()) == ("one\n", "two\n")


def test_what_cannot_be_opened_anew_is_written_where_it_was(tmp_path: Path, clock: Clock, lost: Counted) -> None:
    folder, moved = tmp_path / "logs", tmp_path / "moved"
    folder.mkdir()
    writer = Writer(File(str(folder / "tocsin.log"), clock=clock), lost)
    folder.rename(moved)
    clock.seconds += logwriter.LOOK_SECONDS
    written(writer, "one")
    folder.mkdir()
    clock.seconds += logwriter.LOOK_SECONDS
    written(writer, "two")
    writer.close()
    assert ((moved / "tocsin.log").read_text(), (folder / "tocsin.log").read_text()) == ("one\n", "two\n")
    assert lost.lost == 0


def test_a_file_that_takes_nothing_loses_lines_and_counts_them(tmp_path: Path, lost: Counted) -> None:
    os.mkfifo(tmp_path / "log")
    reads = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    writer = Writer(File(str(tmp_path / "log")), lost)
    os.close(reads)
    written(writer, "one", "two")
    writer.close()
    assert lost.lost == 2


def test_others_may_not_read_the_file(tmp_path: Path) -> None:
    File(str(tmp_path / "tocsin.log")).close()
    assert (tmp_path / "tocsin.log").stat().st_mode & 0o007 == 0


# --- what takes nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [True, False], ids=["blocking", "not blocking"])
def test_a_pipe_that_nobody_reads_holds_up_nobody(lost: Counted, waits: bool) -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, waits)
    writer = Writer(Stderr(writes), lost)
    line = b"x" * 10_000
    count = logwriter.WAITING_BYTES_MAX // len(line) + 100
    for _ in range(count):
        writer.put(line)
    held = (logwriter.WAITING_BYTES_MAX + 200_000) // len(line)
    assert lost.lost >= count - held
    os.close(reads)  # what waits is lost as well, and the thread comes to its end
    assert writer.flush(SURELY)
    writer.close()
    os.close(writes)


# --- syslog ----------------------------------------------------------------------------------------------------

RFC5424 = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S{1,255}) (?P<program>\S{1,48}) \d+ - - (?P<said>.*)"
)


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[socket.socket]:
    with listening(tmp_path / "log") as server:
        yield server


def listening(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.settimeout(SURELY)
    server.bind(str(path))
    return server


def test_a_syslog_that_was_started_again_is_found(
    tmp_path: Path, clock: Clock, lost: Counted, syslog: socket.socket
) -> None:
    path = tmp_path / "log"
    writer = Writer(Datagrams(str(path), clock=clock), lost)
    written(writer, "one")
    assert syslog.recv(100) == b"one"
    syslog.close()
    written(writer, "two", "three")
    assert lost.lost == 2
    path.unlink()
    with listening(path) as again:
        clock.seconds += logwriter.LOOK_SECONDS
        written(writer, "four")
        assert again.recv(100) == b"four"
    writer.close()


def test_a_syslog_that_is_not_there_is_not_tried_for_each_line(tmp_path: Path, clock: Clock, lost: Counted) -> None:
    writer = Writer(Datagrams(str(tmp_path / "none"), clock=clock), lost)
    written(writer, *["x"] * 100)
    with listening(tmp_path / "none") as server:
        written(writer, "too early")
        clock.seconds += logwriter.LOOK_SECONDS
        written(writer, "in time")
        assert server.recv(100) == b"in time"
    writer.close()
    assert lost.lost == 101


def test_a_syslog_that_reads_nothing_holds_up_nobody(tmp_path: Path, lost: Counted, syslog: socket.socket) -> None:
    writer = Writer(Datagrams(str(tmp_path / "log")), lost)
    began = time.monotonic()
    for _ in range(2_000):  # a socket takes a few hundred
        writer.put(b"x" * 4_000)
    assert time.monotonic() - began < logwriter.WRITE_SECONDS_MAX
    assert lost.lost >= 2_000 - logwriter.WAITING_BYTES_MAX // 4_000 - 600
    syslog.close()
    assert writer.flush(SURELY)
    writer.close()


def test_syslog_over_udp_gets_one_datagram_a_line(lost: Counted) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(SURELY)
        server.bind(("127.0.0.1", 0))
        writer = Writer(Datagrams(server.getsockname()), lost)
        written(writer, "one", "two")
        assert (server.recv(100), server.recv(100)) == (b"one", b"two")
        writer.close()


# --- a program -------------------------------------------------------------------------------------------------


def program(code: str, *, output: str, style: str = "json") -> subprocess.CompletedProcess[str]:
    how = f"format={style!r}, level='info', output=log.parse_output({output!r}), program='tocsin-test'"
    begin = f"""
import logging, sys, threading, warnings
from guard import log
kept = log.start({how})
say = logging.getLogger("tocsin.test")
"""
    return subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, timeout=SURELY)


@pytest.mark.parametrize(("style", "said"), [("json", '{"time": "'), ("text", "tocsin.test: it is hot degrees=41")])
def test_syslog_says_time_and_level_in_its_own_way(
    tmp_path: Path, syslog: socket.socket, style: str, said: str
) -> None:
    code = "say.warning('it is hot', extra={'degrees': 41})"
    assert program(code, output=f"syslog:{tmp_path}/log", style=style).stderr == ""
    datagram = syslog.recv(65_536).decode("ascii")
    found = RFC5424.fullmatch(datagram)
    assert found is not None, datagram
    assert (found["priority"], found["program"]) == ("28", "tocsin-test")
    assert found["host"] == socket.gethostname()
    assert found["said"].startswith(said)


def test_what_nobody_caught_is_one_line_each() -> None:
    code = """
def fail():
    raise LookupError("in a thread")
thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
warnings.warn("old", DeprecationWarning)
warnings.warn("odd")
class Odd:
    def __del__(self):
        raise LookupError("nowhere")
Odd()
raise LookupError("at the end")
"""
    done = program(code, output="stderr")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["message"] for event in events] == [
        "a thread ended of an error",
        "Python warns",
        "Python warns",
        "an error came where nobody could catch it",
        "the program ends of an error",
    ]
    assert events[0]["thread_name"] == "worker"
    assert (events[1]["category"], events[1]["text"]) == ("DeprecationWarning", "old")
    assert [event["trace"].splitlines()[-1] for event in events if "trace" in event] == [
        "LookupError: in a thread",
        "LookupError: nowhere",
        "LookupError: at the end",
    ]
    assert done.returncode == 1


def test_what_was_logged_last_is_written_before_the_end() -> None:
    done = program("for number in range(1000): say.info('line %d', number)", output="stderr", style="text")
    assert [line.rpartition(" ")[2] for line in done.stderr.splitlines()] == [str(each) for each in range(1000)]


def test_a_program_ends_though_its_log_is_a_pipe_that_nobody_reads() -> None:
    reads, writes = os.pipe()
    code = f"from guard.logwriter import Stderr, Writer; w = Writer(Stderr({writes}), print)\n"
    code += "for _ in range(100): w.put(b'x' * 10_000)\nw.close()"
    ended = subprocess.run([sys.executable, "-c", code], pass_fds=[writes], timeout=SURELY)
    os.close(reads)
    os.close(writes)
    assert ended.returncode == 0


# --- lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "say.info('x' * 50_000_000)",
        "say.info('x', extra={'said': '\\U0001f600' * 100_000})",
        "say.info('x', extra={'said': ['y' * 1_000] * 100_000})",
        "say.info('x', extra={'said': {'z' * 100_000: {'z' * 100: 'y' * 100_000}}})",
        "say.info('x', extra={'k' * 100_000: 'y'})",
        "say.info('x', extra={str(each): 'y' * 1000 for each in range(10_000)})",
        "say.info('x', extra={'said': 10 ** 100_000})",
        "try: raise LookupError('the cause ' * 9_000)\nexcept LookupError: say.exception('it failed')",
    ],
)
@pytest.mark.parametrize("style", ["json", "text"])
def test_a_line_has_a_bounded_length_and_stays_whole(code: str, style: str) -> None:
    done = program(code, output="stderr", style=style)
    (line,) = done.stderr.splitlines()
    assert len(line.encode()) <= logline.LINE_BYTES_MAX
    if style == "json":
        event = json.loads(line)
        assert event["level"] in ("info", "error")
        assert event.get("cut", True) is True
    if "exception" in code:
        assert "cause" in line


def test_a_value_that_cannot_be_asked_costs_its_line_only() -> None:
    code = """
class Odd:
    def __str__(self):
        raise LookupError("no")
say.info("odd", extra={"odd": Odd()})
say.info("%d things", "no")
say.info("even")
print(kept.counts.messages["info"], kept.counts.lines_dropped)
"""
    done = program(code, output="stderr")
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["even"]
    assert done.stdout == "3 2\n"


def test_levels_of_somebodys_own_are_counted_with_the_next_lower() -> None:
    code = "say.log(25, 'x'); say.log(60, 'x'); say.error('x'); print(kept.counts.messages)"
    counts = program(code, output="stderr").stdout
    assert counts == "{'debug': 0, 'info': 1, 'warning': 0, 'error': 1, 'critical': 1}\n"


# --- the flag --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("stderr", log.Output("stderr", "")),
        ("syslog", log.Output("syslog", "/dev/log")),
        ("syslog:/run/other", log.Output("syslog", "/run/other")),
        ("syslog:logs.example.org:514", log.Output("syslog", ("logs.example.org", 514))),
        ("syslog:[::1]:514", log.Output("syslog", ("::1", 514))),
        ("/var/log/tocsin.log", log.Output("file", "/var/log/tocsin.log")),
        ("./a:b.log", log.Output("file", "./a:b.log")),
    ],
)
def test_where_lines_can_go(text: str, output: log.Output) -> None:
    assert log.parse_output(text) == output


@pytest.mark.parametrize(
    "text", ["", "stdout", "tocsin.log", "syslog:", "syslog:514", "syslog:host:0", "syslog:host:99999", "syslog:a/b"]
)
def test_where_lines_cannot_go_is_told_with_what_can(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"found {text!r}, expected stderr, syslog")):
        log.parse_output(text)
