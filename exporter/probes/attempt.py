"""One probe while it goes on: what it has found so far, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable

from exporter.family import Family, single

# Why a probe fails: the words that are a label, each there from the start.
REASONS = (
    "timeout",  # not done in time
    "target",  # not written as this prober needs it
    "not_allowed",  # not among probes.allow
    "resolve",  # the name has no address
    "refused",  # nobody listens
    "unreachable",  # no way there
    "closed",  # the connection was ended or reset
    "tls",  # no handshake, or a certificate that is not to be believed
    "protocol",  # what came is not what it should be
    "too_large",  # more came than may
    "status",  # an HTTP status, or an error of the server
    "content",  # what came does not match, or matches what it must not
    "redirect",  # too many redirects, or one that leads nowhere
    "authentication",  # our credentials, or what was asked for them
    "not_ready",  # it answers, and says that it cannot serve yet
    "missing",  # no such file or process
    "count",  # too few or too many
    "age",  # too old
    "size",  # too small or too large
    "busy",  # too many names or files are waited for already
    "secret",  # a file with a secret that cannot be read
    "error",  # a mistake of ours
)
NOTES_MAX = 200
NOTE_CHARACTERS_MAX = 500


class Failed(Exception):
    """`reason` is one of `REASONS`; the text is for people, and holds no secret."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Attempt:
    """Notes and families, as a prober finds them. `hostname` is what the asker wants the target to be called."""

    def __init__(self, *, seconds: float, hostname: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.hostname = hostname
        self.notes: list[str] = []
        self._families: dict[str, Family] = {}
        self._clock = clock
        self._began = clock()
        self._seconds = seconds

    @property
    def elapsed(self) -> float:
        return self._clock() - self._began

    @property
    def left(self) -> float:
        return self._seconds - self.elapsed

    @property
    def families(self) -> list[Family]:
        return list(self._families.values())

    def note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            shown = "".join(each if each.isprintable() else "?" for each in text[:NOTE_CHARACTERS_MAX])
            self.notes.append(f"{self.elapsed:8.4f} s  {shown}")

    def gauge(self, name: str, help: str, value: float) -> None:  # noqa: A002 - as families call it
        self._families[name] = Family.of(name=name, type="gauge", help=help, samples=single(value))

    def labelled(self, name: str, help: str, label: str, values: dict[str, float]) -> None:  # noqa: A002
        samples = tuple(((each,), value) for each, value in values.items())
        self._families[name] = Family.of(name=name, type="gauge", help=help, labels=(label,), samples=samples)
