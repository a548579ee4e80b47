"""The key `mapping:` of exporter.yml as people write it. `checks` says what can be wrong; `made` makes rules of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from exporter.mapping.rule import SERIES_MAX, UNKNOWN, VALUES_MAX, Type
from exporter.reader import KIND_CHARACTERS_MAX

RULES_MAX = 1_000
# Of one rule.
KINDS_MAX = 100
CONDITIONS_MAX = 20
LABELS_MAX = 20
BUCKETS_MAX = 100
QUANTILES_MAX = 20
# Of one label.
KNOWN_MAX = 1_000
REPLACEMENTS_MAX = 50
# Of one metric, as somebody may set them.
SERIES_MOST_MAX = 1_000_000
VALUES_MOST_MAX = 100_000
FIELD_CHARACTERS_MAX = 200
HELP_CHARACTERS_MAX = 1_000
TTL = "24h"
NEVER = "never"

Field = Annotated[str, Meta(min_length=1, max_length=FIELD_CHARACTERS_MAX)]
EventKind = Annotated[str, Meta(min_length=1, max_length=KIND_CHARACTERS_MAX)]


class LabelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One label."""

    field: Annotated[Field, Meta(description="The field of the event; `http.status` reaches into nested objects.")]
    missing: Annotated[str, Meta(min_length=1, description="The value where an event does not have the field.")] = (
        UNKNOWN
    )
    known: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(max_length=KNOWN_MAX, description="Values that are there from the start, at zero."),
    ] = ()
    values_max: Annotated[
        Annotated[int, Meta(ge=1, le=VALUES_MOST_MAX)] | UnsetType,
        Meta(description="So many different values; further ones are `other`."),
    ] = UNSET
    replace: Annotated[
        dict[str, str],
        Meta(
            max_length=REPLACEMENTS_MAX,
            description="Regular expressions and what a text becomes that one of them matches as a whole, such as"
            " `v(\\d+)\\..*: v$1`. The first that matches counts.",
        ),
    ] = {}


class LimitsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much a metric may hold. What is beyond counts as `other`."""

    series_max: Annotated[int, Meta(ge=1, le=SERIES_MOST_MAX, description="Series of the metric.")] = SERIES_MAX
    values_max: Annotated[
        int, Meta(ge=1, le=VALUES_MOST_MAX, description="Different values of each label that does not say it itself.")
    ] = VALUES_MAX


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events count, and for which metric. Rules with the same name feed the same metric."""

    match: Annotated[
        EventKind | Annotated[tuple[EventKind, ...], Meta(min_length=1, max_length=KINDS_MAX)],
        Meta(description="The kind of event, or several."),
    ]
    where: Annotated[
        tuple[str, ...],
        Meta(
            max_length=CONDITIONS_MAX,
            description='Conditions on fields, all of which must hold, as Alertmanager\'s matchers: status=~"5..".',
        ),
    ] = ()
    name: Annotated[str, Meta(min_length=1, description="The metric.")]
    type: Annotated[Type | UnsetType, Meta(description="The first rule of a metric has to say it.")] = UNSET
    help: Annotated[
        Annotated[str, Meta(min_length=1, max_length=HELP_CHARACTERS_MAX)] | UnsetType,
        Meta(description="What the metric tells, for those who see it. The first rule of a metric has to say it."),
    ] = UNSET
    labels: Annotated[
        dict[str, Field | LabelFile],
        Meta(max_length=LABELS_MAX, description="Each label, and the field that has its value, or more about it."),
    ] = {}
    value: Annotated[str, Meta(description="The field with the number. Without one, each event counts as 1.")] = ""
    scale: Annotated[float, Meta(gt=0, description="What the number is multiplied by, such as 0.001 for ms.")] = 1.0
    action: Annotated[Literal["set", "add", "subtract"], Meta(description="What the number does to a gauge.")] = "set"
    moment: Annotated[bool, Meta(description="The value is when the event happened. For gauges.")] = False
    from_zero: Annotated[
        bool, Meta(description="Events for which `where` does not hold count as 0. For counters without a value.")
    ] = False
    least: Annotated[
        float | UnsetType,
        Meta(description="Below which a gauge does not fall: what closes may have opened before anybody counted."),
    ] = UNSET
    buckets: Annotated[
        tuple[float, ...] | UnsetType, Meta(description="The bounds of a histogram. The default suits seconds.")
    ] = UNSET
    quantiles: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1)], ...] | UnsetType,
        Meta(description="Those of a summary, ascending. The default is 0.5, 0.9 and 0.99."),
    ] = UNSET
    ttl: Annotated[
        Annotated[str, Meta(examples=[TTL, "10m", NEVER], extra_json_schema={"format": "ttl"})] | UnsetType,
        Meta(description="For how long a series stays that no event meets, or never to end it."),
    ] = UNSET
    limits: Annotated[LimitsFile | UnsetType, Meta(description="How much the metric may hold.")] = UNSET

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.match,) if isinstance(self.match, str) else tuple(dict.fromkeys(self.match))

    def label(self, name: str) -> LabelFile:
        said = self.labels[name]
        return LabelFile(field=said) if isinstance(said, str) else said
