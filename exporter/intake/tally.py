"""What each intake has taken, and refused: plain numbers, kept by the event loop alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.family import Family
from exporter.pipeline import Outcome

# Why a body with events is refused as a whole, so that each series is there at zero.
REASONS = ("too_large", "busy", "slow", "encoding", "unreadable")


class Intake:
    """One of them: `http`, and whichever else is on."""

    __slots__ = ("accepted", "bytes", "rejected", "unmatched")

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.unmatched = 0
        self.bytes = 0

    def count(self, outcome: Outcome) -> None:
        self.accepted += outcome.accepted
        self.rejected += len(outcome.faults)
        self.unmatched += outcome.unmatched


class Intakes:
    def __init__(self) -> None:
        self._by_name: dict[str, Intake] = {}
        self.bodies_refused = dict.fromkeys(REASONS, 0)

    def of(self, name: str) -> Intake:
        """Its series are there from the first time on that it is asked for."""
        return self._by_name.setdefault(name, Intake())

    @property
    def by_name(self) -> Mapping[str, Intake]:
        return self._by_name


def families(intakes: Intakes) -> Sequence[Family]:
    def counts(name: str, help: str, attribute: str) -> Family:  # noqa: A002 - as families call it
        samples = tuple(((intake,), getattr(counted, attribute)) for intake, counted in intakes.by_name.items())
        return Family.of(name=name, type="counter", help=help, labels=("intake",), samples=samples)

    return (
        counts("tocsin_exporter_events_accepted_total", "Events taken, also those that no rule counts.", "accepted"),
        counts("tocsin_exporter_events_rejected_total", "Events left out because something is wrong.", "rejected"),
        counts("tocsin_exporter_events_unmatched_total", "Events taken that no rule counts.", "unmatched"),
        counts("tocsin_exporter_intake_bytes_total", "Bytes of events as they came, still compressed.", "bytes"),
        Family.of(
            name="tocsin_exporter_event_bodies_refused_total",
            type="counter",
            help="Bodies with events that were refused as a whole, by reason.",
            labels=("reason",),
            samples=tuple(((reason,), count) for reason, count in intakes.bodies_refused.items()),
        ),
    )
