"""A user's own rules: what of events becomes which series."""

from __future__ import annotations

from exporter.control import Plan
from exporter.exposition import Format, render
from exporter.mapping.bundled import RULES
from exporter.mapping.rule import SERIES_MAX, TTL_SECONDS
from tests.exporter.mapped import NOW, Mapped, settings

ORDERS = """
mapping:
  - match: order
    name: shop_orders_total
    type: counter
    help: Orders.
    labels: {country: country}
"""


def test_each_event_counts_by_the_values_of_its_fields() -> None:
    mapped = Mapped(ORDERS)
    mapped.take(*[{"event": "order", "country": each} for each in ("it", "de", "it")], {"event": "order"})
    assert mapped.lines == [
        'shop_orders_total{country="it"} 2.0',
        'shop_orders_total{country="de"} 1.0',
        'shop_orders_total{country="unknown"} 1.0',
    ]


def test_a_counter_adds_up_what_a_field_says_and_scale_makes_a_unit_of_it() -> None:
    mapped = Mapped(
        "mapping: [{match: order, name: shop_revenue_euros_total, type: counter, help: R, value: cents, scale: 0.01}]"
    )
    mapped.take({"event": "order", "cents": 1250}, {"event": "order", "cents": "50"}, {"event": "order"})
    assert mapped.lines == ["shop_revenue_euros_total 13.0"]


def test_a_number_that_scale_would_make_endless_does_not_count() -> None:
    mapped = Mapped("mapping: [{match: a, name: a_total, type: counter, help: A, value: a, scale: 1000}]")
    mapped.take({"event": "a", "a": 1e307}, {"event": "a", "a": 1})
    assert mapped.lines == ["a_total 1000.0"]


def test_a_gauge_is_set_or_added_to() -> None:
    mapped = Mapped(
        "mapping:\n"
        "  - {match: queue, name: queue_jobs, type: gauge, help: J, value: size}\n"
        "  - {match: pushed, name: queue_jobs, action: add}\n"
        "  - {match: popped, name: queue_jobs, value: count, action: subtract}\n"
    )
    mapped.take({"event": "queue", "size": 9}, {"event": "queue", "size": 7})
    mapped.take({"event": "pushed"}, {"event": "pushed"})
    mapped.take({"event": "popped", "count": 5})
    assert mapped.lines == ["queue_jobs 4.0"]


def test_a_gauge_does_not_fall_below_its_least_value() -> None:
    mapped = Mapped(
        "mapping:\n"
        "  - {match: opened, name: doors_open, type: gauge, help: D, action: add, least: 0}\n"
        "  - {match: closed, name: doors_open, action: subtract}\n"
    )
    mapped.take(*[{"event": "closed"}] * 3)
    mapped.take({"event": "opened"})
    assert mapped.lines == ["doors_open 1.0"]


def test_a_gauge_can_have_the_moment_of_the_last_event() -> None:
    mapped = Mapped(
        "mapping: [{match: backup, name: backup_last_timestamp_seconds, type: gauge, help: B, moment: true}]"
    )
    mapped.take({"event": "backup", "at": "2026-11-22T00:00:00Z"})
    assert mapped.lines == ["backup_last_timestamp_seconds 1795305600.0"]
    mapped.take({"event": "backup"})
    assert mapped.lines == [f"backup_last_timestamp_seconds {NOW}"]


def test_a_histogram_has_the_buckets_that_the_rule_says() -> None:
    mapped = Mapped(
        "mapping: [{match: upload, name: upload_bytes, type: histogram, help: U, value: bytes, buckets: [10, 1000.0]}]"
    )
    mapped.take(*[{"event": "upload", "bytes": each} for each in (4, 10, 999, 5000)])
    assert mapped.lines == [
        'upload_bytes_bucket{le="10.0"} 2',
        'upload_bytes_bucket{le="1000.0"} 3',
        'upload_bytes_bucket{le="+Inf"} 4',
        "upload_bytes_sum 6013.0",
        "upload_bytes_count 4",
    ]


def test_only_events_count_for_which_all_conditions_hold() -> None:
    mapped = Mapped("""
mapping:
  - match: [job, task]
    where: ['outcome="failed"', status=~"5..", 'queue!=""']
    name: jobs_failed_total
    type: counter
    help: F
""")
    good = {"event": "job", "outcome": "failed", "status": 503, "queue": "mail"}
    mapped.take(good, {**good, "event": "task"}, {**good, "event": "other"}, {**good, "outcome": "failed "})
    mapped.take({**good, "status": 50}, {**good, "status": 5033}, {**good, "queue": ""}, {**good, "queue": None})
    assert mapped.lines == ["jobs_failed_total 2.0"]


def test_what_a_text_becomes_is_said_by_the_first_expression_that_matches_it_as_a_whole() -> None:
    mapped = Mapped(r"""
mapping:
  - match: build
    name: builds_total
    type: counter
    help: B
    labels:
      version:
        field: version
        missing: none
        replace: {'v?(\d+)\..*': 'v$1', 'v(.*)': '$$$1', '-': ''}
""")
    mapped.take(*[{"event": "build", "version": each} for each in ("v2.17.1", "2.0", "vx", "-", "av2.1", None)])
    assert mapped.lines == [
        'builds_total{version="v2"} 2.0',
        'builds_total{version="$x"} 1.0',
        'builds_total{version="none"} 2.0',
        'builds_total{version="av2.1"} 1.0',
    ]


def test_several_rules_feed_one_metric_from_fields_of_different_names() -> None:
    mapped = Mapped("""
mapping:
  - {match: order, name: shop_orders_total, type: counter, help: O, labels: {country: country, kind: kind}}
  - {match: bestellung, name: shop_orders_total, labels: {kind: {field: art, missing: none}, country: land}}
""")
    mapped.take({"event": "order", "country": "it", "kind": "new"}, {"event": "bestellung", "land": "it", "art": "new"})
    mapped.take({"event": "bestellung", "land": "at"})
    mapped.take({"event": "order", "country": "at"})
    assert mapped.lines == [
        'shop_orders_total{country="it",kind="new"} 2.0',
        'shop_orders_total{country="at",kind="none"} 1.0',
        'shop_orders_total{country="at",kind="unknown"} 1.0',
    ]


def test_a_rule_can_feed_a_bundled_metric_by_its_name() -> None:
    mapped = Mapped("""
mapping_bundled: true
mapping:
  - match: access
    name: http_server_request_duration_seconds
    labels: {http_request_method: verb, http_route: path, http_response_status_code: code}
    value: ms
    scale: 0.001
""")
    assert mapped.take({"event": "access", "verb": "GET", "path": "/", "code": 200, "ms": 30}).accepted == 1
    mapped.take({"event": "http_request", "method": "GET", "route": "/", "status": 200, "duration_seconds": 0.03})
    labels = 'http_request_method="GET",http_route="/",http_response_status_code="200"'
    assert f"http_server_request_duration_seconds_count{{{labels}}} 2" in mapped.lines


def test_limits_of_the_metric_hold_for_each_label_that_does_not_say_its_own() -> None:
    (rule,) = settings("""
mapping_bundled: false
mapping:
  - match: a
    name: a_total
    type: counter
    help: A
    labels: {x: x, y: {field: y, values_max: 3, known: [p, q]}}
    ttl: 1h30m
    limits: {series_max: 50, values_max: 20}
""").rules
    assert [label.values_max for label in rule.metric.labels] == [20, 3]
    assert (rule.metric.series_max, rule.metric.ttl_seconds) == (50, 5400.0)
    assert rule.metric.labels[1].known == ("p", "q")


def test_without_limits_there_are_limits_and_series_end() -> None:
    metric = settings(ORDERS).rules[-1].metric
    assert (metric.series_max, metric.ttl_seconds) == (SERIES_MAX, TTL_SECONDS)
    assert settings(ORDERS.replace("help:", "ttl: never\n    help:")).rules[-1].metric.ttl_seconds is None


def test_values_that_any_rule_of_a_metric_knows_are_known_to_all() -> None:
    first, second = settings("""
mapping_bundled: false
mapping:
  - {match: a, name: a_total, type: counter, help: A, labels: {x: {field: x, known: [p]}}}
  - {match: b, name: a_total, labels: {x: {field: z, known: [q, p]}}}
""").rules
    assert first.metric.labels[0].known == second.metric.labels[0].known == ("p", "q")
    assert [first.metric.labels[0].field, second.metric.labels[0].field] == ["x", "z"]


def test_the_bundled_rules_are_in_force_unless_the_file_says_otherwise() -> None:
    assert settings("").rules == RULES
    assert settings("mapping_bundled: false").rules == ()
    assert Plan((), 1.0).file is None


def test_a_field_with_dots_reaches_into_objects_unless_there_is_one_of_that_very_name() -> None:
    mapped = Mapped("""
mapping:
  - match: request
    where: ['log.level!="debug"']
    name: requests_seconds_total
    type: counter
    help: R
    value: http.took.seconds
    labels: {status: http.status, host: http.request.headers.host}
""")
    inside = {"status": 200, "took": {"seconds": 2}, "request": {"headers.host": "a"}}
    mapped.take({"event": "request", "http": inside})
    mapped.take({"event": "request", "http.status": 404, "http": {**inside, "request": {"headers": {"host": "b"}}}})
    mapped.take({"event": "request", "log": {"level": "debug"}, "http": inside})
    mapped.take({"event": "request", "http": "GET", "http.took.seconds": 1})
    mapped.take({"event": "request", "http": {"took": [{"seconds": 2}]}}, {"event": "request", "http": {"took": 5}})
    assert mapped.lines == [
        'requests_seconds_total{status="200",host="a"} 2.0',
        'requests_seconds_total{status="404",host="b"} 2.0',
        'requests_seconds_total{status="unknown",host="unknown"} 1.0',
    ]


def test_an_object_is_no_value_of_a_field_and_is_not_shown() -> None:
    mapped = Mapped(ORDERS.replace("{country: country}", "{country: customer.country}"))
    outcome = mapped.take({"event": "order", "customer": {"country": {"name": "ada@example.org"}}})
    (fault,) = outcome.faults
    assert fault.text == "customer.country: found an object, expected a text, a number or true or false"
    assert outcome.accepted == 0


def test_a_counter_from_zero_is_there_before_what_it_counts_and_has_no_example_of_the_others() -> None:
    mapped = Mapped(
        """
        mapping_bundled: false
        mapping:
          - match: payment
            where: [outcome="failed"]
            name: shop_payment_failures_total
            type: counter
            help: Payments that failed.
            labels: {method: method}
            from_zero: true
        """
    )
    traces = ["4bf92f3577b34da6a3ce929d0e0e4736", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
    right = {"event": "payment", "method": "card", "outcome": "ok", "trace_id": traces[1]}
    assert mapped.take(right).unmatched == 1
    assert mapped.lines == ['shop_payment_failures_total{method="card"} 0.0']
    mapped.take({**right, "outcome": "failed", "trace_id": traces[0]}, right)
    assert mapped.lines == ['shop_payment_failures_total{method="card"} 1.0']
    page = render(mapped.pipeline.families(), Format.OPENMETRICS).decode()
    assert traces[0] in page
    assert traces[1] not in page


def test_a_summary_has_the_quantiles_that_its_first_rule_says() -> None:
    mapped = Mapped("""
mapping:
  - {match: job, name: a_seconds, type: summary, help: A, value: s, quantiles: [0.0, 1.0]}
  - {match: job, name: b_seconds, type: summary, help: B, value: s}
  - {match: task, name: a_seconds, value: s, quantiles: [0.0, 1.0]}
""")
    mapped.take({"event": "job", "s": 2.0}, {"event": "task", "s": 2.0})
    assert sorted(line for line in mapped.lines if "quantile" in line) == [
        'a_seconds{quantile="0.0"} 2.0',
        'a_seconds{quantile="1.0"} 2.0',
        *(f'b_seconds{{quantile="{each}"}} 2.0' for each in (0.5, 0.9, 0.99)),
    ]
