"""`loadavg`: how many tasks run or wait, averaged over one, five and fifteen minutes."""

from collections.abc import Iterable

from exporter.collectors.files import Kept, Malformed, Paths
from exporter.collectors.options import Option
from exporter.family import Family, Shape

LOAD1 = Shape("node_load1", "gauge", "Load average over one minute.")
LOAD5 = Shape("node_load5", "gauge", "Load average over five minutes.")
LOAD15 = Shape("node_load15", "gauge", "Load average over fifteen minutes.")


class Loadavg:
    name = "loadavg"
    help = "Load averages from /proc/loadavg."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/loadavg"
        self._kept = Kept()

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        one, five, fifteen = parse(self._kept.read_value(self._path), self._path)
        return LOAD1.single(one), LOAD5.single(five), LOAD15.single(fifteen)


def parse(content: bytes, where: str = "loadavg") -> tuple[float, float, float]:
    """The first three numbers of `0.01 0.06 0.02 2/82 3223`."""
    try:
        one, five, fifteen = map(float, content.split(None, 3)[:3])
    except ValueError:
        raise Malformed(where, found=content, expected="three load averages") from None
    return one, five, fifteen
