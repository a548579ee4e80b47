"""Families into the bytes of a page, in the text format 0.0.4 or in OpenMetrics 1.0.

The body is always whole before the first byte is sent, because half an exposition is invalid. Labels keep
the order in which the family names them, so a series is the same bytes at every scrape and Prometheus finds
it in its cache. Nothing here knows HTTP or where the families come from.
"""

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from math import isfinite, isnan

from exporter.family import Family, Type, base_name


class Format(Enum):
    """The value is the media type that the answer carries."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


TEXT_TYPES: dict[Type, str] = {"counter": "counter", "gauge": "gauge", "unknown": "untyped"}


def render(families: Iterable[Family], form: Format) -> bytes:
    head = text_head if form is Format.TEXT else openmetrics_head
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines.append(head(family.name, family.type, family.help))
            lines.extend(sample_lines(family))
    if form is Format.OPENMETRICS:
        lines.append("# EOF\n")
    # A surrogate cannot be written as UTF-8; one strange label value must not cost the page.
    return "".join(lines).encode("utf-8", errors="replace")


# Heads never change from scrape to scrape.
@lru_cache(maxsize=4096)
def text_head(name: str, kind: Type, description: str) -> str:
    line = description.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {line}\n# TYPE {name} {TEXT_TYPES[kind]}\n"


@lru_cache(maxsize=4096)
def openmetrics_head(name: str, kind: Type, description: str) -> str:
    base = base_name(name, kind)
    return f"# TYPE {base} {kind}\n# HELP {base} {escaped(description)}\n"


def sample_lines(family: Family) -> Iterable[str]:
    name = family.name
    if not family.labels:
        return [f"{name} {number(value)}\n" for _, value in family.samples]
    # The pattern is made once a family: `name{cpu="%s",mode="%s"} %s`. Names cannot contain a percent sign.
    pairs = ",".join(f'{label}="%s"' for label in family.labels)
    pattern = f"{name}{{{pairs}}} %s\n"
    return [pattern % (*map(escaped, values), number(value)) for values, value in family.samples]


def escaped(value: str) -> str:
    if '"' in value or "\\" in value or "\n" in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


def number(value: float) -> str:
    """The shortest text that reads back as the same number, with Prometheus' words for what is not finite."""
    if isfinite(value):
        return repr(value)
    if isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
