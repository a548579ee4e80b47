"""Reads that never come back, in the whole program: the page comes in time all the same, and with all else on it.

A FIFO in place of a kernel file hangs in the kernel as a device does that no longer answers. Every collector gets one,
half of them at a time: that is more at once than a machine can bear, and nobody may notice but they.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.exporter import machine
from tests.exporter.builders import sample
from tests.exporter.program import Program, started
from tests.exporter.watching import own_files, samples_by_collector

PATIENCE_SECONDS = 1.0
TIMEOUT = {"X-Prometheus-Scrape-Timeout-Seconds": str(PATIENCE_SECONDS)}
# The promise is one second; the other is for ending Python on a machine that is busy.
END_SECONDS_MAX = 2.0


class Hung(NamedTuple):
    """A program whose collectors hang in part. `sound` has the number of samples that each of the others has."""

    program: Program
    names: set[str]
    sound: dict[str, int]


@pytest.fixture(scope="module", params=[0, 1], ids=["one half", "the other half"])
def hung(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hung]:
    root = tmp_path_factory.mktemp("server").resolve()
    paths = machine.unpack("server", root)
    sound = samples_by_collector(paths)
    half = dict(list(own_files(paths, root).items())[request.param :: 2])
    for file in half.values():
        os.unlink(file)
        os.mkfifo(file)
    with started(*machine.flags(root)) as program:
        yield Hung(program, set(half), {name: count for name, count in sound.items() if name not in half})


def success(page: str, name: str) -> float:
    return sample(page, f'node_scrape_collector_success{{collector="{name}"}}')


def threads(program: Program) -> int:
    return len(os.listdir(f"/proc/{program.process.pid}/task"))


def test_the_page_comes_in_time_and_has_what_all_the_others_say(hung: Hung) -> None:
    began = time.monotonic()
    page = hung.program.get("/metrics/system", **TIMEOUT)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert {name: success(page, name) for name in hung.names} == dict.fromkeys(hung.names, 0.0)
    assert {name: success(page, name) for name in hung.sound} == dict.fromkeys(hung.sound, 1.0)
    not_counted = ("#", "node_scrape_collector_", "node_systemd_", "process_", "tocsin_")
    lines = [line for line in page.splitlines() if not line.startswith(not_counted)]
    assert len(lines) == sum(hung.sound.values())


def test_the_next_scrapes_do_not_wait_for_them_and_threads_stay_few(hung: Hung) -> None:
    hung.program.get("/metrics", **TIMEOUT)
    before = threads(hung.program)
    began = time.monotonic()
    for _ in range(20):
        page = hung.program.get("/metrics", **TIMEOUT)
        for name in hung.names:
            assert sample(page, f'tocsin_exporter_collector_stuck{{collector="{name}"}}') == 1
    # Had each waited for those that hang, it would have been twenty times that.
    assert time.monotonic() - began < 10 * PATIENCE_SECONDS
    # Where the machine is busy, a healthy collector takes so long that one or two more are called to help.
    assert threads(hung.program) <= before + 2


def test_it_ends_at_once_when_it_is_told_to(hung: Hung) -> None:
    began = time.monotonic()
    assert hung.program.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < END_SECONDS_MAX
