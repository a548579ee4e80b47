"""What one sample can hold when it is more than a number: a distribution, or a count with an example.

Each value here is checked when it is made, so that one that exists can be written. What only one of the two formats can
carry is left out by the other one, never refused: exemplars and creation times are OpenMetrics', and a sum that went
down is the text format's. Nothing here knows names or labels of metrics.
"""

from collections.abc import Mapping
from math import inf, isfinite, isnan

import msgspec

from exporter.escaping import LABEL_NAME

# OpenMetrics 1.0 allows this many characters in all names and values of an exemplar's labels together.
EXEMPLAR_CHARACTERS_MAX = 128
PLAIN_NUMBERS = {int, float}


class InvalidFamily(ValueError):
    """A family that no format could carry; the message says which rule it breaks."""


class Exemplar(msgspec.Struct, frozen=True):
    """One event among those that were counted, by what it can be found elsewhere (a trace)."""

    labels: tuple[tuple[str, str], ...]
    value: float
    # Seconds since 1970, where known.
    at: float | None = None

    def __post_init__(self) -> None:
        characters = sum(len(name) + len(value) for name, value in self.labels)
        if characters > EXEMPLAR_CHARACTERS_MAX:
            raise InvalidFamily(f"an exemplar has {characters} characters, expected at most {EXEMPLAR_CHARACTERS_MAX}")
        if len({name for name, _ in self.labels}) != len(self.labels):
            raise InvalidFamily("an exemplar has a label twice")
        for name, _ in self.labels:
            if not LABEL_NAME.fullmatch(name):
                raise InvalidFamily(f"{name!r} is not a label name of an exemplar")
        if self.at is not None and not isfinite(self.at):
            raise InvalidFamily(f"found {self.at} as the time of an exemplar, expected seconds since 1970")


class Count(msgspec.Struct, frozen=True):
    """The number of a counter, with an example of what it counted, or the time when it began."""

    value: float
    exemplar: Exemplar | None = None
    created: float | None = None


class Bucket(msgspec.Struct, frozen=True):
    """How many observations were at most `bound`: cumulative, as in the formats."""

    bound: float
    count: float
    exemplar: Exemplar | None = None


class Histogram(msgspec.Struct, frozen=True):
    """`buckets` ascend and end with the one that has no bound; its count is the count of all."""

    buckets: tuple[Bucket, ...]
    sum: float
    created: float | None = None

    def __post_init__(self) -> None:
        if not self.buckets or self.buckets[-1].bound != inf:
            raise InvalidFamily("the last bucket of a histogram must have the bound +Inf")
        bound, count = -inf, 0.0
        for bucket in self.buckets:
            # NaN compares as neither, so it is refused as well.
            if not bucket.bound > bound:
                raise InvalidFamily(f"the bucket {bucket.bound} of a histogram comes after {bound}")
            if not bucket.count >= count:
                raise InvalidFamily(f"the bucket {bucket.bound} of a histogram holds {bucket.count}, less than {count}")
            if not _is_whole(bucket.count):
                raise InvalidFamily(f"the bucket {bucket.bound} of a histogram holds {bucket.count}, no whole number")
            bound, count = bucket.bound, bucket.count

    @property
    def count(self) -> float:
        return self.buckets[-1].count


class Distribution(msgspec.Struct, frozen=True):
    """A histogram whose owner vouches for it, so that thousands of them are published without a look at each.

    `counts` are those of each bucket alone, the last one that of what is beyond the ascending bounds; `exemplars` are
    those of buckets by their place.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    created: float | None = None
    exemplars: Mapping[int, Exemplar] = {}

    @property
    def count(self) -> int:
        return sum(self.counts)


class Summary(msgspec.Struct, frozen=True):
    """`quantiles` are pairs of a quantile, from 0 to 1, and its value."""

    count: float
    sum: float
    quantiles: tuple[tuple[float, float], ...] = ()
    created: float | None = None

    def __post_init__(self) -> None:
        if not self.count >= 0 or not _is_whole(self.count):
            raise InvalidFamily(f"the count of a summary is {self.count}, no whole number")
        if len({quantile for quantile, _ in self.quantiles}) != len(self.quantiles):
            raise InvalidFamily("a summary has a quantile twice")
        for quantile, _ in self.quantiles:
            if not 0 <= quantile <= 1:
                raise InvalidFamily(f"found the quantile {quantile}, expected one from 0 to 1")

    @property
    def counts_a_sum(self) -> bool:
        return self.sum >= 0


Value = float | Count | Histogram | Distribution | Summary


def number(value: float) -> str:
    """The shortest text that reads back as the same number, with Prometheus' words for what is not finite."""
    if isfinite(value):
        # Kinds of numbers with words of their own, as `True`, are written as the plain ones that they are.
        return repr(value if type(value) in PLAIN_NUMBERS else int(value) if isinstance(value, int) else float(value))
    if isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def bound(value: float) -> str:
    """A bound or a quantile as both formats want it: always the same text for the same number, `1.0` for 1."""
    return number(float(value))


def _is_whole(count: float) -> bool:
    return isinstance(count, int) or count.is_integer()
