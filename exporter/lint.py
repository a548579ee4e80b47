"""What is no fault of exporter.yml, and hardly meant: metrics to stumble over, and points that nobody would get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exporter.detectors.settings import DetectorsSettings
from exporter.mapping import lint as mapping_lint
from exporter.mapping.bundled import RULES
from guard.faults import Problem

if TYPE_CHECKING:
    from exporter.settings import Settings

BUNDLED = tuple(name for name in DetectorsSettings.__struct_fields__ if name != "own")


def warnings(settings: Settings) -> Iterator[Problem]:
    yield from mapping_lint.warnings(settings.mapping, bundled=RULES if settings.mapping_bundled else ())
    yield from _points_of_nobody(settings)


def _points_of_nobody(settings: Settings) -> Iterator[Problem]:
    names = (*BUNDLED, *(each.name for each in settings.detectors.own))
    for name in settings.reputation.detectors:
        if name not in names:
            yield Problem(
                ("reputation", "detectors", name), "this key", f"the name of a detector, one of {', '.join(names)}"
            )
