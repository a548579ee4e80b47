"""Names of metrics and labels that Prometheus takes, out of names that StatsD takes. Pure.

As statsd_exporter does it: what is no letter, digit or underscore becomes an underscore. What only Prometheus may say,
and what the formats keep for themselves, gets another name.
"""

from __future__ import annotations

import re

from exporter.family import RESERVED_SUFFIXES, Type

NAME_CHARACTERS_MAX = 200
# Several hyphens are one underscore, as there.
_ILLEGAL = re.compile(r"-+|[^a-zA-Z0-9_]")
# What Prometheus says about a target, and what the exporter says about itself.
TAKEN = re.compile(r"up|ALERTS|ALERTS_FOR_STATE|(?:scrape|tocsin_exporter|node_scrape_collector|process)_.*")
OWN_LABELS = ("le", "quantile")


def plain(name: str) -> str:
    """Letters, digits and underscores, the first one no digit. Not empty where the name is not."""
    text = _ILLEGAL.sub("_", name[:NAME_CHARACTERS_MAX])
    return f"_{text}" if text[:1].isdigit() else text


def metric_name(name: str, kind: Type) -> str:
    """The name that a metric of this type has on the page. A counter's ends in `_total`, and no other's does."""
    text = plain(name)
    if TAKEN.fullmatch(text):
        text = f"statsd_{text}"
    if kind == "counter":
        return text if text.endswith("_total") and text != "_total" else f"{text}_total"
    return f"{text}_value" if text.endswith(RESERVED_SUFFIXES) else text


def label_name(name: str) -> str:
    """Labels of the formats, and those that are Prometheus' own, are kept under another name."""
    text = plain(name)
    return f"exported_{text.lstrip('_')}" if text in OWN_LABELS or text.startswith("__") else text
