"""A question to PostgreSQL, and how the rows of its answer become samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.family import Family, Samples, Shape, Type, shape

# Of a label that somebody there has chosen.
LABEL_CHARACTERS_MAX = 200

Row = Mapping[str, Any]
Clean = Callable[[str], str]


class Column(NamedTuple):
    """A column of numbers. What has no number in a row has no sample."""

    name: str
    metric: str
    type: Type
    help: str


class Query(NamedTuple):
    """`labels` are columns of texts, which may come with personal data, but for those that are `numbers`. `top` says
    which setting bounds its rows; it is the first parameter then. `seldom` is asked as often as bloat is."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    labels: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    top: str = ""
    seldom: bool = False

    @property
    def shapes(self) -> list[Shape]:
        labels = ("server", *self.labels)
        return [shape(each.metric, each.type, each.help, labels) for each in self.columns]


class Answer(NamedTuple):
    """What one server said to one question: samples of each column. `error` is a word where it said nothing."""

    seconds: float
    samples: Sequence[Samples] = ()
    error: str = ""


def samples_of(query: Query, server: str, rows: Iterable[Row], clean: Clean) -> list[Samples]:
    """Of each column. Rows that look the same once they are clean are one: the greatest of them."""
    found: list[dict[tuple[str, ...], float]] = [{} for _ in query.columns]
    for row in rows:
        labels = (row[label] if label in query.numbers else clean(str(row[label])) for label in query.labels)
        key = (server, *(label[:LABEL_CHARACTERS_MAX] for label in labels))
        for column, samples in zip(query.columns, found, strict=True):
            value = row[column.name]
            if value is not None:
                samples[key] = max(float(value), samples.get(key, float("-inf")))
    return [tuple(samples.items()) for samples in found]


def families_of(queries: Sequence[Query], answers: Sequence[Mapping[str, Answer]]) -> Iterable[Family]:
    """Of all servers together; `answers` are those of each, by the name of the question."""
    for query in queries:
        told = [each[query.name].samples for each in answers if query.name in each and each[query.name].samples]
        for number, each in enumerate(query.shapes):
            samples = tuple(sample for samples in told for sample in samples[number])
            if samples:
                yield each.of(samples)
