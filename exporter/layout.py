"""The series of a family as they stood at its last scrape, so that the next one only has to write numbers.

A machine has the same disks, interfaces and processors at every scrape. As long as the labels are the same they were
checked already, and one pattern holds all the lines: `node_forks_total %r`. Where the numbers are the same too, so is
the text. What is remembered is one scrape of one family, of at most `SERIES_MAX` series, and nothing before it.
"""

from collections.abc import Iterable, Sequence

from exporter.escaping import escaped, label, series
from exporter.points import PLAIN_NUMBERS, InvalidFamily, number

Key = tuple[str, ...]

# A larger family is checked and written from scratch each time, a piece at a time.
SERIES_MAX = 10_000
# No single step holds up the other threads for longer than so many series take.
PIECE_SERIES = 1_000
SHARES = 64


class Layout:
    """For one tuple of label values a series, in this order."""

    __slots__ = ("_pattern", "keys", "last")

    def __init__(self, name: str, labels: Sequence[str], keys: tuple[Key, ...]) -> None:
        check_keys(name, labels, keys)
        pattern = series_pattern(name, labels)
        self.keys = keys
        self._pattern = "".join(f"{(pattern % tuple(map(escaped, values))).replace('%', '%%')} %r\n" for values in keys)
        # The numbers, and their lines. Several threads may ask, so it is replaced as a whole.
        self.last: tuple[tuple[float, ...], bytes] = ((), b"")

    def lines(self, numbers: tuple[float, ...], *, finite: bool) -> bytes:
        """One line a series."""
        if finite and PLAIN_NUMBERS.issuperset(map(type, numbers)):
            text = encoded(self._pattern % numbers)
        else:
            # A line break stands only at the end of a line: within labels it is escaped.
            text = encoded(self._pattern.replace(" %r\n", " %s\n") % tuple(map(number, numbers)))
        self.last = (numbers, text)
        return text


def check_keys(name: str, labels: Sequence[str], keys: Sequence[Key]) -> None:
    width = len(labels)
    for values in keys:
        if len(values) != width:
            raise InvalidFamily(f"{name}: found {len(values)} label values, expected {width}")
    if distinct(keys) != len(keys):
        raise InvalidFamily(f"{name}: two samples have the same labels")


def distinct(keys: Sequence[Key]) -> int:
    """How many different ones there are. A set of a million would hold up all threads whenever it grows."""
    if len(keys) <= SERIES_MAX:
        return len(set(keys))
    shares: list[set[Key]] = [set() for _ in range(SHARES)]
    for key in keys:
        shares[hash(key) % SHARES].add(key)
    return sum(map(len, shares))


def series_pattern(name: str, labels: Iterable[str]) -> str:
    """`node_cpu_seconds_total{cpu="%s",mode="%s"}`."""
    names = [label(each).replace("%", "%%") for each in labels]
    return series(name.replace("%", "%%"), ",".join(f'{each}="%s"' for each in names))


def plain_lines(name: str, labels: Sequence[str], samples: Sequence[tuple[Key, float]]) -> str:
    """The lines of numbers that nobody remembers."""
    pattern = f"{series_pattern(name, labels)} %s\n"
    return "".join([pattern % (*map(escaped, values), number(value)) for values, value in samples])


def encoded(text: str) -> bytes:
    """A surrogate cannot be written as UTF-8; one strange label value must not cost the page."""
    return text.encode("utf-8", errors="replace")
