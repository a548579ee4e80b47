"""What the exporter counts of its probes. Light, as it is there without any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.family import Family, single
from exporter.probes.attempt import REASONS

PROBERS = ("http", "tcp", "dns", "redis", "postgres", "process", "file")
# Why somebody who asks at the door gets no probe.
REJECTED = ("busy", "module", "target", "not_allowed")


class ProbeCounts:
    """Plain numbers, kept by the event loop alone."""

    def __init__(self) -> None:
        self.probes = dict.fromkeys(PROBERS, 0)
        self.failures = dict.fromkeys(REASONS, 0)
        self.rejected = dict.fromkeys(REJECTED, 0)
        self.threads_held: Callable[[], int] = lambda: 0


def families(counts: ProbeCounts) -> Sequence[Family]:
    def counter(name: str, help: str, label: str, counted: dict[str, int]) -> Family:  # noqa: A002 - as families call it
        samples = tuple(((each,), count) for each, count in counted.items())
        return Family.of(name=name, type="counter", help=help, labels=(label,), samples=samples)

    return (
        counter("tocsin_exporter_probes_total", "Probes that were made, by who asks.", "prober", counts.probes),
        counter("tocsin_exporter_probe_failures_total", "Probes that failed, by reason.", "reason", counts.failures),
        counter(
            "tocsin_exporter_probes_rejected_total",
            "Requests to /probe for which nobody was asked, by reason.",
            "reason",
            counts.rejected,
        ),
        Family.of(
            name="tocsin_exporter_probe_threads_held",
            type="gauge",
            help="Threads that wait for a name to be looked up or for a file, for probes.",
            samples=single(counts.threads_held()),
        ),
    )
