"""What can be wrong with `mapping:`; each fault names its place, and all are told at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mapping import checks
from guard.faults import InvalidConfig
from tests.exporter.mapped import faults, settings

GOOD = {"match": "order", "name": "shop_orders_total", "type": "counter", "help": "Orders."}
SUMMARY = {"name": "a", "type": "summary", "value": "a"}


def written(**more: object) -> str:
    rule = {key: value for key, value in {**GOOD, **more}.items() if value is not None}
    return f"mapping: [{json.dumps(rule)}]"


def test_the_good_one_is_good() -> None:
    assert len(settings(written()).mapping) == 1


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"name": "shop orders_total"}, "mapping[0].name: found 'shop orders_total', expected a metric name"),
        ({"name": "9_total"}, "mapping[0].name: found '9_total', expected a metric name"),
        ({"name": "shop_orders"}, "expected the name of a counter to end in _total, such as shop_orders_total"),
        ({"name": "_total"}, "expected the name of a counter to end in _total"),
        ({"type": "gauge"}, "mapping[0].name: found 'shop_orders_total', expected the name of a gauge not to end"),
        ({"name": "scrape_x_total"}, "expected another name, as Prometheus or the exporter itself"),
        ({"name": "tocsin_exporter_x_total"}, "expected another name"),
        ({"type": "count"}, "mapping[0].type: found 'count', expected one of: "),
        ({"type": None}, "mapping[0].type: found nothing, expected what the first rule of a metric has to say"),
        ({"help": None}, "mapping[0].help: found nothing"),
        ({"help": ""}, "mapping[0].help: found '', expected at least 1 character"),
        ({"match": ""}, "mapping[0].match: found "),
        ({"match": []}, "mapping[0].match: found an empty list"),
        ({"labels": {"le": "a"}}, "mapping[0].labels.le: found this key, expected another name, as histograms"),
        ({"labels": {"__name__": "a"}}, "mapping[0].labels.__name__: found this key, expected a label name"),
        ({"labels": {"a-b": "a"}}, "mapping[0].labels.a-b: found this key, expected a label name"),
        ({"labels": {"a": "trace_id"}}, "mapping[0].labels.a: found 'trace_id', expected a field"),
        ({"labels": {"a": {"field": "source"}}}, "mapping[0].labels.a: found 'source', expected a field"),
        ({"labels": {"a": {"field": "x", "feld": "x"}}}, "mapping[0].labels.a.feld: found an unknown key"),
        ({"labels": {"a": {"field": "x", "known": ["p", "q"], "values_max": 1}}}, "found 2 values, expected at most 1"),
        ({"labels": {"a": {"field": "x", "replace": {"(": ""}}}}, "found this key, expected a regular expression that"),
        ({"labels": {"a": {"field": "x", "replace": {"(.)": "$2"}}}}, "found '$2', expected $2 to be a group"),
        (
            {"labels": {"a": 'x"y'}},
            "mapping[0].labels.a: found 'x\"y', expected the name of a field without backslashes",
        ),
        ({"labels": {"a": {"field": "x\\y"}}}, "mapping[0].labels.a.field: found 'x\\y', expected the name of a field"),
        ({"where": ["a\\b=c"]}, "mapping[0].where[0]: found 'a\\b=c', expected the name of a field without"),
        ({"value": "a\tb"}, "mapping[0].value: found 'a\\tb', expected the name of a field without backslashes"),
        ({"where": ["outcome"]}, "mapping[0].where[0]: found 'outcome', expected a matcher such as"),
        ({"where": ['a=~"("']}, "expected a regular expression that compiles"),
        ({"where": ['a=~"(a*)*"']}, "expected no repetition or choice inside of a repetition"),
        ({"where": ['source="x"']}, "mapping[0].where[0]: found 'source=\"x\"', expected a condition on a field"),
        ({"value": "at"}, "mapping[0].value: found 'at', expected a field with a number"),
        ({"scale": 2}, "mapping[0].scale: found the number 2.0, expected a value to be multiplied"),
        ({"value": "a", "scale": 0}, "mapping[0].scale: found the number 0, expected a number above 0"),
        ({"from_zero": True}, "mapping[0].from_zero: found true, expected it of a counter of events, with conditions"),
        ({"moment": True}, "mapping[0].moment: found true, of a counter, expected only gauges"),
        ({"action": "add"}, "mapping[0].action: found 'add', of a counter, expected only gauges"),
        ({"least": 0}, "mapping[0].least: found it of a counter, expected only gauges to have a least value"),
        ({"buckets": [1]}, "mapping[0].buckets: found buckets of a counter, expected only histograms"),
        ({"name": "a", "type": "gauge", "value": "a", "moment": True}, "expected either a value or the moment"),
        ({"name": "a", "type": "histogram"}, "mapping[0].value: found nothing, expected the field with the number"),
        ({"name": "a", "type": "histogram", "value": "a", "buckets": []}, "found 0 bounds, expected from 1 to 100"),
        (
            {"name": "a", "type": "histogram", "value": "a", "buckets": [1, 1]},
            "mapping[0].buckets[1]: found the number",
        ),
        ({"quantiles": [0.5]}, "mapping[0].quantiles: found quantiles of a counter, expected only summaries to have"),
        ({**SUMMARY, "quantiles": []}, "mapping[0].quantiles: found 0 quantiles, expected from 1 to 20 quantiles"),
        (
            {**SUMMARY, "quantiles": [0.9, 0.5]},
            "mapping[0].quantiles[1]: found the number 0.5, expected quantiles that",
        ),
        ({**SUMMARY, "quantiles": [50]}, "mapping[0].quantiles"),
        ({"ttl": "1w"}, "mapping[0].ttl: found '1w', expected a duration such as 24h or 10m, or never"),
        ({"ttl": "0s"}, "mapping[0].ttl: found '0s', expected a duration such as 24h or 10m, or never"),
        ({"limits": {"series_max": 0}}, "mapping[0].limits.series_max: found the number 0, expected a number of at"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(more: dict[str, object], fault: str) -> None:
    (found,) = faults(written(**more))
    assert fault in found


def test_all_faults_of_all_rules_are_told_at_once() -> None:
    found = faults("""
mapping:
  - match: order
    name: shop_orders
    type: counter
    help: Orders.
    labels: {le: a}
    ttl: soon
    unit: orders
  - {match: order, name: 'a b', type: gauge, help: A}
""")
    assert [fault.split(": ")[:2] for fault in found] == [
        ["exporter.yml:4", "mapping[0].name"],
        ["exporter.yml:7", "mapping[0].labels.le"],
        ["exporter.yml:8", "mapping[0].ttl"],
        ["exporter.yml:9", "mapping[0].unit"],
        ["exporter.yml:10", "mapping[1].name"],
    ]


FIRST = "{match: a, name: shop_seconds, type: histogram, help: S, value: s, labels: {x: x}, buckets: [1, 2], ttl: 1h}"


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (
            "labels: {y: x}",
            "mapping[1].labels: found the labels y, expected those that mapping[0] gave shop_seconds: x",
        ),
        ("labels: {}", "mapping[1].labels: found the labels none"),
        ("labels: {x: x}, help: T", "mapping[1].help: found 'T', expected what mapping[0] said of shop_seconds: 'S'"),
        ("labels: {x: x}, buckets: [1, 3]", "mapping[1].buckets: found [1.0, 3.0], expected what mapping[0] said"),
        ("labels: {x: x}, ttl: 2h", "mapping[1].ttl: found '2h', expected what mapping[0] said of shop_seconds"),
        (
            "labels: {x: x}, limits: {}",
            "mapping[1].limits: found limits, expected them where shop_seconds is said first",
        ),
        ("labels: {x: x}, action: add", "mapping[1].action: found 'add', of a histogram"),
    ],
)
def test_rules_of_one_metric_say_the_same_of_it(second: str, fault: str) -> None:
    value = "" if "labels: {x: x}, type" in second else ", value: t"
    (found,) = faults(f"mapping:\n  - {FIRST}\n  - {{match: b, name: shop_seconds, {second}{value}}}\n")
    assert fault in found


def test_rules_of_one_metric_may_say_it_again() -> None:
    again = FIRST.replace("match: a", "match: b")
    assert len(settings(f"mapping:\n  - {FIRST}\n  - {again}\n").rules) > 2


def test_a_rule_with_a_bundled_metrics_name_and_another_shape_is_told_whose_it_is() -> None:
    text = "mapping: [{match: a, name: http_server_request_duration_seconds, type: counter, help: H, value: a}]"
    found = faults(text)
    assert any("what the bundled rules said of http_server_request_duration_seconds: 'histogram'" in x for x in found)
    assert "expected the name of a counter to end in _total" in faults(f"mapping_bundled: false\n{text}")[0]


def test_metrics_may_not_meet_in_the_names_of_their_series() -> None:
    (found,) = faults("""
mapping:
  - {match: a, name: shop_orders_total, type: counter, help: A}
  - {match: a, name: shop_orders, type: gauge, help: A}
""")
    assert "mapping[1].name: found 'shop_orders', expected a name that does not meet shop_orders_total" in found


def test_who_meant_a_metric_of_another_name_is_told_which() -> None:
    found = faults(f"mapping:\n  - {GOOD}\n  - {{match: b, name: shop_order_total}}\n")
    assert "(did you mean 'shop_orders_total'?)" in found[0]


KEYS = ["match", "where", "name", "type", "help", "labels", "value", "buckets", "ttl", "limits", "field", "replace"]
SCALARS = (
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["counter", "gauge", "a_total"])
)


def inside(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)


@given(st.lists(st.recursive(SCALARS, inside, max_leaves=20), max_size=4))
def test_any_shape_is_borne(rules: list[object]) -> None:
    for problem in checks.problems({"mapping": rules}):
        assert problem.expected


def test_what_is_no_mapping_at_all_is_borne() -> None:
    assert list(checks.problems([])) == list(checks.problems({"mapping": 1})) == []
    with pytest.raises(InvalidConfig):
        settings("mapping: {match: a}")
