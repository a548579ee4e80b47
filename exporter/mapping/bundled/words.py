"""How the bundled rules are written: metrics and labels in few words, and the usual spellings of outcomes.

What has no outcome went well: who sends an event at the end of a job seldom says more. A word that is neither (such
as `skipped`) is counted, but is no success and no failure.
"""

from __future__ import annotations

from exporter.mapping.rule import TTL_SECONDS, Action, Condition, Label, Metric, Rule

# What is rare keeps its series: a job of each week is not forgotten in between.
FOR_EVER = None

TRUE = "(?i:true|yes|on|1)"
FALSE = "(?i:false|no|off|0)"
SUCCEEDED = "(?i:|success|successful|succeeded|ok|passed|completed|done|true|yes|1)"
FAILED = (
    "(?i:fail|failed|failure|error|errored|denied|deny|forbidden|refused|rejected|invalid|declined|timeout|timed_out"
    "|false|no|0)"
)
# A status may be HTTP's.
FAILED_STATUS = f"{FAILED}|[45][0-9][0-9]"


def is_true(field: str) -> Condition:
    return Condition(field, "=~", TRUE)


def is_false(field: str) -> Condition:
    return Condition(field, "=~", FALSE)


def succeeded(field: str = "outcome") -> Condition:
    return Condition(field, "=~", SUCCEEDED)


def failed(field: str = "outcome") -> Condition:
    return Condition(field, "=~", FAILED)


def labels(*names: str, **fields: str) -> tuple[Label, ...]:
    """`names` are those of their fields, too; in `fields`, each label has the field that it is from."""
    return (*(Label(name, name) for name in names), *(Label(name, field) for name, field in fields.items()))


def counter(
    name: str,
    help: str,  # noqa: A002 - as metrics call it
    *labelled: Label,
    ttl_seconds: float | None = TTL_SECONDS,
) -> Metric:
    return Metric(name=name, type="counter", help=help, labels=labelled, ttl_seconds=ttl_seconds)


def gauge(
    name: str,
    help: str,  # noqa: A002
    *labelled: Label,
    ttl_seconds: float | None = TTL_SECONDS,
    least: float | None = None,
) -> Metric:
    return Metric(name=name, type="gauge", help=help, labels=labelled, ttl_seconds=ttl_seconds, least=least)


def histogram(
    name: str,
    help: str,  # noqa: A002
    *labelled: Label,
    buckets: tuple[float, ...],
    ttl_seconds: float | None = TTL_SECONDS,
) -> Metric:
    return Metric(name=name, type="histogram", help=help, labels=labelled, buckets=buckets, ttl_seconds=ttl_seconds)


def each(event: str, metric: Metric, *where: Condition) -> Rule:
    """Each such event counts as one."""
    return Rule(event=event, metric=metric, where=where)


def among(event: str, metric: Metric, *where: Condition) -> Rule:
    """Of these events, the ones that are meant. The others show that there were none so far."""
    return Rule(event=event, metric=metric, where=where, from_zero=True)


def value(event: str, metric: Metric, field: str, *where: Condition) -> Rule:
    """The field is set, added or observed, whichever the metric's type says."""
    return Rule(event=event, metric=metric, value=field, where=where)


def rises(event: str, metric: Metric) -> Rule:
    return Rule(event=event, metric=metric, action=Action.ADD)


def falls(event: str, metric: Metric, *where: Condition) -> Rule:
    return Rule(event=event, metric=metric, action=Action.SUBTRACT, where=where)


def moment(event: str, metric: Metric, *where: Condition) -> Rule:
    """The value is when it happened."""
    return Rule(event=event, metric=metric, moment=True, where=where)
