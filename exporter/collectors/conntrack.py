"""`conntrack`: how many connections the firewall follows, how many it may, and what became of packets there."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths, whole_number
from exporter.collectors.options import Option
from exporter.family import Family, Shape
from exporter.outcome import Absent

ENTRIES = Shape("node_nf_conntrack_entries", "gauge", "Connections that the kernel follows now.")
LIMIT = Shape("node_nf_conntrack_entries_limit", "gauge", "Connections that the kernel would follow.")


def _gauge(name: str, description: str) -> tuple[bytes, Shape]:
    """They count up, but node_exporter calls them gauges."""
    return name.encode(), Shape(f"node_nf_conntrack_stat_{name}", "gauge", description)


# By the names of the columns.
STATISTICS = dict(
    (
        _gauge("drop", "Packets dropped because they could not be followed."),
        _gauge("early_drop", "Connections forgotten early to make room for others."),
        _gauge("found", "Searches that found a connection."),
        _gauge("ignore", "Packets that were not looked at, as they were followed already."),
        _gauge("insert", "Connections put into the table."),
        _gauge("insert_failed", "Connections that were in the table already when they were put into it."),
        _gauge("invalid", "Packets that belong to no connection and cannot begin one."),
        _gauge("search_restart", "Searches begun again because the table changed its size meanwhile."),
    )
)


class Conntrack:
    name = "conntrack"
    help = "Connections that the firewall follows from /proc/sys/net/netfilter and /proc/net/stat/nf_conntrack."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._entries_path = f"{paths.procfs}/sys/net/netfilter/nf_conntrack_count"
        self._limit_path = f"{paths.procfs}/sys/net/netfilter/nf_conntrack_max"
        self._statistics_path = f"{paths.procfs}/net/stat/nf_conntrack"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        try:
            entries = self._kept.read_value(self._entries_path)
            limit = self._kept.read_value(self._limit_path)
        except FileNotFoundError:
            raise Absent("the kernel follows no connections") from None
        yield ENTRIES.single(whole_number(entries, self._entries_path))
        yield LIMIT.single(whole_number(limit, self._limit_path))
        try:
            content = self._kept.read(self._statistics_path)
        except FileNotFoundError:
            return  # a kernel that offers them by netlink alone
        for name, number in parse(content, self._statistics_path).items():
            yield STATISTICS[name].single(number)


def parse(content: bytes, where: str = "nf_conntrack") -> dict[bytes, int]:
    """The sum over all processors of each known column; a column that the kernel does not have is left out."""
    header, *lines = content.splitlines() or [b""]
    names = header.split()
    if not names or names[0] != b"entries":
        raise Malformed(where, found=header, expected="the header of nf_conntrack, which begins with entries")
    sums = {name: 0 for name in names if name in STATISTICS}
    for line in lines:
        words = line.split()
        if len(words) != len(names):
            raise Malformed(where, found=line, expected=f"{len(names)} hexadecimal numbers")
        for name, word in zip(names, words, strict=True):
            if name in sums:
                try:
                    sums[name] += int(word, 16)
                except ValueError:
                    raise Malformed(where, found=word, expected=f"a hexadecimal number for {name.decode()}") from None
    return sums
