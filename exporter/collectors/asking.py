"""Asks file systems for their numbers, in threads that can be left behind.

Asking a dead network mount never returns, and a thread that is inside cannot be ended. So the one who wants to know
only waits. Where all is well one thread asks one mount after the other, which costs one change of threads in all.
When it is held up, another takes over what is left, while the first is still waited for: so slow mounts are slow
together, and not one after the other. A mount that has not answered in time is not asked again before it did.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from exporter.pool import Pool

# How long one mount may hold up the others before another thread takes over what is left.
STALL_SECONDS = 0.05
# Threads for asking. Each mount that never answers costs one. The last is only for those that have answered before.
THREADS_MAX = 32
NO_ANSWER = "mountpoint timeout"
# What node_exporter calls it; all other errors have the same text there.
ERRORS = {errno.ESTALE: "stale NFS file handle"}

# The numbers, or why there are none.
Answer = os.statvfs_result | str
Statvfs = Callable[[bytes], os.statvfs_result]


class Place(NamedTuple):
    """Where to ask. What is mounted there later has another number, and did not hang."""

    path: bytes
    mount: bytes


class Round:
    """Places that are asked in one scrape. Several threads can work at it, each takes the next that is left."""

    def __init__(self, places: Sequence[Place], statvfs: Statvfs) -> None:
        self._places = places
        self._left = deque(places)
        self._statvfs = statvfs
        self.answers: dict[Place, Answer] = {}
        # Told when all have answered, perhaps by several threads; an event costs twice as much.
        self._finished: SimpleQueue[None] = SimpleQueue()

    @property
    def is_waiting(self) -> bool:
        """Whether a place has not been taken by anybody yet."""
        return bool(self._left)

    def work(self) -> None:
        while self._left:
            try:
                place = self._left.popleft()
            except IndexError:
                break
            self.answers[place] = ask(place.path, self._statvfs)
        if len(self.answers) == len(self._places):
            self._finished.put(None)

    def finished_within(self, seconds: float) -> bool:
        try:
            self._finished.get(timeout=seconds)
        except Empty:
            return False
        return True

    def leave(self) -> list[Place]:
        """Nobody waits any more, and nobody asks further. The places that somebody is still inside of."""
        untouched = set()
        while self._left:
            try:
                untouched.add(self._left.popleft())
            except IndexError:
                break
        return [place for place in self._places if place not in self.answers and place not in untouched]


class Asker:
    """Remembers who has not answered. Not for two threads at once."""

    def __init__(self, statvfs: Statvfs, *, timeout_seconds: float) -> None:
        self._statvfs = statvfs
        self._timeout_seconds = timeout_seconds
        self._pool = Pool("tocsin-filesystem")
        self._inside: dict[Place, Round] = {}
        self._proven: Container[Place] = ()

    def ask(self, places: Sequence[Place], deadline: float) -> Mapping[Place, Answer]:
        """Those that answered; it takes half of what is left until the deadline at most."""
        asked = self._worth_asking(places) if self._inside else places
        round_ = Round(asked, self._statvfs)
        if asked and len(self._inside) < THREADS_MAX:
            self._send(round_, workers=1)
            self._wait(round_, deadline)
        answers = round_.answers
        if len(answers) == len(places):
            self._proven = answers
        else:
            well = {place for place in places if place in answers or place in self._proven}
            self._proven = well.difference(self._inside)
        return answers

    def _worth_asking(self, places: Sequence[Place]) -> Sequence[Place]:
        """Nobody from whom somebody has not come back. With one thread to lose, only those that answered lately."""
        self._inside = {place: round_ for place, round_ in self._inside.items() if place not in round_.answers}
        places = [place for place in places if place not in self._inside]
        if len(self._inside) < THREADS_MAX - 1:
            return places
        return [place for place in places if place in self._proven]

    def _send(self, round_: Round, *, workers: int) -> None:
        """One more thread for this, of so many, besides those that have not come back from earlier."""
        self._pool.submit(round_.work)
        if self._pool.threads < len(self._inside) + workers:
            self._pool.grow()

    def _wait(self, round_: Round, deadline: float) -> None:
        now = time.monotonic()
        patience = min(self._timeout_seconds, max(0.0, deadline - now) / 2)
        give_up = now + patience
        workers = 1
        while not round_.finished_within(min(STALL_SECONDS if round_.is_waiting else patience, patience)):
            patience = give_up - time.monotonic()
            if patience <= 0:
                self._inside.update(dict.fromkeys(round_.leave(), round_))
                return
            if round_.is_waiting and len(self._inside) + workers < THREADS_MAX - 1:
                workers += 1
                self._send(round_, workers=workers)

    def __del__(self) -> None:
        """A collector that another takes the place of, at a reload, takes its threads along."""
        self._pool.close()


def ask(path: bytes, statvfs: Statvfs) -> Answer:
    try:
        return statvfs(path)
    except OSError as error:
        number = error.errno or 0
        return ERRORS.get(number) or os.strerror(number).lower()
    except ValueError:
        return "not a path"
