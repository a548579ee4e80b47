"""Somebody logs in from two places that are too far apart for the time in between.

Where that is, the application has to say: nothing here knows where an address is. What is found is of the person, not
of an address: one of the two may well be that person's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

from exporter.detectors import Held
from exporter.detectors.outcomes import succeeded
from exporter.detectors.settings import ImpossibleTravel as Settings
from exporter.event import Batch, Fields
from exporter.finding import Finding
from exporter.identity import Person

# Whose last place is remembered; who has not logged in for the longest time is forgotten.
PEOPLE_MAX = 50_000
_RADIUS_KM = 6_371.0
# Two logins at the same moment are a second apart.
_SECONDS_MIN = 1.0


class Place(NamedTuple):
    at: float
    latitude: float
    longitude: float


class ImpossibleTravel:
    name = "impossible_travel"
    asked: Mapping[str, Fields] = {
        "auth": Fields(texts=("outcome",), numbers=("latitude", "longitude"), moments=True, people=("user",))
    }

    def __init__(self, settings: Settings, *, people_max: int = PEOPLE_MAX) -> None:
        self._settings = settings
        self._people_max = people_max
        # The one who has logged in last is the last.
        self._last: dict[Person, Place] = {}
        self._forgotten = 0

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        found: list[Finding] = []
        for person, place in _places(batch, now):
            before = self._last.pop(person, None)
            if before is not None and before.at > now:
                # Of a clock that was ahead and was set back: nobody knows how long ago that was.
                before = None
            # Logs may come late, and not in their order.
            self._last[person] = place if before is None or before.at <= place.at else before
            if before is not None:
                found += self._too_far(person, before, place, now)
        while len(self._last) > self._people_max:
            del self._last[next(iter(self._last))]
            self._forgotten += 1
        return found

    @property
    def held(self) -> Held:
        return Held(len(self._last), self._forgotten)

    def _too_far(self, person: Person, before: Place, place: Place, now: float) -> Iterator[Finding]:
        distance = kilometers(before, place)
        seconds = max(abs(place.at - before.at), _SECONDS_MIN)
        speed = distance / seconds * 3_600
        most = self._settings.kilometers_per_hour
        if distance > self._settings.kilometers and speed > most:
            yield Finding(
                detector=self.name,
                severity=self._settings.severity,
                at=now,
                why=f"one person logged in from two places {distance:.0f} km apart within {seconds / 60:.0f} minutes",
                value=speed,
                threshold=most,
                window_seconds=seconds,
                person=person,
            )


def kilometers(one: Place, other: Place) -> float:
    """Along the surface of the Earth, taken as a ball."""
    north, other_north = radians(one.latitude), radians(other.latitude)
    up = sin((other_north - north) / 2) ** 2
    across = sin(radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * _RADIUS_KM * asin(min(1.0, sqrt(up + cos(north) * cos(other_north) * across)))


def _places(batch: Batch, now: float) -> Iterator[tuple[Person, Place]]:
    """Of those who got in and of whom it is said where they were."""
    latitudes, longitudes = batch.numbers("latitude"), batch.numbers("longitude")
    if latitudes is batch.nothing or longitudes is batch.nothing:
        return
    moments = batch.nothing if batch.at is None else batch.at
    rows = zip(succeeded(batch), batch.people("user"), latitudes, longitudes, moments, strict=True)
    for well, person, latitude, longitude, at in rows:
        if not well or person is None or latitude is None or longitude is None:
            continue
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            yield person, Place(now if at is None else at, latitude, longitude)
