"""Any families at all, hostile as they may be, make a page that every parser takes, in every format and escaping."""

import math
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.escaping import Escaping, escape_label, escape_metric
from exporter.exposition import Format, render
from exporter.family import Family, Shape
from exporter.outcome import Names
from exporter.points import Bucket, Count, Distribution, Histogram
from tests.exporter.families import TEXTS, distributions, families

Sample = tuple[str, frozenset[tuple[str, str]], str]
PAGES = [
    *((form, escaping) for form in (Format.OPENMETRICS, Format.TEXT_1_0_0) for escaping in Escaping),
    (Format.TEXT, Escaping.UNDERSCORES),
    (Format.OPENMETRICS_0_0_1, Escaping.UNDERSCORES),
]


def simple_samples(shown: list[Family], escaping: Escaping) -> set[Sample]:
    """What must be on the page of the families whose values are numbers, as the scraper sees it."""
    return {
        (
            escape_metric(family.name, escaping),
            frozenset((escape_label(label, escaping), text) for label, text in zip(family.labels, key, strict=True)),
            shown_number(value.value if isinstance(value, Count) else value),
        )
        for family in shown
        for key, value in family.samples
        if isinstance(value, int | float | Count)
    }


def shown_number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(float(value) + 0.0)


@pytest.mark.parametrize("form", [Format.TEXT, Format.OPENMETRICS])
@given(st.lists(distributions(), min_size=1, max_size=3), TEXTS)
@settings(max_examples=40)
def test_a_distribution_is_written_as_the_histogram_that_it_is(
    form: Format, values: list[Distribution], text: str
) -> None:
    shape = Shape("x_seconds", "histogram", "A test.", ("y",))
    keys = [(f"{text}{place}",) for place in range(len(values))]
    histograms = [
        Histogram(
            tuple(
                Bucket(bound, count, value.exemplars.get(place))
                for place, (bound, count) in enumerate(
                    zip((*value.bounds, math.inf), accumulate(value.counts), strict=True)
                )
            ),
            value.sum,
            value.created,
        )
        for value in values
    ]
    quick = render([Family.vouched(shape, list(zip(keys, values, strict=True)))], form)
    assert quick == render([Family(shape, list(zip(keys, histograms, strict=True)))], form)
    assert [value.count for value in values] == [value.count for value in histograms]


@pytest.mark.parametrize(("form", "escaping"), PAGES, ids=lambda each: each.name)
@given(st.lists(families(), max_size=5))
@settings(max_examples=40)
def test_every_page_is_read_back(form: Format, escaping: Escaping, offered: list[Family | None]) -> None:
    shown, _ = Names().without_clashes({"any": [family for family in offered if family is not None]})
    page = render(shown, form, escaping).decode()
    parse = parse_text if form.is_text else parse_openmetrics
    read: list[Metric] = list(parse(page))
    found = {
        (sample.name, frozenset(sample.labels.items()), shown_number(sample.value))
        for metric in read
        for sample in metric.samples
    }
    assert simple_samples(shown, escaping) <= found
    assert page == render(shown, form, escaping).decode()
