"""How many findings, by detector and severity; those of dry runs for themselves. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporter.family import Family
from exporter.finding import Finding, Severity

# A detector, and how severe what it finds is.
Kind = tuple[str, Severity]
# More pairs of a detector and a severity, over all changes of the configuration, are counted as `other`.
KINDS_MAX = 1_000
OTHER = "other"


class Counts:
    """`expected` are the pairs that can be found now: they are there at 0."""

    def __init__(self, *, expected: Callable[[], Iterable[Kind]] = tuple) -> None:
        self._expected = expected
        self._counted: dict[Kind, int] = {}
        self._in_dry_runs: dict[Kind, int] = {}

    def take(self, found: Sequence[Finding]) -> None:
        for finding in found:
            counted = self._in_dry_runs if finding.dry_run else self._counted
            kind = finding.detector, finding.severity
            if kind not in counted and len(counted) >= KINDS_MAX:
                kind = OTHER, finding.severity
            counted[kind] = counted.get(kind, 0) + 1

    def families(self) -> Iterable[Family]:
        zero = dict.fromkeys(self._expected(), 0)
        yield _family(
            "security_findings_total", "What detectors have found, by detector and severity.", zero, self._counted
        )
        yield _family(
            "security_findings_dry_run_total",
            "What detectors in a dry run have found: it is counted here and logged, and nothing follows from it.",
            zero,
            self._in_dry_runs,
        )


def _family(name: str, help: str, zero: dict[Kind, int], counted: dict[Kind, int]) -> Family:  # noqa: A002
    return Family.of(
        name=name,
        type="counter",
        help=help,
        labels=("detector", "severity"),
        samples=tuple((kind, count) for kind, count in sorted({**zero, **counted}.items())),
    )
