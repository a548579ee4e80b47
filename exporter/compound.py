"""The lines of values that are more than a number: distributions, summaries, and counts with their beginning.

Where a page has thousands of these, most of each line is the same: names, bounds, and the labels of the series again
and again. So what a type writes is made into one pattern for the whole piece, in which only labels and numbers are
missing. Nothing is kept from one page to the next.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isfinite
from typing import NamedTuple

from exporter.escaping import escaped, label, quoted, series
from exporter.family import Samples, Shape
from exporter.points import PLAIN_NUMBERS, Count, Distribution, Exemplar, Histogram, Summary, Value, bound, number

# Stands for the labels of a series in a pattern. No name has it, as it cannot be printed.
LABELS = "\0"


class Ends(NamedTuple):
    """What stands before and after the labels of a series."""

    before: str
    after: str

    @staticmethod
    def of(name: str, labels: Sequence[str]) -> "Ends":
        before, _, after = series(name, LABELS if labels else "").partition(LABELS)
        return Ends(before, after)


class Compound:
    """Writes the samples of one family in one of the formats."""

    def __init__(self, shape: Shape, *, is_text: bool) -> None:
        self._is_text = is_text
        self._labels = shape.labels
        self._name = shape.name
        self._pairs = ",".join(f'{label(name).replace("%", "%%")}="%s"' for name in shape.labels)
        self._series = Ends.of(shape.name, shape.labels)
        self._created = Ends.of(f"{shape.base_name}_created", shape.labels)
        # The pattern of the last distribution: mostly the next one has the same bounds.
        self._last: tuple[object, Sequence[str]] = (None, ())
        # Series that began together have the same text.
        self._moments: dict[float, str] = {}

    def lines(self, samples: Samples) -> str:
        pairs, write = self._pairs, self._line_of
        return "".join([write(pairs % tuple(map(escaped, key)), value) for key, value in samples])

    def _line_of(self, pairs: str, value: Value) -> str:
        match value:
            case Count():
                return self._count(pairs, value)
            case Distribution():
                return self._distribution(pairs, value)
            case Histogram():
                return self._histogram(pairs, value)
            case Summary():
                return self._summary(pairs, value)
            case _:
                before, after = self._series
                return f"{before}{pairs}{after} {number(value)}\n"

    def _count(self, pairs: str, value: Count) -> str:
        before, after = self._series
        if self._is_text:
            return f"{before}{pairs}{after} {number(value.value)}\n"
        example = exemplar(value.exemplar)
        return f"{before}{pairs}{after} {number(value.value)}{example}\n{self._created_line(pairs, value.created)}"

    def _distribution(self, pairs: str, value: Distribution) -> str:
        counts = list(accumulate(value.counts))
        return self._buckets(pairs, value.bounds, counts, value.exemplars, value.sum, value.created)

    def _histogram(self, pairs: str, value: Histogram) -> str:
        exemplars = {place: each.exemplar for place, each in enumerate(value.buckets) if each.exemplar is not None}
        bounds = tuple(bucket.bound for bucket in value.buckets[:-1])
        return self._buckets(
            pairs, bounds, [bucket.count for bucket in value.buckets], exemplars, value.sum, value.created
        )

    def _buckets(
        self,
        pairs: str,
        bounds: tuple[float, ...],
        counts: Sequence[float],
        exemplars: Mapping[int, Exemplar],
        total: float,
        created: float | None,
    ) -> str:
        # OpenMetrics has a sum only where it counts: where nothing negative can be observed.
        summed = self._is_text or (total >= 0 and not (bounds and bounds[0] < 0))
        numbers: list[object] = [*counts, total, counts[-1]] if summed else [*counts]
        if self._last[0] != (bounds, summed):
            self._last = (bounds, summed), self._pattern_of(bounds, summed=summed)
        pattern = pairs.replace("%", "%%").join(self._last[1])
        shown = {} if self._is_text else exemplars
        if shown or not PLAIN_NUMBERS.issuperset(map(type, numbers)) or not isfinite(total):
            numbers = list(map(number, numbers))  # type: ignore[arg-type]
            for place, example in shown.items():
                numbers[place] = f"{numbers[place]}{exemplar(example)}"
            pattern = pattern.replace(" %r\n", " %s\n")
        lines = pattern % tuple(numbers)
        return lines if self._is_text else f"{lines}{self._created_line(pairs, created)}"

    def _pattern_of(self, bounds: tuple[float, ...], *, summed: bool) -> Sequence[str]:
        """The lines of a series, parted where its labels are missing."""
        labels = [LABELS] if self._labels else []
        within = [",".join([*labels, f'le="{text}"']) for text in (*map(bound, bounds), "+Inf")]
        heads = [series(f"{self._name}_bucket", each) for each in within]
        heads += [series(f"{self._name}_{part}", "".join(labels)) for part in (("sum", "count") if summed else ())]
        return "".join(f"{head.replace('%', '%%')} %r\n" for head in heads).split(LABELS)

    def _summary(self, pairs: str, value: Summary) -> str:
        lines = []
        for quantile, found in value.quantiles:
            # OpenMetrics knows no quantile below zero.
            if self._is_text or not found < 0:
                within = ",".join([*([pairs] if pairs else []), f'quantile="{bound(quantile)}"'])
                lines.append(f"{series(self._name, within)} {number(found)}\n")
        if self._is_text or value.counts_a_sum:
            lines.append(f"{series(f'{self._name}_sum', pairs)} {number(value.sum)}\n")
        lines.append(f"{series(f'{self._name}_count', pairs)} {number(value.count)}\n")
        if not self._is_text:
            lines.append(self._created_line(pairs, value.created))
        return "".join(lines)

    def _created_line(self, pairs: str, created: float | None) -> str:
        if created is None:
            return ""
        before, after = self._created
        return f"{before}{pairs}{after} {self._moment(created)}\n"

    def _moment(self, created: float) -> str:
        found = self._moments.get(created)
        if found is None:
            found = self._moments[created] = number(created)
        return found


def exemplar(found: Exemplar | None) -> str:
    if found is None:
        return ""
    pairs = ",".join(f"{name}={quoted(text)}" for name, text in found.labels)
    at = "" if found.at is None else f" {number(found.at)}"
    return f" # {{{pairs}}} {number(found.value)}{at}"
