"""Findings as events, for rules of `mapping:` to count. Detectors are not given them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from exporter.detection import Told
from exporter.event import Fault, Fields, Raw
from exporter.finding import EVENT, Finding

# Of those that are about no source alone.
SOURCE = "tocsin"


class Takes(Protocol):
    """The pipeline, as far as it is needed here."""

    @property
    def asked(self) -> Mapping[str, Fields]: ...

    def raw(self, raw: Raw, *, now: float) -> list[Fault]: ...


def into(pipeline: Takes, *, clock: Callable[[], float] = time.time) -> Told:
    """What hands them in, where a rule asks for them."""

    def tell(found: Sequence[Finding]) -> None:
        if EVENT not in pipeline.asked:
            return
        by_source: dict[str, list[Finding]] = {}
        for finding in found:
            by_source.setdefault(finding.source or SOURCE, []).append(finding)
        now = clock()
        for source, some in by_source.items():
            pipeline.raw(Raw(EVENT, source, range(len(some)), _columns(some)), now=now)

    return tell


def _columns(found: Sequence[Finding]) -> dict[str, list[object]]:
    return {
        "detector": [finding.detector for finding in found],
        "severity": [finding.severity for finding in found],
        "value": [finding.value for finding in found],
        "threshold": [finding.threshold for finding in found],
        "window_seconds": [finding.window_seconds for finding in found],
        "about": [_about(finding) for finding in found],
        "dry_run": [finding.dry_run for finding in found],
    }


def _about(finding: Finding) -> str:
    """What kind of thing it is about, and not which."""
    if finding.address is not None:
        return "address"
    return "person" if finding.person is not None else "source"
