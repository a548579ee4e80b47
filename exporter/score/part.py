"""The place of the score in the program: told of findings, a view of logins, and asked with each page of the role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporter.family import Family, single
from exporter.finding import Finding
from exporter.score import posture
from exporter.score.reading import posture_of
from exporter.score.recent import Logins, Points


class Score:
    """Belongs to one event loop. `looks` says whether any detector is on: where none is, findings say nothing."""

    def __init__(self, *, looks: Callable[[], bool]) -> None:
        self._looks = looks
        self._points = Points()
        self.logins = Logins()

    def take(self, found: Sequence[Finding]) -> None:
        self._points.take(found)

    def families(self, seen: Iterable[Family], now: float) -> Iterable[Family]:
        """`seen` are those of the page on which it will be."""
        found = posture_of(
            seen,
            now=now,
            finding_points=self._points.left(now) if self._looks() else None,
            logins=self.logins.last(now),
        )
        known = posture.ratios(found)
        whole = posture.score(known)
        yield Family.of(
            name="security_score_ratio",
            type="gauge",
            help="How safe it looks, from 0 to 1: the mean of the parts that are known, by their weight.",
            samples=() if whole is None else single(whole),
        )
        yield Family.of(
            name="security_score_part_ratio",
            type="gauge",
            help="What each part of the score is, from 0 to 1; one of which nothing is known is not there.",
            labels=("part",),
            samples=tuple(((name,), ratio) for name, ratio in known.items()),
        )
        yield Family.of(
            name="security_score_part_weight_ratio",
            type="gauge",
            help="The share that each part of the score has; 0 where nothing is known of it.",
            labels=("part",),
            samples=tuple(((name,), share) for name, share in posture.weights(known).items()),
        )
