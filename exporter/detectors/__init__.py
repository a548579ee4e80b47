"""Who looks for attacks and for what is unusual in what applications say; one idea a file.

A detector is given batches of the kinds of event that it asks for, and says what it has found. It is pure: values and
a time in, findings out. What it remembers is bounded, and what it had to forget is counted.

    settings             `detectors:` in exporter.yml, and the defaults
    checks               what can be wrong with it beyond its schema
    bundled              the detectors that come with Tocsin, by name
    brute_force_address  logins from one address that failed
    brute_force_person   logins of one person that failed
    credential_stuffing  different people whose logins from one address failed
    rejections           GraphQL queries and WebSocket connections of one address that were rejected
    malicious_address    addresses that are on lists
    impossible_travel    logins of one person from places that are too far apart
    lists                such lists, as others publish them
    regulars             how many different people have logged in from an address
    outcomes             which events of a batch went well, and which failed
    toomany              who did something more often than may be
    counting             how often each did something lately
    distinct             how many different ones each was seen with lately
    rates                how often something happens, against how often it does usually
    unusual              a detector with a baseline: counts and measures by intervals
    anomaly/             is the newest number of a stream unusual?
    own                  detectors of a user's own, made of what is set
    exceeding            more of something than a fixed number, as one of a user's own
    choosing             which events of a batch are meant
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from exporter.event import Batch, Fields
from exporter.finding import Finding


class Held(NamedTuple):
    """What a detector remembers: how many it counts, how many it had to forget since the start, and by how much a count
    may be too small now."""

    keys: int = 0
    forgotten: int = 0
    undercount: float = 0.0


class Detector(Protocol):
    """`name` is a word of its findings and metrics."""

    name: str
    asked: Mapping[str, Fields]

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        """The batch is of a kind that it asks for. The same may be found in each batch: who asks sees to the cooldown,
        and says how severe it is."""

    @property
    def held(self) -> Held: ...


@runtime_checkable
class Thinning(Protocol):
    """A detector whose memory may be full."""

    def thin(self) -> bool:
        """Forgets what it would have to forget soon, and says whether there was any such thing. Where nobody asks, it
        does so when its memory is full."""


@runtime_checkable
class Waiting(Protocol):
    """A detector that looks also at what does not happen, or forgets in time."""

    def tick(self, *, now: float) -> Sequence[Finding]:
        """Time has passed."""
