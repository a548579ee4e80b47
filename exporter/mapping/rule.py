"""A rule: which events count, and for which metric. A value without behaviour; `compiled` does what it says."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from exporter.family import RESERVED_SUFFIXES
from exporter.family import Type as PublishedType

Type = Literal["counter", "gauge", "histogram", "summary"]

# What stands for a label's value where an event does not say it, and where a limit is reached.
UNKNOWN = "unknown"
OTHER = "other"
VALUES_MAX = 100
SERIES_MAX = 1_000
TTL_SECONDS = 86_400.0
# Seconds, for what people and machines wait for.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Of what was observed in the last minutes.
QUANTILES = (0.5, 0.9, 0.99)
# What the exporter says about itself, and Prometheus about its targets.
RESERVED_PREFIXES = ("scrape_", "tocsin_exporter_", "process_", "node_scrape_collector_")
RESERVED_NAMES = ("up", "target_info")


class Action(StrEnum):
    """What a value does to a gauge."""

    SET = "set"
    ADD = "add"
    SUBTRACT = "subtract"


class Label(msgspec.Struct, frozen=True):
    """`known` values are there from the start. Past `values_max` different ones, further ones are `other`.

    `replace` are expressions, and what a text becomes that the expression matches as a whole; the first one counts.
    """

    name: str
    field: str
    missing: str = UNKNOWN
    known: tuple[str, ...] = ()
    values_max: int = VALUES_MAX
    replace: tuple[tuple[str, str], ...] = ()


class Condition(msgspec.Struct, frozen=True):
    """As a matcher of Alertmanager: a field that is not there is empty, and patterns match the whole text."""

    field: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What series of one name have in common. Rules that feed the same metric say the same here."""

    name: str
    type: Type
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    # Of a summary, ascending.
    quantiles: tuple[float, ...] = ()
    # None: for as long as the exporter runs.
    ttl_seconds: float | None = TTL_SECONDS
    series_max: int = SERIES_MAX
    # Below which a gauge does not fall: what closes may have opened before anybody counted.
    least: float | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def published_type(self) -> PublishedType:
        """A gauge whose name ends as the parts of other types do could be taken for one of them, so it has none."""
        return "unknown" if self.type == "gauge" and self.name.endswith(RESERVED_SUFFIXES) else self.type

    @property
    def shape(self) -> tuple[object, ...]:
        """What its series cannot do without: where this is another, they begin anew."""
        return (self.name, self.type, self.label_names, self.buckets, self.quantiles)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is a field; without one each event counts as 1. With `moment`, the value is when the event happened.

    With `from_zero`, an event of which the conditions do not hold counts as 0: a counter of failures is there from the
    first success on, so that the first failure is seen as an increase.
    """

    event: str
    metric: Metric
    where: tuple[Condition, ...] = ()
    value: str = ""
    moment: bool = False
    from_zero: bool = False
    scale: float = 1.0
    action: Action = Action.SET
