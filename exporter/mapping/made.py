"""Rules made of what people write. `checks` has been there before, so nothing here can be wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from exporter import duration
from exporter.mapping.file import NEVER, LabelFile, LimitsFile, RuleFile
from exporter.mapping.rule import TTL_SECONDS, Action, Condition, Label, Metric, Rule
from guard.matcher import FIELD, parse_matcher


def rules_of(entries: Sequence[RuleFile], *, bundled: Sequence[Rule]) -> tuple[Rule, ...]:
    """The bundled ones first. Rules of one metric agree in all that its series have in common."""
    metrics = metrics_of(entries, bundled=bundled)
    own = [
        Rule(
            event=kind,
            metric=_with_labels(metrics[entry.name], [_label(entry, name) for name in entry.labels]),
            where=tuple(map(condition, entry.where)),
            value=entry.value,
            moment=entry.moment,
            from_zero=entry.from_zero,
            scale=entry.scale,
            action=Action(entry.action),
        )
        for entry in entries
        for kind in entry.kinds
    ]
    theirs = [replace(rule, metric=_with_labels(metrics[rule.metric.name], rule.metric.labels)) for rule in bundled]
    return (*theirs, *own)


def metrics_of(entries: Sequence[RuleFile], *, bundled: Sequence[Rule]) -> dict[str, Metric]:
    """Each metric as its first rule says it, with the known values of all of them. A rule that says otherwise is not
    followed."""
    found: dict[str, Metric] = {}
    for rule in bundled:
        found.setdefault(rule.metric.name, rule.metric)
    for entry in entries:
        there = found.get(entry.name)
        if there is None and entry.type is not UNSET and entry.help is not UNSET:
            found[entry.name] = _metric(entry, entry.type, entry.help)
        elif there is not None:
            known = {name: entry.label(name).known for name in entry.labels}
            found[entry.name] = replace(there, labels=tuple(_knowing(label, known) for label in there.labels))
    return found


def seconds(ttl: str) -> float | None:
    """ValueError says what was found and what was expected."""
    if ttl == NEVER:
        return None
    try:
        found = duration.parse(ttl)
    except ValueError:
        found = 0.0
    if not found:
        raise ValueError(f"found {ttl!r}, expected a duration such as 24h or 10m, or {NEVER}")
    return found


def condition(text: str) -> Condition:
    """ValueError says what was expected."""
    matcher = parse_matcher(text, name=FIELD)
    return Condition(matcher.name, matcher.operator, matcher.value)  # type: ignore[arg-type]


def ttl_of(entry: RuleFile) -> float | None:
    return TTL_SECONDS if isinstance(entry.ttl, UnsetType) else seconds(entry.ttl)


def _metric(entry: RuleFile, kind: str, description: str) -> Metric:
    limits = LimitsFile() if isinstance(entry.limits, UnsetType) else entry.limits
    return Metric(
        name=entry.name,
        type=kind,  # type: ignore[arg-type]
        help=description,
        labels=tuple(_label(entry, name) for name in entry.labels),
        buckets=() if isinstance(entry.buckets, UnsetType) else entry.buckets,
        quantiles=() if isinstance(entry.quantiles, UnsetType) else entry.quantiles,
        ttl_seconds=ttl_of(entry),
        series_max=limits.series_max,
        least=None if isinstance(entry.least, UnsetType) else entry.least,
    )


def _label(entry: RuleFile, name: str) -> Label:
    said: LabelFile = entry.label(name)
    limits = LimitsFile() if isinstance(entry.limits, UnsetType) else entry.limits
    most = limits.values_max if isinstance(said.values_max, UnsetType) else said.values_max
    return Label(name, said.field, said.missing, said.known, most, tuple(said.replace.items()))


def _knowing(label: Label, known: Mapping[str, tuple[str, ...]]) -> Label:
    return replace(label, known=tuple(dict.fromkeys((*label.known, *known.get(label.name, ())))))


def _with_labels(metric: Metric, labels: Sequence[Label]) -> Metric:
    """The metric, fed by these labels' fields; its own order and limits stay."""
    by_name = {label.name: label for label in labels}
    fed = [(label, by_name[label.name]) for label in metric.labels]
    own = [replace(label, field=each.field, missing=each.missing, replace=each.replace) for label, each in fed]
    return replace(metric, labels=tuple(own))
