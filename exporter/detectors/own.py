"""Detectors of a user's own, made of what is set. `ownchecks` has been there before, so nothing here can be wrong."""

from __future__ import annotations

from math import ceil
from typing import TypeVar

from msgspec import UnsetType

from exporter.detectors import Detector
from exporter.detectors.anomaly.amounts import OF_NUMBERS
from exporter.detectors.anomaly.methods import LIMITS, OF_DEVIATION
from exporter.detectors.anomaly.stream import LARGEST, Manner
from exporter.detectors.exceeding import Exceeding, Excess
from exporter.detectors.rates import known_least
from exporter.detectors.settings import Own
from exporter.detectors.unusual import Look, Unusual
from exporter.mapping.made import condition

# Of events: so many in one interval are never too many, where nobody says otherwise.
COUNTED_LEAST = 20.0
# Intervals in a row that have to be beyond bounds which chance passes now and then.
ROW_OF_DEVIATION = 3
# Of a number in events: fewer in one interval are no measurement.
SAMPLES_LEAST = 10

Value = TypeVar("Value")


def own(settings: Own) -> Detector:
    kinds = (settings.event,) if isinstance(settings.event, str) else tuple(dict.fromkeys(settings.event))
    where = tuple(map(condition, settings.where))
    if is_sliding(settings):
        threshold = _said(settings.threshold, 0.0)
        excess = Excess(
            events=kinds,
            where=where,
            seconds=settings.window_seconds,
            window=settings.window,
            threshold=threshold,
            distinct=settings.field,
            by=settings.by,
            by_address=settings.by_address,
            by_person=settings.by_person,
        )
        return Exceeding(settings.name, excess, severity=settings.severity)
    look = Look(
        events=kinds,
        where=where,
        seconds=settings.window_seconds,
        manner=_manner(settings),
        measure=settings.measure,
        field=settings.field,
        by=settings.by,
        who=settings.blame,
        samples=_said(settings.samples, SAMPLES_LEAST) if settings.measure in OF_NUMBERS else 0,
    )
    return Unusual(settings.name, look, severity=settings.severity)


def is_sliding(settings: Own) -> bool:
    """Whether what happened in the window is compared with a fixed number at each moment."""
    return not isinstance(settings.threshold, UnsetType) and settings.measure not in OF_NUMBERS


def _manner(settings: Own) -> Manner:
    seconds = settings.window_seconds
    if isinstance(settings.method, UnsetType):
        return Manner(
            method=None,
            limit=_said(settings.threshold, 0.0),
            size=1,
            known_least=0,
            direction=settings.direction,
            row=_said(settings.in_a_row, 1),
        )
    counts = settings.measure not in OF_NUMBERS
    size = int(settings.baseline_seconds / seconds)
    return Manner(
        method=settings.method,
        limit=_said(settings.limit, LIMITS[settings.method]),
        size=size,
        known_least=max(known_least(seconds, size), min(size, ceil(settings.warm_up_seconds / seconds))),
        direction=settings.direction,
        least=_said(settings.least, COUNTED_LEAST if counts else -LARGEST),
        row=_said(settings.in_a_row, ROW_OF_DEVIATION if settings.method in OF_DEVIATION else 1),
        counts=counts,
    )


def _said(value: Value | UnsetType, otherwise: Value) -> Value:
    return otherwise if isinstance(value, UnsetType) else value
