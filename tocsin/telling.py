"""`tocsin.event`, `configure`, `flush` and `dropped`: one line of code for an application to say what happened."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping

from tocsin.encoding import head_of, line_of
from tocsin.identifiers import CURRENT
from tocsin.sending import Pace, Sender

# At the end of a process.
FLUSH_SECONDS = 1.0
# Of kinds of event whose beginning is remembered.
KINDS_MAX = 1_000

_PACE = Pace()

log = logging.getLogger("tocsin.events")


class Client:
    """What an application says, on its way to one exporter. `tocsin.event` is that of one for the whole process."""

    def __init__(self, environ: Mapping[str, str], *, pace: Pace = _PACE) -> None:
        self._environ = environ
        self._sender = Sender(pace, tell_lost=self._say_what_was_lost)
        # How the line of each kind of event begins. Empty until the first event, as are the settings.
        self._heads: dict[str, bytes] = {}
        self._is_set = False
        self._is_on = True
        self._source = ""
        self._left_by = 0

    def event(self, event: str, /, **fields: object) -> None:
        """Says that something happened. It never waits and never raises, and does without an exporter.

        `source` (who says it) and `at` (when: seconds since 1970, or a datetime with its zone) may be among the fields.
        """
        try:
            head = self._heads.get(event) or self._head(event)
            if not self._is_on:
                return
            self._sender.put(line_of(event, head, fields, at=time.time(), ids=CURRENT.get()))
        except Exception:  # noqa: BLE001 - whatever it is, the caller has other work to do
            self._sender.lose("unusable")

    def configure(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        token_file: str | None = None,
        ca_file: str | None = None,
        source: str | None = None,
    ) -> None:
        """Instead of the variables TOCSIN_EVENTS_URL, and so on. Raises ValueError for what cannot be used."""
        self._use(url=url, token=token, token_file=token_file, ca_file=ca_file, source=source)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Waits until what was said before is sent, or lost, but not longer. Whether it is."""
        return self._sender.flush(seconds)

    def dropped(self) -> dict[str, int]:
        """Events of this process that were lost, by reason: `full`, `unusable`, `rejected`, `refused`, `unanswered`,
        `away`. None where nothing was."""
        return {reason: count for reason, count in self._sender.counts.items() if count}

    def begin_anew(self) -> None:
        """After a fork: another process, with an end of its own."""
        self._heads = {}
        self._sender.begin_anew()

    def leave(self) -> None:
        self._sender.leave(FLUSH_SECONDS)

    def _say_what_was_lost(self, reason: str, count: int) -> None:
        self.event("events_dropped", reason=reason, count=count)

    def _head(self, event: str) -> bytes:
        """Raises ValueError for what is no name of a kind."""
        if not self._is_set:
            self._use()
        if self._left_by != os.getpid():
            self._left_by = os.getpid()
            _at_the_end(self.leave)
        head = head_of(event, self._source)
        if len(self._heads) >= KINDS_MAX:
            self._heads.clear()
        self._heads[event] = head
        return head

    def _use(self, **said: str | None) -> None:
        # Imported when it is needed: it is large, and `import tocsin` is for everybody.
        from tocsin.delivering import Door
        from tocsin.destination import chosen

        self._is_set = True
        try:
            destination = chosen(self._environ, **said)
        except ValueError as error:
            if said:
                raise
            # Nobody called for it, so nobody is there to take an exception.
            log.warning("events go nowhere: %s", error)
            destination = None
        self._is_on = destination is not None
        self._source = "" if destination is None else destination.source
        self._heads = {}
        self._sender.use(None if destination is None else Door(destination))


def _at_the_end(leave: Callable[[], None]) -> None:
    """What still waits is sent. A process of multiprocessing ends in a way of its own."""
    atexit.unregister(leave)
    atexit.register(leave)
    processes = sys.modules.get("multiprocessing.util")
    if processes is not None:
        processes.Finalize(None, leave, exitpriority=0)


_CLIENT = Client(os.environ)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CLIENT.begin_anew)

event = _CLIENT.event
configure = _CLIENT.configure
flush = _CLIENT.flush
dropped = _CLIENT.dropped
