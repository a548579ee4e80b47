"""`loadavg`: how many tasks run or wait, averaged over one, five and fifteen minutes."""

from collections.abc import Iterable

from exporter.collectors.files import Malformed, Paths, read
from exporter.collectors.options import Option
from exporter.family import Family, single


class Loadavg:
    name = "loadavg"
    help = "Load averages from /proc/loadavg."
    enabled = True
    options: tuple[Option, ...] = ()

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.procfs}/loadavg"

    def collect(self, deadline: float) -> Iterable[Family]:  # noqa: ARG002
        one, five, fifteen = parse(read(self._path), self._path)
        yield Family.of(name="node_load1", type="gauge", help="Load average over one minute.", samples=single(one))
        yield Family.of(name="node_load5", type="gauge", help="Load average over five minutes.", samples=single(five))
        yield Family.of(
            name="node_load15",
            type="gauge",
            help="Load average over fifteen minutes.",
            samples=single(fifteen),
        )


def parse(content: bytes, where: str = "loadavg") -> tuple[float, float, float]:
    """The first three numbers of `0.01 0.06 0.02 2/82 3223`."""
    try:
        one, five, fifteen = (float(field) for field in content.split()[:3])
    except ValueError:
        raise Malformed(where, found=content, expected="three load averages") from None
    return one, five, fifteen
