"""A family that exists can be written in every format."""

from math import inf, nan

import pytest

from exporter.family import Family, Samples, Shape, Type, single
from exporter.points import Bucket, Count, Exemplar, Histogram, InvalidFamily, Summary, Value


def family(
    name: str = "node_load1",
    kind: Type = "gauge",
    samples: Samples = (((), 1),),
    labels: tuple[str, ...] = (),
) -> Family:
    return Family.of(name=name, type=kind, help="A test.", samples=samples, labels=labels)


@pytest.mark.parametrize("name", ["", "1st", "node-load", "node load", "näme", "node_load1\n"])
def test_a_name_that_no_format_could_carry_is_refused(name: str) -> None:
    with pytest.raises(InvalidFamily, match="not a metric name"):
        family(name)


@pytest.mark.parametrize("label", ["", "le-le", "__name__", "1"])
def test_a_label_name_that_no_format_could_carry_is_refused(label: str) -> None:
    with pytest.raises(InvalidFamily, match="not a label name"):
        family(labels=(label,), samples=())


def test_a_counter_ends_in_total_and_nothing_else_does() -> None:
    assert family("node_forks_total", "counter").base_name == "node_forks"
    with pytest.raises(InvalidFamily, match="does not end in _total"):
        family("node_forks", "counter")
    with pytest.raises(InvalidFamily, match="reserved suffix"):
        family("node_forks_total", "gauge")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("-inf")])
def test_a_counter_is_a_count(value: float) -> None:
    with pytest.raises(InvalidFamily, match="a counter cannot be"):
        family("node_forks_total", "counter", single(value))
    assert family("node_forks", "gauge", single(value)).name == "node_forks"


def test_every_sample_has_a_value_for_every_label() -> None:
    with pytest.raises(InvalidFamily, match="found 1 label values, expected 2"):
        family(labels=("cpu", "mode"), samples=[(("0",), 1)])


def test_two_samples_with_the_same_labels_are_refused() -> None:
    with pytest.raises(InvalidFamily, match="same labels"):
        family(labels=("cpu",), samples=[(("0",), 1), (("0",), 2)])


def test_a_label_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidFamily, match="given twice"):
        family(labels=("cpu", "cpu"), samples=[])


@pytest.mark.parametrize(
    ("name", "kind", "labels", "said"),
    [
        ("shop_seconds_sum", "histogram", (), "reserved suffix"),
        ("shop_seconds", "histogram", ("le",), "has the label le by itself"),
        ("shop_seconds", "summary", ("quantile",), "has the label quantile by itself"),
        ("shop", "info", (), "does not end in _info"),
        ("_info", "info", (), "does not end in _info"),
        ("shop_breaker", "stateset", ("state",), "has the name of the family"),
        ("shop_breaker", "stateset", (), "has the name of the family"),
    ],
)
def test_each_type_has_its_rules_for_names(name: str, kind: Type, labels: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidFamily, match=said):
        Shape(name, kind, "A test.", labels)


def test_what_has_no_type_keeps_the_name_that_a_script_gave_it() -> None:
    assert Shape("backup_files_total", "unknown", "A test.").base_name == "backup_files_total"


HISTOGRAM = Histogram((Bucket(inf, 1),), 1.0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("histogram", 1.0),
        ("histogram", Summary(1, 1.0)),
        ("summary", HISTOGRAM),
        ("gauge", HISTOGRAM),
        ("gauge", Count(1)),
        ("counter", Summary(1, 1.0)),
        ("counter", Count(-1)),
        ("counter", Count(nan)),
        ("info", 2),
        ("stateset", 0.5),
    ],
)
def test_a_value_must_suit_the_type(kind: Type, value: Value) -> None:
    name = {"counter": "shop_total", "info": "shop_info"}.get(kind, "shop")
    labels = ("shop",) if kind == "stateset" else ()
    with pytest.raises(InvalidFamily, match=r"cannot be|always 1|0 or 1"):
        Shape(name, kind, "A test.", labels).of([(labels, value)])


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        ([], "must have the bound"),
        ([(1.0, 1)], "must have the bound"),
        ([(2.0, 1), (1.0, 1), (inf, 1)], "comes after"),
        ([(1.0, 1), (1.0, 1), (inf, 1)], "comes after"),
        ([(nan, 1), (inf, 1)], "comes after"),
        ([(1.0, 2), (inf, 1)], "less than"),
        ([(1.0, -1), (inf, 1)], "less than"),
        ([(1.0, nan), (inf, 1)], "less than"),
        ([(1.0, 0.5), (inf, 1)], "no whole number"),
        ([(inf, inf)], "no whole number"),
    ],
)
def test_a_histogram_that_no_parser_would_take_is_refused(buckets: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(InvalidFamily, match=said):
        Histogram(tuple(Bucket(*bucket) for bucket in buckets), 1.0)


def test_a_summary_that_no_parser_would_take_is_refused() -> None:
    with pytest.raises(InvalidFamily, match="from 0 to 1"):
        Summary(1, 1.0, ((1.5, 1.0),))
    with pytest.raises(InvalidFamily, match="twice"):
        Summary(1, 1.0, ((0.5, 1.0), (0.5, 1.0)))
    for count in (-1, nan, 0.5):
        with pytest.raises(InvalidFamily, match="no whole number"):
            Summary(count, 1.0)


def test_an_exemplar_has_few_characters_and_no_label_twice() -> None:
    assert Exemplar((("trace_id", "x" * 120),), 1.0)
    with pytest.raises(InvalidFamily, match="at most 128"):
        Exemplar((("trace_id", "x" * 121),), 1.0)
    with pytest.raises(InvalidFamily, match="a label twice"):
        Exemplar((("a", "1"), ("a", "2")), 1.0)
    with pytest.raises(InvalidFamily, match="not a label name"):
        Exemplar((("trace id", "1"),), 1.0)
    with pytest.raises(InvalidFamily, match="seconds since 1970"):
        Exemplar((("a", "1"),), 1.0, at=nan)


def test_samples_that_have_not_changed_are_not_looked_at_again() -> None:
    disks = Shape("node_disk_io_now", "gauge", "A test.", ("device",))
    first = disks.of([(("sda",), 1), (("sdb",), 2)])
    assert disks.of([(("sda",), 1), (("sdb",), 2)]) is first
    changed = disks.of([(("sda",), 1), (("sdb",), 3)])
    assert list(changed.samples) == [(("sda",), 1), (("sdb",), 3)]
    assert list(first.samples) == [(("sda",), 1), (("sdb",), 2)]
    with pytest.raises(InvalidFamily):
        disks.of([(("sda",), 1), (("sda",), 1)])


def test_a_list_that_its_owner_has_changed_is_looked_at_again() -> None:
    disks = Shape("node_disk_io_now", "gauge", "A test.", ("device",))
    samples = [(("sda",), 1)]
    assert disks.of(samples).lines == b'node_disk_io_now{device="sda"} 1\n'
    samples[0] = (("sda",), 2)
    assert disks.of(samples).lines == b'node_disk_io_now{device="sda"} 2\n'
