"""Families into the bytes of a page, in the text format 0.0.4 or in OpenMetrics 1.0.

The body is always whole before the first byte is sent, because half an exposition is invalid. Labels keep
the order in which the family names them, so a series is the same bytes at every scrape and Prometheus finds
it in its cache. Nothing here knows HTTP or where the families come from.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache

from exporter.family import Family, Shape, Type
from exporter.points import Bucket, Count, Exemplar, Histogram, Summary, bound, number


class Format(Enum):
    """The value is the media type that the answer carries."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


# The text format has no word for these.
TEXT_TYPES: dict[Type, str] = {"unknown": "untyped", "info": "gauge", "stateset": "gauge"}
# Units that OpenMetrics names, where the name of a family ends in one.
UNITS = (
    "amperes", "bytes", "celsius", "grams", "hertz", "joules", "meters", "ratio", "seconds", "volts", "watts",
)  # fmt: skip


def render(families: Iterable[Family], form: Format) -> bytes:
    head = text_head if form is Format.TEXT else openmetrics_head
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines.append(head(family.shape))
            lines.extend(sample_lines(family, form))
    if form is Format.OPENMETRICS:
        lines.append("# EOF\n")
    # A surrogate cannot be written as UTF-8; one strange label value must not cost the page.
    return "".join(lines).encode("utf-8", errors="replace")


# Heads never change from scrape to scrape.
@lru_cache(maxsize=4096)
def text_head(shape: Shape) -> str:
    line = shape.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {shape.name} {line}\n# TYPE {shape.name} {TEXT_TYPES.get(shape.type, shape.type)}\n"


@lru_cache(maxsize=4096)
def openmetrics_head(shape: Shape) -> str:
    base, unit = shape.base_name, unit_of(shape)
    unit_line = f"# UNIT {base} {unit}\n" if unit else ""
    return f"# TYPE {base} {shape.type}\n{unit_line}# HELP {base} {escaped(shape.help)}\n"


def unit_of(shape: Shape) -> str:
    """The unit in which the family says it counts; an info and a stateset count nothing."""
    rest, _, unit = shape.base_name.rpartition("_")
    return unit if rest and unit in UNITS and shape.type not in ("info", "stateset") else ""


def sample_lines(family: Family, form: Format) -> Iterable[str]:
    name = family.name
    if family.type in ("histogram", "summary") or any(isinstance(value, Count) for _, value in family.samples):
        return compound_lines(family, form)
    if not family.labels:
        return [f"{name} {number(value)}\n" for _, value in family.samples]  # type: ignore[arg-type]
    # The pattern is made once a family: `name{cpu="%s",mode="%s"} %s`. Names cannot contain a percent sign.
    pairs = ",".join(f'{label}="%s"' for label in family.labels)
    pattern = f"{name}{{{pairs}}} %s\n"
    return [pattern % (*map(escaped, values), number(value)) for values, value in family.samples]  # type: ignore[arg-type]


def compound_lines(family: Family, form: Format) -> Iterator[str]:
    """The lines of families whose values are more than numbers."""
    for values, value in family.samples:
        pairs = [f'{label}="{escaped(text)}"' for label, text in zip(family.labels, values, strict=True)]
        match value:
            case Histogram():
                yield from histogram_lines(family.name, pairs, value, form)
            case Summary():
                yield from summary_lines(family.name, pairs, value, form)
            case Count():
                yield f"{family.name}{braces(pairs)} {number(value.value)}{exemplar(value.exemplar, form)}\n"
                yield from created_lines(family.base_name, pairs, value.created, form)
            case _:
                yield f"{family.name}{braces(pairs)} {number(value)}\n"


def histogram_lines(name: str, pairs: list[str], value: Histogram, form: Format) -> Iterator[str]:
    for bucket in value.buckets:
        yield bucket_line(name, pairs, bucket, form)
    if form is Format.TEXT or value.counts_a_sum:
        yield f"{name}_sum{braces(pairs)} {number(value.sum)}\n"
        yield f"{name}_count{braces(pairs)} {number(value.count)}\n"
    yield from created_lines(name, pairs, value.created, form)


def bucket_line(name: str, pairs: list[str], bucket: Bucket, form: Format) -> str:
    within = braces([*pairs, f'le="{bound(bucket.bound)}"'])
    return f"{name}_bucket{within} {number(bucket.count)}{exemplar(bucket.exemplar, form)}\n"


def summary_lines(name: str, pairs: list[str], value: Summary, form: Format) -> Iterator[str]:
    for quantile, found in value.quantiles:
        # OpenMetrics knows no quantile below zero.
        if form is Format.TEXT or not found < 0:
            within = braces([*pairs, f'quantile="{bound(quantile)}"'])
            yield f"{name}{within} {number(found)}\n"
    if form is Format.TEXT or value.counts_a_sum:
        yield f"{name}_sum{braces(pairs)} {number(value.sum)}\n"
    yield f"{name}_count{braces(pairs)} {number(value.count)}\n"
    yield from created_lines(name, pairs, value.created, form)


def created_lines(base: str, pairs: list[str], created: float | None, form: Format) -> Iterator[str]:
    if created is not None and form is Format.OPENMETRICS:
        yield f"{base}_created{braces(pairs)} {number(created)}\n"


def exemplar(found: Exemplar | None, form: Format) -> str:
    if found is None or form is Format.TEXT:
        return ""
    pairs = ",".join(f'{name}="{escaped(text)}"' for name, text in found.labels)
    at = "" if found.at is None else f" {number(found.at)}"
    return f" # {{{pairs}}} {number(found.value)}{at}"


def braces(pairs: list[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def escaped(value: str) -> str:
    if '"' in value or "\\" in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value
