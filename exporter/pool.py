"""Threads for work that may never come back.

A read from the kernel can hang for ever (a dead network mount, a device that does not answer), and a
thread that hangs cannot be ended. So these threads are daemons: the process exits without them. The pool
begins with one thread, because short tasks finish soonest one after another, and grows only when somebody
who waits asks for it. It shrinks only when it is closed, and knows nothing about what its tasks do.
"""

import queue
import threading
from collections.abc import Callable

Task = Callable[[], None]


class Pool:
    """Tasks are taken in the order in which they were submitted. A task must not raise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._threads = 0
        self._growing = threading.Lock()

    def submit(self, task: Task) -> None:
        self._tasks.put(task)
        if self._threads == 0:
            self.grow()

    @property
    def threads(self) -> int:
        """How many there are, held up or not."""
        return self._threads

    @property
    def waiting(self) -> bool:
        """Whether a task has not been taken yet."""
        return not self._tasks.empty()

    def grow(self) -> None:
        """One more thread, for when the others are all held up."""
        with self._growing:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def close(self) -> None:
        """The threads end when they have done what was submitted; one that hangs, when it comes back."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            # What it holds is not kept until the next one comes.
            del task
