"""What is said about a mapping that is no fault of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from exporter.mapping import lint
from exporter.mapping.bundled import RULES
from exporter.settings import KIND
from guard import configfile
from tocsin import check

ORDERS = """mapping:
  - match: order
    name: shop_orders_total
    type: counter
    help: Orders.
    labels: {country: country}
"""


def warned(folder: Path, text: str) -> list[str]:
    path = folder / "exporter.yml"
    path.write_text(text)
    _, found = configfile.read_and_warn(path, KIND, environ={})
    return [str(fault).partition("exporter.yml:")[2] for fault in found]


def test_a_good_one_is_not_spoken_of(tmp_path: Path) -> None:
    assert warned(tmp_path, ORDERS) == []


def test_the_bundled_rules_are_good_ones() -> None:
    assert [complaint for rule in RULES for complaint in lint.complaints(rule.metric)] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("shop_orders_total", "shop_orders_minutes_total", "3: mapping[0].name: found 'shop_orders_minutes_total'"),
        ("shop_orders_total", "shop_ms_total", "expected units that are written out"),
        ("shop_orders_total", "shop_gauge_total", "expected a name without a type"),
        ("shop_orders_total", "shop:orders_total", "expected a name without colons"),
        ("shop_orders_total", "shopOrders_total", "expected a name in snake_case"),
        (
            "{country:",
            "{countryCode:",
            "6: mapping[0].labels.countryCode: found this key, expected a name in snake_case",
        ),
        ("{country:", "{job:", "6: mapping[0].labels.job: found this key, expected a name that says more"),
        ("{country:", "{type:", "6: mapping[0].labels.type: found this key, expected a name that says more"),
        (": country}", ": user_id}", "found the field 'user_id', expected one with few values"),
        (": country}", ": http.client.ip}", "found the field 'http.client.ip', expected one with few values"),
        (": country}", ": path}", "after 100 different ones all are other"),
    ],
)
def test_each_thing_that_people_stumble_over_is_said_at_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    (found,) = warned(tmp_path, ORDERS.replace(old, new))
    assert said in found


def test_a_field_without_end_is_fine_where_few_values_are_made_of_it(tmp_path: Path) -> None:
    for more in ("replace: {'/api/.*': api}", "known: [/, /cart]"):
        assert warned(tmp_path, ORDERS.replace(": country}", f": {{field: path, {more}}}}}")) == []


def test_buckets_for_seconds_do_not_suit_bytes(tmp_path: Path) -> None:
    text = "mapping: [{match: a, name: upload_bytes, type: histogram, help: U, value: bytes}]"
    (found,) = warned(tmp_path, text)
    assert "mapping[0].buckets: found nothing, expected bounds that suit the unit" in found


def test_check_warns_beside_the_line_in_a_review(tmp_path: Path) -> None:
    (tmp_path / "exporter.yml").write_text(ORDERS.replace(": country}", ": email}"))
    out = io.StringIO()
    status = check.main(["--format=github"], kinds=(KIND,), out=out, err=out, environ={}, folder=tmp_path)
    assert status == 0
    assert out.getvalue().startswith("::warning file=exporter.yml,line=6,title=mapping[0].labels.country::")
