"""Work behind a scrape: done when it is due, waited for once, and never twice at once."""

import threading
import time

import pytest

from exporter.collectors.behind import Behind
from tests.exporter.builders import SURELY


class Work:
    """Counts, and waits where it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.now = 0.0
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails = False

    def __call__(self) -> int:
        self.times += 1
        assert self.go_on.wait(SURELY)
        if self.fails:
            raise OSError("no such thing")
        return self.times

    def behind(self, *, first_seconds: float = SURELY) -> Behind[int]:
        return Behind("x", self, every_seconds=60, first_seconds=first_seconds, clock=lambda: self.now)


def value(behind: Behind[int]) -> int | None:
    found = behind.last(time.monotonic() + 2 * SURELY)
    return None if found is None else found.value


def until(behind: Behind[int], expected: int) -> None:
    deadline = time.monotonic() + SURELY
    while value(behind) != expected:
        assert time.monotonic() < deadline


def test_the_first_scrape_waits_for_the_first_result_and_the_others_are_told_the_last() -> None:
    work = Work()
    behind = work.behind()
    assert [value(behind), value(behind)] == [1, 1]
    work.now = 59.9
    assert value(behind) == 1
    assert work.times == 1


def test_when_it_is_due_it_is_done_again_behind_the_scrape() -> None:
    work = Work()
    behind = work.behind()
    assert value(behind) == 1
    work.now = 60.0
    work.go_on.clear()
    assert value(behind) == 1
    work.go_on.set()
    until(behind, 2)


def test_slow_work_is_waited_for_a_moment_and_never_begun_twice() -> None:
    work = Work()
    work.go_on.clear()
    behind = work.behind(first_seconds=0.01)
    assert value(behind) is None
    work.now = 1_000.0
    assert value(behind) is None
    work.go_on.set()
    until(behind, 1)
    assert work.times in (1, 2)


def test_a_scrape_that_ends_sooner_waits_no_longer_than_half_of_what_it_has() -> None:
    work = Work()
    work.go_on.clear()
    behind = work.behind()
    begun = time.monotonic()
    assert behind.last(begun + 0.1) is None
    assert time.monotonic() < begun + SURELY
    work.go_on.set()
    until(behind, 1)


def test_what_the_work_raises_the_scrape_raises_until_it_goes_well_again() -> None:
    work = Work()
    work.fails = True
    behind = work.behind()
    for _ in range(2):
        with pytest.raises(OSError, match="no such thing"):
            value(behind)
    work.fails = False
    work.now = 60.0
    deadline = time.monotonic() + SURELY
    while True:
        try:
            assert value(behind) == 2
            break
        except OSError:
            assert time.monotonic() < deadline
