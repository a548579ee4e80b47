"""A family that exists can be written in every format."""

import pytest

from exporter.family import Family, InvalidFamily, Samples, Type, single


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
