"""What became of a collector in one run, and how what all have said becomes one list of families.

Pure: outcomes in, families out. Two collectors may not claim the same name, and none may claim a name that
belongs to the exporter itself; the later claim is quarantined and named, so the page stays valid.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from exporter.family import Family, Shape

# What the exporter says about itself and about its collectors.
RESERVED_PREFIXES = ("tocsin_exporter_", "process_", "node_scrape_collector_")
ITSELF = "the exporter itself"
# Collectors whose names anybody may choose: they have those that no other collector has.
GUESTS = frozenset({"textfile"})

DURATION = Shape(
    "node_scrape_collector_duration_seconds",
    "gauge",
    "How long the collector took, or how long it has been waited for.",
    ("collector",),
)
SUCCESS = Shape(
    "node_scrape_collector_success",
    "gauge",
    "1 where the collector succeeded in time, 0 where it did not.",
    ("collector",),
)


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
    reason: Reason | None = None
    error: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a collector has said, and how that went."""

    outcome: Outcome
    families: Sequence[Family] = ()


class Quarantined(msgspec.Struct, frozen=True):
    """A family that was left out, who offered it, and who has the name."""

    collector: str
    family: str
    owner: str


class Snapshot(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """One run as a scraper sees it: each collector's outcome, and the families that are fit to be shown.

    `pages` are what was made of it, so that scrapers that want the same share it. It ends with the last of them.
    """

    outcomes: Mapping[str, Outcome]
    families: Sequence[Family] = ()
    quarantined: Sequence[Quarantined] = ()
    pages: dict[Any, Any] = msgspec.field(default_factory=dict)


class Names:
    """Sees to it that every name is taken once. The same families come at each scrape, so it remembers its verdict.

    A family takes its name with every suffix of its type. First come, first served, and guests last.
    """

    def __init__(self, *, reserved: tuple[str, ...] = ()) -> None:
        self._reserved = reserved
        # Who offered how many, their shapes, and the verdict. Several threads may ask, so it is replaced as a whole.
        self._last: tuple[list[tuple[str, int]], list[Shape], dict[int, Quarantined]] = ([], [], {})

    def without_clashes(self, offers: Mapping[str, Sequence[Family]]) -> tuple[list[Family], list[Quarantined]]:
        """Families by who offers them, in the order in which they are served."""
        families = [family for offered in offers.values() for family in offered]
        shapes = [family.shape for family in families]
        offered = [(name, len(each)) for name, each in offers.items()]
        offered_before, shapes_before, left_out = self._last
        if offered != offered_before or shapes != shapes_before:
            left_out = self._judge(offers)
            self._last = (offered, shapes, left_out)
        if left_out:
            families = [family for index, family in enumerate(families) if index not in left_out]
        return families, list(left_out.values())

    def _judge(self, offers: Mapping[str, Sequence[Family]]) -> dict[int, Quarantined]:
        owners: dict[str, str] = {}
        left_out: dict[int, Quarantined] = {}
        everything = enumerate((name, family.shape) for name, families in offers.items() for family in families)
        for index, (name, shape) in sorted(everything, key=lambda entry: entry[1][0] in GUESTS):
            owner = next((owners[claim] for claim in shape.claims if claim in owners), None)
            if shape.name.startswith(self._reserved):
                owner = ITSELF
            if owner is None:
                owners.update(dict.fromkeys(shape.claims, name))
            else:
                left_out[index] = Quarantined(name, shape.name, owner)
        return left_out


def snapshot(answers: Mapping[str, Answer], names: Names) -> Snapshot:
    outcomes = {name: answer.outcome for name, answer in answers.items()}
    families, quarantined = names.without_clashes({name: answer.families for name, answer in answers.items()})
    families.extend(about(outcomes))
    return Snapshot(outcomes, families, quarantined)


def about(outcomes: Mapping[str, Outcome]) -> Iterable[Family]:
    """node_exporter's two metrics about collectors, which its dashboards and alerts ask for."""
    yield DURATION.of([((name,), outcome.seconds) for name, outcome in outcomes.items()])
    yield SUCCESS.of([((name,), float(outcome.reason is None)) for name, outcome in outcomes.items()])
