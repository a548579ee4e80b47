"""The last findings, for whoever looks. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from exporter.finding import Finding

# Older ones are forgotten; they stay counted.
FINDINGS_MAX = 1_000


class Kept:
    def __init__(self) -> None:
        self._findings: deque[Finding] = deque(maxlen=FINDINGS_MAX)
        self.taken = 0

    def take(self, found: Sequence[Finding]) -> None:
        self._findings.extend(found)
        self.taken += len(found)

    @property
    def forgotten(self) -> int:
        return self.taken - len(self._findings)

    def last(self, limit: int, *, since: float | None = None, detector: str = "") -> list[tuple[int, Finding]]:
        """The newest first, each with its number, from 1: of one detector, and found at `since` or later, if that
        matters."""
        return list(islice(self._matching(since, detector), limit))

    def _matching(self, since: float | None, detector: str) -> Iterator[tuple[int, Finding]]:
        for number, finding in zip(range(self.taken, 0, -1), reversed(self._findings), strict=False):
            if (since is None or finding.at >= since) and detector in ("", finding.detector):
                yield number, finding
