"""What exporter.yml says about reputation, put into force: at the start, and at each reload."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.control import Plan, Refused
from exporter.reputation.allowed import ALLOWED_MAX, Allowed, Entry
from exporter.reputation.place import place_of
from exporter.reputation.policy import OWN_POINTS, PRIVATE_ENTRIES, Policy
from exporter.reputation.reputation import Reputation

if TYPE_CHECKING:  # only where there is a file
    from exporter.reputation.settings import ReputationSettings

FILE_BYTES_MAX = 16_777_216
# More faults of one file are not said.
FAULTS_MAX = 10


def prepare(reputation: Reputation, plan: Plan, clock: Callable[[], float] = time.time) -> Callable[[], None]:
    """Raises Refused."""
    policy = Policy() if plan.file is None else policy_of(plan.file.reputation)
    return lambda: reputation.use(policy, now=clock())


def policy_of(settings: ReputationSettings) -> Policy:
    """Reads the file that is named. Raises Refused."""
    from exporter.reputation.settings import seconds

    entries = [
        *(Entry(place_of(text), "reputation.allow") for text in settings.allow),
        *(PRIVATE_ENTRIES if settings.allow_private else ()),
    ]
    if settings.allow_file is not None:
        entries += _entries_in(settings.allow_file)
    return Policy(
        threshold=settings.threshold,
        half_life_seconds=seconds(settings.half_life),
        block_seconds=seconds(settings.block_for),
        block_seconds_max=seconds(settings.block_for_max),
        forget_seconds=seconds(settings.forget_after),
        grace_seconds=seconds(settings.grace),
        dry_run=settings.dry_run,
        points={
            "info": settings.points.info,
            "low": settings.points.low,
            "medium": settings.points.medium,
            "high": settings.points.high,
            "critical": settings.points.critical,
        },
        detectors={**OWN_POINTS, **settings.detectors},
        allowed=Allowed(entries),
        top_networks=settings.top_networks,
    )


def _entries_in(path: str) -> list[Entry]:
    try:
        with Path(path).open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise Refused((f"reputation.allow_file: {path}: {error.strerror}",)) from None
    except UnicodeDecodeError:
        raise Refused((f"reputation.allow_file: {path}: found no text, expected one address a line",)) from None
    if len(data) > FILE_BYTES_MAX:
        raise Refused((f"reputation.allow_file: {path}: found a larger file, expected at most {FILE_BYTES_MAX} bytes",))
    entries: list[Entry] = []
    faults: list[str] = []
    for number, written in _lines(text):
        try:
            entries.append(Entry(place_of(written), f"{path}:{number}"))
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
    if len(entries) > ALLOWED_MAX:
        faults.append(f"{path}: found {len(entries)} addresses and networks, expected at most {ALLOWED_MAX}")
    if len(faults) > FAULTS_MAX:
        faults[FAULTS_MAX:] = [f"{path}: and {len(faults) - FAULTS_MAX} more"]
    if faults:
        raise Refused(tuple(faults))
    return entries


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.partition("#")[0].strip()
        if written:
            yield number, written
