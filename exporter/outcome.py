"""What became of a collector in one run, and how the outcomes of all become one list of families.

Pure: outcomes in, families out. Two collectors may not claim the same name, and none may claim a name that
belongs to the exporter itself; the later claim is quarantined and named, so the page stays valid.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from exporter.family import Family

# What the exporter says about itself and about its collectors.
RESERVED_PREFIXES = ("tocsin_exporter_", "process_", "node_scrape_collector_")


class Reason(StrEnum):
    """Why a collector failed; the values are those of the label `reason`."""

    # Nothing of the kind is on this machine. node_exporter calls that no success either, but nobody has failed.
    ABSENT = "absent"
    ERROR = "error"
    DEADLINE = "deadline"
    STUCK = "stuck"


class Absent(Exception):
    """Raised by a collector when what it speaks of is not on this machine. It is no failure."""


class Outcome(msgspec.Struct, frozen=True):
    """`reason` is None for a success. `seconds` is what it took, or how long it has been waited for."""

    seconds: float
    families: tuple[Family, ...] = ()
    reason: Reason | None = None
    error: str = ""


class Quarantined(msgspec.Struct, frozen=True):
    """A family that was left out, who offered it, and who has the name."""

    collector: str
    family: str
    owner: str


class Snapshot(msgspec.Struct, frozen=True):
    """One run as a scraper sees it: each collector's outcome, and the families that are fit to be shown."""

    outcomes: Mapping[str, Outcome]
    families: tuple[Family, ...]
    quarantined: tuple[Quarantined, ...]


def snapshot(outcomes: Mapping[str, Outcome]) -> Snapshot:
    families, quarantined = without_clashes(outcomes)
    return Snapshot(outcomes, (*families, *about(outcomes)), tuple(quarantined))


def without_clashes(outcomes: Mapping[str, Outcome]) -> tuple[list[Family], list[Quarantined]]:
    """First come, first served, in the order of the collectors. A family has its name with every suffix of its type."""
    owners: dict[str, str] = {}
    families: list[Family] = []
    quarantined: list[Quarantined] = []
    for collector, outcome in outcomes.items():
        for family in outcome.families:
            claims = family.shape.claims
            owner = next((owners[claim] for claim in claims if claim in owners), None)
            if family.name.startswith(RESERVED_PREFIXES):
                owner = "the exporter itself"
            if owner is None:
                owners.update(dict.fromkeys(claims, collector))
                families.append(family)
            else:
                quarantined.append(Quarantined(collector, family.name, owner))
    return families, quarantined


def about(outcomes: Mapping[str, Outcome]) -> Iterable[Family]:
    """node_exporter's two metrics about collectors, which its dashboards and alerts ask for."""
    yield Family.of(
        name="node_scrape_collector_duration_seconds",
        type="gauge",
        help="How long the collector took, or how long it has been waited for.",
        labels=("collector",),
        samples=tuple(((name,), outcome.seconds) for name, outcome in outcomes.items()),
    )
    yield Family.of(
        name="node_scrape_collector_success",
        type="gauge",
        help="1 where the collector succeeded in time, 0 where it did not.",
        labels=("collector",),
        samples=tuple(((name,), float(outcome.reason is None)) for name, outcome in outcomes.items()),
    )
