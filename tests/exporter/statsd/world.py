"""Packets of StatsD into a pipeline, and what is then on the page. Time is what the test says."""

from __future__ import annotations

from exporter.escaping import Escaping
from exporter.exposition import page
from exporter.family import Family
from exporter.intake.statsd.counting import Counting
from exporter.intake.statsd.lines import Styles
from exporter.intake.statsd.telling import Told
from exporter.intake.statsd.wanted import Choose, unmapped
from exporter.negotiation import Format
from exporter.pipeline import Pipeline
from exporter.series.trouble import Trouble

NOW = 1_700_000_000.0


class World:
    def __init__(self, *, styles: Styles = Styles(), choose: Choose = unmapped) -> None:  # noqa: B008
        self.told = Told()
        self.trouble = Trouble()
        self.pipeline = Pipeline((), redact=lambda kind, field: lambda text: text, trouble=self.trouble)
        self.counting = Counting(
            self.pipeline.take,
            told=self.told,
            redact=lambda kind, field: lambda text: text.replace("secret", "[SECRET]"),
            styles=styles,
            choose=choose,
            trouble=self.trouble,
        )

    def send(self, *packets: bytes, now: float = NOW) -> None:
        """One batch."""
        self.counting.packets(packets, now=now)
        self.counting.hand_on(now)

    def families(self) -> list[Family]:
        return self.pipeline.families()

    def lines(self) -> list[str]:
        """The samples of the page."""
        text = b"".join(page(self.families(), Format.TEXT, Escaping.UNDERSCORES)).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    @property
    def faults(self) -> dict[str, int]:
        return {reason.value: count for reason, count in self.told.faults.items() if count}


def shown(*packets: bytes) -> list[str]:
    world = World()
    world.send(*packets)
    return world.lines()
