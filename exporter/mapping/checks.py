"""What can be wrong with `mapping:` beyond its schema: each rule by itself, and rules that speak of the same metric.

The document may have any shape. What the schema has found already is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec
from msgspec import UNSET

from exporter.columns import FIELD_NAME, FIELD_NAME_EXPECTED
from exporter.escaping import LABEL_NAME, METRIC_NAME, NAME_CHARACTERS_MAX
from exporter.event import TRACES
from exporter.family import OWN_SUFFIX, RESERVED_SUFFIXES, claims
from exporter.mapping.bundled import RULES
from exporter.mapping.file import BUCKETS_MAX, QUANTILES_MAX, RuleFile
from exporter.mapping.made import condition, metrics_of, ttl_of
from exporter.mapping.pattern import compiled, template
from exporter.mapping.rule import BUCKETS, QUANTILES, RESERVED_NAMES, RESERVED_PREFIXES, Metric, Rule
from guard.faults import Path, Problem
from guard.wording import one_of, quote

RESERVED_LABELS = ("le", "quantile")
# Every event has these, and they are no fields that could be labels.
OWN_FIELDS = ("event", "source", "at", *TRACES)


def problems(document: object) -> Iterator[Problem]:
    if not isinstance(document, dict):
        return
    listed = document.get("mapping")
    bundled = RULES if document.get("mapping_bundled", True) is True else ()
    entries: list[tuple[int, RuleFile]] = []
    for at, item in enumerate(listed if isinstance(listed, list) else ()):
        entry = _read(item)
        if entry is not None:
            entries.append((at, entry))
            yield from _of_rule(entry, ("mapping", at))
    yield from _between(entries, bundled)


def _read(item: object) -> RuleFile | None:
    """As far as it can be judged: what the schema tells is not told again."""
    if not isinstance(item, dict):
        return None
    known = {key: value for key, value in item.items() if key in RuleFile.__struct_fields__}
    try:
        entry = msgspec.convert(known, RuleFile)
    except msgspec.ValidationError:
        return None
    try:
        ttl_of(entry)
    except ValueError:
        return msgspec.structs.replace(entry, ttl=UNSET)
    return entry


def _of_rule(entry: RuleFile, path: Path) -> Iterator[Problem]:
    yield from _of_name(entry, path)
    for name in entry.labels:
        yield from _of_label(entry, name, (*path, "labels", name))
    for at, text in enumerate(entry.where):
        yield from _of_condition(text, (*path, "where", at))
    yield from _of_value(entry, path)


def _of_name(entry: RuleFile, path: Path) -> Iterator[Problem]:
    name, here = entry.name, (*path, "name")
    if not METRIC_NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
        yield Problem(here, quote(name), "a metric name: letters, digits and underscores, no digit first")
        return
    if name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES):
        yield Problem(here, quote(name), "another name, as Prometheus or the exporter itself has metrics called so")
    if entry.type is UNSET:
        return
    suffix = OWN_SUFFIX.get(entry.type)
    if suffix is not None and (not name.endswith(suffix) or name == suffix):
        yield Problem(here, quote(name), f"the name of a counter to end in {suffix}, such as {name}{suffix}")
    elif suffix is None and name.endswith(RESERVED_SUFFIXES) and not _is_counted(entry):
        ending = next(each for each in RESERVED_SUFFIXES if name.endswith(each))
        yield Problem(here, quote(name), f"the name of a {entry.type} not to end in {ending}")


def _is_counted(entry: RuleFile) -> bool:
    """A gauge that others call so already (`db_client_connection_count`) is published without a type."""
    return entry.type == "gauge" and entry.name.endswith(("_count", "_sum"))


def _of_label(entry: RuleFile, name: str, path: Path) -> Iterator[Problem]:
    if not LABEL_NAME.fullmatch(name) or name.startswith("__") or len(name) > NAME_CHARACTERS_MAX:
        expected = "a label name: letters, digits and underscores, no digit first, no two underscores first"
        yield Problem(path, "this key", expected)
    elif name in RESERVED_LABELS:
        yield Problem(path, "this key", "another name, as histograms and summaries have this label by themselves")
    said = entry.label(name)
    yield from _of_field(said.field, path if isinstance(entry.labels[name], str) else (*path, "field"))
    if said.field in OWN_FIELDS:
        yield Problem(path, quote(said.field), "a field of the event itself, which is none that every event has")
    if said.values_max is not UNSET and len(said.known) > said.values_max:
        yield Problem((*path, "known"), f"{len(said.known)} values", f"at most {said.values_max} (values_max)")
    for pattern, text in said.replace.items():
        yield from _of_replacement(pattern, text, (*path, "replace", pattern))


def _of_field(name: str, path: Path) -> Iterator[Problem]:
    if not FIELD_NAME.fullmatch(name):
        yield Problem(path, quote(name), FIELD_NAME_EXPECTED)


def _of_replacement(pattern: str, text: str, path: Path) -> Iterator[Problem]:
    try:
        groups = compiled(pattern)
    except ValueError as error:
        yield Problem(path, "this key", str(error))
        return
    try:
        template(text, groups)
    except ValueError as error:
        yield Problem(path, quote(text), str(error))


def _of_condition(text: str, path: Path) -> Iterator[Problem]:
    try:
        found = condition(text)
        if found.operator in ("=~", "!~"):
            compiled(found.value)
    except ValueError as error:
        yield Problem(path, quote(text), str(error))
        return
    if not FIELD_NAME.fullmatch(found.field):
        yield Problem(path, quote(text), FIELD_NAME_EXPECTED)
    if found.field in OWN_FIELDS:
        yield Problem(
            path, quote(text), "a condition on a field of the event itself, which is none that every event has"
        )


def _of_value(entry: RuleFile, path: Path) -> Iterator[Problem]:
    kind = entry.type
    yield from _of_field(entry.value, (*path, "value"))
    if entry.value in OWN_FIELDS:
        yield Problem((*path, "value"), quote(entry.value), "a field with a number; `moment: true` is when it happened")
    if entry.value and entry.moment:
        yield Problem((*path, "moment"), "true", "either a value or the moment")
    if entry.from_zero and (entry.value or not entry.where or kind not in (UNSET, "counter")):
        yield Problem((*path, "from_zero"), "true", "it of a counter of events, with conditions and without a value")
    if kind is UNSET:
        return
    if entry.moment and kind != "gauge":
        yield Problem((*path, "moment"), f"true, of a {kind}", "only gauges to have the moment of an event")
    if kind != "gauge" and entry.action != "set":
        yield Problem((*path, "action"), f"{quote(entry.action)}, of a {kind}", "only gauges to have an action")
    if kind != "gauge" and entry.least is not UNSET:
        yield Problem((*path, "least"), f"it of a {kind}", "only gauges to have a least value")
    if kind not in ("counter", "gauge") and not entry.value:
        yield Problem((*path, "value"), "nothing", f"the field with the number that the {kind} takes")
    if entry.scale != 1.0 and not entry.value:
        yield Problem((*path, "scale"), f"the number {entry.scale}", "a value to be multiplied")
    if entry.buckets is not UNSET:
        if kind == "histogram":
            yield from _ascending(entry.buckets, "bounds", BUCKETS_MAX, (*path, "buckets"))
        else:
            yield Problem((*path, "buckets"), f"buckets of a {kind}", "only histograms to have buckets")
    if entry.quantiles is not UNSET:
        if kind == "summary":
            yield from _ascending(entry.quantiles, "quantiles", QUANTILES_MAX, (*path, "quantiles"))
        else:
            yield Problem((*path, "quantiles"), f"quantiles of a {kind}", "only summaries to have quantiles")


def _ascending(numbers: Sequence[float], noun: str, most: int, path: Path) -> Iterator[Problem]:
    if not 1 <= len(numbers) <= most:
        yield Problem(path, f"{len(numbers)} {noun}", f"from 1 to {most} {noun}")
        return
    for at, (one, other) in enumerate(pairwise(numbers), start=1):
        if not one < other:
            yield Problem((*path, at), f"the number {other}", f"{noun} that ascend, so one above {one}")


def _between(entries: Sequence[tuple[int, RuleFile]], bundled: Sequence[Rule]) -> Iterator[Problem]:
    """Rules that feed the same metric say the same of it, and metrics do not meet in the names of their series."""
    metrics = metrics_of([entry for _, entry in entries], bundled=bundled)
    first = {rule.metric.name: "the bundled rules" for rule in bundled}
    owners: dict[str, str] = {}
    for name in first:
        owners.update(dict.fromkeys(claims(name, metrics[name].type), name))
    for at, entry in entries:
        path: Path = ("mapping", at)
        if entry.name in first:
            yield from _disagreements(entry, metrics[entry.name], first[entry.name], path)
        elif entry.type is UNSET or entry.help is UNSET:
            yield from _unsaid(entry, path, metrics)
        else:
            metric = metrics[entry.name]
            first[entry.name] = f"mapping[{at}]"
            taken = [
                owners[each] for each in claims(entry.name, metric.type) if owners.get(each, entry.name) != entry.name
            ]
            if taken:
                yield Problem((*path, "name"), quote(entry.name), f"a name that does not meet {taken[0]} on the page")
            else:
                owners.update(dict.fromkeys(claims(entry.name, metric.type), entry.name))


def _unsaid(entry: RuleFile, path: Path, metrics: Iterable[str]) -> Iterator[Problem]:
    near = one_of(metrics, near=entry.name)
    meant = f" {near[near.index('(did') :]}" if "(did you" in near else ""
    for key, value in (("type", entry.type), ("help", entry.help)):
        if value is UNSET:
            yield Problem((*path, key), "nothing", f"what the first rule of a metric has to say{meant}")


def _disagreements(entry: RuleFile, metric: Metric, where: str, path: Path) -> Iterator[Problem]:
    if sorted(entry.labels) != sorted(metric.label_names):
        theirs = ", ".join(metric.label_names) or "none"
        found = ", ".join(entry.labels) or "none"
        yield Problem((*path, "labels"), f"the labels {found}", f"those that {where} gave {metric.name}: {theirs}")
    said: tuple[tuple[str, object, object], ...] = (
        ("type", entry.type, metric.type),
        ("help", entry.help, metric.help),
        ("buckets", entry.buckets, metric.buckets or BUCKETS),
        ("quantiles", entry.quantiles, metric.quantiles or QUANTILES),
        ("least", entry.least, metric.least),
    )
    for key, value, there in said:
        if value is not UNSET and value != there:
            yield Problem((*path, key), _shown(value), f"what {where} said of {metric.name}: {_shown(there)}")
    if entry.type is UNSET:
        yield from _of_value(msgspec.structs.replace(entry, type=metric.type, buckets=UNSET, quantiles=UNSET), path)
    if entry.ttl is not UNSET and ttl_of(entry) != metric.ttl_seconds:
        yield Problem((*path, "ttl"), quote(entry.ttl), f"what {where} said of {metric.name}")
    if entry.limits is not UNSET:
        yield Problem((*path, "limits"), "limits", f"them where {metric.name} is said first, which is {where}")


def _shown(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else quote(str(value))
